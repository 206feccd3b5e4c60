//! A run that is stopped, killed or out of space:
//! 1. Ctrl-C ends the children too, exit code 130, and the next run needs no flag;
//! 2. a killed runner takes its commands with it, and leaves the last good output;
//! 3. a second run waits for the first and runs nothing twice;
//! 4. a full disk is named and earlier artifacts stay as they were.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::project::{Call, Project};

const SLOW: &str = "
steps:
  slow:
    inputs: { text: text.txt }
    outputs: { out: artifacts/out.txt }
    run: cat {{ inputs.text }} > {{ outputs.out }}; touch begun; sleep 3; echo end >> {{ outputs.out }}; touch survived
";

/// Starts a run and waits until its step is at work.
fn begun(project: &Project) -> Child {
    let _ = std::fs::remove_file(project.path("begun"));
    let child = project.command(&["run"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(|| project.path("begun").exists());
    child
}

fn wait_for(happened: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !happened() {
        assert!(Instant::now() < deadline, "waited for 20 s");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn send(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

#[test]
fn ctrl_c_ends_the_command_and_leaves_nothing_half_written() {
    let project = Project::with(SLOW);
    project.write("text.txt", "one\n");
    let child = begun(&project);
    send(&child, Signal::INT);
    let call = Call::of(child.wait_with_output().unwrap());
    assert_eq!(call.code, 130, "{}", call.stderr);
    assert!(!project.path("artifacts/out.txt").exists());
    std::thread::sleep(Duration::from_millis(3300));
    assert!(!project.path("survived").exists(), "the command outlived the run");
    project.run(&[]);
    assert_eq!(project.read("artifacts/out.txt"), "one\nend\n");
}

#[test]
fn a_killed_runner_takes_its_command_with_it_and_keeps_the_last_good_output() {
    let project = Project::with(SLOW);
    project.write("text.txt", "one\n").run(&[]);
    std::fs::remove_file(project.path("survived")).unwrap();
    project.write("text.txt", "two\n");
    let mut child = begun(&project);
    send(&child, Signal::KILL);
    child.wait().unwrap();
    assert_eq!(project.read("artifacts/out.txt"), "one\nend\n");
    std::thread::sleep(Duration::from_millis(3300));
    assert!(!project.path("survived").exists(), "the command outlived the runner");
    assert_eq!(project.run(&[]).ran(), ["slow"]);
    assert_eq!(project.read("artifacts/out.txt"), "two\nend\n");
    let left = std::fs::read_dir(project.path("cache/v1/staging")).unwrap().count();
    assert_eq!(left, 0, "the killed run left a staging folder");
}

#[test]
fn a_second_run_waits_and_runs_nothing_twice() {
    let project = Project::with(SLOW);
    project.write("text.txt", "one\n");
    let first = begun(&project);
    let second = project.run(&[]);
    second.says("another run is at work in this project; waiting for it to end");
    assert!(second.ran().is_empty());
    assert_eq!(Call::of(first.wait_with_output().unwrap()).ran(), ["slow"]);
}

#[test]
fn a_run_that_waits_for_another_can_be_stopped() {
    let project = Project::with(SLOW);
    project.write("text.txt", "one\n");
    let first = begun(&project);
    let second = project.command(&["run"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    send(&second, Signal::TERM);
    assert_eq!(Call::of(second.wait_with_output().unwrap()).code, 130);
    assert_eq!(Call::of(first.wait_with_output().unwrap()).ran(), ["slow"]);
}

#[test]
fn a_full_disk_is_named_and_earlier_artifacts_stay() {
    let project = Project::with(
        "vars: { n: 1 }\nsteps:\n  fill:\n    outputs: { out: artifacts/out.txt }\n    run: head -c {{ vars.n }} /dev/zero > {{ outputs.out }}\n",
    );
    let mount =
        |args: &[&str]| Command::new(args[0]).args(&args[1..]).status().is_ok_and(|status| status.success());
    let cache = project.path("cache").display().to_string();
    std::fs::create_dir(&cache).unwrap();
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", &cache]) {
        eprintln!("skipped: a small file system cannot be mounted here");
        return;
    }
    let good = project.call(&["run", "pipelines/music.yaml"]);
    let full = project.call(&["run", "pipelines/music.yaml", "--var", "n=1000000"]);
    let kept = std::fs::metadata(project.path("artifacts/out.txt")).map(|file| file.len());
    let again = project.call(&["run", "pipelines/music.yaml", "--var", "n=2"]);
    assert!(mount(&["umount", &cache]));
    assert_eq!((good.code, full.code, again.code), (0, 1, 0), "{}\n{}", full.stderr, again.stderr);
    full.says("No space left on device");
    assert_eq!(kept.unwrap(), 1);
}
