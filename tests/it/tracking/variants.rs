//! Experiments on the server: a run of the whole, one nested in it for each variant.

use super::fake::{Fake, Mood};
use super::{project, sync};

const PIPELINE: &str = "\
name: small
vars: { factors: 4, iterations: 3 }
steps:
  synthetic: { uses: synthetic, with: { interactions: 4000, users: 200, tracks: 300 } }
  preprocess:
    uses: preprocess
    inputs:
      tracks: synthetic.tracks
      catalog: synthetic.catalog_names
      interactions: synthetic.interactions
  split: { uses: split, inputs: { events: preprocess.events } }
  als:
    uses: als
    inputs: { train: split.train_matrix }
    with: { factors: '{{ vars.factors }}', iterations: '{{ vars.iterations }}' }
  validate:
    uses: evaluate
    inputs:
      test: split.target_matrix
      history: split.train_matrix
      items: preprocess.items
      users: preprocess.users
      lists: { als: als.candidates }
";

const GRID: &str = "\
pipeline: pipelines/music.yaml
space: { grid: { vars.factors: [2, 4, 8] } }
objective: { maximize: validate.als.ndcg@10 }
";

const RUN: [&str; 3] = ["exp", "run", "configs/experiments/size.yaml"];

#[test]
fn each_variant_is_a_run_nested_in_that_of_the_experiment() {
    let fake = Fake::start(Mood::Good);
    let project = project(PIPELINE, &fake.url);
    project.write("configs/experiments/size.yaml", GRID);
    let call = project.call(&RUN);
    assert_eq!(call.code, 0, "{}", call.stderr);
    call.says("tracked: ");
    let whole = fake.run("recsys.objective", "maximize validate.als.ndcg@10");
    assert_eq!((whole.status.as_str(), whole.curve("variants")), ("FINISHED", vec![(0, 3.0)]));
    assert_eq!(whole.curve("best.validate.als.ndcg_at_10").len(), 1);
    assert!(
        whole.artifacts.contains_key("pipeline/size.yaml")
            && whole.artifacts.contains_key("split/report.json")
    );
    let runs = fake.live_runs();
    assert_eq!(runs.len(), 4);
    for factors in ["2", "4", "8"] {
        let variant = fake.run("recsys.variant", &format!("factors={factors}"));
        assert_eq!(variant.tags["mlflow.parentRunId"], whole.id);
        assert_eq!((&*variant.status, &*variant.params["vars.factors"]), ("FINISHED", factors));
        assert_eq!(variant.params["als.factors"], factors, "and what its steps have");
        let steps: Vec<u64> = variant.curve("als.loss").into_iter().map(|(step, _)| step).collect();
        assert_eq!(steps, [1, 2, 3]);
        assert_eq!(variant.curve("validate.als.ndcg_at_10").len(), 1);
        assert!(
            variant.artifacts.contains_key("als/model.npz")
                && !variant.artifacts.contains_key("split/report.json")
        );
    }
    let best: Vec<_> = runs.iter().filter(|run| run.tags.contains_key("recsys.is_best")).collect();
    assert_eq!(best.len(), 1);
    assert_eq!(best[0].tags["recsys.variant"], whole.tags["recsys.best"]);

    // Again nothing runs, and nothing is logged.
    let told = fake.known().requests.len();
    assert_eq!(project.call(&RUN).code, 0);
    assert_eq!(fake.known().requests.len(), told);
}

#[test]
fn rungs_stand_apart_and_what_is_left_is_sent_later() {
    let fake = Fake::start(Mood::Resets);
    let project = project(&PIPELINE.replace("iterations: 3", "iterations: 4"), &fake.url);
    project.write("pipelines/music.yaml", &project.read("pipelines/music.yaml").replace("200s", "300ms"));
    let halving = "successive_halving: { resource: vars.iterations, min: 1, max: 4, eta: 2 }";
    project.write("configs/experiments/size.yaml", &GRID.replace("] }", &format!("] }}, {halving}")));
    let call = project.call(&RUN);
    assert_eq!(call.code, 0, "{}", call.stderr);
    call.says("not all is tracked");
    fake.turns(Mood::Good);
    sync(&project);
    let whole = fake.run("recsys.objective", "maximize validate.als.ndcg@10");
    let best = fake.run("recsys.is_best", "true");
    assert_eq!(
        (whole.tags["recsys.best"].as_str(), best.status.as_str()),
        (&*best.tags["recsys.variant"], "FINISHED")
    );
    let rungs: Vec<u64> = best.curve("validate.als.ndcg_at_10").into_iter().map(|(step, _)| step).collect();
    assert_eq!(rungs, [0, 1, 2], "a point a rung");
    let steps: Vec<u64> = best.curve("rung3/als.loss").into_iter().map(|(step, _)| step).collect();
    assert_eq!(steps, [1, 2, 3, 4]);
    assert_eq!(best.params["vars.iterations"], "4", "what it had on its last rung");
}
