//! Taking the present outputs of a step as its result, on somebody's word.

use std::collections::BTreeMap;
use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

use super::decide::{Ground, InputsError, Outputs};
use super::digest::Digest;
use super::files::FilesError;
use super::fingerprint::Fingerprint;
use super::kind::Notes;
use super::release::{NameTaken, Release, Released};
use super::store::{Object, StepResult};

/// Why outputs cannot be accepted.
#[derive(Debug, Error, Diagnostic)]
pub enum AcceptError {
    /// There is nothing to accept.
    #[error("the output `{port}` is not there: `{}`", path.display())]
    #[diagnostic(help("put the file there, or let the step make it: `recsys run`"))]
    Missing {
        /// The output port.
        port: String,
        /// Where it was expected.
        path: PathBuf,
    },
    /// A run is at work on the pipeline.
    #[error("a run of the pipeline `{0}` is at work")]
    #[diagnostic(help("wait for it to end, or stop it"))]
    Busy(String),
    /// A step before it has no outputs.
    #[error("the inputs of the step are not known")]
    #[diagnostic(help("run what comes before it first: `recsys run` with `--until` and the step before"))]
    InputsUnknown,
    /// Another pipeline has the name.
    #[error(transparent)]
    #[diagnostic(transparent)]
    NameTaken(#[from] NameTaken),
    /// An input cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Inputs(#[from] InputsError),
    /// The disk refused.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Files(#[from] FilesError),
}

/// Records the present outputs of a step as its result; the paths and their digests.
///
/// # Errors
/// See [`AcceptError`].
pub fn accept(ground: &Ground<'_>, position: usize) -> Result<BTreeMap<PathBuf, Digest>, AcceptError> {
    let Ground { plan, store, root, .. } = *ground;
    store.prepare()?;
    let busy = || AcceptError::Busy(plan.name.clone());
    let _shared = store.share()?.ok_or_else(busy)?;
    let _release = store.lock_release(&plan.name)?.ok_or_else(busy)?;
    let mut release = Release::open(root, store, &plan.name);
    release.belong_to(&plan.path)?;
    let released = |name: &str| release.state.steps.get(name).map(Released::objects);
    let made: Vec<Option<Outputs>> = plan.steps.iter().map(|step| released(&step.name)).collect();
    let inputs = ground.inputs(position, &made)?.ok_or(AcceptError::InputsUnknown)?;
    let step = &plan.steps[position];
    let mut outputs = Outputs::new();
    let mut taken = BTreeMap::new();
    for output in &step.outputs {
        let path = root.join(&output.path);
        let missing = || AcceptError::Missing { port: output.port.clone(), path: output.path.clone() };
        let metadata = std::fs::symlink_metadata(&path).map_err(|_| missing())?;
        if !metadata.is_file() {
            return Err(missing());
        }
        let digest = store.digests().digest(&path)?;
        let object = Object { digest, size: metadata.len() };
        if !store.holds(&object) {
            store.adopt(&path, &object)?;
        }
        taken.insert(output.path.clone(), digest);
        outputs.insert(output.port.clone(), object);
    }
    let fingerprint = Fingerprint { definition: plan.definition(position), inputs };
    let notes =
        Notes { warnings: vec!["accepted by hand, not made by the step".to_owned()], ..Notes::default() };
    let result = StepResult::new(fingerprint, outputs, notes, 0.0);
    let key = store.lock_key(&result.fingerprint.key())?.ok_or_else(busy)?;
    key.record(&result)?;
    drop(key);
    let staging = store.stage()?;
    release.place(store, &staging, step, Released::new(step, result))?;
    store.sync()?;
    release.save()?;
    release.publish(store)?;
    Ok(taken)
}
