//! The second stage as a user drives it: who trains the ranker, what re-ranking costs and brings.

use std::path::Path;

use serde_json::Value;

use crate::project::{Project, python_with};

/// The demo pipeline on little data, with one line changed.
fn demo(old: &str, new: &str) -> Project {
    let project = Project::new();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/demo.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(old), "{old}");
    project.write("pipelines/demo.yaml", &text.replacen(old, new, 1));
    project
}

const SMALL: [&str; 3] = ["pipelines/demo.yaml", "--var", "interactions=20000"];

#[test]
fn the_official_package_trains_the_ranker() {
    let Some(python) = python_with("catboost") else { return };
    let project = demo(
        "      importances: artifacts/rank",
        "      cbm: artifacts/catboost_ranker.cbm\n      importances: artifacts/rank",
    );
    let python = format!("rank.python={}", python.display());
    let by_official = [&SMALL[..], &["--set", "rank.trainer=catboost", "--set", &python]].concat();
    project.run(&by_official).says("ranked");
    let model: Value = serde_json::from_str(&project.read("artifacts/rank/catboost_ranker.json")).unwrap();
    assert!(!model["oblivious_trees"].as_array().unwrap().is_empty());
    assert!(std::fs::read(project.path("artifacts/catboost_ranker.cbm")).unwrap().starts_with(b"CBM"));
    assert!(project.run(&by_official).ran().is_empty());

    let by_us = [&SMALL[..], &["--set", &python]].concat();
    let again = project.run(&by_us);
    let mut ran = again.ran();
    ran.sort_unstable();
    assert_eq!(ran, ["evaluate", "flat_lists", "rank", "report", "rerank"]);
    assert!(std::fs::read(project.path("artifacts/catboost_ranker.cbm")).unwrap().starts_with(b"CBM"));
}

#[test]
fn a_python_without_the_package_is_an_error_with_the_way_out() {
    let project =
        demo("uses: rank\n", "uses: rank\n    with: { python: no-such-python, trainer: catboost }\n");
    let failed = project.call(&[&["run"], &SMALL[..]].concat());
    assert_eq!(failed.code, 1);
    failed.says("`no-such-python` cannot run the official CatBoost package").says("pip install catboost");
}
