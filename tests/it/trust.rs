//! What would make a cache lie, and does not:
//! 1. an input that its reader edits in place, or that changes while it is read;
//! 2. an edit of the pipeline while a run of it goes on;
//! 3. an output whose file name, and with it perhaps its format, changes;
//! 4. a file that a person put where a step writes, before or during the run;
//! 5. two pipelines of one name, or with one output path;
//! 6. damage to any file that the runner keeps: objects, results, releases, plans, the memo.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::project::{Call, Project};

const CHAIN: &str = "
steps:
  a: { inputs: { x: in.txt }, outputs: { o: artifacts/a.txt }, run: 'cat {{ inputs.x }} > {{ outputs.o }}' }
  b: { inputs: { x: a.o }, outputs: { o: artifacts/b.txt }, run: 'wc -c < {{ inputs.x }} > {{ outputs.o }}' }
";

fn chain() -> Project {
    let project = Project::with(CHAIN);
    project.write("in.txt", "one\n").run(&[]);
    project
}

fn wait_for(project: &Project, name: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !project.path(name).exists() {
        assert!(Instant::now() < deadline, "waited too long for {name}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Every file under a folder of the store.
fn kept(project: &Project, folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![project.path("cache/v2").join(folder)];
    while let Some(folder) = folders.pop() {
        if folder.is_file() {
            found.push(folder);
            continue;
        }
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}")) {
            folders.push(entry.unwrap().path());
        }
    }
    found
}

fn damage(path: &PathBuf) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_step_that_edits_its_input_fails_and_harms_nobody() {
    let project = Project::with(
        "
steps:
  a: { outputs: { o: artifacts/a.txt }, run: 'echo original > {{ outputs.o }}' }
  b: { inputs: { x: a.o }, outputs: { o: artifacts/b.txt }, run: 'sed -i s/original/edited/ {{ inputs.x }}; cp {{ inputs.x }} {{ outputs.o }}' }
  c: { inputs: { x: a.o }, outputs: { o: artifacts/c.txt }, run: 'cp {{ inputs.x }} {{ outputs.o }}' }
",
    );
    let call = project.call(&["run", "-j", "1", "--keep-going"]);
    assert_eq!(call.code, 1);
    call.says("the input `x` changed while the step ran").says("let it write an output instead");
    assert_eq!(project.read("artifacts/c.txt"), "original\n");
    assert!(!project.path("artifacts/b.txt").exists());
    // What the command did to the released file is noticed like any other edit.
    let again = project.call(&["run", "--keep-going"]);
    again.says("`artifacts/a.txt` was modified since the last run; restored");
    assert_eq!(project.read("artifacts/c.txt"), "original\n");
}

#[test]
fn an_edit_during_a_run_counts_for_the_next_one() {
    let slow = |word: &str| {
        format!(
            "steps: {{ a: {{ outputs: {{ o: artifacts/a.txt }}, run: 'touch begun; sleep 1; echo {word} > {{{{ outputs.o }}}}' }} }}"
        )
    };
    let project = Project::with(&slow("first"));
    let run = project.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    wait_for(&project, "begun");
    project.write("pipelines/music.yaml", &slow("second"));
    assert!(run.unwrap().wait().unwrap().success());
    assert_eq!(project.read("artifacts/a.txt"), "first\n");
    assert_eq!(project.run(&[]).ran(), ["a"]);
    assert_eq!(project.read("artifacts/a.txt"), "second\n");
}

#[test]
fn a_command_is_asked_again_when_the_format_of_its_file_changes() {
    let project = Project::with(
        "steps: { a: { outputs: { o: artifacts/a.png }, run: 'basename {{ outputs.o }} > {{ outputs.o }}' } }",
    );
    project.run(&[]);
    assert!(project.read("artifacts/a.png").ends_with(".png\n"));
    project.write("pipelines/music.yaml", &project.read("pipelines/music.yaml").replace("a.png", "a.svg"));
    project.run(&[]).says("a file has another extension");
    assert!(project.read("artifacts/a.svg").ends_with(".svg\n"));
}

#[test]
fn a_file_that_no_pipeline_made_is_never_replaced() {
    let project = Project::with(CHAIN);
    project.write("in.txt", "one\n").write("artifacts/b.txt", "precious\n");
    for words in [&["run"][..], &["run", "--dry-run"], &["status"]] {
        let call = project.call(words);
        assert_eq!(call.code, 1, "{words:?}: {}", call.stdout);
        call.says("`b.o` is to be written to `artifacts/b.txt`").says("no pipeline of this project has made");
        assert!(!project.path("artifacts/a.txt").exists());
    }
    std::fs::rename(project.path("artifacts/b.txt"), project.path("mine.txt")).unwrap();
    project.run(&[]);
    // Where something was released once, and is no longer, it is as anywhere else.
    let moved = CHAIN.replace("artifacts/b.txt", "artifacts/moved.txt");
    project.write("pipelines/music.yaml", &moved).run(&[]);
    project.write("artifacts/b.txt", "precious\n").write("pipelines/music.yaml", CHAIN);
    assert_eq!(project.call(&["run"]).code, 1);
    assert_eq!(project.read("artifacts/b.txt"), "precious\n");
}

#[test]
fn a_file_that_appears_during_the_run_is_not_replaced_either() {
    let project = Project::with(
        "steps: { a: { outputs: { o: artifacts/a.txt }, run: 'echo ours > {{ outputs.o }}; mkdir -p artifacts; echo precious > artifacts/a.txt' } }",
    );
    let call = project.call(&["run"]);
    assert_eq!(call.code, 1);
    call.says("somebody has put a file there that no pipeline has made");
    assert_eq!(project.read("artifacts/a.txt"), "precious\n");
    std::fs::remove_file(project.path("artifacts/a.txt")).unwrap();
    assert!(project.run(&[]).ran().is_empty(), "what the step made was kept");
    assert_eq!(project.read("artifacts/a.txt"), "ours\n");
}

#[test]
fn an_output_that_shares_its_bytes_with_somebody_becomes_a_copy() {
    let project = Project::with(
        "steps: { a: { inputs: { x: in.txt }, outputs: { o: artifacts/a.txt }, run: 'ln {{ inputs.x }} {{ outputs.o }}' } }",
    );
    project.write("in.txt", "mine\n");
    let call = project.call(&["run"]);
    // The link changes the file's change time, which counts as touched, not as changed.
    assert_eq!(call.code, 0, "{}", call.stderr);
    let mode = std::fs::metadata(project.path("in.txt")).unwrap().permissions().mode();
    assert_eq!(mode & 0o200, 0o200, "the user's own file has become read-only");
    std::fs::write(project.path("in.txt"), "other\n").unwrap();
    assert_eq!(project.read("artifacts/a.txt"), "mine\n");
}

#[test]
fn two_pipelines_cannot_have_one_name_and_a_moved_one_keeps_its_own() {
    let project = chain();
    project.write("pipelines/copy.yaml", &format!("name: music\n{CHAIN}"));
    let call = project.call(&["run", "pipelines/copy.yaml"]);
    assert_eq!(call.code, 1);
    call.says("are both called `music`").says("give one of them another `name:`");
    std::fs::remove_file(project.path("pipelines/music.yaml")).unwrap();
    assert!(project.run(&["pipelines/copy.yaml"]).ran().is_empty());
}

#[test]
fn two_pipelines_with_one_output_path_do_not_mix_their_outputs() {
    let project = Project::new();
    let pipeline = |word: &str, first: &str, second: &str| {
        format!(
            "steps:\n  a: {{ outputs: {{ o: artifacts/a.txt }}, run: 'sleep {first}; echo {word} > {{{{ outputs.o }}}}' }}\n  b: {{ inputs: {{ x: a.o }}, outputs: {{ o: artifacts/b.txt }}, run: 'sleep {second}; cp {{{{ inputs.x }}}} {{{{ outputs.o }}}}' }}\n"
        )
    };
    project.write("pipelines/p1.yaml", &pipeline("p1", "0.2", "0.6"));
    project.write("pipelines/p2.yaml", &pipeline("p2", "0.4", "0.2"));
    let start = |path: &str| {
        project.command(&["run", path]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for child in [start("pipelines/p1.yaml"), start("pipelines/p2.yaml")] {
        let call = Call::of(child.wait_with_output().unwrap());
        assert_eq!(call.code, 0, "{}", call.stderr);
    }
    assert_eq!(project.read("artifacts/a.txt"), project.read("artifacts/b.txt"));
    let call = project.call(&["cache", "verify"]);
    assert_eq!(call.code, 0, "{}", call.stdout);
    call.says("another pipeline writes there too").says("sound");
}

#[test]
fn damage_to_anything_that_is_kept_is_found_and_nothing_wrong_is_used() {
    for folder in ["objects", "results", "releases", "plans", "digests"] {
        let project = chain();
        for path in kept(&project, folder) {
            damage(&path);
        }
        let verified = project.call(&["cache", "verify"]);
        if ["objects", "results", "releases"].contains(&folder) {
            assert_eq!(verified.code, 1, "{folder}: {}", verified.stdout);
        }
        project.write("in.txt", "longer\n");
        let call = project.call(&["run"]);
        assert_eq!(call.code, 0, "{folder}: {}", call.stderr);
        assert_eq!(project.read("artifacts/b.txt").trim(), "7", "{folder}");
        project.write("in.txt", "one\n").run(&[]);
        assert_eq!(project.read("artifacts/a.txt"), "one\n", "{folder}");
        assert_eq!(project.read("artifacts/b.txt").trim(), "4", "{folder}");
    }
}

#[test]
fn verify_repairs_and_the_next_run_makes_it_again() {
    let project = chain();
    let objects = kept(&project, "objects");
    damage(&objects[0]);
    project.call(&["cache", "verify"]).says("damaged");
    let repaired = project.call(&["cache", "verify", "--repair"]);
    assert_eq!(repaired.code, 0, "{}", repaired.stdout);
    project.run(&[]);
    assert_eq!(project.call(&["cache", "verify"]).says("sound").code, 0);
    assert_eq!(
        (project.read("artifacts/a.txt").as_str(), project.read("artifacts/b.txt").trim()),
        ("one\n", "4")
    );
}

#[test]
fn collection_removes_what_nobody_needs_and_keeps_the_release() {
    let project = chain();
    for word in ["two two\n", "three three three\n"] {
        project.write("in.txt", word).run(&[]);
    }
    let would = project.call(&["cache", "gc", "--max-size", "1B", "--dry-run"]);
    would.says("would be removed: 4 objects").says("4 results");
    assert_eq!(kept(&project, "objects").len(), 6);
    project.call(&["cache", "gc", "--max-size", "1B"]).says("removed: 4 objects");
    assert_eq!(kept(&project, "objects").len(), 2);
    assert!(project.run(&[]).ran().is_empty());
    std::fs::remove_file(project.path("artifacts/a.txt")).unwrap();
    assert!(project.run(&[]).ran().is_empty(), "the release was kept whole");
    assert_eq!(project.call(&["cache", "verify"]).code, 0);
    project.call(&["cache", "stats"]).says("objects 2");
    project.write("in.txt", "two two\n");
    assert_eq!(project.run(&[]).ran(), ["a", "b"]);
}

#[test]
fn the_store_is_kept_under_a_size_once_a_day_without_being_asked() {
    let project = chain();
    for word in ["two two\n", "three three three\n"] {
        project.write("in.txt", word).run(&["--cache-size", "1B"]);
    }
    assert_eq!(kept(&project, "objects").len(), 6, "it was looked at today");
    std::fs::remove_file(project.path("cache/v2/collected")).unwrap();
    project.write("in.txt", "four four four four\n");
    project.run(&["--cache-size", "1B"]).says("the store was over 1 B");
    assert_eq!(kept(&project, "objects").len(), 2);
    assert!(project.run(&[]).ran().is_empty());
}

#[test]
fn a_signal_while_a_run_is_planned_stops_it() {
    let project = Project::with(
        "steps: { a: { outputs: { o: artifacts/a.txt }, fingerprint: ['touch asked; sleep 15'], run: 'echo > {{ outputs.o }}' } }",
    );
    let child = project.command(&["run"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(&project, "asked");
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let call = Call::of(child.wait_with_output().unwrap());
    assert_eq!(call.code, 130, "{}", call.stderr);
    assert!(call.ran().is_empty() && !project.path("artifacts/a.txt").exists());
}
