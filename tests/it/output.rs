//! What is printed, and to whom:
//! 1. a reader that goes away ends nothing and is no error;
//! 2. a device that refuses is an error with exit code 1, and what the run made is kept;
//! 3. `--log-format json` is one event a line, the end of the run last, and nothing else.

use std::fs::OpenOptions;
use std::io::Read;
use std::process::{Command, Output, Stdio};

use recsys::workflow::event::Event;

use crate::project::Project;

const TWO: &str = "
steps:
  one: { run: 'echo one > {{ outputs.out }}', outputs: { out: artifacts/one } }
  two: { run: 'cat {{ inputs.x }} > {{ outputs.out }}', inputs: { x: one.out }, outputs: { out: artifacts/two } }
";

/// A pipeline whose graph is longer than what a pipe holds.
fn long() -> String {
    let steps =
        (0..3000).map(|n| format!("  a_step_with_a_long_name_and_the_number_{n}: {{ run: 'true' }}\n"));
    format!("steps:\n{}", steps.collect::<String>())
}

fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a command whose standard output nobody reads any more.
fn unread(mut command: Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    child.wait_with_output().unwrap()
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let project = Project::with(&long());
    for args in [&["graph"] as &[&str], &["kinds"], &["--help"], &["check"], &["run", "--dry-run"]] {
        let output = unread(project.command(args));
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()), "{args:?}");
    }
    let mut child = project.command(&["graph"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_full_device_is_an_error_with_a_name() {
    let project = Project::with(TWO);
    for args in [&["graph"] as &[&str], &["kinds"], &["--help"], &["check"], &["run", "--dry-run"]] {
        let output = project.command(args).stdout(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let said = text(&output.stderr);
        assert!(said.contains("standard output") && said.contains("No space left"), "{args:?}: {said}");
    }
}

#[test]
fn a_run_that_cannot_print_its_summary_keeps_its_results() {
    let project = Project::with(TWO);
    let output = project.command(&["run"]).stdout(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("what the command did is done and kept"));
    assert_eq!(project.read("artifacts/two"), "one\n");
    assert!(project.run(&[]).ran().is_empty());
}

#[test]
fn a_run_goes_on_when_nobody_reads_what_it_says() {
    for stderr in [full(), Stdio::null()] {
        let project = Project::with(TWO);
        let mut command = project.command(&["run"]);
        let output = unread_both(command.stderr(stderr));
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(project.read("artifacts/two"), "one\n");
    }
}

/// Runs a command whose standard output is closed; standard error is as it was set.
fn unread_both(command: &mut Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    child.wait_with_output().unwrap()
}

#[test]
fn a_command_started_without_any_output_works() {
    let project = Project::with(TWO);
    let binary = env!("CARGO_BIN_EXE_recsys");
    let status = Command::new("sh")
        .args(["-c", &format!("exec '{binary}' run >&- 2>&-")])
        .current_dir(project.path(""))
        .status();
    assert!(status.unwrap().success());
    assert_eq!(project.read("artifacts/two"), "one\n");
}

#[test]
fn json_lines_are_events_and_the_end_is_the_last() {
    let project = Project::with(TWO);
    let call = project.run(&["--log-format", "json"]);
    assert_eq!(call.stdout, "");
    let events: Vec<Event> = call
        .stderr
        .lines()
        .map(|line| {
            let json: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(json["time"].as_str().unwrap().ends_with('Z'), "{line}");
            serde_json::from_str(line).unwrap()
        })
        .collect();
    assert!(matches!(events.first(), Some(Event::RunStarted { .. })), "{events:?}");
    assert!(matches!(events.last(), Some(Event::RunFinished { tally }) if tally.finished == 2), "{events:?}");
    let mut command = project.command(&["run", "--force"]);
    let output = command.env("RECSYS_LOG_FORMAT", "json").stderr(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "the end of the run could not be told");
}
