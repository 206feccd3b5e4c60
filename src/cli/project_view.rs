//! The pipeline of a project for the page of its service: which it is, and the states of its steps.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::project::PipelineArgs;
use super::workspace::{Workspace, store};
use super::{CommandError, forecasts};
use crate::serve::project::{Pipeline, PipelineStep, Pipelines};
use crate::workflow::decide::Force;
use crate::workflow::forecast::Forecast;
use crate::workflow::release::Release;
use crate::workflow::render::{self, StepState};

/// The project in a folder, looked at anew each time.
pub struct ProjectView {
    root: PathBuf,
    /// The pipeline file that was asked for; by default that of the newest release.
    pipeline: Option<PathBuf>,
}

impl ProjectView {
    /// The project in `root`.
    pub fn new(root: &Path, pipeline: Option<PathBuf>) -> Self {
        Self { root: root.to_owned(), pipeline }
    }

    /// The pipeline file whose release is the newest.
    fn newest(&self) -> Option<PathBuf> {
        let manifests = fs::read_dir(self.root.join("artifacts")).ok()?.flatten();
        let named = manifests.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let pipeline = name.strip_prefix("manifest.")?.strip_suffix(".json")?.to_owned();
            let at = entry.metadata().and_then(|about| about.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
            Some((at, pipeline))
        });
        let (_, name) = named.max()?;
        let file = Release::open(&self.root, &store(&self.root), &name).state.file;
        self.root.join(&file).is_file().then_some(file)
    }
}

impl Pipelines for ProjectView {
    fn now(&self) -> Result<Option<Pipeline>, String> {
        let Some(file) = self.pipeline.clone().or_else(|| self.newest()) else { return Ok(None) };
        let name = file.display().to_string();
        let args = PipelineArgs { pipeline: file, configs: Vec::new(), vars: Vec::new(), set: Vec::new() };
        let told = args.open(&self.root).and_then(|workspace| {
            let states = states(&workspace)?;
            Ok(pipeline(&workspace, name, states))
        });
        told.map(Some).map_err(|error| error.to_string())
    }
}

fn pipeline(workspace: &Workspace, file: String, states: Vec<StepState>) -> Pipeline {
    let plan = &workspace.plan;
    let svg = render::svg(plan, Some(&states));
    let steps = plan.steps.iter().zip(states).map(|(step, StepState { state, reason, seconds })| {
        let after = step.dependencies.iter().map(|&before| plan.steps[before].name.clone()).collect();
        PipelineStep {
            name: step.name.clone(),
            kind: step.kind.name.to_owned(),
            state,
            reason,
            seconds,
            after,
        }
    });
    Pipeline { name: plan.name.clone(), file, steps: steps.collect(), svg }
}

/// What would happen to each step of a pipeline now.
///
/// # Errors
/// When an input is missing or cannot be read.
pub fn states(workspace: &Workspace) -> Result<Vec<StepState>, CommandError> {
    let all = workspace.everything();
    workspace.check_files(&all)?;
    let forecasts = workspace.forecast(&all, &Force::Nothing)?;
    let released = workspace.release().state.steps;
    let states = workspace.plan.steps.iter().zip(&forecasts).map(|(step, forecast)| {
        let state = match forecast {
            Some(Forecast::Hit { .. }) => "up to date",
            Some(Forecast::Run { .. }) => "would run",
            Some(Forecast::Maybe { .. } | Forecast::Unknown { .. }) => "maybe",
            None => "when asked for",
        };
        StepState {
            state: state.to_owned(),
            reason: forecast.as_ref().map(forecasts::reason).unwrap_or_default(),
            seconds: released.get(&step.name).map(|released| released.seconds),
        }
    });
    Ok(states.collect())
}
