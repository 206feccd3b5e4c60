//! Kills at any moment harm nothing:
//! 1. hundreds of SIGKILLs at random moments, of the runner alone or of its whole group: every artifact
//!    is then what some version of the pipeline makes, never a part of it; the next run succeeds without
//!    a flag and makes exactly what an undisturbed run makes; `cache verify` finds nothing wrong;
//! 2. the same with SIGINT and SIGTERM, with their exit codes;
//! 3. two runs at once, killed and not killed: no corruption, no stale lock, nothing runs twice.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::project::{Call, Project};

/// How often to kill, as long as there is time.
const KILLS: usize = 250;
/// How long one test may kill.
const TIME: Duration = Duration::from_secs(75);
/// Versions that the runs change between, so that there is always something to do.
const VERSIONS: usize = 3;

/// Built-in and shell steps; each version makes other bytes at every step.
const PIPELINE: &str = "
vars: { version: 0 }
steps:
  raw:
    uses: synthetic
    with: { users: 60, tracks: 150, interactions: 2000, seed: '{{ vars.version }}' }
  clean:
    uses: preprocess
    inputs: { tracks: raw.tracks, catalog: raw.catalog_names, interactions: raw.interactions }
  letter:
    outputs: { out: artifacts/letter.txt }
    run: for n in $(seq 40); do echo {{ vars.version }} $n; done > {{ outputs.out }}; sleep 0.02
  double:
    inputs: { letter: letter.out }
    outputs: { one: artifacts/one.txt, two: artifacts/deep/two.txt }
    run: |
      for n in $(seq 20); do echo $n; done > {{ outputs.one }}
      cat {{ inputs.letter }} >> {{ outputs.one }}
      cat {{ inputs.letter }} {{ inputs.letter }} > {{ outputs.two }}
  sum:
    inputs: { one: double.one, two: double.two, events: clean.events }
    outputs: { out: artifacts/sum.txt }
    run: cat {{ inputs.one }} {{ inputs.two }} {{ inputs.events }} | cksum > {{ outputs.out }}
";

/// The bytes of every artifact, by path.
type Artifacts = BTreeMap<String, Vec<u8>>;

