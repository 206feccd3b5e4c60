//! The same fingerprint makes the same bytes, whatever the thread count: every built-in kind that makes
//! something, in the demo pipeline, with one thread and with two.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use recsys::steps::KINDS;

use crate::project::{Call, Project};

/// The artifacts of the demo pipeline, made with so many threads.
fn made_with(threads: &str) -> BTreeMap<String, Vec<u8>> {
    let project = Project::new();
    let pipeline = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/demo.yaml");
    project.write("pipelines/music.yaml", &std::fs::read_to_string(pipeline).unwrap());
    let mut command = project.command(&["run", "-j", threads, "--var", "interactions=30000"]);
    command.env("RAYON_NUM_THREADS", threads).env("POLARS_MAX_THREADS", threads);
    let call = Call::of(command.output().unwrap());
    assert_eq!(call.code, 0, "{}", call.stderr);
    let plan: serde_json::Value =
        serde_json::from_str(&project.call(&["graph", "--format", "json"]).stdout).unwrap();
    let steps = plan["steps"].as_array().unwrap();
    let used: BTreeSet<&str> = steps.iter().map(|step| step["kind"].as_str().unwrap()).collect();
    for kind in KINDS.iter().filter(|kind| !kind.service && !kind.open_ports) {
        assert!(used.contains(kind.name), "`{}` is not in the demo pipeline: add it here", kind.name);
    }
    let outputs = steps.iter().flat_map(|step| step["outputs"].as_object().into_iter().flatten());
    let paths = outputs.map(|(_, path)| path.as_str().unwrap().to_owned());
    paths.filter_map(|path| Some((path.clone(), std::fs::read(project.path(&path)).ok()?))).collect()
}

#[test]
fn one_thread_and_two_make_the_same_bytes() {
    let (one, two) = (made_with("1"), made_with("2"));
    assert!(one.len() >= 20, "{:?}", one.keys());
    let differing: Vec<&String> = one.keys().filter(|path| one[*path] != two[*path]).collect();
    assert_eq!(differing, [""; 0]);
    assert_eq!(one.len(), two.len());
}
