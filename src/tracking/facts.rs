//! What is logged of a step besides what happens to it: its parameters, where it comes from, what it made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::entry::{ArtifactFile, Dataset, Entry, Point};
use super::names;
use super::settings::Settings;
use crate::workflow::digest::Digest;
use crate::workflow::fingerprint::RunKey;
use crate::workflow::plan::{Plan, PlannedStep, Source};
use crate::workflow::store::StepResult;
use crate::workflow::units::bytes;

/// Digits of a digest that a dataset is named by; MLflow takes 36.
const DATASET_DIGITS: usize = 32;

/// What is known of a step before it runs.
#[derive(Debug, Clone)]
pub struct StepFacts {
    kind: &'static str,
    kind_version: u32,
    parameters: Vec<(String, String)>,
    definition: Digest,
    outputs: Vec<(String, PathBuf)>,
    /// Files that no step writes, by the label of the input.
    files: Vec<(String, PathBuf)>,
}

/// Every step of a plan by name.
pub fn of_plan(plan: &Plan) -> BTreeMap<String, StepFacts> {
    plan.steps.iter().map(|step| (step.name.clone(), StepFacts::of(step))).collect()
}

impl StepFacts {
    fn of(step: &PlannedStep) -> Self {
        let mut parameters = Vec::new();
        flatten(String::new(), &step.parameters(), &mut parameters);
        let files = step.inputs.iter().filter_map(|input| match &input.source {
            Source::File(path) => Some((input.label(), path.clone())),
            Source::Step { .. } => None,
        });
        Self {
            kind: step.kind.name,
            kind_version: step.kind.version,
            parameters,
            definition: step.definition,
            outputs: step.outputs.iter().map(|output| (output.port.clone(), output.path.clone())).collect(),
            files: files.collect(),
        }
    }

    /// Its parameters after defaults, each under a name that begins with `prefix`.
    pub fn parameters(&self, prefix: &str) -> BTreeMap<String, String> {
        let named = self.parameters.iter().map(|(name, value)| {
            let name = if name.is_empty() { "value" } else { name };
            (format!("{prefix}{name}"), names::cut(value, names::LONGEST_PARAMETER))
        });
        names::keyed(named)
    }

    /// Tags that say what it is.
    pub fn tags(&self, step: &str) -> BTreeMap<String, String> {
        [
            ("recsys.step", step.to_owned()),
            ("recsys.kind", self.kind.to_owned()),
            ("recsys.kind_version", self.kind_version.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }

    /// The key of its result in the store.
    pub fn key(&self, whole: Digest) -> RunKey {
        RunKey { definition: self.definition, whole }
    }

    /// The files from outside that it reads.
    pub fn datasets(&self, result: &StepResult) -> Vec<Dataset> {
        let dataset = |(label, path): &(String, PathBuf)| {
            let digest = result.fingerprint.inputs.get(label)?.to_string();
            let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
            let digest = digest[..DATASET_DIGITS].to_owned();
            Some(Dataset { name, digest, path: path.clone(), context: label.clone() })
        };
        self.files.iter().filter_map(dataset).collect()
    }

    /// The outputs that are sent, under `folder` on the server; those that are too large are named instead.
    pub fn artifacts(
        &self,
        run: &str,
        folder: &str,
        result: &StepResult,
        settings: &Settings,
    ) -> (Vec<Entry>, Vec<String>) {
        let (mut sent, mut left_out) = (Vec::new(), Vec::new());
        for (port, path) in &self.outputs {
            let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
            let wanted = settings.artifacts.iter().any(|wanted| wanted == port || *wanted == extension);
            let Some(object) = result.outputs.get(port).filter(|_| wanted) else { continue };
            let name = artifact_name(folder, path);
            if object.size > settings.largest_artifact() {
                left_out.push(format!("{name} ({})", bytes(object.size)));
                continue;
            }
            let file = ArtifactFile::Output { digest: object.digest, path: path.clone() };
            sent.push(Entry::Artifact { run: run.to_owned(), name, file });
        }
        (sent, left_out)
    }
}

/// What an artifact is called on the server: the name of its file, in a folder when one is given.
fn artifact_name(folder: &str, path: &Path) -> String {
    let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    names::key(&if folder.is_empty() { file.into_owned() } else { format!("{folder}/{file}") })
}

/// The numbers that a step left. One that has a curve of the same name stands at its end, unless it is the end.
pub fn final_points(
    prefix: &str,
    metrics: &BTreeMap<String, f64>,
    result: Option<&StepResult>,
    at: i64,
) -> Vec<Point> {
    let end = |name: &String| result?.notes.curves.get(name)?.last().copied();
    let values = metrics.iter().filter_map(|(name, value)| {
        let step = match end(name) {
            Some((_, last)) if last.to_bits() == value.to_bits() => return None,
            Some((step, _)) => step,
            None => 0,
        };
        value.is_finite().then(|| (format!("{prefix}{name}"), (step, *value)))
    });
    let named = names::keyed(values);
    named.into_iter().map(|(key, (step, value))| Point { key, value, step, at }).collect()
}

/// The curves of a result, all of it at one time.
pub fn curve_points(prefix: &str, result: &StepResult, at: i64) -> Vec<Point> {
    let mut points = Vec::new();
    for (name, curve) in &result.notes.curves {
        let key = names::key(&format!("{prefix}{name}"));
        let finite = curve.iter().filter(|(_, value)| value.is_finite());
        points.extend(finite.map(|(step, value)| Point { key: key.clone(), value: *value, step: *step, at }));
    }
    points
}

/// Scalars under dotted names; a list is one value.
fn flatten(name: String, value: &Json, flat: &mut Vec<(String, String)>) {
    match value {
        Json::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let name = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
                flatten(name, value, flat);
            }
        }
        Json::Object(_) => {}
        Json::String(text) => flat.push((name, text.clone())),
        other => flat.push((name, other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_flat_and_lists_are_one_value() {
        let mut flat = Vec::new();
        flatten(
            String::new(),
            &json!({ "factors": 64, "solver": { "cg": { "steps": 3 } }, "at": [5, 10], "no": null }),
            &mut flat,
        );
        let flat: Vec<(&str, &str)> =
            flat.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(flat, [("at", "[5,10]"), ("factors", "64"), ("no", "null"), ("solver.cg.steps", "3")]);
    }

    #[test]
    fn numbers_stand_at_the_end_of_their_curves() {
        let metrics: BTreeMap<String, f64> = [("loss".to_owned(), 0.5), ("ndcg@10".to_owned(), 0.1)].into();
        let points = final_points("als.", &metrics, None, 7);
        let found: Vec<(&str, u64)> = points.iter().map(|point| (point.key.as_str(), point.step)).collect();
        assert_eq!(found, [("als.loss", 0), ("als.ndcg_at_10", 0)]);
    }
}
