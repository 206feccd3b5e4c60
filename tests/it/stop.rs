//! A run that is stopped, killed or out of space:
//! 1. Ctrl-C ends every process of a command, exit code 130, and the next run needs no flag; a second
//!    Ctrl-C does not wait for a command that takes its time;
//! 2. a killed runner, alone or with its group, takes all that its commands started with it, and leaves
//!    the last good output; other runners and their commands do not notice;
//! 3. the guard that sees to it goes with its runner, keeps nothing of it open, and hears no terminal;
//! 4. a process left in the background, or a timeout, does not keep a step;
//! 5. a second run waits for the first and runs nothing twice;
//! 6. a full disk is named and earlier artifacts stay as they were.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open, pidfd_send_signal,
};

use crate::project::{Call, Project};

/// Nothing here takes as long, on however busy a machine; what hangs takes forever.
const AT_MOST: Duration = Duration::from_secs(20);

const SLOW: &str = "
steps:
  slow:
    inputs: { text: text.txt }
    outputs: { out: artifacts/out.txt }
    run: cat {{ inputs.text }} > {{ outputs.out }}; touch begun; sleep 3; echo end >> {{ outputs.out }}; touch survived
";

/// A step whose processes write until they are killed: in the foreground, in the background, and in a
/// group of their own. All name the project's folder on their command lines.
const TREE: &str = "
steps:
  tree:
    outputs: { out: artifacts/out.txt }
    run: |
      if [ -e done ]; then echo good > {{ outputs.out }}; exit; fi
      write='while :; do echo $0 >> $1.beat; sleep 0.01; done'
      sh -c \"$write\" $PWD one > /dev/null 2>&1 &
      sh -c \"trap '' HUP INT; $write & $write & wait\" $PWD two &
      timeout 600 sh -c \"$write\" $PWD three &
      until [ -e one.beat ] && [ -e two.beat ] && [ -e three.beat ]; do sleep 0.01; done
      sh -c \"touch begun; $write\" $PWD four
";

/// A run in the background; killed when the test fails before it has ended.
struct Runner(Option<Child>);

