//! Bad input gets a clear error: what was expected, what was found, where, what to do; exit code 2
//! for what is wrong with the file or the command line.

use crate::project::Project;

#[test]
fn every_mistake_in_a_file_is_shown_at_its_place() {
    let project = Project::with(
        "steps:
  one:
    uses: shel
  two:
    run: echo {{ vars.nope }}
  three:
    run: 'true'
    inputs: { x: on.out }
    retries: 1000
",
    );
    let call = project.call(&["run"]);
    assert_eq!(call.code, 2);
    call.says("4 mistakes in `pipelines/music.yaml`")
        .says("unknown kind `shel`")
        .says("did you mean `shell`?")
        .says("unknown name `vars.nope`")
        .says("music.yaml:5:18")
        .says("there is neither a step `on` nor a file `on.out`")
        .says("did you mean `one`?")
        .says("`retries` must be a whole number ≥ 0 and ≤ 100, found `1000`")
        .says("music.yaml:9:14");
}

#[test]
fn a_cycle_is_shown_as_its_path() {
    let project = Project::with(
        "steps:
  a: { run: 'true', inputs: { x: c.out }, outputs: { out: artifacts/a } }
  b: { run: 'true', inputs: { x: a.out }, outputs: { out: artifacts/b } }
  c: { run: 'true', inputs: { x: b.out }, outputs: { out: artifacts/c } }
",
    );
    let call = project.call(&["run"]);
    assert_eq!(call.code, 2);
    call.says("the steps wait for each other: a → b → c → a");
}

#[test]
fn two_steps_that_write_one_path_are_refused() {
    let project = Project::with(
        "steps:
  a: { run: 'true', outputs: { out: artifacts/same } }
  b: { run: 'true', outputs: { out: ./artifacts/same } }
",
    );
    project.call(&["run"]).says("`b.out` and `a.out` both write `artifacts/same`");
}

#[test]
fn a_step_may_not_write_over_what_people_wrote() {
    for path in ["pipelines/music.yaml", "cache/v1/objects", "../outside", "/tmp/outside"] {
        let project = Project::with(&format!("steps: {{ a: {{ run: 'true', outputs: {{ x: {path} }} }} }}"));
        assert_eq!(project.call(&["run"]).code, 2, "{path}");
    }
}

#[test]
fn a_duplicate_key_and_broken_yaml_have_a_place() {
    Project::with("steps:\n  a: { run: x }\n  a: { run: y }\n").call(&["run"]).says("music.yaml:3:3");
    Project::with("steps: [\n").call(&["run"]).says("music.yaml:");
    Project::with("").call(&["run"]).says("music.yaml");
}

#[test]
fn a_missing_pipeline_and_a_missing_input_file_are_named() {
    let project = Project::new();
    let call = project.call(&["run"]);
    assert_eq!(call.code, 2);
    call.says("cannot read `pipelines/music.yaml`");
    project.write("pipelines/music.yaml", "steps: { a: { run: 'true', inputs: { x: data/none.csv } } }");
    let call = project.call(&["run"]);
    assert_eq!(call.code, 2);
    call.says("`a.x` cannot be read from `data/none.csv`: No such file");
}

#[test]
fn the_command_line_is_checked_like_the_file() {
    let project = Project::with("vars: { n: 1 }\nsteps: { one: { run: 'echo {{ vars.n }}' } }");
    let call = project.call(&["run", "--var", "m=1"]);
    assert_eq!(call.code, 2);
    call.says("the variable `m` is set, but `vars:` does not declare it").says("did you mean `n`?");
    let call = project.call(&["run", "--set", "two.x=1"]);
    assert_eq!(call.code, 2);
    call.says("`--set` sets `two.x`, but the pipeline has no step `two`");
    let call = project.call(&["run", "--from", "tow"]);
    assert_eq!(call.code, 2);
    call.says("has no step `tow`");
    assert_eq!(project.call(&["run", "--set", "nonsense"]).code, 2);
    assert_eq!(project.call(&["kinds", "shall"]).says("did you mean `shell`?").code, 2);
}

#[test]
fn an_unset_environment_variable_is_named() {
    let project = Project::with("steps: { one: { run: 'true', env: [SURELY_NOT_SET] } }");
    let call = project.call(&["run"]);
    assert_eq!(call.code, 2);
    call.says("the environment variable `SURELY_NOT_SET` is not set");
}