fn artifacts(project: &Project) -> Artifacts {
    fn walk(folder: &Path, root: &Path, found: &mut Artifacts) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if path.is_dir() {
                walk(&path, root, found);
            } else if !name.starts_with("manifest.") {
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let mut found = Artifacts::new();
    let folder = project.path("artifacts");
    walk(&folder, &folder, &mut found);
    found
}

/// What each version makes when nobody disturbs it.
fn expected() -> Vec<Artifacts> {
    let made = |version| {
        let project = Project::with(PIPELINE);
        project.run(&["--var", &format!("version={version}")]);
        artifacts(&project)
    };
    let expected: Vec<Artifacts> = (0..VERSIONS).map(made).collect();
    assert!(expected[0].len() >= 7, "{:?}", expected[0].keys());
    assert!(expected[0]["sum.txt"] != expected[1]["sum.txt"]);
    expected
}

/// A small generator: which moment is hit must differ from kill to kill, not from run to run of the test.
struct Moments(u64);

impl Moments {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

fn start(project: &Project, version: usize) -> Child {
    let mut command = project.command(&["run", "--var", &format!("version={version}")]);
    command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn expect_whole(project: &Project, expected: &[Artifacts]) {
    let mut known: BTreeMap<&String, BTreeSet<&Vec<u8>>> = BTreeMap::new();
    for (name, bytes) in expected.iter().flatten() {
        known.entry(name).or_default().insert(bytes);
    }
    for (name, bytes) in artifacts(project) {
        let good = known.get(&name).unwrap_or_else(|| panic!("`{name}` is no artifact"));
        assert!(good.contains(&bytes), "`{name}` holds a part or a mixture");
    }
}

fn expect_sound(project: &Project) {
    let call = project.call(&["cache", "verify"]);
    assert_eq!(call.code, 0, "{}{}", call.stdout, call.stderr);
}

/// Disturbs runs, one after the other, and lets each recover.
fn disturb(times: usize, mut disturbance: impl FnMut(&Project, Child, &mut Moments)) {
    let expected = expected();
    let project = Project::with(PIPELINE);
    let mut moments = Moments(20_261_121);
    let began = Instant::now();
    let mut disturbed = 0;
    while disturbed < times && began.elapsed() < TIME {
        let version = moments.next(VERSIONS as u64) as usize;
        let child = start(&project, version);
        // Early moments more often: there the files are taken, locked and claimed.
        let longest = [5_000, 40_000, 150_000][disturbed % 3];
        std::thread::sleep(Duration::from_micros(moments.next(longest)));
        disturbance(&project, child, &mut moments);
        disturbed += 1;
        expect_whole(&project, &expected);
        if disturbed % 2 == 0 {
            let version = moments.next(VERSIONS as u64) as usize;
            project.run(&["--var", &format!("version={version}")]);
            assert_eq!(artifacts(&project), expected[version], "after {disturbed} disturbances");
        }
        if disturbed % 10 == 0 {
            expect_sound(&project);
        }
    }
    // A very busy machine gets through fewer of them; a handful would be no test.
    assert!(disturbed >= times.min(30), "only {disturbed} in {TIME:?}");
    project.run(&["--var", "version=1"]);
    assert_eq!(artifacts(&project), expected[1]);
    expect_sound(&project);
    assert!(project.run(&["--var", "version=1"]).ran().is_empty());
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

#[test]
fn hundreds_of_kills_at_any_moment_leave_the_old_or_the_new() {
    disturb(KILLS, |_, mut child, moments| {
        // It may have ended before.
        let _ = match moments.next(2) {
            0 => kill_process(pid(&child), Signal::KILL),
            _ => kill_process_group(pid(&child), Signal::KILL),
        };
        child.wait().unwrap();
    });
}

#[test]
fn interrupts_and_terminations_at_any_moment_leave_the_old_or_the_new() {
    disturb(40, |_, child, moments| {
        let (signal, code) = [(Signal::INT, 130), (Signal::TERM, 143)][moments.next(2) as usize];
        let _ = kill_process(pid(&child), signal);
        let output = child.wait_with_output().unwrap();
        // Before the run listens to signals they end it as they end every program; after it is done
        // they come too late.
        if output.status.code().is_some() {
            let call = Call::of(output);
            assert!([0, code].contains(&call.code), "{}: {}", call.code, call.stderr);
        }
    });
}

#[test]
fn two_runs_at_once_killed_or_not_run_nothing_twice_and_corrupt_nothing() {
    disturb(30, |project, mut child, moments| {
        let other = start(project, moments.next(VERSIONS as u64) as usize);
        std::thread::sleep(Duration::from_micros(moments.next(60_000)));
        let _ = kill_process(pid(&child), Signal::KILL);
        child.wait().unwrap();
        // No lock is left behind: the other one goes on.
        let call = Call::of(other.wait_with_output().unwrap());
        assert_eq!(call.code, 0, "{}", call.stderr);
    });
}

#[test]
fn two_runs_of_the_same_share_the_work() {
    let project = Project::with(PIPELINE);
    let runs = [start(&project, 0), start(&project, 0)];
    let calls = runs.map(|child| Call::of(child.wait_with_output().unwrap()));
    let ran: Vec<&str> =
        calls.iter().flat_map(|call| call.ran()).filter(|step| !step.starts_with("  |")).collect();
    for step in ["raw", "clean", "letter", "double", "sum"] {
        let own = calls.iter().flat_map(|call| call.stderr.lines());
        let started = own.filter(|line| line.starts_with(&format!("[{step}] started"))).count();
        assert_eq!(started, 1, "{step}: {ran:?}");
    }
    assert!(calls.iter().all(|call| call.code == 0));
}

#[test]
fn two_pipelines_run_side_by_side_and_make_shared_steps_once() {
    // Each waits for a file of the other: one after the other they would never end.
    let pipeline = |mine: &str, other: &str| {
        format!(
            "name: {mine}\nsteps:\n  meet:\n    outputs: {{ out: artifacts/{mine} }}\n    timeout: 30s\n    run: touch {mine}.here; until [ -e {other}.here ]; do sleep 0.02; done; echo {mine} > {{{{ outputs.out }}}}\n  same:\n    needs: [meet]\n    outputs: {{ out: artifacts/same-{mine} }}\n    run: echo x >> ../same.log; sleep 0.3; echo same > {{{{ outputs.out }}}}\n"
        )
    };
    let project = Project::new();
    let log = tempfile::NamedTempFile::new().unwrap();
    let log_path = log.path().display().to_string();
    for (mine, other) in [("a", "b"), ("b", "a")] {
        let yaml = pipeline(mine, other).replace("../same.log", &log_path);
        project.write(&format!("pipelines/{mine}.yaml"), &yaml);
    }
    let children = ["pipelines/a.yaml", "pipelines/b.yaml"].map(|path| {
        let mut command = project.command(&["run", path]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    });
    for child in children {
        let call = Call::of(child.wait_with_output().unwrap());
        assert_eq!(call.code, 0, "{}", call.stderr);
    }
    assert_eq!(project.read("artifacts/same-a"), "same\n");
    assert_eq!(project.read("artifacts/same-b"), "same\n");
    assert_eq!(std::fs::read_to_string(log.path()).unwrap(), "x\n", "the shared step ran twice");
}