impl Runner {
    fn start(command: &mut Command) -> Self {
        Self(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()))
    }

    fn pid(&self) -> Pid {
        Pid::from_child(self.0.as_ref().expect("only `ended` takes the process, and the runner with it"))
    }

    fn send(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until the process has ended and nobody holds its output.
    fn ended(mut self) -> Call {
        let process = pidfd_open(self.pid(), PidfdFlags::empty()).unwrap();
        let child = self.0.take().expect("a runner ends once");
        let (sender, receiver) = channel();
        std::thread::spawn(move || sender.send(Call::of(child.wait_with_output().unwrap())));
        receiver.recv_timeout(AT_MOST).unwrap_or_else(|_| {
            let _ = pidfd_send_signal(process, Signal::KILL);
            panic!("the run does not end, or somebody still holds its output")
        })
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts a run, in a group of its own, and waits until its step is at work.
fn begun(project: &Project) -> Runner {
    let _ = fs::remove_file(project.path("begun"));
    let mut run = project.command(&["run"]);
    let child = Runner::start(run.process_group(0));
    wait_for("the step begins", || project.path("begun").exists());
    child
}

/// Starts a run of [`TREE`] and waits until each of its processes writes.
fn grown(project: &Project) -> Runner {
    let child = begun(project);
    wait_for("the last process writes", || project.path("four.beat").exists());
    // At least: a process that has forked and not yet begun something else shows twice.
    assert!(alive(project).len() >= 8, "{:#?}", alive(project));
    child
}

fn wait_for(what: &str, happened: impl Fn() -> bool) {
    let deadline = Instant::now() + AT_MOST;
    while !happened() {
        assert!(Instant::now() < deadline, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A living process.
struct Process {
    id: String,
    parent: String,
    command_line: String,
}

fn processes() -> Vec<Process> {
    let read = |id: String| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let mut fields = stat.rsplit_once(") ")?.1.split(' ');
        let dead = fields.next()? == "Z";
        let parent = fields.next()?.to_owned();
        let command_line = fs::read(format!("/proc/{id}/cmdline")).ok()?;
        let command_line = String::from_utf8_lossy(&command_line).replace('\0', " ");
        (!dead).then_some(Process { id, parent, command_line })
    };
    let names =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(read).collect()
}

/// The command lines of a [`TREE`] that are still alive.
fn alive(project: &Project) -> Vec<String> {
    let folder = project.path("").canonicalize().unwrap().display().to_string();
    let all = processes().into_iter().map(|process| process.command_line);
    all.filter(|line| line.contains(&folder) && line.contains("sh -c")).collect()
}

fn expect_the_tree_to_die(project: &Project) {
    wait_for("every process of the command is dead", || alive(project).is_empty());
    let beats = || ["one", "two", "three", "four"].map(|name| project.read(&format!("{name}.beat")).len());
    // A `sleep` whose shell is dead writes nothing.
    let before = beats();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(before, beats(), "somebody still writes");
}

fn expect_a_good_run(project: &Project) {
    project.write("done", "");
    assert_eq!(project.run(&[]).ran(), ["tree"]);
    assert_eq!(project.read("artifacts/out.txt"), "good\n");
}

fn guard_of(runner: &Runner) -> String {
    let runner = runner.pid().as_raw_nonzero().to_string();
    let all = processes().into_iter();
    let mut guards = all.filter(|one| one.parent == runner && one.command_line.contains("recsys-guard"));
    guards.next().expect("a run with commands has a guard").id
}

#[test]
fn ctrl_c_ends_the_whole_command_and_leaves_nothing_half_written() {
    let project = Project::with(TREE);
    let child = grown(&project);
    child.send(Signal::INT);
    let call = child.ended();
    assert_eq!(call.code, 130, "{}", call.stderr);
    assert!(!project.path("artifacts/out.txt").exists());
    expect_the_tree_to_die(&project);
    expect_a_good_run(&project);
}

#[test]
fn a_second_ctrl_c_does_not_wait_and_the_command_ends_all_the_same() {
    let patient = "trap 'touch asked' TERM; while :; do echo $0 >> one.beat; sleep 0.01; done";
    let project = Project::with(&format!(
        "steps:\n  slow:\n    outputs: {{ out: artifacts/out }}\n    run: sh -c \"{patient}\" $PWD & touch begun; wait\n"
    ));
    let child = begun(&project);
    wait_for("the command has set its trap", || project.path("one.beat").exists());
    child.send(Signal::INT);
    wait_for("the command is asked to end", || project.path("asked").exists());
    assert!(!alive(&project).is_empty());
    child.send(Signal::INT);
    assert_eq!(child.ended().code, 130);
    wait_for("the command is dead", || alive(&project).is_empty());
}

#[test]
fn a_killed_runner_takes_all_its_processes_with_it() {
    let project = Project::with(TREE);
    let child = grown(&project);
    child.send(Signal::KILL);
    child.ended();
    expect_the_tree_to_die(&project);
    expect_a_good_run(&project);
}

#[test]
fn a_runner_killed_with_its_group_takes_all_its_processes_with_it() {
    let project = Project::with(TREE);
    let child = grown(&project);
    kill_process_group(child.pid(), Signal::KILL).unwrap();
    child.ended();
    expect_the_tree_to_die(&project);
    expect_a_good_run(&project);
}

#[test]
fn a_killed_runner_leaves_the_last_good_output_and_the_next_cleans_up() {
    let project = Project::with(SLOW);
    project.write("text.txt", "one\n").run(&[]);
    project.write("text.txt", "two\n");
    let child = begun(&project);
    child.send(Signal::KILL);
    child.ended();
    assert_eq!(project.read("artifacts/out.txt"), "one\nend\n");
    assert_eq!(project.run(&[]).ran(), ["slow"]);
    assert_eq!(project.read("artifacts/out.txt"), "two\nend\n");
    let left = fs::read_dir(project.path("cache/v2/staging")).unwrap().count();
    assert_eq!(left, 0, "the killed run left a staging folder");
}

#[test]
fn killing_one_runner_does_not_disturb_another() {
    let (one, other) = (Project::with(TREE), Project::with(SLOW));
    other.write("text.txt", "one\n");
    let (killed, left) = (grown(&one), begun(&other));
    killed.send(Signal::KILL);
    killed.ended();
    expect_the_tree_to_die(&one);
    let call = left.ended();
    assert_eq!((call.code, call.ran()), (0, vec!["slow"]), "{}", call.stderr);
    assert_eq!(other.read("artifacts/out.txt"), "one\nend\n");
}

#[test]
fn a_guard_keeps_nothing_open_ignores_the_terminal_and_goes_with_its_runner() {
    let project = Project::with(SLOW);
    project.write("text.txt", "one\n");
    let child = begun(&project);
    let guard = guard_of(&child);
    let runner = child.pid().as_raw_nonzero().to_string();
    let file = |process: &str, number: u32| fs::read_link(format!("/proc/{process}/fd/{number}")).unwrap();
    let open = |process: &str| -> Vec<PathBuf> {
        let files = fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
        files.filter_map(|file| fs::read_link(file.path()).ok()).collect()
    };
    for of_runner in [file(&runner, 1), file(&runner, 2)] {
        assert!(!open(&guard).contains(&of_runner), "the guard holds what the runner writes to");
    }
    // If a command, or the guard itself, could write to the pipe, the guard would not see the runner's end.
    let pipe = file(&guard, 0);
    assert!(pipe.to_string_lossy().starts_with("pipe:"), "{pipe:?}");
    assert_eq!(open(&guard).iter().filter(|open| **open == pipe).count(), 1);
    let commands: Vec<_> =
        processes().into_iter().filter(|one| one.parent == runner && one.id != guard).collect();
    assert_eq!(commands.len(), 1);
    assert!(!open(&commands[0].id).contains(&pipe), "a command holds the pipe to the guard");
    wait_for("the guard ignores SIGHUP, SIGINT, SIGQUIT and SIGTERM", || {
        let status = fs::read_to_string(format!("/proc/{guard}/status")).unwrap();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap().trim();
        let asked = (1 << 0) | (1 << 1) | (1 << 2) | (1 << 14);
        u64::from_str_radix(ignored, 16).unwrap() & asked == asked
    });
    let call = child.ended();
    assert_eq!(call.code, 0, "{}", call.stderr);
    wait_for("the guard is gone", || processes().iter().all(|one| one.id != guard));
}

#[test]
fn a_process_left_in_the_background_does_not_keep_the_step() {
    let project = Project::with(
        "steps:\n  quick:\n    outputs: { out: artifacts/out }\n    run: sh -c 'sleep 600; true' $PWD & echo yes > {{ outputs.out }}\n",
    );
    let run = Runner::start(&mut project.command(&["run"]));
    assert_eq!(run.ended().code, 0);
    assert_eq!(project.read("artifacts/out"), "yes\n");
    wait_for("the process left behind is dead", || alive(&project).is_empty());
}

#[test]
fn a_timeout_ends_the_whole_command() {
    let project = Project::with(&TREE.replace("tree:\n", "tree:\n    timeout: 2s\n"));
    let run = Runner::start(&mut project.command(&["run"]));
    let call = run.ended();
    assert_eq!(call.code, 1);
    call.says("stopped after its timeout of 2s");
    wait_for("every process of the command is dead", || alive(&project).is_empty());
}

#[test]
fn a_second_run_waits_and_runs_nothing_twice() {
    let project = Project::with(SLOW);
    project.write("text.txt", "one\n");
    let first = begun(&project);
    let second = project.run(&[]);
    second.says("of this pipeline is at work; waiting for it and showing what it does");
    assert!(second.ran().is_empty());
    assert_eq!(first.ended().ran(), ["slow"]);
}

#[test]
fn a_run_that_waits_for_another_can_be_stopped() {
    let project = Project::with(SLOW);
    project.write("text.txt", "one\n");
    let first = begun(&project);
    let second = Runner::start(&mut project.command(&["run"]));
    std::thread::sleep(Duration::from_millis(300));
    second.send(Signal::TERM);
    assert_eq!(second.ended().code, 143);
    assert_eq!(first.ended().ran(), ["slow"]);
}

#[test]
fn a_full_disk_is_named_and_earlier_artifacts_stay() {
    let project = Project::with(
        "vars: { n: 1 }\nsteps:\n  fill:\n    outputs: { out: artifacts/out.txt }\n    run: head -c {{ vars.n }} /dev/zero > {{ outputs.out }}\n",
    );
    let mount =
        |args: &[&str]| Command::new(args[0]).args(&args[1..]).status().is_ok_and(|status| status.success());
    let cache = project.path("cache").display().to_string();
    fs::create_dir(&cache).unwrap();
    if !mount(&["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", &cache]) {
        eprintln!("skipped: a small file system cannot be mounted here");
        return;
    }
    let good = project.call(&["run", "pipelines/music.yaml"]);
    let full = project.call(&["run", "pipelines/music.yaml", "--var", "n=1000000"]);
    let kept = fs::metadata(project.path("artifacts/out.txt")).map(|file| file.len());
    let again = project.call(&["run", "pipelines/music.yaml", "--var", "n=2"]);
    assert!(mount(&["umount", &cache]));
    assert_eq!((good.code, full.code, again.code), (0, 1, 0), "{}\n{}", full.stderr, again.stderr);
    full.says("No space left on device");
    assert_eq!(kept.unwrap(), 1);
}
