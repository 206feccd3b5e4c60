//! `recsys accept`: the present outputs of a step are good as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::Args;
use miette::Diagnostic;
use thiserror::Error;

use super::CommandError;
use super::project::PipelineArgs;
use crate::console;
use crate::workflow::accept::{AcceptError, accept};
use crate::workflow::decide::Force;
use crate::workflow::forecast::Forecast;

/// Take the present outputs of a step as good, without running it.
///
/// For a file that was mended by hand, or a change that makes no difference to the outputs. What
/// comes after the step runs again if the accepted bytes differ from the last ones.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  recsys accept preprocess          after a change of its command that changes no output")]
pub struct AcceptArgs {
    /// The step
    #[arg(value_name = "STEP")]
    step: String,

    #[command(flatten)]
    pipeline: PipelineArgs,
}

#[derive(Debug, Error, Diagnostic)]
#[error("`{step}` cannot be accepted while `{before}` before it is not up to date")]
#[diagnostic(help("run what comes before it first: `recsys run {} --until {before}`", pipeline.display()))]
struct NotUpToDate {
    pipeline: std::path::PathBuf,
    step: String,
    before: String,
}

/// Accepts the outputs and says which.
///
/// # Errors
/// When the pipeline is wrong, a step before it is not up to date, or an output is missing.
pub fn accept_step(args: &AcceptArgs, root: &Path) -> Result<(), CommandError> {
    let workspace = args.pipeline.open(root)?;
    let position = workspace.plan.position(&args.step).map_err(CommandError::usage)?;
    let mut before: BTreeSet<usize> = workspace.plan.before(position);
    before.remove(&position);
    workspace.check_files(&before)?;
    let forecasts = workspace.forecast(&before, &Force::Nothing)?;
    for &step in &before {
        if !matches!(forecasts[step], Some(Forecast::Hit { restores: false, .. })) {
            let before = workspace.plan.steps[step].name.clone();
            return Err(CommandError::failed(NotUpToDate {
                pipeline: workspace.plan.path.clone(),
                step: args.step.clone(),
                before,
            }));
        }
    }
    let force = Force::Nothing;
    let taken: BTreeMap<_, _> = accept(&workspace.ground(&force), position).map_err(|error| match error {
        AcceptError::Missing { .. } => CommandError::usage(error),
        error => CommandError::failed(error),
    })?;
    for (path, digest) in taken {
        console::say(&format!("`{}` is accepted ({})\n", path.display(), &digest.to_string()[..12]));
    }
    Ok(())
}
