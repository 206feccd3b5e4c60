//! `recsys run`: runs a pipeline, or says what it would run.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use miette::Diagnostic;
use signal_hook::consts::{SIGINT, SIGTERM};
use thiserror::Error;

use super::CommandError;
use super::project::PipelineArgs;
use crate::console;
use crate::workflow::decide::{Force, Forecast, forecast};
use crate::workflow::event::{Listener, Reused};
use crate::workflow::executor::{self, Options, World};
use crate::workflow::history::RunRecord;
use crate::workflow::plan::{Plan, Selection};
use crate::workflow::release::Release;
use crate::workflow::store::Store;

/// Run a pipeline: what has changed, and what depends on it.
///
/// Steps whose inputs and parameters are as before are not run again; their results come from
/// `cache/`. Results are released under `artifacts/` as each step is done.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys run pipelines/demo.yaml
  recsys run pipelines/music.yaml --var raw=data/raw
  recsys run --var factors=128 --dry-run         what would run, and why
  recsys run --from als                          `als` and everything after it
  recsys run --until split                       `split` and everything before it
  recsys run --only evaluate --force             just this step, even if nothing changed
  recsys run --serve                             and start the `serve` step at the end")]
pub struct RunArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,

    /// Run STEP and what depends on it; take what lies before it from the store as it is
    #[arg(long, value_name = "STEP")]
    from: Vec<String>,

    /// Run STEP and what it depends on
    #[arg(long, value_name = "STEP")]
    until: Vec<String>,

    /// Run STEP alone; take what it reads from the store as it is
    #[arg(long, value_name = "STEP")]
    only: Vec<String>,

    /// Run even if nothing changed: every selected step, or those named
    #[arg(long, value_name = "STEP", num_args = 0..=1, default_missing_value = "")]
    force: Vec<String>,

    /// Say what would run and why; do nothing
    #[arg(long)]
    dry_run: bool,

    /// Threads for steps that run at the same time [default: one per core]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,

    /// After a failure, run what does not depend on it
    #[arg(long)]
    keep_going: bool,

    /// Start the steps that serve when everything else is done, until Ctrl-C
    #[arg(long)]
    serve: bool,

    /// How to tell of the run
    #[arg(long, env = "RECSYS_LOG_FORMAT", value_enum, default_value_t = console::LogFormat::Text)]
    log_format: console::LogFormat,
}

#[derive(Debug, Error, Diagnostic)]
#[error("no step is left to run: `--from`, `--until` and `--only` have nothing in common")]
#[diagnostic(help("`recsys graph` shows what depends on what; a step that serves runs only with `--serve`"))]
struct NothingSelected;

/// Runs the pipeline.
///
/// # Errors
/// When the pipeline is wrong, a step fails, or the run is stopped.
pub fn run(args: &RunArgs, root: &Path) -> Result<(), CommandError> {
    let (spec, plan) = args.pipeline.plan(root)?;
    let usage = |error: Box<dyn miette::Diagnostic + Send + Sync>| CommandError::Usage(error);
    let selection = Selection { from: args.from.clone(), until: args.until.clone(), only: args.only.clone() };
    let mut selected = plan.select(&selection).map_err(|error| usage(error.into()))?;
    let named = |position: &usize| args.only.contains(&plan.steps[*position].name);
    selected.retain(|position| args.serve || !plan.steps[*position].kind.service || named(position));
    if selected.is_empty() {
        return Err(usage(NothingSelected.into()));
    }
    plan.check_files(&spec, &selected, root).map_err(|error| usage(error.into()))?;
    let force = force(args, &plan)?;
    let failed = |error: Box<dyn miette::Diagnostic + Send + Sync>| CommandError::Failed(error);
    let store = Store::open(&root.join("cache")).map_err(|error| failed(error.into()))?;
    if args.dry_run {
        let manifest = Release::open(root, &plan.name).manifest;
        let forecasts = forecast(&plan, &selected, &store, root, &manifest, &force);
        show(&plan, &forecasts.map_err(|error| failed(error.into()))?);
        return Ok(());
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The second signal ends the process at once; children die with it.
        let armed = signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)));
        if let Err(error) = armed {
            tracing::warn!("Ctrl-C will end the run without cleaning up: {error}");
        }
    }
    let record = RunRecord::new(&store.runs());
    let logs = record.logs();
    let listeners: Vec<Box<dyn Listener>> = vec![Box::new(record), console::listener(args.log_format)];
    let jobs =
        args.jobs.map_or_else(|| std::thread::available_parallelism().map_or(1, Into::into), usize::from);
    let options = Options { selected, force, jobs, keep_going: args.keep_going };
    let world = World { root, store: &store, logs: &logs, listener: &listeners, stop: &stop };
    let tally = executor::run(&plan, &options, &world).map_err(|error| failed(error.into()))?;
    match tally {
        tally if tally.is_stopped() => Err(CommandError::Stopped),
        tally if tally.failed > 0 => Err(CommandError::StepFailed),
        _ => Ok(()),
    }
}

fn force(args: &RunArgs, plan: &Plan) -> Result<Force, CommandError> {
    if args.force.is_empty() {
        return Ok(Force::Nothing);
    }
    if args.force.iter().any(String::is_empty) {
        return Ok(Force::Everything);
    }
    let steps: Result<BTreeSet<usize>, _> = args.force.iter().map(|name| plan.position(name)).collect();
    steps.map(Force::Steps).map_err(|error| CommandError::Usage(error.into()))
}

fn show(plan: &Plan, forecasts: &[(usize, Forecast)]) {
    let width = forecasts.iter().map(|(position, _)| plan.steps[*position].name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (position, forecast) in forecasts {
        let (word, reason) = match forecast {
            Forecast::Run { reason } => ("RUN  ", reason.to_string()),
            Forecast::Hit { reason: Reused::Restored } => ("HIT  ", "an earlier result fits".to_owned()),
            Forecast::Hit { .. } => ("HIT  ", "unchanged".to_owned()),
            Forecast::Maybe { after } => {
                let make = if after.len() == 1 { "makes" } else { "make" };
                ("MAYBE", format!("not if {} {make} the same bytes again", after.join(" and ")))
            }
        };
        text.push_str(&format!("{word}  {:width$}  {reason}\n", plan.steps[*position].name));
    }
    console::say(&text);
}
