//! Everything that the outputs of a step depend on, as a plain struct that can be stored, printed
//! and compared, so that a run can be explained by two of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::plan::PlannedStep;

/// Changes when the meaning of a field changes.
const FORMAT: u32 = 1;

/// What a step's outputs depend on; the name of the step and the places of its files are not in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Version of this struct.
    pub format: u32,
    /// The kind.
    pub kind: String,
    /// The version of the kind.
    pub kind_version: u32,
    /// Parameters after defaults; for `shell` the rendered command is one of them.
    pub parameters: Value,
    /// Digests of the inputs by port, and `port.name` where a port takes many.
    pub inputs: BTreeMap<String, Digest>,
    /// Declared environment variables.
    pub environment: BTreeMap<String, String>,
    /// Names of the outputs.
    pub outputs: Vec<String>,
}

/// BLAKE3 hash of bytes, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

/// The hash of a fingerprint: the name of a result in the store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunKey(String);

impl Digest {
    /// From a finished hash.
    pub fn new(hash: blake3::Hash) -> Self {
        Self(hash.to_hex().to_string())
    }

    /// The hexadecimal text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RunKey {
    /// The hexadecimal text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Fingerprint {
    /// The fingerprint of a step whose inputs have these digests.
    pub fn new(step: &PlannedStep, inputs: BTreeMap<String, Digest>) -> Self {
        Self {
            format: FORMAT,
            kind: step.kind.name.to_owned(),
            kind_version: step.kind.version,
            parameters: step.runnable.parameters(),
            inputs,
            environment: step.environment.clone(),
            outputs: step.outputs.iter().map(|output| output.port.clone()).collect(),
        }
    }

    /// Its hash.
    pub fn key(&self) -> RunKey {
        let text =
            serde_json::to_vec(self).expect("a fingerprint is plain data, which always has a JSON form");
        RunKey(blake3::hash(&text).to_hex().to_string())
    }

    /// Where this one differs from an earlier one.
    pub fn changes_since(&self, earlier: &Self) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.kind != earlier.kind {
            changes.push(Change::Kind { old: earlier.kind.clone(), new: self.kind.clone() });
            return changes;
        }
        if (self.kind_version, self.format) != (earlier.kind_version, earlier.format) {
            changes.push(Change::KindVersion { old: earlier.kind_version, new: self.kind_version });
        }
        compare("", &earlier.parameters, &self.parameters, &mut changes);
        let inputs: BTreeSet<&String> = self.inputs.keys().chain(earlier.inputs.keys()).collect();
        changes.extend(
            inputs
                .into_iter()
                .filter(|&input| self.inputs.get(input) != earlier.inputs.get(input))
                .map(|input| Change::Input { input: input.clone() }),
        );
        let names: BTreeSet<&String> = self.environment.keys().chain(earlier.environment.keys()).collect();
        changes.extend(
            names
                .into_iter()
                .filter(|&name| self.environment.get(name) != earlier.environment.get(name))
                .map(|name| Change::Environment { name: name.clone() }),
        );
        if self.outputs != earlier.outputs {
            changes.push(Change::Outputs);
        }
        changes
    }
}

/// One difference between two fingerprints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Another kind.
    Kind {
        /// Before.
        old: String,
        /// Now.
        new: String,
    },
    /// A new version of the kind.
    KindVersion {
        /// Before.
        old: u32,
        /// Now.
        new: u32,
    },
    /// A parameter has another value.
    Parameter {
        /// Its name, with dots into maps.
        name: String,
        /// Before.
        old: Value,
        /// Now.
        new: Value,
    },
    /// The bytes of an input changed.
    Input {
        /// Its port.
        input: String,
    },
    /// A declared environment variable changed; its value is not told.
    Environment {
        /// Its name.
        name: String,
    },
    /// Other outputs are declared.
    Outputs,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind { old, new } => write!(f, "kind: {old} → {new}"),
            Self::KindVersion { old, new } => write!(f, "version of the kind: {old} → {new}"),
            Self::Parameter { name, old, new } if name == "command" => {
                write!(f, "command: {} → {}", short(old), short(new))
            }
            Self::Parameter { name, old, new } => write!(f, "{name}: {} → {}", short(old), short(new)),
            Self::Input { input } => write!(f, "input `{input}` changed"),
            Self::Environment { name } => write!(f, "environment variable {name} changed"),
            Self::Outputs => f.write_str("other outputs are declared"),
        }
    }
}

fn short(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => "null".to_owned(),
        other => other.to_string(),
    };
    match text.char_indices().nth(48) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn compare(path: &str, old: &Value, new: &Value, changes: &mut Vec<Change>) {
    if let (Value::Object(old), Value::Object(new)) = (old, new) {
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let value = |map: &serde_json::Map<String, Value>| map.get(name).cloned().unwrap_or(Value::Null);
            compare(&inner, &value(old), &value(new), changes);
        }
    } else if old != new {
        changes.push(Change::Parameter { name: path.to_owned(), old: old.clone(), new: new.clone() });
    }
}
