//! Does a step have to run, and why: present fingerprints against what is released and stored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::event::{Reason, Reused};
use super::files::FilesError;
use super::fingerprint::{Digest, Fingerprint};
use super::plan::{Plan, Source};
use super::release::Manifest;
use super::store::{Lookup, StepResult, Store};

/// Which steps run even when their results are in the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Force {
    /// None.
    #[default]
    Nothing,
    /// Every selected step.
    Everything,
    /// These.
    Steps(BTreeSet<usize>),
}

impl Force {
    /// Whether it covers the step at `position`.
    pub fn covers(&self, position: usize) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Steps(steps) => steps.contains(&position),
        }
    }
}

/// What is to be done about a step whose inputs are all known.
pub enum Decision {
    /// Nothing has to run.
    Reuse(Box<StepResult>, Reused),
    /// It has to run.
    Run(Fingerprint, Reason),
}

/// Decides on a step whose inputs have these digests.
pub fn decide(
    plan: &Plan,
    position: usize,
    inputs: BTreeMap<String, Digest>,
    store: &Store,
    manifest: &Manifest,
    force: &Force,
) -> Decision {
    let step = &plan.steps[position];
    let fingerprint = Fingerprint::new(step, inputs);
    let released = manifest.steps.get(&step.name);
    if step.kind.service {
        return Decision::Run(fingerprint, Reason::Service);
    }
    if force.covers(position) {
        return Decision::Run(fingerprint, Reason::Forced);
    }
    let unchanged = released.is_some_and(|released| released.fingerprint == fingerprint);
    match store.lookup(&fingerprint.key()) {
        Lookup::Hit(result) => {
            Decision::Reuse(result, if unchanged { Reused::Unchanged } else { Reused::Restored })
        }
        Lookup::Damaged { output } => Decision::Run(fingerprint, Reason::Damaged { output }),
        Lookup::Unknown => {
            let reason = match released {
                None => Reason::NeverRun,
                Some(_) if unchanged => Reason::Evicted,
                Some(released) => Reason::Changed(fingerprint.changes_since(&released.fingerprint)),
            };
            Decision::Run(fingerprint, reason)
        }
    }
}

/// The digests of a step's inputs; `made` gives those of the steps before it.
///
/// # Errors
/// When a file cannot be read; `Ok(None)` when a step before it has not run yet.
pub fn input_digests(
    plan: &Plan,
    position: usize,
    store: &Store,
    root: &Path,
    made: impl Fn(usize, &str) -> Option<Digest>,
) -> Result<Option<BTreeMap<String, Digest>>, FilesError> {
    let mut digests = BTreeMap::new();
    for input in &plan.steps[position].inputs {
        let digest = match &input.source {
            Source::Step { step, port } => match made(*step, port) {
                Some(digest) => digest,
                None => return Ok(None),
            },
            Source::File(path) => store.digests().digest(&root.join(path))?,
        };
        digests.insert(input.label(), digest);
    }
    Ok(Some(digests))
}

/// What a run would do about one step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "forecast", rename_all = "snake_case")]
pub enum Forecast {
    /// It would run.
    Run {
        /// Why.
        reason: Reason,
    },
    /// It would not run.
    Hit {
        /// Why not.
        reason: Reused,
    },
    /// That depends on whether steps before it make the same bytes as last time.
    Maybe {
        /// The steps that decide it.
        after: Vec<String>,
    },
}

/// What a run of the selected steps would do, in order; nothing is written.
///
/// # Errors
/// When an input file cannot be read.
pub fn forecast(
    plan: &Plan,
    selected: &BTreeSet<usize>,
    store: &Store,
    root: &Path,
    manifest: &Manifest,
    force: &Force,
) -> Result<Vec<(usize, Forecast)>, FilesError> {
    let mut known: BTreeMap<usize, BTreeMap<String, Digest>> = BTreeMap::new();
    let mut forecasts = Vec::new();
    for (position, step) in plan.steps.iter().enumerate() {
        if !selected.contains(&position) {
            if let Some(released) = manifest.steps.get(&step.name) {
                let outputs =
                    released.outputs.iter().map(|(port, file)| (port.clone(), file.object.digest.clone()));
                known.insert(position, outputs.collect());
            }
            continue;
        }
        let made = |step: usize, port: &str| known.get(&step)?.get(port).cloned();
        let forecast = match input_digests(plan, position, store, root, made)? {
            Some(inputs) => match decide(plan, position, inputs, store, manifest, force) {
                Decision::Reuse(result, reason) => {
                    let outputs = result.outputs.into_iter().map(|(port, object)| (port, object.digest));
                    known.insert(position, outputs.collect());
                    Forecast::Hit { reason }
                }
                Decision::Run(_, reason) => Forecast::Run { reason },
            },
            None if force.covers(position) => Forecast::Run { reason: Reason::Forced },
            None if !manifest.steps.contains_key(&step.name) => Forecast::Run { reason: Reason::NeverRun },
            None => {
                let after = step.dependencies.iter().filter(|dependency| !known.contains_key(dependency));
                Forecast::Maybe {
                    after: after.map(|&dependency| plan.steps[dependency].name.clone()).collect(),
                }
            }
        };
        forecasts.push((position, forecast));
    }
    Ok(forecasts)
}
