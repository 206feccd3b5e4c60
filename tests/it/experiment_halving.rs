//! Successive halving, through the real binary:
//! 1. every variant gets a little, the best of each rung get more; a second run does nothing, and a dry run
//!    says what is known and no more;
//! 2. what was killed continues, and finds the same;
//! 3. constraints decide who goes on, and when nobody may, that is said.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::experiment::{project, record};
use crate::project::Project;

const EXPERIMENT: &str = "\
pipeline: pipelines/music.yaml
space:
  grid: { vars.factors: [2, 3, 4, 6] }
  successive_halving: { resource: als.iterations, min: 1, max: 4, eta: 2 }
objective: { maximize: validate.als.ndcg@10 }
report: [evaluate.als.ndcg@10]
";
const RUN: [&str; 3] = ["exp", "run", "configs/experiments/size.yaml"];

/// Names of the variants that were on each rung.
fn rungs(record: &Value) -> Vec<Vec<String>> {
    let variants = record["variants"].as_array().unwrap();
    let reached = |variant: &Value| variant["rung"].as_u64().unwrap();
    (0..3)
        .map(|rung| {
            let on = variants.iter().filter(|variant| reached(variant) >= rung);
            let mut names: Vec<String> =
                on.map(|variant| variant["name"].as_str().unwrap().to_owned()).collect();
            names.sort();
            names
        })
        .collect()
}

fn ndcg(variant: &Value) -> f64 {
    variant["metrics"]["validate.als.ndcg@10"].as_f64().unwrap()
}

#[test]
fn the_best_of_each_rung_get_more() {
    let project = project(EXPERIMENT);
    let dry = project.call(&[&RUN[..], &["--dry-run"]].concat());
    dry.says("rung 1 of 3, als.iterations=1: 4 variants")
        .says("rung 2 of 3, als.iterations=2: the best 2 of these; at most 4 steps more")
        .says("rung 3 of 3, als.iterations=4: the best 1 of these; at most 3 steps more")
        .says("known when rung 1 has run");
    assert!(!project.path("cache").exists());

    let run = project.call(&RUN);
    assert_eq!(run.code, 0, "{}{}", run.stdout, run.stderr);
    let ran = run.ran();
    let count = |step: &str| ran.iter().filter(|name| name.split('@').next() == Some(step)).count();
    for shared in ["synthetic", "preprocess", "split"] {
        assert_eq!(count(shared), 1, "{ran:?}");
    }
    // 4 variants, then 2, then 1; the gate of each variant does not depend on the resource.
    assert_eq!((count("gate"), count("als"), count("validate"), count("evaluate")), (4, 7, 7, 1), "{ran:?}");

    let record = record(&project);
    let variants = record["variants"].as_array().unwrap();
    let rungs = rungs(&record);
    assert_eq!(rungs.iter().map(Vec::len).collect::<Vec<_>>(), [4, 2, 1]);
    // Who went on was no worse on that rung than who did not.
    for rung in 0..2 {
        let on = |variant: &&Value| variant["climbed"].as_array().unwrap().len() > rung;
        let value = |variant: &Value| variant["climbed"][rung].as_f64().unwrap();
        let (went, stayed): (Vec<&Value>, Vec<&Value>) =
            variants.iter().filter(on).partition(|variant| variant["rung"].as_u64().unwrap() > rung as u64);
        let worst = went.iter().map(|variant| value(variant)).fold(f64::INFINITY, f64::min);
        assert!(stayed.iter().all(|variant| value(variant) <= worst), "{record:#}");
    }
    let best = &variants[0];
    assert!(best["is_best"].as_bool().unwrap() && best["values"]["als.iterations"] == 4, "{best}");
    assert!(best["metrics"]["evaluate.als.ndcg@10"].is_number() && best["state"] == "done");
    assert!(
        variants[1..].iter().all(|v| v["state"] == "out" && v["metrics"]["evaluate.als.ndcg@10"].is_null())
    );
    let shown = project.call(&["exp", "show", "size"]);
    shown.says("3/3").says("2/3").says("1/3").says("out");

    let again = project.call(&RUN);
    assert_eq!(again.ran(), [""; 0]);
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);
    project
        .call(&[&RUN[..], &["--dry-run"]].concat())
        .says("0 would run")
        .says("rung 2 of 3, als.iterations=2: 2 variants")
        .says("rung 3 of 3, als.iterations=4: 1 variant");

    let promoted = project.call(&["exp", "promote", "size"]);
    assert_eq!(promoted.code, 0, "{}", promoted.stderr);
    assert_eq!(promoted.ran(), [""; 0]);
    assert!(project.read("configs/size_best.yaml").contains("iterations: 4"));
}

