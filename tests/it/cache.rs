//! The cache can be trusted:
//! 1. a second run does nothing and writes nothing;
//! 2. an edit runs what depends on it and nothing else;
//! 3. an edit that makes the same bytes stops the wave;
//! 4. a reverted edit is restored without running;
//! 5. renaming a step, reordering keys, stating a default and comments change nothing;
//! 6. deleted, changed and damaged files are noticed and repaired;
//! 7. a failed step leaves the last good output in place;
//! 8. `--from`, `--until`, `--only`, `--force` and `--dry-run` do what they say.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;

use crate::project::Project;

const PIPELINE: &str = "
name: words
steps:
  sort:
    inputs: { words: words.txt }
    outputs: { sorted: artifacts/sorted.txt }
    run: sort {{ inputs.words }} > {{ outputs.sorted }}
  count:
    inputs: { sorted: sort.sorted }
    outputs: { lines: artifacts/lines.txt }
    run: wc -l < {{ inputs.sorted }} > {{ outputs.lines }}
  first:
    inputs: { sorted: sort.sorted }
    outputs: { line: artifacts/first.txt }
    run: head -1 {{ inputs.sorted }} > {{ outputs.line }}
";

fn project() -> Project {
    let project = Project::with(PIPELINE);
    project.write("words.txt", "b\na\n");
    assert_eq!(project.run(&[]).ran().len(), 3);
    project
}

