//! One command at a time: what is heard of it, what it used, how it is stopped.

use std::collections::BTreeMap;
use std::path::Path;

use super::*;

#[derive(Default)]
struct Heard(Vec<(Stream, String)>);

impl Output for Heard {
    fn line(&mut self, stream: Stream, line: &str) {
        self.0.push((stream, line.to_owned()));
    }

    fn caught_up(&mut self) {}
}

fn run(command: &str, stopped: &dyn Fn() -> bool) -> (Ended, Vec<(Stream, String)>) {
    let (environment, mut heard) = (BTreeMap::new(), Heard::default());
    let command = ShellCommand { command, folder: Path::new("/"), environment: &environment };
    let ended = command.run(&mut heard, stopped).unwrap();
    (ended, heard.0)
}

fn go_on() -> bool {
    false
}

#[test]
fn everything_said_is_heard_in_order_and_under_its_name() {
    let (ended, heard) = run("for n in 1 2 3; do echo $n; done; echo wrong >&2; printf end; exit 3", &go_on);
    assert_eq!(describe(ended.status), "exit code 3");
    let of =
        |stream| heard.iter().filter(|(from, _)| *from == stream).map(|(_, line)| line.as_str()).collect();
    let (stdout, stderr): (Vec<&str>, Vec<&str>) = (of(Stream::Stdout), of(Stream::Stderr));
    assert_eq!(
        (stdout.as_slice(), stderr.as_slice()),
        (["1", "2", "3", "end"].as_slice(), ["wrong"].as_slice())
    );
}

#[test]
fn more_than_a_pipe_holds_is_heard() {
    let (_, heard) = run("seq 200000", &go_on);
    assert_eq!((heard.len(), heard[199_999].1.as_str()), (200_000, "200000"));
}

#[test]
fn what_is_left_in_the_background_neither_delays_the_end_nor_lives_on() {
    // Neither another group nor silence is a way out.
    let command = "sleep 600 & echo $!; timeout 600 sleep 600 & echo $!; timeout 600 sleep 600 >/dev/null 2>&1 & echo $!";
    let (ended, heard) = run(command, &go_on);
    assert!(ended.status.success());
    assert_eq!(heard.len(), 3);
    for (_, pid) in heard {
        // Not even dying: nobody writes any more when a command is over.
        assert!(!Path::new("/proc").join(&pid).exists(), "process {pid} lives on");
    }
}

#[test]
fn a_command_that_is_stopped_may_end_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let ready = folder.path().join("ready");
    // The shell dies of the signal; its child takes a moment longer, and may.
    let command = format!(
        "sh -c 'trap \"sleep 0.3; echo tidy; exit\" TERM; touch {}; while :; do sleep 0.01; done'; true",
        ready.display()
    );
    let (ended, heard) = run(&command, &|| ready.exists());
    assert_eq!(describe(ended.status), "signal 15 (SIGTERM)");
    assert_eq!(heard.last().unwrap().1, "tidy");
}

#[test]
fn a_command_that_ignores_the_polite_signal_is_killed() {
    let (ended, _) = run("trap '' TERM; while :; do sleep 0.01; done", &|| true);
    assert_eq!(describe(ended.status), "signal 9 (SIGKILL)");
}

#[test]
fn usage_is_that_of_the_command_alone() {
    let (small, _) = run("i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done", &go_on);
    // Memory cannot be told beside tests that use more; `tests/it/history.rs` has it.
    assert!(small.usage.peak_memory_bytes < 100 << 20, "{:?}", small.usage);
    assert!(small.usage.cpu_seconds > 0.0, "{:?}", small.usage);
}

#[test]
fn a_command_that_cannot_start_is_an_error() {
    let environment = BTreeMap::new();
    let nowhere = ShellCommand { command: "true", folder: Path::new("/nowhere"), environment: &environment };
    let mut heard = Heard::default();
    assert!(!nowhere.run(&mut heard, &go_on).unwrap().status.success());
    assert!(heard.0.iter().any(|(_, line)| line.contains("/nowhere")), "{:?}", heard.0);
    // Longer than the system takes: the shell fails to start after it has told the guard who it is.
    let endless = "#".repeat(4 << 20);
    let endless = ShellCommand { command: &endless, folder: Path::new("/"), environment: &environment };
    assert!(endless.run(&mut Heard::default(), &go_on).is_err());
    assert!(run("true", &go_on).0.status.success());
}
