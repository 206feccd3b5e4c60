//! A configuration file: values for the variables and parameters of a pipeline, kept apart from it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::fault::Fault;
use super::parameters;
use super::source::SourceId;
use super::yaml::{Node, Value};

/// With what values to run a pipeline.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Values of variables.
    pub vars: BTreeMap<String, Json>,
    /// Parameters by step: `als: { factors: 128 }`.
    pub steps: BTreeMap<String, BTreeMap<String, Json>>,
    /// Where runs are logged: key by key in the place of what the pipeline file says.
    pub tracking: Option<Json>,
}

/// The tree of a configuration file, and what is wrong with its shape; wrong parts of it are unknown.
///
/// # Errors
/// When it is no YAML.
pub fn parse(text: &str, source: SourceId) -> Result<(Node, Vec<Fault>), Fault> {
    let mut root = Node::parse_in(text, source)?;
    if root.value == Value::Null {
        root.value = Value::Map(Vec::new());
    }
    let faults = parameters::check_unrendered(&mut root, &schemars::schema_for!(Config).to_value(), "key");
    Ok((root, faults))
}
