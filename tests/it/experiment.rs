//! Experiments, through the real binary:
//! 1. what variants share runs once, a second run does nothing, and the best one is shown first;
//! 2. the test period does not decide unless it is asked to;
//! 3. a variant that fails does not stop the others, and what is wrong with a file is told at its place.

use serde_json::Value;

use crate::project::Project;

const PIPELINE: &str = "\
name: small
vars: { factors: 4, fail_at: -1 }
steps:
  synthetic: { uses: synthetic, with: { interactions: 4000, users: 200, tracks: 300 } }
  preprocess:
    uses: preprocess
    inputs:
      tracks: synthetic.tracks
      catalog: synthetic.catalog_names
      interactions: synthetic.interactions
  split: { uses: split, inputs: { events: preprocess.events } }
  gate:
    inputs: { events: split.train_events }
    outputs: { ok: artifacts/gate.txt }
    run: 'test {{ vars.factors }} -ne {{ vars.fail_at }} && echo {{ vars.factors }} > {{ outputs.ok }}'
  als:
    uses: als
    needs: [gate]
    inputs: { train: split.train_matrix }
    with: { factors: '{{ vars.factors }}', iterations: 3 }
  validate:
    uses: evaluate
    inputs:
      test: split.target_matrix
      history: split.train_matrix
      items: preprocess.items
      users: preprocess.users
      lists: { als: als.candidates }
    outputs: { user_metrics: artifacts/user_metrics.parquet }
  evaluate:
    uses: evaluate
    inputs:
      test: split.test_matrix
      history: split.history_matrix
      items: preprocess.items
      users: preprocess.users
      lists: { als: als.candidates }
    outputs: { user_metrics: artifacts/evaluate/user_metrics.parquet }
";

pub const EXPERIMENT: &str = "\
pipeline: pipelines/music.yaml
space: { grid: { vars.factors: [2, 4, 8] } }
objective: { maximize: validate.als.ndcg@10 }
";

pub fn project(experiment: &str) -> Project {
    let project = Project::with(PIPELINE);
    project.write("configs/experiments/size.yaml", experiment);
    project
}

pub fn record(project: &Project) -> Value {
    let call = project.call(&["exp", "show", "size", "--format", "json"]);
    assert_eq!(call.code, 0, "{}", call.stderr);
    serde_json::from_str(&call.stdout).unwrap()
}

#[test]
fn what_variants_share_runs_once_and_the_best_comes_first() {
    let project = project(EXPERIMENT);
    let run = ["exp", "run", "configs/experiments/size.yaml"];
    let dry = project.call(&[&run[..], &["--dry-run"]].concat());
    assert!(
        dry.stdout.contains("3 variants of 18 steps in all, 12 of them different: 12 would run"),
        "{}",
        dry.stdout
    );
    assert!(!project.path("cache").exists());

    let first = project.call(&run);
    assert_eq!(first.code, 0, "{}{}", first.stdout, first.stderr);
    let ran = first.ran();
    assert_eq!(ran.len(), 12, "{ran:?}");
    for shared in ["synthetic", "preprocess", "split"] {
        assert_eq!(ran.iter().filter(|step| **step == shared).count(), 1, "{ran:?}");
    }
    assert!(ran.contains(&"als@factors=8"), "{ran:?}");
    assert!(!ran.iter().any(|step| step.starts_with("evaluate")), "nobody asked for it: {ran:?}");

    let record = record(&project);
    let variants = record["variants"].as_array().unwrap();
    let value = |variant: &Value| variant["metrics"]["validate.als.ndcg@10"].as_f64().unwrap();
    let best = variants.iter().max_by(|a, b| value(a).total_cmp(&value(b))).unwrap();
    let best = best["name"].as_str().unwrap();
    assert!(first.stdout.contains(&format!("★ best by `validate.als.ndcg@10`: {best}")), "{}", first.stdout);
    assert!(variants.iter().all(|variant| variant["seconds"].as_f64().unwrap() > 0.0));
    let csv = project.call(&["exp", "show", "size", "--format", "csv"]).stdout;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(
        lines[0],
        "state,variant,vars.factors,validate.als.ndcg@10,validate.als.ndcg@10 low,validate.als.ndcg@10 high,\
         difference,difference low,difference high,p,seconds,peak_memory_bytes"
    );
    for variant in variants.iter().filter(|variant| variant["name"] != best) {
        let [low, high] =
            [0, 1].map(|end| variant["intervals"]["validate.als.ndcg@10"][end].as_f64().unwrap());
        assert!(low < value(variant) && value(variant) < high, "{variant}");
        let versus = &variant["against"];
        let difference = value(variant) - value(variants.iter().find(|v| v["name"] == best).unwrap());
        assert!((versus["difference"].as_f64().unwrap() - difference).abs() < 1e-9, "{versus}");
        assert!((0.0..=1.0).contains(&versus["p_value"].as_f64().unwrap()), "{versus}");
        assert!(versus["users"].as_u64().unwrap() > 20, "{versus}");
    }
    assert!(lines.len() == 4 && lines[1].starts_with(&format!("done,{best},")), "{csv}");
    assert!(project.call(&["exp", "list"]).stdout.contains(best));

    let promoted = project.call(&["exp", "promote", "size"]);
    assert_eq!(promoted.code, 0, "{}", promoted.stderr);
    assert_eq!(promoted.ran(), ["evaluate"], "the rest is in the store");
    promoted.says(&format!("promoted {best} of `size`")).says("its artifacts are released");
    let config = project.read("configs/size_best.yaml");
    let again = project.run(&["--config", "configs/size_best.yaml"]);
    assert_eq!(again.ran(), [""; 0], "what was promoted is what the file says");
    assert!(config.contains(&format!("vars:\n  {}\n", best.replace('=', ": "))), "{config}");
    assert!(project.path("artifacts/als/model.npz").is_file());
    project.write("configs/mine.yaml", "vars: {}\n");
    let refused = project.call(&["exp", "promote", "size", "--output", "configs/mine.yaml"]);
    assert_eq!(refused.code, 2);
    refused.says("was written by somebody else");
    project.call(&["exp", "promote", "size", "factors=3"]).says("did you mean");

    let second = project.call(&run);
    assert_eq!(second.ran(), [""; 0]);
    assert!(second.stdout.contains("nothing to do"), "{}", second.stdout);
}

