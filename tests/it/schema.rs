//! The JSON Schema of pipeline files, held against a real validator:
//! 1. it is itself a valid schema of draft 2020-12;
//! 2. every pipeline that is shipped, and every example of a kind, fits it;
//! 3. broken files do not, and files that use all of the language do;
//! 4. what editors show is there: a description for every key.

use jsonschema::Validator;
use recsys::steps::KINDS;
use recsys::workflow::schema::pipeline;
use recsys::workflow::yaml::Node;
use serde_json::{Value, json};

use crate::project::Project;

fn validator() -> Validator {
    jsonschema::draft202012::options().build(&pipeline(KINDS)).unwrap()
}

fn mistakes(validator: &Validator, yaml: &str) -> Vec<String> {
    let value = Node::parse(yaml).unwrap_or_else(|fault| panic!("{}:\n{yaml}", fault.message)).to_json();
    validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

#[test]
fn it_is_a_schema_and_the_command_prints_it() {
    let schema = pipeline(KINDS);
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(jsonschema::draft202012::meta::is_valid(&schema));
    let printed = Project::new().call(&["schema"]);
    assert_eq!((printed.code, serde_json::from_str::<Value>(&printed.stdout).unwrap()), (0, schema));
    let shell = Project::new().call(&["schema", "--kind", "shell"]);
    assert!(shell.stdout.contains("The command line"), "{}", shell.stdout);
    assert_eq!(Project::new().call(&["schema", "--kind", "shall"]).says("did you mean `shell`?").code, 2);
}

#[test]
fn what_is_shipped_fits() {
    let validator = validator();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 2);
    for path in files {
        assert_eq!(
            mistakes(&validator, &std::fs::read_to_string(&path).unwrap()),
            [""; 0],
            "{}",
            path.display()
        );
    }
    for kind in KINDS {
        let step: String = kind.example.lines().map(|line| format!("  {line}\n")).collect();
        assert_eq!(mistakes(&validator, &format!("steps:\n{step}")), [""; 0], "{}", kind.name);
    }
}

#[test]
fn a_file_that_uses_the_whole_language_fits() {
    let yaml = "
name: all.of-it_1
include: [common.yaml]
vars: { raw: data, sizes: [32, 64], nested: { a: 1 }, from: '{{ env.X }}' }
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
    assert_eq!(mistakes(&validator(), yaml), [""; 0]);
}

#[test]
fn broken_files_do_not_fit() {
    let validator = validator();
    let broken = [
        "steps: [a]",
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
    for yaml in broken {
        assert_ne!(mistakes(&validator, yaml), [""; 0], "{yaml}");
    }
}

#[test]
fn parameters_of_every_kind_are_checked_and_may_be_templates() {
    let validator = validator();
    for kind in KINDS.iter().filter(|kind| !kind.open_ports) {
        let step = Node::parse(kind.example).unwrap().to_json();
        let (name, mut step) =
            step.as_object().unwrap().iter().next().map(|(k, v)| (k.clone(), v.clone())).unwrap();
        step["with"]["surely_no_parameter"] = json!(1);
        assert!(
            !validator.is_valid(&json!({ "steps": { &name: step } })),
            "{}: unknown parameter",
            kind.name
        );
        step["with"].as_object_mut().unwrap().remove("surely_no_parameter");
        let schema = kind.schema();
        for parameter in schema["properties"].as_object().into_iter().flat_map(|properties| properties.keys())
        {
            let mut templated = step.clone();
            templated["with"][parameter] = json!("{{ vars.x }}");
            assert!(
                validator.is_valid(&json!({ "steps": { &name: templated } })),
                "{}.{parameter}",
                kind.name
            );
        }
        step["inputs"]["surely_no_port"] = json!("a.b");
        assert!(!validator.is_valid(&json!({ "steps": { &name: step } })), "{}: unknown input", kind.name);
    }
}

#[test]
fn every_key_says_what_it_is() {
    let schema = pipeline(KINDS);
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
