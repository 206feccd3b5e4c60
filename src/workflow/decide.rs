//! Does a step have to run, and why: present fingerprints against what is released and stored.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use miette::Diagnostic;
use thiserror::Error;

use super::digest::Digest;
use super::event::{Reason, Reused};
use super::files::FilesError;
use super::fingerprint::{Change, Fingerprint, RunKey};
use super::outside::OutsideError;
use super::plan::{Plan, Source};
use super::probe::ProbeError;
use super::release::{Release, Released};
use super::remote::ReadThrough;
use super::store::{Lookup, Object, StepResult, Store};

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

/// The outputs of a step by port.
pub type Outputs = BTreeMap<String, Object>;

/// Digests of the inputs of a step by label.
pub type Inputs = BTreeMap<String, Digest>;

/// What is to be done about a step whose inputs are all known.
pub enum Decision {
    /// Nothing: what it makes is in its place.
    Unchanged,
    /// Its result is in the store and has to be put in its place.
    Restore(Box<StepResult>, Reused),
    /// It has to run.
    Run(RunKey, Reason),
}

/// Why the inputs of a step are not known.
#[derive(Debug, Error, Diagnostic)]
#[error(transparent)]
#[diagnostic(transparent)]
pub enum InputsError {
    /// A file cannot be read.
    Files(#[from] FilesError),
    /// A command of `fingerprint:` failed.
    Probe(#[from] ProbeError),
    /// What a step reads outside of the project cannot be told.
    Outside(#[from] OutsideError),
}

/// What decisions are made from.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What was made before.
    pub store: &'a Store,
    /// The project folder.
    pub root: &'a Path,
    /// Which steps run in any case.
    pub force: &'a Force,
    /// Where results are looked for that are not in the store.
    pub remote: Option<&'a ReadThrough>,
}

impl Ground<'_> {
    /// Decides on a step whose inputs have these digests.
    pub fn decide(&self, position: usize, inputs: &Inputs, release: &Release) -> Decision {
        let step = &self.plan.steps[position];
        let key =
            RunKey::new(step.definition, inputs.iter().map(|(label, digest)| (label.as_str(), *digest)));
        if step.kind.service {
            return Decision::Run(key, Reason::Service);
        }
        if self.force.covers(position) {
            return Decision::Run(key, Reason::Forced);
        }
        let released = release.state.steps.get(&step.name);
        let unchanged = released.is_some_and(|released| released.key == key);
        if let Some(released) = released.filter(|_| unchanged)
            && release.is_intact(self.store, step, released)
        {
            return Decision::Unchanged;
        }
        match self.store.lookup(&key) {
            Lookup::Hit(result) if unchanged => Decision::Restore(result, Reused::Unchanged),
            Lookup::Hit(result) => {
                let changes = released.map(|released| self.changes(position, Some(inputs), released));
                Decision::Restore(result, Reused::Restored { changes: changes.unwrap_or_default() })
            }
            Lookup::Damaged { output } => Decision::Run(key, Reason::Damaged { output }),
            Lookup::Unknown => match released {
                None => Decision::Run(key, Reason::NeverRun),
                Some(_) if unchanged => Decision::Run(key, Reason::Evicted),
                Some(released) => {
                    Decision::Run(key, Reason::Changed(self.changes(position, Some(inputs), released)))
                }
            },
        }
    }

    /// How a step differs from what is released of it, as far as is known.
    pub fn changes(&self, position: usize, inputs: Option<&Inputs>, released: &Released) -> Vec<Change> {
        let definition = self.plan.definition(position);
        let inputs = inputs.unwrap_or(&released.inputs);
        let present = Fingerprint { definition: definition.clone(), inputs: inputs.clone() };
        let recorded = self.store.recorded(&released.key).map(|result| result.fingerprint);
        let earlier = recorded.unwrap_or_else(|| Fingerprint { definition, inputs: released.inputs.clone() });
        present.changes_since(&earlier)
    }

    /// The digests of a step's inputs; `made` has those of the steps before it.
    ///
    /// # Errors
    /// When a file cannot be read or a command of `fingerprint:` fails; `Ok(None)` when a step before it has not run yet.
    pub fn inputs(&self, position: usize, made: &[Option<Outputs>]) -> Result<Option<Inputs>, InputsError> {
        let mut inputs = Inputs::new();
        for input in &self.plan.steps[position].inputs {
            let digest = match &input.source {
                Source::Step { step, port } => {
                    match made[*step].as_ref().and_then(|outputs| outputs.get(port)) {
                        Some(object) => object.digest,
                        None => return Ok(None),
                    }
                }
                Source::File(path) => self.store.digests().digest(&self.root.join(path))?,
            };
            inputs.insert(input.label(), digest);
        }
        let step = &self.plan.steps[position];
        for command in &step.probes {
            // A name that no port has.
            inputs.insert(format!("$ {command}"), self.store.probed(command, self.root, &step.environment)?);
        }
        if step.kind.outside {
            inputs.extend(self.store.outside(step, self.root)?);
        }
        Ok(Some(inputs))
    }
}

impl Released {
    /// The bytes that are released, by port.
    pub fn objects(&self) -> Outputs {
        self.outputs.iter().map(|(port, file)| (port.clone(), file.object.clone())).collect()
    }
}
