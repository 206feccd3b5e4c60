//! `recsys check`: is a pipeline file right?

use std::collections::BTreeSet;
use std::path::Path;

use clap::Args;

use super::CommandError;
use super::project::PipelineArgs;
use crate::console::say;

/// Check a pipeline file without running anything.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys check pipelines/music.yaml
  recsys check --set als.factors=0          every mistake is shown at its place")]
pub struct CheckArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,
}

/// Says how many steps are fine, or everything that is wrong.
///
/// # Errors
/// When the pipeline is wrong or one of its input files is missing.
pub fn check(args: &CheckArgs, root: &Path) -> Result<(), CommandError> {
    let (spec, plan) = args.pipeline.plan(root)?;
    let all: BTreeSet<usize> = (0..plan.steps.len()).collect();
    plan.check_files(&spec, &all, root).map_err(|error| CommandError::Usage(error.into()))?;
    say(&format!("`{}` is right: {} steps", spec.path.display(), plan.steps.len()));
    Ok(())
}