#[test]
fn the_test_period_is_reported_and_decides_only_when_asked() {
    let run = ["exp", "run", "configs/experiments/size.yaml", "--dry-run"];
    let on_test = EXPERIMENT.replace("validate", "evaluate");
    let refused = project(&on_test).call(&run);
    assert_eq!(refused.code, 2);
    refused.says("measured on the test period, which must not decide").says("select_on_test: true");
    assert_eq!(project(&(on_test + "select_on_test: true\n")).call(&run).code, 0);
    let reported = EXPERIMENT.to_owned() + "report: [evaluate.als.ndcg@10]\n";
    assert_eq!(project(&reported).call(&run).code, 0);
    let constrained = EXPERIMENT.to_owned() + "constraints: ['evaluate.als.ndcg@10 >= 0']\n";
    assert_eq!(project(&constrained).call(&run).code, 2);
}

#[test]
fn a_variant_that_fails_is_shown_and_the_others_go_on() {
    let project = project(EXPERIMENT);
    let failed = project.call(&["exp", "run", "configs/experiments/size.yaml", "--var", "fail_at=4"]);
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    let record = record(&project);
    let variants = record["variants"].as_array().unwrap();
    let ended: Vec<(&str, &str)> =
        variants.iter().map(|v| (v["name"].as_str().unwrap(), v["ended"].as_str().unwrap())).collect();
    assert_eq!(ended[2], ("factors=4", "failed"), "{ended:?}");
    assert!(ended[..2].iter().all(|(_, ended)| *ended == "done"), "{ended:?}");
    assert!(variants[2]["error"].as_str().unwrap().starts_with("`gate`: the command ended with exit code 1"));
    assert!(failed.stdout.contains("factors=4 failed: `gate`"), "{}", failed.stdout);
    assert!(failed.stdout.contains("★ best by"), "{}", failed.stdout);
    // The next run tries it again, and nothing else.
    let again = project.call(&["exp", "run", "configs/experiments/size.yaml", "--var", "fail_at=5"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(!again.ran().iter().any(|step| step.starts_with("synthetic")), "{:?}", again.ran());
}

#[test]
fn what_is_wrong_is_told_before_anything_runs() {
    for (from, to, words) in [
        ("vars.factors", "vars.factor", "the pipeline has no variable `factor`"),
        ("vars.factors", "vars.factor", "did you mean `factors`"),
        ("vars.factors", "als.factor", "the step `als` has no parameter `factor`"),
        ("vars.factors", "als.factor", "did you mean `factors`"),
        ("vars.factors", "alz.factors", "did you mean `als`"),
        ("validate.als", "validat.als", "did you mean `validate`"),
        ("[2, 4, 8]", "[2, 0]", "the variant `factors=0` cannot be planned"),
        ("[2, 4, 8]", "[]", "no value for `vars.factors`"),
        ("objective", "goal", "unknown key `goal`"),
    ] {
        let call =
            project(&EXPERIMENT.replace(from, to)).call(&["exp", "run", "configs/experiments/size.yaml"]);
        assert_eq!(call.code, 2, "{to}: {}", call.stderr);
        call.says(words);
    }
    let missing = project(EXPERIMENT).call(&["exp", "run", "configs/experiments/sizes.yaml"]);
    assert_eq!(missing.code, 2);
    let nowhere = project(&EXPERIMENT.replace("als.ndcg@10", "als.ndgc@10"));
    let call = nowhere.call(&["exp", "run", "configs/experiments/size.yaml"]);
    assert_eq!(call.code, 2, "{}", call.stderr);
    call.says("the step `validate` leaves no metric `als.ndgc@10`").says("did you mean `als.ndcg@10`");
    assert!(call.ran().is_empty());
    // What other kinds leave is known when they have run.
    let loss = project(&EXPERIMENT.replace("validate.als.ndcg@10", "als.los"));
    let call = loss.call(&["exp", "run", "configs/experiments/size.yaml"]);
    assert_eq!(call.code, 2, "{}", call.stderr);
    call.says("no step of the experiment left the metric `als.los`").says("did you mean `als.loss`");
    assert_eq!(nowhere.call(&["exp", "show", "other"]).code, 2);
}
