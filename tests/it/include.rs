//! Files that include others:
//! 1. their steps and variables are one pipeline, and the including file's variables win;
//! 2. a mistake is shown in the file in which it was made;
//! 3. circles, missing files and names that stand twice are told with their places.

use crate::project::Project;

const COMMON: &str = "\
vars: { raw: none, who: '{{ vars.raw }}!' }
steps:
  first: { run: 'echo {{ vars.who }} > {{ outputs.out }}', outputs: { out: artifacts/first.txt } }
";

fn project(main: &str, common: &str) -> Project {
    let project = Project::with(main);
    project.write("pipelines/parts/common.yaml", common);
    project
}

#[test]
fn included_steps_and_variables_belong_to_the_pipeline() {
    let main = "include: [parts/common.yaml]
vars: { raw: mine }
steps:
  second: { inputs: { x: first.out }, run: 'cat {{ inputs.x }} > {{ outputs.out }}', outputs: { out: artifacts/second.txt } }
";
    let project = project(main, COMMON);
    assert_eq!(project.run(&[]).ran(), ["first", "second"]);
    assert_eq!(project.read("artifacts/second.txt"), "mine!\n");
    assert_eq!(project.run(&["--var", "raw=theirs"]).ran(), ["first", "second"]);
    assert_eq!(project.read("artifacts/second.txt"), "theirs!\n");
}

#[test]
fn a_file_that_is_included_twice_counts_once() {
    let project = project("include: [parts/a.yaml, parts/common.yaml]", COMMON);
    project.write("pipelines/parts/a.yaml", "include: [common.yaml]\n");
    assert_eq!(project.run(&[]).ran(), ["first"]);
}

#[test]
fn mistakes_are_shown_in_the_file_in_which_they_were_made() {
    let project = project(
        "include: [parts/common.yaml]\nsteps: { b: { uses: nothing } }\n",
        "steps:\n  a:\n    run: x\n    timeout: soon\n",
    );
    let call = project.call(&["check"]);
    assert_eq!(call.code, 2);
    call.says("2 mistakes in `pipelines/music.yaml`, `pipelines/parts/common.yaml`")
        .says("pipelines/parts/common.yaml:4:14")
        .says("unknown kind `nothing`")
        .says("pipelines/music.yaml:2:21");
}

#[test]
fn a_name_in_two_files_is_refused_with_both_places() {
    let project = project("include: [parts/common.yaml]\nsteps:\n  first: { run: x }\n", COMMON);
    let call = project.call(&["check"]);
    assert_eq!(call.code, 2);
    call.says("the name `first` is used twice: here and at pipelines/parts/common.yaml:3")
        .says("pipelines/music.yaml:3:3");
}

#[test]
fn a_circle_is_shown_as_its_path() {
    let project =
        project("include: [parts/common.yaml]\nsteps: { a: { run: x } }\n", "include: [../music.yaml]\n");
    let call = project.call(&["check"]);
    assert_eq!(call.code, 2);
    call.says("the files include each other:").says("common.yaml → pipelines/music.yaml");
}

#[test]
fn a_file_that_cannot_be_read_is_told_at_the_include() {
    let project = project("include: [parts/none.yaml, parts]\nsteps: { a: { run: x } }\n", COMMON);
    let call = project.call(&["check"]);
    assert_eq!(call.code, 2);
    call.says("cannot read `pipelines/parts/none.yaml`: No such file")
        .says("music.yaml:1:11")
        .says("`pipelines/parts` is a folder, not a file");
}

#[test]
fn an_included_file_that_is_no_yaml_is_shown_itself() {
    let project = project(
        "include: [parts/common.yaml]\nsteps: { a: { inputs: { x: first.out }, run: x } }\n",
        "steps: [\n",
    );
    let call = project.call(&["check"]);
    assert_eq!(call.code, 2);
    call.says("1 mistake in `pipelines/parts/common.yaml`").says("a bracket is never closed");
}
