//! A fit that is killed continues from its checkpoint, and ends with the bytes of one that was not.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::project::Project;

const PIPELINE: &str = "
name: checkpoint
steps:
  synthetic: { uses: synthetic, with: { interactions: 20000 } }
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
    with: { factors: 32, iterations: 300, checkpoint_every: 1 }
";

fn checkpoints(project: &Project) -> Vec<PathBuf> {
    let folder = project.path("cache/v2/checkpoints");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_none()).collect()
}

/// A project whose fit was killed after its first checkpoint.
fn killed() -> Project {
    let project = Project::with(PIPELINE);
    project.run(&["--until", "split"]);
    let mut run = project.command(&["run"]);
    let mut run = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let patience = Instant::now() + Duration::from_secs(60);
    while checkpoints(&project).is_empty() {
        assert!(Instant::now() < patience && run.try_wait().unwrap().is_none(), "no checkpoint was written");
        std::thread::sleep(Duration::from_millis(1));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    assert_eq!(checkpoints(&project).len(), 1);
    project
}

#[test]
fn a_killed_fit_continues_and_ends_with_the_same_bytes() {
    let whole = Project::with(PIPELINE);
    whole.run(&[]);
    assert!(checkpoints(&whole).is_empty(), "a step that is done needs none");
    let model = |project: &Project| std::fs::read(project.path("artifacts/als/model.npz")).unwrap();

    let project = killed();
    project.run(&[]);
    project.call(&["logs", "als"]).says("continues from the checkpoint of an earlier run");
    assert!(model(&whole) == model(&project), "the models differ");
    assert!(checkpoints(&project).is_empty());
    assert_eq!(project.call(&["cache", "verify"]).code, 0);

    let project = killed();
    std::fs::write(&checkpoints(&project)[0], "cut off").unwrap();
    project.run(&[]).says("the checkpoint of an earlier run is not used");
    assert!(model(&whole) == model(&project), "the models differ");
}