/// Kills a run of the experiment when a line of it says this.
fn kill_at(project: &Project, step: &str) {
    let mut child = project.command(&RUN).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let begun = |project: &Project| {
        let runs = project.path("cache/v2/runs");
        let folders = std::fs::read_dir(runs).into_iter().flatten().flatten();
        folders
            .filter_map(|run| std::fs::read_to_string(run.path().join("events.jsonl")).ok())
            .any(|events| events.contains(&format!("\"step_started\",\"step\":\"{step}")))
    };
    while !begun(project) && child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "{step} does not begin");
        std::thread::sleep(Duration::from_millis(3));
    }
    let _ = kill_process(Pid::from_child(&child), Signal::KILL);
    child.wait().unwrap();
}

#[test]
fn what_was_killed_continues_and_finds_the_same() {
    let undisturbed = project(EXPERIMENT);
    assert_eq!(undisturbed.call(&RUN).code, 0);
    let expected = record(&undisturbed);
    let project = project(EXPERIMENT);
    for step in ["validate@factors=3", "als@factors=2,iterations=2", "als@", "evaluate"] {
        kill_at(&project, step);
    }
    let last = project.call(&RUN);
    assert_eq!(last.code, 0, "{}", last.stderr);
    let found = record(&project);
    assert_eq!(rungs(&found), rungs(&expected));
    for (found, expected) in
        found["variants"].as_array().unwrap().iter().zip(expected["variants"].as_array().unwrap())
    {
        assert_eq!(found["name"], expected["name"]);
        assert_eq!(ndcg(found).to_bits(), ndcg(expected).to_bits());
    }
    let verified = project.call(&["cache", "verify"]);
    assert_eq!(verified.code, 0, "{}", verified.stdout);
}

#[test]
fn constraints_decide_who_goes_on() {
    let impossible = EXPERIMENT.to_owned() + "constraints: ['validate.als.coverage_items@10 >= 2']\n";
    let project = project(&impossible);
    let run = project.call(&RUN);
    assert_eq!(run.code, 1, "{}", run.stderr);
    run.says("no variant keeps the constraint `validate.als.coverage_items@10 >= 2`")
        .says("comes nearest with");
    assert!(!run.ran().iter().any(|step| step.contains("iterations=2")), "{:?}", run.ran());
    let record = record(&project);
    assert!(record["variants"].as_array().unwrap().iter().all(|v| v["state"] == "breaks a constraint"));
    project.call(&["exp", "show", "size"]).says("no variant can be chosen");
    let promoted = project.call(&["exp", "promote", "size"]);
    assert_eq!(promoted.code, 2);
    promoted.says("no variant of `size` can be chosen");
    assert!(!project.path("configs/size_best.yaml").exists());
    project
        .call(&[&RUN[..], &["--dry-run"]].concat())
        .says("no variant of the last rung that ran may go on: the experiment ends there");
}

#[test]
fn what_is_no_ladder_is_told_at_its_place() {
    for (from, to, words) in [
        ("als.iterations", "als.iteration", "the step `als` has no parameter `iteration`"),
        ("als.iterations", "als.iteration", "did you mean `iterations`"),
        ("als.iterations", "vars.factors", "is the resource of `successive_halving` and a setting to try"),
        ("min: 1", "min: 3", "`max` must be at least `eta` times `min`: 4 is less than 2 × 3"),
        ("eta: 2", "eta: 1", "`eta` must be more than 1"),
        ("min: 1", "least: 1", "unknown key `least`"),
    ] {
        let call = project(&EXPERIMENT.replace(from, to)).call(&RUN);
        assert_eq!(call.code, 2, "{to}: {}", call.stderr);
        call.says(words);
    }
}
