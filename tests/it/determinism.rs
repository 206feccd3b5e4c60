//! The same fingerprint makes the same bytes, whatever the thread count: every built-in kind that makes
//! something, in the pipelines that need no data, with one thread and with two. But for the page of the
//! report, which tells how long steps took, and for kinds that reach beyond the project.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use recsys::steps::KINDS;

use crate::project::{Call, Project};

/// The pipelines that make their own data; together they use every kind.
const PIPELINES: [&str; 2] = ["demo", "models"];

/// The artifacts of a pipeline, made with so many threads; the kinds that made them are added to `used`.
fn made_with(pipeline: &str, threads: &str, used: &mut BTreeSet<String>) -> BTreeMap<String, Vec<u8>> {
    let project = Project::new();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("pipelines/{pipeline}.yaml"));
    project.write("pipelines/music.yaml", &std::fs::read_to_string(file).unwrap());
    let mut command = project.command(&["run", "-j", threads, "--var", "interactions=30000"]);
    command.env("RAYON_NUM_THREADS", threads).env("POLARS_MAX_THREADS", threads);
    let call = Call::of(command.output().unwrap());
    assert_eq!(call.code, 0, "{}", call.stderr);
    let plan: serde_json::Value =
        serde_json::from_str(&project.call(&["graph", "--format", "json"]).stdout).unwrap();
    let steps = plan["steps"].as_array().unwrap();
    used.extend(steps.iter().map(|step| step["kind"].as_str().unwrap().to_owned()));
    let outputs = steps.iter().flat_map(|step| step["outputs"].as_object().into_iter().flatten());
    let paths = outputs.map(|(_, path)| path.as_str().unwrap().to_owned());
    paths.filter_map(|path| Some((path.clone(), std::fs::read(project.path(&path)).ok()?))).collect()
}

#[test]
fn one_thread_and_two_make_the_same_bytes() {
    let mut used = BTreeSet::new();
    for pipeline in PIPELINES {
        let (one, two) = (made_with(pipeline, "1", &mut used), made_with(pipeline, "2", &mut used));
        assert!(one.len() >= 15, "{:?}", one.keys());
        let differs = |path: &&String| one[*path] != two[*path] && !path.ends_with("report.html");
        let differing: Vec<&String> = one.keys().filter(differs).collect();
        assert_eq!(differing, [""; 0], "{pipeline}");
        assert_eq!(one.len(), two.len());
    }
    for kind in KINDS.iter().filter(|kind| !kind.service && !kind.open_ports && kind.bridge.is_none()) {
        assert!(used.contains(kind.name), "`{}` is in none of {PIPELINES:?}: add it to one", kind.name);
    }
}
