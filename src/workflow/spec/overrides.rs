//! What configuration files and the command line change in a pipeline; what comes later wins.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::SpecError;
use super::expand::Drafts;
use crate::workflow::config;
use crate::workflow::fault::{Fault, did_you_mean};
use crate::workflow::source::{SourceId, Sources, Span};
use crate::workflow::yaml::{Node, Value};

/// Changes to a pipeline as they were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overrides {
    /// Configuration files.
    pub configs: Vec<PathBuf>,
    /// Values of variables: `NAME=VALUE`.
    pub vars: Vec<String>,
    /// Values of parameters: `STEP.PARAMETER=VALUE`; a step with `foreach:` or `matrix:` means all of its instances.
    pub set: Vec<String>,
}

/// The changes with the places where they are asked for.
#[derive(Debug, Default)]
pub struct Changes {
    /// Values of variables.
    pub vars: Vec<VariableChange>,
    /// Values of parameters.
    pub parameters: Vec<ParameterChange>,
    /// What configuration files say under `tracking:`.
    pub tracking: Vec<Node>,
}

/// A value for one variable.
#[derive(Debug)]
pub struct VariableChange {
    /// The variable.
    pub name: String,
    /// Where it is named.
    pub place: Span,
    /// The value.
    pub value: Node,
}

/// A value for one parameter of one step.
#[derive(Debug)]
pub struct ParameterChange {
    /// The step.
    pub step: String,
    /// Its parameter.
    pub parameter: String,
    /// Where it is named.
    pub place: Span,
    /// The value.
    pub value: Node,
    /// Who says so: `--set` or a file.
    pub origin: String,
}

/// Reads the configuration files and the arguments.
pub fn read(
    overrides: &Overrides,
    sources: &mut Sources,
    faults: &mut Vec<Fault>,
) -> Result<Changes, SpecError> {
    let mut changes = Changes::default();
    for path in &overrides.configs {
        read_config(path, &mut changes, sources, faults)?;
    }
    for text in &overrides.vars {
        let Some((name, value, place)) = argument("--var", text, sources, faults) else { continue };
        changes.vars.push(VariableChange { name, place, value });
    }
    for text in &overrides.set {
        let Some((name, value, place)) = argument("--set", text, sources, faults) else { continue };
        match name.split_once('.') {
            Some((step, parameter)) if !step.is_empty() && !parameter.is_empty() => {
                changes.parameters.push(ParameterChange {
                    step: step.to_owned(),
                    parameter: parameter.to_owned(),
                    place,
                    value,
                    origin: "`--set`".to_owned(),
                });
            }
            _ => faults.push(
                Fault::new(place, format!("`{name}` names no parameter of a step"))
                    .help("write `--set STEP.PARAMETER=VALUE`, for example `--set als.factors=128`"),
            ),
        }
    }
    Ok(changes)
}

fn read_config(
    path: &Path,
    changes: &mut Changes,
    sources: &mut Sources,
    faults: &mut Vec<Fault>,
) -> Result<(), SpecError> {
    let (text, source) = super::load::read_other(path, sources)?;
    let root = match config::parse(&text, source) {
        Ok((root, found)) => {
            faults.extend(found);
            root
        }
        Err(fault) => {
            faults.push(fault);
            return Ok(());
        }
    };
    for entry in root.get("vars").map_or(&[][..], Node::entries) {
        changes.vars.push(VariableChange {
            name: entry.key.clone(),
            place: entry.key_span.clone(),
            value: entry.node.clone(),
        });
    }
    changes.tracking.extend(root.given("tracking").cloned());
    for step in root.get("steps").map_or(&[][..], Node::entries) {
        changes.parameters.extend(step.node.entries().iter().map(|entry| ParameterChange {
            step: step.key.clone(),
            parameter: entry.key.clone(),
            place: entry.key_span.clone(),
            value: entry.node.clone(),
            origin: format!("`{}`", path.display()),
        }));
    }
    Ok(())
}

/// An argument as a source of its own, so that a mistake in it is underlined in it.
fn argument(
    flag: &str,
    text: &str,
    sources: &mut Sources,
    faults: &mut Vec<Fault>,
) -> Option<(String, Node, Span)> {
    let whole = format!("{flag} {text}");
    let source = sources.add("command line", whole.clone());
    let start = flag.len() + 1;
    let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        let help = format!("write `{flag} NAME=VALUE`");
        faults.push(
            Fault::new(Span::new(source, start..whole.len()), "a `=` and a value are missing").help(help),
        );
        return None;
    };
    let place = Span::new(source, start..start + name.len());
    Some((name.to_owned(), value_of(value, source, start + name.len() + 1), place))
}

/// YAML, so that `3`, `[1, 2]` and `null` keep their type; what is no YAML is text.
fn value_of(text: &str, source: SourceId, start: usize) -> Node {
    let whole = Span::new(source, start..start + text.len());
    match Node::parse_in(text, source) {
        Ok(node) if text.trim_start().starts_with(['{', '[']) && !text.starts_with("{{") => {
            shifted(node, start)
        }
        Ok(node) if !matches!(node.value, Value::Map(_) | Value::List(_)) => Node::new(node.value, whole),
        _ => Node::new(Value::Text(text.to_owned()), whole),
    }
}

fn shifted(mut node: Node, by: usize) -> Node {
    node.span.start += by;
    node.span.end += by;
    node.value = match node.value {
        Value::List(items) => Value::List(items.into_iter().map(|item| shifted(item, by)).collect()),
        Value::Map(mut entries) => {
            for entry in &mut entries {
                entry.key_span.start += by;
                entry.key_span.end += by;
                let value = Node::new(Value::Null, entry.node.span.clone());
                entry.node = shifted(std::mem::replace(&mut entry.node, value), by);
            }
            Value::Map(entries)
        }
        scalar => scalar,
    };
    node
}

/// Reports changes to steps that the pipeline does not have.
pub fn check_names(changes: &Changes, drafts: &Drafts<'_>, faults: &mut Vec<Fault>) {
    for change in &changes.parameters {
        if !drafts.has(&change.step) {
            let ParameterChange { step, parameter, origin, .. } = change;
            let message =
                format!("{origin} sets `{step}.{parameter}`, but the pipeline has no step `{step}`");
            faults.push(Fault::new(change.place.clone(), message).help(did_you_mean(step, drafts.names())));
        }
    }
}
