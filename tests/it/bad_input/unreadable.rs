//! What is no pipeline file at all: folders, other encodings, data, files too large. Each is told
//! plainly and at once.

use std::path::Path;
use std::time::Instant;

use recsys::workflow::spec::{Overrides, Spec};
use recsys::workflow::values::Scope;

use crate::project::{Call, Project};

/// What `recsys check` says about a file with these bytes.
fn check(bytes: &[u8]) -> Call {
    let project = Project::new();
    std::fs::create_dir_all(project.path("pipelines")).unwrap();
    std::fs::write(project.path("pipelines/music.yaml"), bytes).unwrap();
    let call = project.call(&["check"]);
    assert_eq!(call.code, 2, "{}{}", call.stdout, call.stderr);
    call
}

#[test]
fn a_folder_names_the_files_in_it() {
    let project = Project::with("steps: { a: { run: x } }");
    let call = project.call(&["check", "pipelines"]);
    assert_eq!(call.code, 2);
    call.says("`pipelines` is a folder, not a file").says("name a file in it: `pipelines/music.yaml`");
}

#[test]
fn an_empty_file_is_called_empty() {
    for empty in ["", "\n\n", "  \n"] {
        check(empty.as_bytes()).says("the file is empty").says("it begins with `steps:`");
    }
    check(b"# only a comment\n").says("the file says nothing");
}

#[test]
fn bytes_that_are_no_text_are_told_with_their_place() {
    check(b"steps:\n  a: { run: \"\xff\" }\n")
        .says("byte 0xff in line 2, at offset 20")
        .says("music.yaml:2:14");
    check(b"\xff\xfes\0t\0").says("it seems to be UTF-16");
    check(b"steps:\n  a: { run: \"\0\" }\n").says("the file has a NUL byte in line 2, at offset 20");
}

#[test]
fn a_file_larger_than_any_pipeline_is_refused_without_being_read() {
    let project = Project::new();
    std::fs::create_dir_all(project.path("pipelines")).unwrap();
    let file = std::fs::File::create(project.path("pipelines/music.yaml")).unwrap();
    file.set_len(1 << 40).unwrap();
    let call = project.call(&["check"]);
    assert_eq!(call.code, 2);
    call.says("the file is larger than 64 MiB");
}

#[test]
fn ten_megabytes_of_anything_are_answered() {
    let steps: String = (0..100_000).map(|n| format!("  step_number_{n}:\n    run: echo {n} is the number of this step, and there are many others; > {{{{ outputs.out }}}}\n")).collect();
    let bomb: String =
        (1..20).map(|n| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(", "))).collect();
    let files = [
        ("x".repeat(10_000_000), "a pipeline file is a map with `steps:`"),
        ("- a\n".repeat(2_500_000), "more than 1000000 keys and values"),
        ("[".repeat(10_000_000), "nested too deeply"),
        ("a: ".repeat(3_000_000), "a `:` or a key stands where none can be"),
        ("? ".repeat(5_000_000), "nested more than 64 levels deep"),
        (format!("a0: &a0 [x, y]\n{bomb}"), "aliases"),
        (format!("{}: 1\n", "k".repeat(10_000_000)), "music.yaml"),
        (format!("steps: {{ a: {{ run: '{{{{ {} }}}}' }} }}\n", "x".repeat(10_000_000)), "mistake"),
        (format!("steps:\n{steps}"), "a pipeline has at most 10000 steps, this one has 100000"),
    ];
    for (text, expected) in files {
        let started = Instant::now();
        let call = check(text.as_bytes());
        call.says(expected);
        assert!(call.stderr.len() < 300_000, "{} bytes are told", call.stderr.len());
        eprintln!("{:>8} kB answered in {:?}: {expected}", text.len() / 1000, started.elapsed());
    }
}

#[test]
fn a_file_of_which_every_step_is_wrong_is_answered() {
    let steps: String =
        (0..5_000).map(|n| format!("  s{n}: {{ inputs: {{ x: nostep{n}.out }}, run: x }}\n")).collect();
    check(format!("steps:\n{steps}").as_bytes())
        .says("5000 mistakes in `pipelines/music.yaml`; the first 100 are");
}

#[test]
fn what_is_included_is_read_as_carefully() {
    let project = Project::with("include: [other.yaml]\nsteps: { a: { run: x } }");
    std::fs::write(project.path("pipelines/other.yaml"), b"steps:\n  b: { run: '\xfe' }\n").unwrap();
    let call = project.call(&["check"]);
    assert_eq!(call.code, 2);
    call.says("byte 0xfe in line 2").says("pipelines/other.yaml:2:14");
}

#[test]
fn a_configuration_is_read_as_carefully_and_told_about_itself() {
    let project = Project::with("vars: { n: 1 }\nsteps: { a: { run: x } }");
    project.write("configs/c.yaml", "vars: { m: 1 }\nsteps: { b: { k: 2 }, a: { command: 7 } }\nstepz: 1\n");
    let call = project.call(&["check", "--config", "configs/c.yaml"]);
    assert_eq!(call.code, 2);
    call.says("4 mistakes in `configs/c.yaml`")
        .says("the variable `m` is set, but `vars:` does not declare it")
        .says("c.yaml:1:9")
        .says("`configs/c.yaml` sets `b.k`, but the pipeline has no step `b`")
        .says("`command` must be text, found `7`")
        .says("c.yaml:2:37")
        .says("unknown key `stepz`");
    let call = project.call(&["check", "--config", "configs/none.yaml"]);
    assert_eq!(call.code, 2);
    call.says("cannot read `configs/none.yaml`");
}

#[test]
fn every_file_and_variable_that_a_plan_depends_on_is_known() {
    let project = Project::with("include: [other.yaml]\nsteps: { a: { run: 'echo {{ env.A }}', env: [B] } }");
    project.write("pipelines/other.yaml", "vars: { c: \"{{ env.C | default('') }}\" }\n");
    project.write("c.yaml", "vars: { c: 2 }\n");
    let variables =
        [("A", "1"), ("B", "2"), ("D", "3")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let main = project.path("pipelines/music.yaml");
    let overrides = Overrides { configs: vec![project.path("c.yaml")], ..Overrides::default() };
    let spec = Spec::read(&main, Scope::with_environment(variables.clone()), &overrides).unwrap();
    assert_eq!(spec.files, [project.path("pipelines/other.yaml"), main.clone(), project.path("c.yaml")]);
    let read: Vec<(&str, Option<&str>)> =
        spec.environment_read.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
    assert_eq!(read, [("A", Some("1")), ("B", Some("2"))], "the value of `c` that lost is not looked at");
    let spec = Spec::read(&main, Scope::with_environment(variables), &Overrides::default()).unwrap();
    assert_eq!(spec.environment_read.get("C"), Some(&None));
    assert!(Spec::read(Path::new("/no/such"), Scope::with_environment([]), &Overrides::default()).is_err());
}
