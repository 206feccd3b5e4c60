//! `recsys metrics`, through the real binary:
//! 1. it shows what the last run measured, or any run, with intervals;
//! 2. `diff` tells what changed between two runs, with intervals and paired tests where there are values by user;
//! 3. what cannot be shown is said.

use serde_json::Value;

use crate::experiment::{EXPERIMENT, project};
use crate::project::Project;

fn two_runs() -> Project {
    let project = project(EXPERIMENT);
    project.run(&["--until", "evaluate", "--until", "validate"]);
    project.run(&["--var", "factors=8"]);
    project
}

fn json(project: &Project, args: &[&str]) -> Value {
    let call = project.call(&[&["metrics"], args, &["--format", "json"]].concat());
    assert_eq!(call.code, 0, "{}", call.stderr);
    serde_json::from_str(&call.stdout).unwrap()
}

fn find<'a>(shown: &'a Value, step: &str, name: &str) -> &'a Value {
    let rows = shown["metrics"].as_array().unwrap();
    rows.iter().find(|row| row["step"] == step && row["name"] == name).unwrap()
}

#[test]
fn a_run_tells_what_it_measured() {
    let project = two_runs();
    let last = json(&project, &[]);
    assert_eq!(last, json(&project, &["last"]));
    let row = find(&last, "validate", "ndcg@10");
    let report: Value = serde_json::from_str(&project.read("artifacts/validate/report.json")).unwrap();
    let expected = &report["models"]["als"]["metrics"]["ndcg@10"];
    assert_eq!((&row["model"], &row["value"]), (&Value::from("als"), &expected["value"]));
    assert_eq!((&row["interval"][0], &row["interval"][1]), (&expected["low"], &expected["high"]));
    let n = |shown: &Value| shown["metrics"].as_array().unwrap().len();
    let all = json(&project, &["--all"]);
    assert!(n(&all) > n(&last) && find(&all, "als", "loss")["value"].is_number());
    let first = json(&project, &["last~1"]);
    assert_ne!(find(&first, "validate", "ndcg@10")["value"], row["value"]);
    let some = json(&project, &["--step", "validate", "--metric", "ndcg@"]);
    assert!(some["metrics"].as_array().unwrap().iter().all(|row| row["step"] == "validate"));
    assert_eq!(n(&some), 2);
    let csv = project.call(&["metrics", "--format", "csv"]).stdout;
    assert!(csv.starts_with("step,model,metric,value,low,high\nvalidate,als,ndcg@10,"), "{csv}");
    project
        .call(&["metrics", "--format", "markdown"])
        .says("| step | model | metric | value | 95 % interval |");
    // Numbers outlive what they were measured from; intervals do not.
    std::fs::remove_dir_all(project.path("cache/v2/results")).unwrap();
    let bare = json(&project, &["--metric", "ndcg@10"]);
    let row = bare["metrics"].as_array().unwrap().iter().find(|row| row["name"] == "als.ndcg@10").unwrap();
    assert!(row["interval"].is_null() && row["value"].is_number());
}

#[test]
fn two_runs_are_told_apart() {
    let project = two_runs();
    let diff = json(&project, &["diff", "last~1", "last"]);
    let row = find(&diff, "validate", "ndcg@10");
    let number = |key: &str| row[key].as_f64().unwrap();
    assert!((number("other") - number("one") - number("difference")).abs() < 1e-12);
    assert!(number("low") <= number("difference") && number("difference") <= number("high"), "{row}");
    assert!((0.0..=1.0).contains(&number("p_value")) && number("users") > 20.0, "{row}");
    assert_eq!(row["same_data"], true);
    // What has no value by user has a difference, and no test.
    let coverage = find(&diff, "validate", "coverage_items@10");
    assert!(coverage["difference"].is_number() && coverage["p_value"].is_null());
    let changes: Vec<&str> =
        diff["changes"].as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
    assert!(changes.len() == 2 && changes[0].starts_with("gate: command: test 4"), "{changes:?}");
    assert_eq!(changes[1], "als: factors: 4 → 8");
    // The other way round everything has the other sign.
    let back = json(&project, &["diff", "last", "last~1"]);
    let back = find(&back, "validate", "ndcg@10");
    assert!((back["difference"].as_f64().unwrap() + number("difference")).abs() < 1e-12);
    assert!((back["low"].as_f64().unwrap() + number("high")).abs() < 1e-12);
    assert_eq!(back["p_value"], row["p_value"]);
    let same = json(&project, &["diff", "last", "last"]);
    assert!(same["metrics"].as_array().unwrap().iter().all(|row| row["difference"] == 0.0));
    assert_eq!(find(&same, "validate", "ndcg@10")["p_value"], 1.0);
    let text = project.call(&["metrics", "diff", "last~1", "last"]);
    text.says("changed als: factors: 4 → 8").says("Holm-corrected for");
    // Another split: the users are others, and that is said.
    project.run(&["--var", "factors=8", "--set", "split.target_quantile=0.5"]);
    project.call(&["metrics", "diff", "last~1", "last"]).says("† measured on other data");
    let csv = project.call(&["metrics", "diff", "last~1", "last", "--format", "csv"]).stdout;
    assert!(csv.starts_with("step,model,metric,one,other,difference,low,high,p,users\n"), "{csv}");
}

#[test]
fn what_cannot_be_shown_is_said() {
    let project = project(EXPERIMENT);
    let nothing = project.call(&["metrics"]);
    assert_eq!(nothing.code, 2);
    nothing.says("no run is recorded that measured something");
    project.run(&["--only", "synthetic"]);
    project.run(&["--until", "validate"]);
    for (args, words) in [
        (vec!["last~7"], "0 runs are called `last~7`"),
        (vec!["diff", "last", "2001"], "0 runs are called `2001`"),
        (vec!["--step", "validat"], "did you mean `validate`"),
        (vec!["--metric", "ndgc@10"], "did you mean `ndcg@10`"),
    ] {
        let call = project.call(&[&["metrics"], &args[..]].concat());
        assert_eq!(call.code, 2, "{args:?}: {}", call.stdout);
        call.says(words);
    }
    // A record of an older version: lines that are not understood are left out, the rest is told.
    let run = json(&project, &[])["run"].as_str().unwrap().to_owned();
    let path = format!("cache/v2/runs/{run}/events.jsonl");
    let events = project.read(&path);
    let old = format!("{{\"event\":\"step_dreamt\"}}\n{}", events.replace("\"key\":", "\"hash\":"));
    project.write(&path, &old);
    project.call(&["metrics", "last"]).says("left no numbers");
    project.write(&path, &events);
    project.call(&["metrics", "last"]).says("ndcg@10");
}
