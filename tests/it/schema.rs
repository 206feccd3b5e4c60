//! The JSON Schema of pipeline files, held against a real validator:
//! 1. it is itself a valid schema of draft 2020-12;
//! 2. every pipeline that is shipped, and every example of a kind, fits it;
//! 3. broken files do not, and files that use all of the language do;
//! 4. what editors show is there: a description for every key.

use std::io::Write;
use std::process::{Command, Stdio};

use recsys::cli::of_pipelines;
use recsys::steps::KINDS;
use recsys::workflow::yaml::Node;
use serde_json::{Value, json};

use crate::project::{Project, python_with};

/// Reads `{"schema": …, "instances": […]}`, writes the mistakes of each instance. A crate that does the
/// same would change the features of half of the dependencies, and with them the product under test.
const VALIDATE: &str = "
import json, sys
from jsonschema import Draft202012Validator
given = json.load(sys.stdin)
Draft202012Validator.check_schema(given['schema'])
validator = Draft202012Validator(given['schema'])
json.dump([[f'{list(e.path)}: {e.message}' for e in validator.iter_errors(i)] for i in given['instances']], sys.stdout)
";

/// The mistakes that a real validator, the Python package `jsonschema`, finds in each instance; nothing
/// where it is not installed.
fn mistakes(instances: &[Value]) -> Option<Vec<Vec<String>>> {
    let python = python_with("jsonschema")?;
    let mut child = Command::new(&python)
        .args(["-c", VALIDATE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", python.display()));
    let given = json!({ "schema": of_pipelines(), "instances": instances }).to_string();
    child.stdin.take().unwrap().write_all(given.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the validator does not take the schema");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn read(yaml: &str) -> Value {
    Node::parse(yaml).unwrap_or_else(|fault| panic!("{}:\n{yaml}", fault.message)).to_json()
}

/// Expects every named instance to fit, or none of them.
fn expect(fits: bool, cases: &[(String, Value)]) {
    let instances: Vec<Value> = cases.iter().map(|(_, instance)| instance.clone()).collect();
    let Some(found) = mistakes(&instances) else { return };
    assert_eq!(found.len(), cases.len());
    for ((name, _), mistakes) in cases.iter().zip(found) {
        assert_eq!(mistakes.is_empty(), fits, "{name}: {mistakes:?}");
    }
}

#[test]
fn it_is_a_schema_and_the_command_prints_it() {
    let schema = of_pipelines();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    let printed = Project::new().call(&["schema"]);
    assert_eq!((printed.code, serde_json::from_str::<Value>(&printed.stdout).unwrap()), (0, schema));
    let shell = Project::new().call(&["schema", "--kind", "shell"]);
    assert!(shell.stdout.contains("The command line"), "{}", shell.stdout);
    assert_eq!(Project::new().call(&["schema", "--kind", "shall"]).says("did you mean `shell`?").code, 2);
}

#[test]
fn what_is_shipped_fits() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<(String, Value)> = files
        .map(|path| (path.display().to_string(), read(&std::fs::read_to_string(&path).unwrap())))
        .collect();
    assert!(cases.len() >= 2);
    for kind in KINDS {
        let step: String = kind.example.lines().map(|line| format!("  {line}\n")).collect();
        cases.push((kind.name.to_owned(), read(&format!("steps:\n{step}"))));
    }
    expect(true, &cases);
}

#[test]
fn a_file_that_uses_the_whole_language_fits() {
    let yaml = "
name: all.of-it_1
include: [common.yaml]
vars: { raw: data, sizes: [32, 64], nested: { a: 1 }, from: '{{ env.X }}' }
tracking: { when: '{{ vars.on }}', mlflow: 'http://h:5000', experiment: x, steps: false, artifacts: [png], wait: 2s }
steps:
  plain: { run: echo hello }
  spelled: { uses: shell, with: { command: echo } }
  full:
    uses: shell
    foreach: '{{ vars.sizes }}'
    inputs: { one: plain.out, many: { a: x.csv, b: '{{ vars.raw }}/y' } }
    outputs: { out: 'artifacts/{{ item }}.txt' }
    run: cat {{ inputs.one }} > {{ outputs.out }}
    needs: [plain]
    env: [HOME]
    resources: { threads: '{{ vars.n }}', memory: 1.5GiB }
    timeout: 90s
    retries: { times: 2, wait: 500ms, factor: 1.5 }
    when: \"{{ env.X | default('') != '' }}\"
  grid: { matrix: { a: [1, 2], b: [x] }, run: x, retries: 3, when: true, timeout: '{{ vars.t }}' }
  kind: { uses: '{{ vars.kind }}', inputs: { anything: x.y } }
";
    expect(true, &[("the whole language".to_owned(), read(yaml))]);
}

#[test]
fn broken_files_do_not_fit() {
    let broken = [
        "steps: [a]",
        "tracking: { mlfow: x }\nsteps: { a: { run: x } }",
        "tracking: { wait: 3 }\nsteps: { a: { run: x } }",
        "tracking: [http://h]\nsteps: { a: { run: x } }",
        "steps: { a: { rum: x } }",
        "stepz: {}",
        "name: ../x\nsteps: { a: { run: x } }",
        "name: 3\nsteps: { a: { run: x } }",
        "include: other.yaml\nsteps: { a: { run: x } }",
        "vars: [a]\nsteps: { a: { run: x } }",
        "steps: { a b: { run: x } }",
        "steps: { a: x }",
        "steps: { a: {} }",
        "steps: { a: { uses: shel } }",
        "steps: { a: { run: [x] } }",
        "steps: { a: { uses: shell, with: { comand: x } } }",
        "steps: { a: { uses: shell, with: { command: 3 } } }",
        "steps: { a: { run: x, with: { command: y } } }",
        "steps: { a: { run: x, inputs: [b.c] } }",
        "steps: { a: { run: x, inputs: { b: 3 } } }",
        "steps: { a: { run: x, outputs: { b: [c] } } }",
        "steps: { a: { run: x, needs: b } }",
        "steps: { a: { run: x, env: { A: b } } }",
        "steps: { a: { run: x, resources: { threads: 0 } } }",
        "steps: { a: { run: x, resources: { threads: 2000 } } }",
        "steps: { a: { run: x, resources: { memory: 4G } } }",
        "steps: { a: { run: x, resources: { memory: 4 } } }",
        "steps: { a: { run: x, resources: { cores: 4 } } }",
        "steps: { a: { run: x, timeout: 90 } }",
        "steps: { a: { run: x, timeout: soon } }",
        "steps: { a: { run: x, retries: -1 } }",
        "steps: { a: { run: x, retries: { wait: 5s } } }",
        "steps: { a: { run: x, retries: { times: 1, wait: 5 } } }",
        "steps: { a: { run: x, when: maybe } }",
        "steps: { a: { run: x, foreach: 3 } }",
        "steps: { a: { run: x, matrix: [1] } }",
        "steps: { a: { run: x, matrix: { b: 1 } } }",
    ];
    expect(false, &broken.map(|yaml| (yaml.to_owned(), read(yaml))));
}

#[test]
fn parameters_of_every_kind_are_checked_and_may_be_templates() {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for kind in KINDS.iter().filter(|kind| !kind.open_ports) {
        let step = read(kind.example);
        let (name, step) =
            step.as_object().unwrap().iter().next().map(|(k, v)| (k.clone(), v.clone())).unwrap();
        let file = |step: Value| json!({ "steps": { &name: step } });
        let mut wrong = step.clone();
        wrong["with"]["surely_no_parameter"] = json!(1);
        bad.push((format!("{}: unknown parameter", kind.name), file(wrong)));
        let mut wrong = step.clone();
        wrong["inputs"]["surely_no_port"] = json!("a.b");
        bad.push((format!("{}: unknown input", kind.name), file(wrong)));
        let schema = kind.schema();
        for parameter in schema["properties"].as_object().into_iter().flat_map(|properties| properties.keys())
        {
            let mut templated = step.clone();
            templated["with"][parameter] = json!("{{ vars.x }}");
            good.push((format!("{}.{parameter}", kind.name), file(templated)));
        }
    }
    expect(true, &good);
    expect(false, &bad);
}

#[test]
fn every_key_says_what_it_is() {
    let schema = of_pipelines();
    for place in [
        "/properties",
        "/$defs/StepFile/properties",
        "/$defs/Resources/properties",
        "/$defs/RetryPlan/properties",
    ] {
        for (key, property) in schema.pointer(place).unwrap().as_object().unwrap() {
            assert!(property["description"].is_string(), "{place}/{key}");
        }
    }
}
