//! A pipeline, opened: its plan, the store, what is released of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::CommandError;
use super::project::PipelineArgs;
use crate::steps::KINDS;
use crate::workflow::decide::{Force, Ground};
use crate::workflow::forecast::{Forecast, forecast};
use crate::workflow::plan::kept::{self, Origin};
use crate::workflow::plan::{Plan, Source};
use crate::workflow::release::Release;
use crate::workflow::remote::ReadThrough;
use crate::workflow::store::Store;
use crate::workflow::values::Scope;
use crate::workflow::witness::{ENDING, Place};

/// What commands about a pipeline work with; nothing is written by opening it.
pub struct Workspace {
    /// The plan.
    pub plan: Plan,
    /// `cache/`.
    pub store: Store,
    root: PathBuf,
    args: PipelineArgs,
    /// Where the plan is kept.
    path: PathBuf,
    /// What it was made from; nothing when a file changed while it was made.
    origin: Option<Origin>,
    is_kept: bool,
    /// Where results are looked for that are not in the store.
    pub remote: Option<ReadThrough>,
}

/// The store of the project in the folder `root`.
pub fn store(root: &Path) -> Store {
    Store::open(&root.join("cache"))
}

impl PipelineArgs {
    /// The pipeline, read, resolved, checked and opened.
    ///
    /// # Errors
    /// Everything that is wrong with the file or the changes to it.
    pub fn open(&self, root: &Path) -> Result<Workspace, CommandError> {
        let store = store(root);
        let path = store.plan_path(kept::key(root, &self.pipeline, &self.overrides()));
        let found = kept::find(&path, KINDS, &Scope::from_environment(root));
        let is_kept = found.is_some();
        let (plan, origin) = match found {
            Some((plan, origin)) => (plan, Some(origin)),
            None => {
                let (spec, plan) = self.plan(root)?;
                (plan, Origin::of(&spec))
            }
        };
        Ok(Workspace {
            plan,
            store,
            root: root.to_owned(),
            args: self.clone(),
            path,
            origin,
            is_kept,
            remote: None,
        })
    }
}

impl Workspace {
    /// Keeps the plan, so that the next command need not read and check the file again.
    pub fn keep_plan(&self) {
        if !self.is_kept
            && let Some(origin) = &self.origin
            && let Err(error) = kept::keep(&self.path, origin, &self.plan)
        {
            tracing::warn!("the plan is not kept: {error}");
        }
    }

    /// Where a run of all steps leaves its witness.
    pub fn witness(&self) -> Option<Place> {
        let path = self.path.with_extension(ENDING);
        Some(Place { path, origin: self.origin.clone()? })
    }

    /// Checks that the files exist which the selected steps read and no step writes.
    ///
    /// # Errors
    /// Each file that is missing, at its place in the pipeline.
    pub fn check_files(&self, selected: &BTreeSet<usize>) -> Result<(), CommandError> {
        let inputs = selected.iter().flat_map(|&position| &self.plan.steps[position].inputs);
        let files: BTreeSet<&Path> = inputs
            .filter_map(|input| match &input.source {
                Source::File(path) => Some(path.as_path()),
                Source::Step { .. } => None,
            })
            .collect();
        if files.iter().all(|path| self.root.join(path).is_file()) {
            return Ok(());
        }
        // Only now the text of the file is needed, to underline the place.
        let (spec, plan) = self.args.plan(&self.root)?;
        plan.check_files(&spec, selected, &self.root).map_err(CommandError::usage)
    }

    /// What is released.
    pub fn release(&self) -> Release {
        Release::open(&self.root, &self.store, &self.plan.name)
    }

    /// What decisions are made from.
    pub fn ground<'a>(&'a self, force: &'a Force) -> Ground<'a> {
        Ground { plan: &self.plan, store: &self.store, root: &self.root, force, remote: self.remote.as_ref() }
    }

    /// What a run of the selected steps would do.
    ///
    /// # Errors
    /// When an input file cannot be read.
    pub fn forecast(
        &self,
        selected: &BTreeSet<usize>,
        force: &Force,
    ) -> Result<Vec<Option<Forecast>>, CommandError> {
        forecast(&self.ground(force), selected, &self.release()).map_err(CommandError::failed)
    }

    /// Every step that a run without further words would look at.
    pub fn everything(&self) -> BTreeSet<usize> {
        let steps = self.plan.steps.iter().enumerate();
        steps.filter(|(_, step)| !step.kind.service).map(|(position, _)| position).collect()
    }
}
