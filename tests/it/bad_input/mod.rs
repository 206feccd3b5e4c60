//! Bad input gets a clear error: what was expected, what was found, where, what to do; exit code 2
//! for what is wrong with the file or the command line.
//!
//! `table.txt` has a file a section and below it what its author is told; it is meant to be read.
//! `RECSYS_UPDATE_TABLE=1` writes it anew: read the difference before it is committed.

mod fuzz;
mod unreadable;

use std::path::Path;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};
use recsys::workflow::plan::Plan;
use recsys::workflow::spec::{Overrides, Spec, SpecError};
use recsys::workflow::values::Scope;

use crate::project::Project;
use crate::toy::KINDS;

/// The table's place, beside this file.
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/bad_input/table.txt");

/// What is told about a pipeline file whose text is `yaml`; nothing when it is right.
fn told(yaml: &str) -> String {
    let scope = Scope::with_environment([("HOME".to_owned(), "/home/me".to_owned())]);
    let root = Path::new("/nowhere");
    let error: SpecError = match Spec::parse(Path::new("p.yaml"), yaml, scope, &Overrides::default()) {
        Err(error) => error,
        Ok(spec) => match Plan::new(&spec, KINDS, root) {
            Err(error) => error.into(),
            Ok(_) => return String::new(),
        },
    };
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(110);
    for part in Diagnostic::related(&error).into_iter().flatten() {
        handler.render_report(&mut text, part).unwrap();
    }
    text
}

/// Name, file and what is told, of every section.
fn sections(table: &str) -> Vec<(String, String)> {
    table
        .split("\n=== ")
        .skip(1)
        .map(|section| {
            let (name, rest) = section.split_once('\n').unwrap();
            let (yaml, _) = rest.split_once("\n--- told\n").unwrap();
            (name.to_owned(), yaml.to_owned())
        })
        .collect()
}

#[test]
fn every_broken_file_of_the_table_is_told_what_the_table_says() {
    let table = std::fs::read_to_string(TABLE).unwrap();
    let intro = table.split("\n=== ").next().unwrap();
    let sections = sections(&table);
    assert!(sections.len() >= 60, "{} sections", sections.len());
    let mut now = intro.to_owned();
    for (name, yaml) in &sections {
        let told = told(&format!("{yaml}\n"));
        assert!(!told.is_empty(), "nothing is wrong with: {name}");
        for leak in
            ["budget", "Option<", "serde", "DuplicateKeyPolicy", "from_str", "Deserialize", "custom error"]
        {
            assert!(!told.contains(leak), "`{name}` tells about `{leak}`:\n{told}");
        }
        let told: Vec<&str> = told.lines().map(str::trim_end).collect();
        now.push_str(&format!("\n=== {name}\n{yaml}\n--- told\n{}\n", told.join("\n").trim_matches('\n')));
    }
    if std::env::var_os("RECSYS_UPDATE_TABLE").is_some() {
        std::fs::write(TABLE, &now).unwrap();
    }
    similar(&now, &table);
}

fn similar(now: &str, table: &str) {
    let differs = now.lines().zip(table.lines()).position(|(now, then)| now != then);
    if let Some(line) =
        differs.or((now.len() != table.len()).then_some(now.lines().count().min(table.lines().count())))
    {
        let around =
            |text: &str| text.lines().skip(line.saturating_sub(12)).take(24).collect::<Vec<_>>().join("\n");
        panic!(
            "line {} of the table differs. Now:\n{}\n\nIn the table:\n{}",
            line + 1,
            around(now),
            around(table)
        );
    }
}

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
    for path in ["pipelines/music.yaml", "cache/v2/objects", "../outside", "/tmp/outside"] {
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
    call.says("the variable `m` is set, but `vars:` does not declare it").says("known: n");
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
