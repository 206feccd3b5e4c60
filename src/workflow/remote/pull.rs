//! Taking everything that a pipeline needs from a remote cache, as far as it is there, without running
//! a step.

use std::collections::BTreeSet;
use std::path::Path;

use miette::Diagnostic;
use serde::Serialize;
use thiserror::Error;

use super::fetch::FetchError;
use super::{Moved, ReadThrough};
use crate::workflow::decide::{Decision, Ground, InputsError, Outputs};
use crate::workflow::files::FilesError;
use crate::workflow::release::Release;

/// What was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Pulled {
    /// Steps whose results were taken.
    pub fetched: Vec<String>,
    /// Steps whose results were here.
    pub known: usize,
    /// Steps whose results are not there.
    pub missing: Vec<String>,
    /// Steps of which that cannot be told, because they read what missing ones make.
    pub unknown: Vec<String>,
}

/// Why pulling ended early; what was taken until then is kept.
#[derive(Debug, Error, Diagnostic)]
#[error(transparent)]
#[diagnostic(transparent)]
pub enum PullError {
    /// An input cannot be read.
    Inputs(#[from] InputsError),
    /// The cache cannot be read, or has what cannot be trusted.
    Fetch(#[from] FetchError),
    /// The disk refused.
    Files(#[from] FilesError),
}

/// Takes the results of the selected steps into the store of the ground.
///
/// # Errors
/// When an input or the cache cannot be read, or the disk refuses.
pub fn pull(
    ground: &Ground<'_>,
    selected: &BTreeSet<usize>,
    release: &Release,
    from: &ReadThrough,
    scratch: &Path,
    moved: Moved<'_>,
) -> Result<Pulled, PullError> {
    let steps = &ground.plan.steps;
    let mut made: Vec<Option<Outputs>> = vec![None; steps.len()];
    let mut pulled = Pulled::default();
    for &position in selected {
        let step = &steps[position];
        let Some(inputs) = ground.inputs(position, &made)? else {
            pulled.unknown.push(step.name.clone());
            continue;
        };
        made[position] = match ground.decide(position, &inputs, release) {
            Decision::Unchanged => release.state.steps.get(&step.name).map(|released| released.objects()),
            Decision::Restore(result, _) => Some(result.outputs),
            Decision::Run(key, _) => {
                let held = ground.store.lock_key(&key)?;
                let found = from.record(&key)?;
                let (Some(held), Some(found)) = (held, found) else {
                    pulled.missing.push(step.name.clone());
                    continue;
                };
                from.take(&found, ground.store, &held, scratch, moved)?;
                pulled.fetched.push(step.name.clone());
                made[position] = Some(found.outputs);
                continue;
            }
        };
        pulled.known += 1;
    }
    Ok(pulled)
}