/// Every file of the project with its inode and time of modification.
fn snapshot(project: &Project) -> BTreeMap<String, (u64, i64, i64)> {
    fn walk(folder: &std::path::Path, found: &mut BTreeMap<String, (u64, i64, i64)>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let data = std::fs::symlink_metadata(entry.path()).unwrap();
            found.insert(entry.path().display().to_string(), (data.ino(), data.mtime(), data.mtime_nsec()));
            if data.is_dir() {
                walk(&entry.path(), found);
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&project.path(""), &mut found);
    found
}

#[test]
fn a_second_run_does_nothing_and_writes_nothing() {
    let project = project();
    let before = snapshot(&project);
    let call = project.run(&[]);
    assert!(call.ran().is_empty());
    call.says("nothing to do: 3 steps are up to date");
    assert_eq!(snapshot(&project), before);
}

#[test]
fn an_edit_runs_what_depends_on_it_and_nothing_else() {
    let project = project();
    project.write("pipelines/music.yaml", &PIPELINE.replace("head -1", "head -2"));
    let call = project.run(&[]);
    assert_eq!(call.ran(), ["first"]);
    call.says("command: head -1");
    assert_eq!(project.read("artifacts/first.txt"), "a\nb\n");
}

#[test]
fn an_edit_that_makes_the_same_bytes_stops_the_wave() {
    let project = project();
    project.write("words.txt", "a\nb\n");
    assert_eq!(project.run(&[]).ran(), ["sort"]);
}

#[test]
fn a_reverted_edit_is_restored_without_running() {
    let project = project();
    project.write("words.txt", "c\nb\na\n");
    assert_eq!(project.run(&[]).ran().len(), 3);
    project.write("words.txt", "b\na\n");
    assert!(project.run(&[]).ran().is_empty());
    assert_eq!(project.read("artifacts/lines.txt").trim(), "2");
}

#[test]
fn names_comments_and_the_order_of_keys_change_nothing() {
    let project = project();
    let renamed = "
steps:
  one:            # was `first`
    run: head -1 {{ inputs.sorted }} > {{ outputs.line }}
    outputs: { line: artifacts/first.txt }
    inputs: { sorted: sort.sorted }
  sort:
    run: sort {{ inputs.words }} > {{ outputs.sorted }}
    inputs: { words: words.txt }
    outputs: { sorted: artifacts/sorted.txt }
";
    project.write("pipelines/music.yaml", renamed);
    assert!(project.run(&[]).ran().is_empty());
}

#[test]
fn a_deleted_output_is_restored_without_running() {
    let project = project();
    std::fs::remove_file(project.path("artifacts/sorted.txt")).unwrap();
    let call = project.run(&[]);
    assert!(call.ran().is_empty());
    call.says("`artifacts/sorted.txt` was missing since the last run; restored");
    assert_eq!(project.read("artifacts/sorted.txt"), "a\nb\n");
}

#[test]
fn an_output_edited_by_hand_is_named_and_restored() {
    let project = project();
    project.write("artifacts/sorted.txt", "z\n");
    let call = project.run(&[]);
    assert!(call.ran().is_empty());
    call.says("`artifacts/sorted.txt` was modified since the last run; restored");
    assert_eq!(project.read("artifacts/sorted.txt"), "a\nb\n");
}

#[test]
fn two_pipelines_may_write_one_path_in_turn_without_a_false_alarm() {
    let project = project();
    project.write(
        "pipelines/other.yaml",
        &PIPELINE.replace("name: words", "name: other").replace("sort {{", "sort -r {{"),
    );
    assert_eq!(project.run(&["pipelines/other.yaml"]).ran().len(), 3);
    let back = project.run(&[]);
    assert!(back.ran().is_empty());
    assert!(!back.stderr.contains("modified"), "{}", back.stderr);
    assert_eq!(project.read("artifacts/sorted.txt"), "a\nb\n");
}

#[test]
fn a_pipeline_name_does_not_lead_out_of_the_release() {
    let project = Project::with(&PIPELINE.replace("name: words", "name: ../../words"));
    let call = project.write("words.txt", "a\n").call(&["run"]);
    assert_eq!(call.code, 2);
    call.says("`../../words` is no name for a pipeline");
}

#[test]
fn damaged_bytes_in_the_store_are_never_used() {
    let project = project();
    // The artifact may share its bytes with the store: writing through it damages both.
    use std::os::unix::fs::PermissionsExt;
    let path = project.path("artifacts/sorted.txt");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(&path, "zz\n").unwrap();
    project.run(&[]);
    assert_eq!(project.read("artifacts/sorted.txt"), "a\nb\n");
    assert_eq!(project.read("artifacts/lines.txt").trim(), "2");
}

#[test]
fn a_failed_step_leaves_the_last_good_output_and_its_dependants_alone() {
    let project = project();
    let broken =
        PIPELINE.replace("run: sort", "run: echo half > {{ outputs.sorted }}; echo told >&2; false; sort");
    project.write("pipelines/music.yaml", &broken);
    let call = project.call(&["run"]);
    assert_eq!(call.code, 1);
    call.says("the command ended with exit code 1").says("told").says("2 not run");
    assert_eq!(project.read("artifacts/sorted.txt"), "a\nb\n");
    project.write("pipelines/music.yaml", PIPELINE);
    assert!(project.run(&[]).ran().is_empty());
}

#[test]
fn a_step_that_forgets_an_output_fails() {
    let project = Project::with("steps: { lazy: { run: 'true', outputs: { out: artifacts/out.txt } } }");
    let call = project.call(&["run"]);
    assert_eq!(call.code, 1);
    call.says("the step ended without writing its output `out`");
    assert!(!project.path("artifacts/out.txt").exists());
}

#[test]
fn from_until_only_and_force_select_steps() {
    let project = project();
    assert_eq!(project.run(&["--from", "count", "--force"]).ran(), ["count"]);
    assert_eq!(project.run(&["--until", "count", "--force"]).ran(), ["sort", "count"]);
    assert_eq!(project.run(&["--only", "first", "--force"]).ran(), ["first"]);
    assert_eq!(project.run(&["--force", "count"]).ran(), ["count"]);
    let none = project.call(&["run", "--until", "sort", "--from", "count"]);
    assert_eq!(none.says("no step is left to run").code, 2);
    let nothing_released = Project::with(PIPELINE);
    nothing_released.write("words.txt", "a\n");
    let call = nothing_released.call(&["run", "--from", "count"]);
    assert_eq!(call.code, 1);
    call.says("`count` needs `sort.sorted`, which is not in the store")
        .says("recsys run pipelines/music.yaml --until sort");
}

#[test]
fn a_dry_run_names_what_would_run_and_writes_nothing() {
    let project = project();
    project.write("words.txt", "c\n");
    let before = snapshot(&project);
    let call = project.run(&["--dry-run"]);
    call.says("RUN sort input `words` changed").says("MAYBE count not if sort makes the same bytes again");
    assert_eq!(snapshot(&project), before);
}

#[test]
fn a_command_sees_only_the_environment_it_declares() {
    let project = Project::with(
        "steps:\n  show:\n    env: [SEEN]\n    outputs: { out: artifacts/env.txt }\n    run: echo \"$SEEN-$HIDDEN\" > {{ outputs.out }}\n",
    );
    let run = |seen: &str| {
        let output = project.command(&["run"]).env("SEEN", seen).env("HIDDEN", "secret").output().unwrap();
        crate::project::Call::of(output)
    };
    assert_eq!(run("one").ran(), ["show"]);
    assert_eq!(project.read("artifacts/env.txt"), "one-\n");
    assert!(run("one").ran().is_empty());
    run("two").says("environment variable SEEN changed");
}

#[test]
fn equal_steps_are_made_once_and_what_depends_on_them_goes_on() {
    let project = Project::with(
        "steps:
  a: { outputs: { out: artifacts/a }, run: 'sleep 0.3; echo x > {{ outputs.out }}; echo a >> ran' }
  b: { outputs: { out: artifacts/b }, run: 'sleep 0.3; echo x > {{ outputs.out }}; echo a >> ran' }
  c: { inputs: { a: a.out, b: b.out }, outputs: { out: artifacts/c }, run: 'cat {{ inputs.a }} {{ inputs.b }} > {{ outputs.out }}' }
",
    );
    let call = project.run(&["-j", "2"]);
    call.says("2 ran, 1 reused");
    assert_eq!(project.read("ran"), "a\n");
    assert_eq!(project.read("artifacts/c"), "x\nx\n");
}

#[test]
fn independent_steps_run_at_the_same_time() {
    // Each of the two waits for the other's file: one after the other they would never end.
    let step = |mine: &str, other: &str| {
        format!(
            "  {mine}:\n    outputs: {{ out: artifacts/{mine} }}\n    timeout: 20s\n    run: touch {mine}.here; until [ -e {other}.here ]; do sleep 0.02; done; touch {{{{ outputs.out }}}}\n"
        )
    };
    let project = Project::with(&format!("steps:\n{}{}", step("a", "b"), step("b", "a")));
    project.run(&["-j", "2"]);
}

#[test]
fn a_step_over_its_timeout_is_stopped_with_all_its_children() {
    let project = Project::with(
        "steps:\n  slow:\n    timeout: 0.3s\n    outputs: { out: artifacts/out }\n    run: (sleep 30; touch late) & sleep 30\n",
    );
    let started = std::time::Instant::now();
    let call = project.call(&["run"]);
    assert_eq!(call.code, 1);
    call.says("stopped after its timeout of 300ms");
    assert!(started.elapsed().as_secs() < 25, "the children were waited for");
}

#[test]
fn an_input_and_an_output_may_have_one_name() {
    let project = Project::with(
        "
steps:
  one: { run: 'echo one > {{ outputs.r }}', outputs: { r: artifacts/one/r } }
  two: { run: 'cat {{ inputs.r }} {{ inputs.r }} > {{ outputs.r }}', inputs: { r: one.r }, outputs: { r: artifacts/two/r } }
",
    );
    project.run(&[]);
    assert_eq!(project.read("artifacts/one/r"), "one\n");
    assert_eq!(project.read("artifacts/two/r"), "one\none\n");
    assert_eq!(project.call(&["cache", "verify"]).code, 0);
}
