//! What a step is told of the steps before it when its kind asks for it: what they are, and what the store
//! knows of the runs that made their results.

use std::collections::BTreeMap;

use serde_json::Value;

use super::digest::Digest;
use super::kind::Notes;
use super::plan::Plan;
use super::store::StepResult;

/// A step that another one comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Ancestor {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// The version of the kind.
    pub version: u32,
    /// Its parameters after defaults.
    pub parameters: Value,
    /// The steps that it depends on, by their places in the lineage, rising.
    pub after: Vec<usize>,
    /// The run that made what it released; nothing when the store has lost the record.
    pub made: Option<Made>,
}

/// The run of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Made {
    /// The name of the result: the hash of everything that it depends on.
    pub fingerprint: Digest,
    /// How long it took.
    pub seconds: f64,
    /// When it was done.
    pub finished: String,
    /// Bytes of all outputs.
    pub bytes: u64,
    /// What the step left beside its outputs.
    pub notes: Notes,
}

impl Plan {
    /// The steps before one, in the order of the plan; `result` finds what is recorded of a position.
    pub fn lineage(
        &self,
        position: usize,
        mut result: impl FnMut(usize) -> Option<StepResult>,
    ) -> Vec<Ancestor> {
        let mut before = self.before(position);
        before.remove(&position);
        let place: BTreeMap<usize, usize> = before.iter().copied().zip(0..).collect();
        let ancestors = before.iter().map(|&position| {
            let step = &self.steps[position];
            Ancestor {
                name: step.name.clone(),
                kind: step.kind.name.to_owned(),
                version: step.kind.version,
                parameters: step.parameters(),
                after: step.dependencies.iter().map(|before| place[before]).collect(),
                made: result(position).map(Made::from),
            }
        });
        ancestors.collect()
    }
}

impl From<StepResult> for Made {
    fn from(result: StepResult) -> Self {
        Self {
            fingerprint: result.fingerprint.key().whole,
            seconds: result.seconds,
            finished: result.finished,
            bytes: result.outputs.values().map(|output| output.size).sum(),
            notes: result.notes,
        }
    }
}
