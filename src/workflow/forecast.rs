//! What a run would do, and why, back to the root edit; nothing is written.

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::decide::{Decision, Ground, InputsError, Outputs};
use super::digest::Digest;
use super::event::{Reason, Reused};
use super::fingerprint::{Change, RunKey};
use super::plan::Source;
use super::release::Release;
use super::store::StepResult;

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
        /// Whether something has to be put in its place.
        restores: bool,
    },
    /// That depends on whether steps before it make the same bytes as last time.
    Maybe {
        /// The steps that decide it.
        after: Vec<String>,
    },
    /// That depends on something outside of the project which cannot be asked now.
    Unknown {
        /// Why not.
        why: String,
    },
}

/// One step of an explanation: what would happen to a step, and the steps that this comes from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Link {
    /// The step.
    pub step: String,
    /// What would happen to it.
    #[serde(flatten)]
    pub forecast: Forecast,
}

/// What a run of the selected steps would do, by position; nothing for the steps outside.
///
/// # Errors
/// When an input file cannot be read.
pub fn forecast(
    ground: &Ground<'_>,
    selected: &BTreeSet<usize>,
    release: &Release,
) -> Result<Vec<Option<Forecast>>, InputsError> {
    let steps = &ground.plan.steps;
    let known = LazyCell::new(|| ground.store.definitions());
    let mut made: Vec<Option<Outputs>> = vec![None; steps.len()];
    let mut forecasts = Vec::with_capacity(steps.len());
    for (position, step) in steps.iter().enumerate() {
        let released = release.state.steps.get(&step.name);
        if !selected.contains(&position) {
            made[position] = released.map(|released| released.objects());
            forecasts.push(None);
            continue;
        }
        let inputs = match ground.inputs(position, &made) {
            Err(InputsError::Outside(error)) => {
                forecasts.push(Some(Forecast::Unknown { why: error.to_string() }));
                continue;
            }
            inputs => inputs?,
        };
        let forecast = match inputs {
            Some(inputs) => match ground.decide(position, &inputs, release) {
                Decision::Unchanged => {
                    made[position] = released.map(|released| released.objects());
                    Forecast::Hit { reason: Reused::Unchanged, restores: false }
                }
                Decision::Restore(result, reason) => {
                    made[position] = Some(result.outputs);
                    Forecast::Hit { reason, restores: true }
                }
                Decision::Run(key, reason) => match elsewhere(ground, &key, &reason) {
                    Some((result, reason)) => {
                        made[position] = Some(result.outputs);
                        Forecast::Hit { reason, restores: true }
                    }
                    None => Forecast::Run { reason },
                },
            },
            None => beyond_a_run(ground, position, &made, release, |definition| known.contains(&definition)),
        };
        forecasts.push(Some(forecast));
    }
    Ok(forecasts)
}

/// A result that is in the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Its name there.
    pub key: RunKey,
    /// The numbers that the step left.
    pub metrics: BTreeMap<String, f64>,
}

/// The results of the selected steps by position, when none of them would run; nothing otherwise.
///
/// # Errors
/// When an input file cannot be read.
pub fn results(
    ground: &Ground<'_>,
    selected: &BTreeSet<usize>,
    release: &Release,
) -> Result<Option<BTreeMap<usize, Known>>, InputsError> {
    let mut made: Vec<Option<Outputs>> = vec![None; ground.plan.steps.len()];
    let mut known = BTreeMap::new();
    for &position in selected {
        let Some(inputs) = ground.inputs(position, &made)? else { return Ok(None) };
        let result = match ground.decide(position, &inputs, release) {
            Decision::Unchanged => {
                let released = release.state.steps.get(&ground.plan.steps[position].name);
                let Some(released) = released else { return Ok(None) };
                made[position] = Some(released.objects());
                Known { key: released.key, metrics: released.metrics.clone() }
            }
            Decision::Restore(result, _) => {
                let key = result.fingerprint.key();
                made[position] = Some(result.outputs);
                Known { key, metrics: result.notes.metrics }
            }
            Decision::Run(..) => return Ok(None),
        };
        known.insert(position, result);
    }
    Ok(Some(known))
}

/// The result of a step that would be fetched from a remote cache.
fn elsewhere(ground: &Ground<'_>, key: &RunKey, reason: &Reason) -> Option<(StepResult, Reused)> {
    let remote = ground.remote.filter(|_| reason.may_be_fetched())?;
    // A run warns of what is wrong with it; the step would run then.
    let result = remote.record(key).ok()??;
    Some((result, Reused::Fetched { from: remote.address().to_owned() }))
}

/// About a step whose inputs are not known yet: it runs for sure when nothing was ever made with its
/// present definition.
fn beyond_a_run(
    ground: &Ground<'_>,
    position: usize,
    made: &[Option<Outputs>],
    release: &Release,
    known: impl Fn(Digest) -> bool,
) -> Forecast {
    let step = &ground.plan.steps[position];
    if step.kind.service {
        return Forecast::Run { reason: Reason::Service };
    }
    if ground.force.covers(position) {
        return Forecast::Run { reason: Reason::Forced };
    }
    if !known(step.definition) {
        let reason = match release.state.steps.get(&step.name) {
            Some(released) => Reason::Changed(ground.changes(position, None, released)),
            None => Reason::NeverRun,
        };
        return Forecast::Run { reason };
    }
    let after = step.dependencies.iter().filter(|&&dependency| made[dependency].is_none());
    Forecast::Maybe { after: after.map(|&step| ground.plan.steps[step].name.clone()).collect() }
}

/// Why a forecast is what it is: the step, then what it comes from, back to the root edits.
pub fn explain(ground: &Ground<'_>, forecasts: &[Option<Forecast>], position: usize) -> Vec<Link> {
    let steps = &ground.plan.steps;
    let mut links = Vec::new();
    let mut told = BTreeSet::from([position]);
    let mut next = vec![position];
    while let Some(position) = next.pop() {
        let Some(forecast) = &forecasts[position] else { continue };
        links.push(Link { step: steps[position].name.clone(), forecast: forecast.clone() });
        let mut causes = causes(ground, forecast, position);
        causes.retain(|&cause| told.insert(cause));
        next.extend(causes.into_iter().rev());
    }
    links
}

/// The steps before one from which its forecast comes.
fn causes(ground: &Ground<'_>, forecast: &Forecast, position: usize) -> Vec<usize> {
    let step = &ground.plan.steps[position];
    let changes: &[Change] = match forecast {
        Forecast::Maybe { after } => {
            let named = |position: &&usize| after.contains(&ground.plan.steps[**position].name);
            return step.dependencies.iter().filter(named).copied().collect();
        }
        Forecast::Run { reason: Reason::Changed(changes) } => changes,
        Forecast::Hit { reason: Reused::Restored { changes }, .. } => changes,
        _ => &[],
    };
    let changed = |label: &str| {
        changes.iter().any(|change| matches!(change, Change::Input { input } if input == label))
    };
    let sources = step.inputs.iter().filter(|input| changed(&input.label()));
    let sources = sources.filter_map(|input| match &input.source {
        Source::Step { step, .. } => Some(*step),
        Source::File(_) => None,
    });
    let sources: BTreeSet<usize> = sources.collect();
    sources.into_iter().collect()
}
