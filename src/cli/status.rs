//! `recsys status`: would each step run, and why?

use std::path::Path;
use std::sync::Arc;

use clap::Args;

use super::cache_remote::CacheFrom;
use super::format::Format;
use super::project::PipelineArgs;
use super::{CommandError, forecasts};
use crate::console;
use crate::workflow::decide::Force;
use crate::workflow::executor;

/// Say of each step whether it would run, and why; nothing is run or written.
///
/// RUN: it runs. HIT: its result is known. MAYBE: it runs unless the steps before it make the same
/// bytes as last time.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys status pipelines/music.yaml
  recsys status --set als.factors=128
  recsys status --format json | jq '.steps[] | select(.forecast == \"run\")'")]
pub struct StatusArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,

    #[command(flatten)]
    cache_from: CacheFrom,

    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Prints the forecast of every step.
///
/// # Errors
/// When the pipeline is wrong or an input cannot be read.
pub fn status(args: &StatusArgs, root: &Path) -> Result<(), CommandError> {
    let mut workspace = args.pipeline.open(root)?;
    workspace.remote = args.cache_from.open(root, Arc::default())?;
    let all = workspace.everything();
    workspace.check_files(&all)?;
    let forecasts = workspace.forecast(&all, &Force::Nothing)?;
    console::say(&match args.format {
        Format::Text => forecasts::text(&workspace.plan, &forecasts),
        Format::Json => forecasts::json(&workspace.plan, &forecasts),
    });
    executor::check(&workspace.plan, &all, &workspace.store, root).map_err(CommandError::failed)
}
