//! What an evaluation left in the store, read back: intervals, values by user, and what it was measured on.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::Evaluate;
use super::user_values::ByUser;
use crate::codec::{CodecError, json};
use crate::workflow::kind::Step;
use crate::workflow::store::{StepResult, Store};

/// Parameters that change how results are shown, not what is measured.
const SHOWN: [&str; 4] = ["baseline", "compare_at", "bootstrap_samples", "seed"];

/// Inputs that say who and what is measured; the others are the lists.
const MEASURED_ON: [&str; 3] = ["test", "history", "users"];

/// The part of a report that is read back; other versions may have written more or less.
#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    models: BTreeMap<String, Model>,
    compare_at: Option<usize>,
}

#[derive(Deserialize)]
struct Model {
    #[serde(default)]
    metrics: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Value {
    low: Option<f64>,
    high: Option<f64>,
}

/// What a report says beside the numbers that the step left.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Details {
    /// 95 % intervals over users by `<model>.<metric>@<k>`.
    pub intervals: BTreeMap<String, [f64; 2]>,
    /// Names of the models.
    pub models: Vec<String>,
    /// The cut of the headline numbers.
    pub compare_at: Option<usize>,
}

/// Whether a result is that of an evaluation.
pub fn is_evaluation(result: &StepResult) -> bool {
    result.fingerprint.definition.kind == Evaluate::KIND
}

/// What the report of an evaluation says; nothing when the result is of another kind, or its report is no longer
/// in the store.
pub fn details(store: &Store, result: &StepResult) -> Option<Details> {
    let object = result.outputs.get("report").filter(|_| is_evaluation(result))?;
    let report: Report = json::read(&store.object_path(object.digest)).ok()?;
    let models = report.models.keys().cloned().collect();
    let intervals = report.models.into_iter().flat_map(|(model, of_model)| {
        of_model
            .metrics
            .into_iter()
            .filter_map(move |(metric, value)| Some((format!("{model}.{metric}"), [value.low?, value.high?])))
    });
    Some(Details { intervals: intervals.collect(), models, compare_at: report.compare_at })
}

/// The values of a metric by user; nothing when they were not asked for, are not of users, or are no longer in the
/// store.
///
/// # Errors
/// When the table is there and cannot be read.
pub fn by_user(store: &Store, result: &StepResult, metric: &str) -> Result<Option<ByUser>, CodecError> {
    let Some(object) = result.outputs.get("user_metrics").filter(|_| is_evaluation(result)) else {
        return Ok(None);
    };
    let path = store.object_path(object.digest);
    if path.is_file() { ByUser::read(&path, metric) } else { Ok(None) }
}

/// Who and what was measured, and how: results of which this is equal can be compared.
pub fn measured_on(result: &StepResult) -> Json {
    let fingerprint = &result.fingerprint;
    let mut parameters = fingerprint.definition.parameters.clone();
    if let Some(parameters) = parameters.as_object_mut() {
        parameters.retain(|name, _| !SHOWN.contains(&name.as_str()));
    }
    let inputs: BTreeMap<&str, String> = MEASURED_ON
        .iter()
        .filter_map(|input| Some((*input, fingerprint.inputs.get(*input)?.to_string())))
        .collect();
    json!({ "parameters": parameters, "inputs": inputs })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::digest::Digest;
    use crate::workflow::fingerprint::{Definition, Fingerprint};
    use crate::workflow::kind::Notes;

    fn result(parameters: Json, test: &[u8]) -> StepResult {
        let definition =
            Definition::new("evaluate", 3, parameters, &BTreeMap::new(), vec![], BTreeMap::new());
        let inputs = [("test", Digest::of(test)), ("lists.als", Digest::of(test))];
        let inputs = inputs.map(|(name, digest)| (name.to_owned(), digest)).into();
        StepResult::new(Fingerprint { definition, inputs }, BTreeMap::new(), Notes::default(), 1.0)
    }

    #[test]
    fn results_compare_when_the_same_was_measured_on_the_same() {
        let one = measured_on(&result(json!({ "k": [10], "baseline": "als", "novel_only": true }), b"a"));
        assert_eq!(one, measured_on(&result(json!({ "k": [10], "novel_only": true, "seed": 1 }), b"a")));
        assert_ne!(one, measured_on(&result(json!({ "k": [10], "novel_only": false }), b"a")));
        assert_ne!(one, measured_on(&result(json!({ "k": [10], "novel_only": true }), b"b")));
    }
}
