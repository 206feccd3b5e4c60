//! Experiments with many variants, and ones that are stopped:
//! 1. what a hundred variants share runs once; settings that make no difference are told;
//! 2. independent steps run at the same time, no more of them than there are threads;
//! 3. what others have made is fetched from a remote cache;
//! 4. Ctrl-C leaves a record of what is done, and the next run does the rest.

use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::experiment::{EXPERIMENT, project, record};
use crate::project::Call;

const RUN: [&str; 3] = ["exp", "run", "configs/experiments/size.yaml"];

#[test]
fn what_a_hundred_variants_share_runs_once() {
    let seeds: Vec<String> = (1..=100).map(|seed| seed.to_string()).collect();
    let many =
        EXPERIMENT.replace("vars.factors: [2, 4, 8]", &format!("validate.seed: [{}]", seeds.join(", ")));
    let project = project(&many);
    let run = project.call(&RUN);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let ran = run.ran();
    for shared in ["synthetic", "preprocess", "split", "gate", "als"] {
        assert_eq!(ran.iter().filter(|step| **step == shared).count(), 1, "{shared}");
    }
    assert_eq!(ran.iter().filter(|step| step.starts_with("validate@seed=")).count(), 100);
    assert_eq!(ran.len(), 105, "{ran:?}");
    assert_eq!(record(&project)["variants"].as_array().unwrap().len(), 100);
}

#[test]
fn settings_that_make_no_difference_are_told() {
    let twice = EXPERIMENT.replace(
        "grid: { vars.factors: [2, 4, 8] }",
        "list: [{ vars.factors: 4 }, { vars.factors: 4 }, { vars.factors: 4, evaluate.seed: 3 }]",
    );
    let project = project(&twice);
    let run = project.call(&RUN);
    assert_eq!(run.code, 0, "{}", run.stderr);
    run.says("1 setting is equal to another one, and tried once")
        .says("seed=3,factors=4 and factors=4 come to the same: no step that counts depends on what differs");
    assert_eq!(run.ran().iter().filter(|step| step.starts_with("als")).count(), 1, "{:?}", run.ran());
}

/// Two gates that wait for each other: they only end when both run at once.
#[test]
fn independent_steps_run_at_the_same_time_within_the_threads() {
    let project = project(&EXPERIMENT.replace("[2, 4, 8]", "[2, 4]"));
    let pipeline = project.read("pipelines/music.yaml");
    let gate =
        "run: 'test {{ vars.factors }} -ne {{ vars.fail_at }} && echo {{ vars.factors }} > {{ outputs.ok }}'";
    assert!(pipeline.contains(gate));
    let meet = "run: 'touch at-{{ vars.factors }}; until [ -e at-2 ] && [ -e at-4 ]; do sleep 0.02; done; \
                echo {{ vars.factors }} > {{ outputs.ok }}'\n    timeout: 60s";
    project.write("pipelines/music.yaml", &pipeline.replace(gate, meet));
    let run = project.call(&[&RUN[..], &["-j", "2"]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    // Two that take a thread each, with one thread: never both at once.
    let alone = "run: 'mkdir alone; sleep 0.05; rmdir alone; echo {{ vars.factors }} > {{ outputs.ok }}'";
    project.write("pipelines/music.yaml", &pipeline.replace(gate, alone));
    let run = project.call(&[&RUN[..], &["-j", "1"]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn what_others_have_made_is_fetched() {
    let far = tempfile::tempdir().unwrap();
    let url = format!("file:{}", far.path().display());
    let first = project(EXPERIMENT);
    assert_eq!(first.call(&RUN).code, 0);
    let pushed = first.call(&["cache", "push", &url, "--all"]);
    assert_eq!(pushed.code, 0, "{}", pushed.stderr);
    let second = project(EXPERIMENT);
    let from = ["--cache-from", url.as_str()];
    second.call(&[&RUN[..], &from, &["--dry-run"]].concat()).says("0 would run");
    let run = second.call(&[&RUN[..], &from].concat());
    assert_eq!((run.code, run.ran().len()), (0, 0), "{}", run.stderr);
    let found = |project| record(project)["variants"][0]["metrics"]["validate.als.ndcg@10"].clone();
    assert_eq!(found(&first), found(&second));
}

#[test]
fn ctrl_c_leaves_what_is_done_and_the_next_run_does_the_rest() {
    let project = project(EXPERIMENT);
    let pipeline = project.read("pipelines/music.yaml");
    let slow = "run: 'while [ {{ vars.factors }} = 8 ] && [ ! -e go ]; do touch begun; sleep 0.02; done; \
                echo {{ vars.factors }} > {{ outputs.ok }}'";
    let gate =
        "run: 'test {{ vars.factors }} -ne {{ vars.fail_at }} && echo {{ vars.factors }} > {{ outputs.ok }}'";
    project.write("pipelines/music.yaml", &pipeline.replace(gate, slow));
    let mut command = project.command(&[&RUN[..], &["-j", "2"]].concat());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let report = |name: &str| format!("artifacts/experiments/size/validate@factors={name}/report.json");
    let validated = || ["2", "4"].iter().all(|name| project.path(&report(name)).exists());
    while !(project.path("begun").exists() && validated()) {
        assert!(child.try_wait().unwrap().is_none() && Instant::now() < deadline, "it does not get there");
        std::thread::sleep(Duration::from_millis(5));
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let stopped = Call::of(child.wait_with_output().unwrap());
    assert_eq!(stopped.code, 130, "{}", stopped.stderr);
    stopped.says("1 variant did not get their turn").says("★ best by");
    let ended = |name: &str| {
        let record = record(&project);
        let variant = record["variants"].as_array().unwrap().iter().find(|v| v["name"] == name).unwrap();
        variant["ended"].as_str().unwrap().to_owned()
    };
    assert_eq!((ended("factors=4"), ended("factors=8")), ("done".to_owned(), "not_run".to_owned()));
    let early = project.call(&["exp", "promote", "size", "--no-run"]);
    early.says("1 variants of `size` did not get their turn");
    project.write("go", "");
    let rest = project.call(&RUN);
    assert_eq!(rest.code, 0, "{}", rest.stderr);
    let mut ran = rest.ran();
    ran.sort_unstable();
    assert_eq!(ran, ["als@factors=8", "gate@factors=8", "validate@factors=8"]);
}
