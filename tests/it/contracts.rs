//! What every kind promises:
//! 1. its name is unique and in snake_case, and there is a file of that name in `steps/`;
//! 2. its example is a step that parses and has no unknown key, port or parameter;
//! 3. its defaults are within its own ranges, and each parameter has a description;
//! 4. `recsys kinds` explains it.

use std::collections::BTreeSet;
use std::path::Path;

use recsys::steps::KINDS;
use recsys::workflow::kind::Arity;
use recsys::workflow::parameters::{check, properties};
use recsys::workflow::source::Span;
use recsys::workflow::yaml::{Node, Value};

use crate::project::Project;

#[test]
fn names_are_unique_and_the_registry_is_the_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/steps");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| name != "mod")
        .collect();
    let names: BTreeSet<String> = KINDS.iter().map(|kind| kind.name.to_owned()).collect();
    assert_eq!(names.len(), KINDS.len());
    assert_eq!(names, files);
    assert!(
        names
            .iter()
            .all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()))
    );
}

#[test]
fn every_example_is_a_step_that_fits_its_kind() {
    for kind in KINDS {
        let root =
            Node::parse(kind.example).unwrap_or_else(|fault| panic!("{}: {}", kind.name, fault.message));
        let Value::Map(steps) = &root.value else { panic!("{}: the example is no step", kind.name) };
        assert_eq!(steps.len(), 1, "{}: one step", kind.name);
        let step = &steps[0].node;
        for key in map(step) {
            assert!(
                ["uses", "inputs", "outputs", "with", "run"].contains(&key.as_str()),
                "{}: {key}",
                kind.name
            );
        }
        let uses = step.get("uses").map(|node| node.to_json());
        assert_eq!(uses.unwrap_or("shell".into()), kind.name);
        if let Some(inputs) = step.get("inputs") {
            for name in map(inputs) {
                assert!(kind.open_ports || kind.input(&name).is_some(), "{}: input {name}", kind.name);
            }
        }
        for port in kind.inputs.iter().filter(|port| port.arity != Arity::Optional) {
            assert!(
                step.get("inputs").and_then(|inputs| inputs.get(port.name)).is_some(),
                "{}: {}",
                kind.name,
                port.name
            );
        }
        if let Some(parameters) = step.get("with") {
            let faults = check(parameters, &kind.schema(), "parameter");
            assert!(faults.is_empty(), "{}: {faults:?}", kind.name);
            kind.decode(parameters.to_json()).unwrap().check().unwrap();
        }
    }
}

#[test]
fn defaults_fit_their_own_ranges_and_every_parameter_is_described() {
    for kind in KINDS {
        let schema = kind.schema();
        for (name, property) in properties(&schema) {
            assert!(property.get("description").is_some(), "{}.{name} has no description", kind.name);
        }
        // What a kind cannot do without has no default.
        if schema.get("required").is_some() {
            continue;
        }
        let defaults = kind.decode(serde_json::json!({})).unwrap();
        let node = Node::from_json(&defaults.parameters(), &Span::default());
        assert_eq!(check(&node, &schema, "parameter"), [], "{}", kind.name);
        defaults.check().unwrap();
    }
}

#[test]
fn the_reference_explains_every_kind() {
    let project = Project::new();
    let list = project.call(&["kinds"]);
    for kind in KINDS {
        assert!(list.stdout.contains(kind.summary), "{}", kind.name);
        assert!(
            kind.summary.starts_with(char::is_uppercase) && !kind.summary.ends_with('.'),
            "{}",
            kind.summary
        );
        let abouts =
            kind.inputs.iter().map(|port| port.about).chain(kind.outputs.iter().map(|port| port.about));
        for about in abouts {
            assert!(
                !about.starts_with(char::is_uppercase) || about.starts_with('`'),
                "{}: {about}",
                kind.name
            );
        }
        let text = project.call(&["kinds", kind.name]);
        assert_eq!(text.code, 0);
        for port in kind.inputs {
            assert!(text.stdout.contains(port.name), "{}: {}", kind.name, port.name);
        }
    }
    let json: serde_json::Value = serde_json::from_str(&project.call(&["kinds", "--json"]).stdout).unwrap();
    assert_eq!(json.as_array().unwrap().len(), KINDS.len());
}

fn map(node: &Node) -> Vec<String> {
    match &node.value {
        Value::Map(entries) => entries.iter().map(|entry| entry.key.clone()).collect(),
        _ => Vec::new(),
    }
}
