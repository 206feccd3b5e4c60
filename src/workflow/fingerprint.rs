//! Everything that the outputs of a step depend on, as a plain struct that can be stored, printed
//! and compared, so that a run can be explained by two of them.
//!
//! It has two parts. The [`Definition`] is known before anything runs: kind, parameters, environment.
//! The digests of the inputs are known when the steps before it are done. The name of the step and
//! the places of its files are in neither.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::digest::Digest;

/// Changes when the meaning of a field changes.
const FORMAT: u32 = 2;

/// What a step's outputs depend on besides its inputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// Version of this struct.
    pub format: u32,
    /// The kind.
    pub kind: String,
    /// The version of the kind.
    pub kind_version: u32,
    /// Parameters after defaults; for `shell` the rendered command is one of them.
    pub parameters: Value,
    /// Digests of the values of the declared environment variables: a value may be a secret.
    pub environment: BTreeMap<String, Digest>,
    /// Names of the outputs.
    pub outputs: Vec<String>,
    /// Extensions of the files behind inputs and outputs, for a kind that goes by them (`shell`).
    pub extensions: BTreeMap<String, String>,
    /// Digests of the definitions of the steps before it by name, for a kind that tells of them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lineage: BTreeMap<String, Digest>,
}

/// What a step's outputs depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// What is known before anything runs.
    #[serde(flatten)]
    pub definition: Definition,
    /// Digests of the inputs by port, and `port.name` where a port takes many.
    pub inputs: BTreeMap<String, Digest>,
}

/// The name of a result in the store: the hash of a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunKey {
    /// Digest of the definition: results of one definition lie in one folder.
    pub definition: Digest,
    /// Digest of the definition and of the inputs.
    pub whole: Digest,
}

impl RunKey {
    /// The key of a definition with these digest inputs, sorted by label.
    pub fn new<'a>(definition: Digest, inputs: impl IntoIterator<Item = (&'a str, Digest)>) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(definition.as_bytes());
        for (label, digest) in inputs {
            hasher.update(&(label.len() as u64).to_le_bytes());
            hasher.update(label.as_bytes());
            hasher.update(digest.as_bytes());
        }
        Self { definition, whole: hasher.finalize().into() }
    }
}

impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.whole.fmt(f)
    }
}

impl Definition {
    /// The definition of a use of a kind.
    pub fn new(
        kind: &str,
        kind_version: u32,
        parameters: Value,
        environment: &BTreeMap<String, String>,
        outputs: Vec<String>,
        extensions: BTreeMap<String, String>,
    ) -> Self {
        let environment =
            environment.iter().map(|(name, value)| (name.clone(), Digest::of(value.as_bytes())));
        Self {
            format: FORMAT,
            kind: kind.to_owned(),
            kind_version,
            parameters,
            environment: environment.collect(),
            outputs,
            extensions,
            lineage: BTreeMap::new(),
        }
    }

    /// Its hash.
    pub fn digest(&self) -> Digest {
        let text =
            serde_json::to_vec(self).expect("a definition is plain data, which always has a JSON form");
        Digest::of(&text)
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
        changes.extend(
            differing(&earlier.environment, &self.environment).map(|name| Change::Environment { name }),
        );
        if self.outputs != earlier.outputs {
            changes.push(Change::Outputs);
        }
        if self.extensions != earlier.extensions {
            changes.push(Change::Extensions);
        }
        let steps = differing(&earlier.lineage, &self.lineage);
        changes.extend(steps.map(|step| Change::Lineage { step }));
        changes
    }
}

impl Fingerprint {
    /// Its hash.
    pub fn key(&self) -> RunKey {
        let inputs = self.inputs.iter().map(|(label, digest)| (label.as_str(), *digest));
        RunKey::new(self.definition.digest(), inputs)
    }

    /// Where this one differs from an earlier one.
    pub fn changes_since(&self, earlier: &Self) -> Vec<Change> {
        let mut changes = self.definition.changes_since(&earlier.definition);
        if !matches!(changes[..], [Change::Kind { .. }]) {
            changes.extend(differing(&earlier.inputs, &self.inputs).map(|input| Change::Input { input }));
        }
        changes
    }
}

