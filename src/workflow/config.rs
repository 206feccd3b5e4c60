//! A configuration file: values for the variables and parameters of a pipeline, kept apart from it.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::fault::FileError;
use super::parameters;
use super::spec::{Override, Overrides, SpecError};
use super::yaml::Node;

/// With what values to run a pipeline.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Values of variables.
    pub vars: BTreeMap<String, Json>,
    /// Parameters by step: `als: { factors: 128 }`.
    pub steps: BTreeMap<String, BTreeMap<String, Json>>,
}

/// Adds the values of the file at `path` to `overrides`.
///
/// # Errors
/// When the file cannot be read, or with everything that is wrong in it.
pub fn read(path: &Path, overrides: &mut Overrides) -> Result<(), SpecError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| SpecError::Unreadable { path: path.to_owned(), source })?;
    let fail = |faults| FileError::new(path, &text, faults);
    let node = Node::parse(&text).map_err(|fault| fail(vec![fault]))?;
    let faults = parameters::check(&node, &schemars::schema_for!(Config).to_value(), "key");
    if !faults.is_empty() {
        return Err(fail(faults).into());
    }
    let config: Config = serde_json::from_value(node.to_json()).unwrap_or_default();
    overrides.vars.extend(config.vars);
    for (step, values) in config.steps {
        overrides.parameters.extend(values.into_iter().map(|(parameter, value)| Override {
            step: step.clone(),
            parameter,
            value,
            origin: format!("`{}`", path.display()),
        }));
    }
    Ok(())
}
