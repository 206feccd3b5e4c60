//! What is remembered of runs, and how it is told:
//! 1. `runs` lists each run that did something, with its end: done, failed, stopped, died, running;
//! 2. `runs RUN` tells step by step what happened, why, and how long it took;
//! 3. `logs` shows the newest log of a step and follows one that is being written.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::project::{Call, Project};

const YAML: &str = "
name: story
vars: { code: 0 }
steps:
  one: { run: 'echo hello from one; echo 1 > {{ outputs.out }}', outputs: { out: artifacts/one } }
  events: { run: 'exit {{ vars.code }}', inputs: { x: one.out } }
  last: { run: 'true', needs: [events] }
";

/// Says a line, then waits to be told to go on by a file.
const SLOW: &str = "
steps:
  slow: { run: 'echo first; touch begun; while [ ! -e go ]; do sleep 0.02; done; echo second' }
";

fn json(project: &Project, args: &[&str]) -> Value {
    let call = project.call(args);
    serde_json::from_str(&call.stdout).unwrap_or_else(|_| panic!("{}", call.stderr))
}

fn begun(project: &Project) -> Child {
    let child = project.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !project.path("begun").exists() {
        assert!(Instant::now() < deadline, "waited for 20 s");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

#[test]
fn a_project_without_runs_says_so() {
    let project = Project::with(YAML);
    project.call(&["runs"]).says("no run is recorded yet");
    assert_eq!(project.call(&["runs", "--format", "json"]).stdout, "[]\n");
    let call = project.call(&["runs", "last"]);
    assert_eq!(call.code, 2);
    call.says("0 runs are called `last`").says("start with `recsys run`");
    assert!(!project.path("cache").exists(), "reading made a folder");
}

#[test]
fn runs_are_listed_with_their_ends_and_told_step_by_step() {
    let project = Project::with(YAML);
    project.run(&[]);
    project.run(&[]);
    assert_eq!(project.call(&["run", "--var", "code=3"]).code, 1);
    let runs = json(&project, &["runs", "--format", "json"]);
    let ends: Vec<&str> = runs.as_array().unwrap().iter().map(|run| run["ended"].as_str().unwrap()).collect();
    assert_eq!(ends, ["failed", "done"], "newest first; a run with nothing to do leaves no record");
    project.call(&["runs"]).says("1 reused, 1 failed, 1 not run").says("3 ran").says("story");
    assert!(!project.call(&["runs", "--limit", "1"]).stdout.contains("3 ran"));

    let failed = project.call(&["runs", "last"]);
    failed.says("story: failed").says("[events] failed: the command ended with exit code 3");
    let first = json(&project, &["runs", runs[1]["id"].as_str().unwrap(), "--format", "json"]);
    let steps = first["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 3);
    assert!(steps.iter().all(|step| step["ended"] == "ran" && step["key"].as_str().unwrap().len() == 64));
    assert!(steps[0]["seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(steps[0]["reason"], "never run before");
    let last = json(&project, &["runs", "last", "--format", "json"]);
    assert_eq!(last["steps"][0]["reason"], "unchanged");
    assert_eq!(last["steps"][0]["key"], steps[0]["key"]);
    assert_eq!(last["steps"][2]["ended"], "not_run");
}

#[test]
fn a_run_is_running_until_it_ends_and_died_when_it_was_killed() {
    let project = Project::with(SLOW);
    let mut child = begun(&project);
    let end = || json(&project, &["runs", "last", "--format", "json"]);
    assert_eq!((&end()["ended"], &end()["steps"][0]["ended"]), (&"running".into(), &"running".into()));
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    assert_eq!((&end()["ended"], &end()["steps"][0]["ended"]), (&"died".into(), &"interrupted".into()));
    std::fs::remove_file(project.path("begun")).unwrap();
    let mut child = begun(&project);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(end()["ended"], "stopped");
}

#[test]
fn the_newest_log_of_a_step_is_shown() {
    let project = Project::with(YAML);
    project.run(&[]);
    project.call(&["run", "--var", "code=3"]);
    let log = project.call(&["logs", "one"]);
    assert!(log.stdout.lines().any(|line| line == "hello from one"), "{}", log.stdout);
    log.says("INFO finished");
    for line in project.call(&["logs", "one", "--format", "json"]).stdout.lines() {
        assert!(serde_json::from_str::<Value>(line).unwrap()["time"].is_string());
    }
    // `one` was reused in the last run, `events` ran in it; its name is no danger to the record.
    project.call(&["logs", "events", "--run", "last"]).says("ERROR the command ended with exit code 3");
    let call = project.call(&["logs", "one", "--run", "last"]);
    assert_eq!(call.code, 2);
    call.says("has no log of a step `one`").says("not when its result is reused");
    project.call(&["logs", "evnts"]).says("no log of a step `evnts`").says("did you mean `events`?");
    Project::with(YAML).call(&["logs", "one"]).says("the history has no log").says("start with `recsys run`");
}

#[test]
fn the_memory_of_a_command_is_told() {
    let project = Project::with(
        "steps: { large: { outputs: { o: artifacts/o }, run: 'dd if=/dev/zero of={{ outputs.o }} bs=300M count=1' } }",
    );
    project.run(&[]);
    let told: Value =
        serde_json::from_str(&project.call(&["runs", "last", "--format", "json"]).stdout).unwrap();
    let peak = told["steps"][0]["usage"]["peak_memory_bytes"].as_u64();
    assert!(peak.is_some_and(|bytes| bytes > 300 << 20), "{told:#}");
}

#[test]
fn a_log_is_followed_until_its_step_ends() {
    let project = Project::with(SLOW);
    let mut run = begun(&project);
    let follow = project.command(&["logs", "slow", "--follow"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut follow = Ended(follow);
    let mut lines = BufReader::new(follow.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "first"));
    std::fs::write(project.path("go"), "").unwrap();
    assert!(lines.any(|line| line == "second"));
    assert!(lines.any(|line| line.contains("finished")));
    assert_eq!(lines.next(), None);
    assert!(follow.0.wait().unwrap().success());
    assert!(run.wait().unwrap().success());
    let again = Call::of(project.command(&["logs", "slow", "--follow"]).output().unwrap());
    again.says("first").says("second");
}

/// A process that is ended with the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