/// The names that have another digest, or one on one side only.
fn differing<'a>(
    old: &'a BTreeMap<String, Digest>,
    new: &'a BTreeMap<String, Digest>,
) -> impl Iterator<Item = String> + use<'a> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    names.into_iter().filter(move |&name| old.get(name) != new.get(name)).cloned()
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
    /// A file is called otherwise, with another extension.
    Extensions,
    /// A step before this one, which tells of it, is another.
    Lineage {
        /// Its name.
        step: String,
    },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind { old, new } => write!(f, "kind: {old} → {new}"),
            Self::KindVersion { old, new } => write!(f, "version of the kind: {old} → {new}"),
            Self::Parameter { name, old, new } => write_change(f, name, &shown(old), &shown(new)),
            Self::Input { input } => write!(f, "input `{input}` changed"),
            Self::Environment { name } => write!(f, "environment variable {name} changed"),
            Self::Outputs => f.write_str("other outputs are declared"),
            Self::Extensions => f.write_str("a file has another extension"),
            Self::Lineage { step } => write!(f, "step `{step}`, of which this one tells, changed"),
        }
    }
}

/// Characters of a value that are worth showing.
const SHOWN: usize = 60;
/// Characters before the first difference that are worth showing.
const BEFORE: usize = 20;

/// A long value is shown around the place where it changed.
fn write_change(f: &mut fmt::Formatter<'_>, name: &str, old: &str, new: &str) -> fmt::Result {
    let same = old.chars().zip(new.chars()).take_while(|(old, new)| old == new).count();
    let skipped =
        if old.chars().count().max(new.chars().count()) > SHOWN { same.saturating_sub(BEFORE) } else { 0 };
    write!(f, "{name}: {} → {}", around(old, skipped), around(new, skipped))
}

fn around(text: &str, skipped: usize) -> String {
    let start = if skipped > 0 { "…" } else { "" };
    let mut rest = text.chars().skip(skipped);
    let part: String = rest.by_ref().take(SHOWN).collect();
    let end = if rest.next().is_some() { "…" } else { "" };
    format!("{start}{part}{end}")
}

/// A value on one line; what stands for a path is shown as it is written in the file.
fn shown(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null => "null".to_owned(),
        other => other.to_string(),
    };
    text.replace('\u{27e6}', "{{ ").replace('\u{27e7}', " }}").replace('\n', "⏎")
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition(parameters: Value) -> Definition {
        Definition::new(
            "als",
            1,
            parameters,
            &BTreeMap::from([("SEED".into(), "1".into())]),
            vec!["model".into()],
            BTreeMap::new(),
        )
    }

    #[test]
    fn a_key_depends_on_every_field_and_on_the_names_of_the_inputs() {
        let key = |definition: &Definition, label: &str| {
            RunKey::new(definition.digest(), [(label, Digest::of(b"bytes"))]).whole
        };
        let base = definition(json!({"factors": 64}));
        let mut others = vec![definition(json!({"factors": 65})), base.clone(), base.clone(), base.clone()];
        others[1].kind_version = 2;
        others[2].environment.insert("SEED".into(), Digest::of(b"2"));
        others[3].outputs.push("more".into());
        for other in &others {
            assert_ne!(key(&base, "train"), key(other, "train"), "{other:?}");
        }
        assert_ne!(key(&base, "train"), key(&base, "test"));
    }

    #[test]
    fn a_change_is_told_by_field_and_a_secret_is_not_told() {
        let old = definition(json!({"factors": 64, "inner": {"alpha": 1}}));
        let mut new = definition(json!({"factors": 64, "inner": {"alpha": 2}}));
        new.environment.insert("SEED".into(), Digest::of(b"hunter2"));
        let told: Vec<String> = new.changes_since(&old).iter().map(ToString::to_string).collect();
        assert_eq!(told, ["inner.alpha: 1 → 2", "environment variable SEED changed"]);
        assert!(!serde_json::to_string(&new).unwrap().contains("hunter2"));
    }

    #[test]
    fn a_long_value_is_shown_where_it_changed() {
        let command = |end: &str| json!({"command": format!("{}{end}", "x".repeat(100))});
        let told = definition(command("new")).changes_since(&definition(command("old")))[0].to_string();
        assert!(told.ends_with("xold → …xxxxxxxxxxxxxxxxxxxxnew"), "{told}");
    }
}
