//! `recsys run`: runs a pipeline, or says what it would run.

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use clap::{Args, Command, FromArgMatches};
use miette::Diagnostic;
use thiserror::Error;

use super::cache_remote::CacheFrom;
use super::project::PipelineArgs;
use super::session::{self, Stop};
use super::{CommandError, forecasts, tracked};
use crate::console::{self, LogFormat};
use crate::workflow::decide::Force;
use crate::workflow::event::Listener;
use crate::workflow::executor::{self, Options, World};
use crate::workflow::history::RunRecord;
use crate::workflow::plan::{Plan, Selection};
use crate::workflow::spec::Overrides;

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
  recsys run --skip-download                     offline: with the local copies of what is downloaded
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

    /// After a failure, run what does not depend on it; without this nothing more starts, and what is at
    /// work finishes
    #[arg(long)]
    keep_going: bool,

    /// Take the local copies of what steps download as they are: nothing is asked for, nothing is fetched
    #[arg(long)]
    skip_download: bool,

    /// Start the steps that serve when everything else is done, until Ctrl-C
    #[arg(long)]
    serve: bool,

    #[command(flatten)]
    cache_from: CacheFrom,

    /// Results that no release needs go when the store grows beyond this: what is cheapest to make
    /// again per byte first
    #[arg(long, env = "RECSYS_CACHE_SIZE", value_name = "SIZE", default_value = super::cache::DEFAULT_SIZE, value_parser = super::cache::size)]
    cache_size: u64,

    /// How to tell of the run
    #[arg(long, env = "RECSYS_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
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
    let (pipeline, forced) = args.pipeline_and_forced();
    let mut project = pipeline.open(root)?;
    // A dry run ends at once on Ctrl-C.
    let stop = LazyCell::new(Stop::on_signals);
    let flag = if args.dry_run { Arc::default() } else { stop.flag() };
    project.remote = args.cache_from.open(root, flag)?;
    let selection = Selection { from: args.from.clone(), until: args.until.clone(), only: args.only.clone() };
    let mut selected = project.plan.select(&selection).map_err(CommandError::usage)?;
    if args.skip_download {
        project.plan.take_local_copies(&mut selected, root);
    }
    let plan = &project.plan;
    let named = |position: &usize| args.only.contains(&plan.steps[*position].name);
    selected.retain(|position| args.serve || !plan.steps[*position].kind.service || named(position));
    if selected.is_empty() {
        return Err(CommandError::usage(NothingSelected));
    }
    project.check_files(&selected)?;
    let force = force(&forced, plan)?;
    if args.dry_run {
        executor::check(plan, &selected, &project.store, root).map_err(CommandError::failed)?;
        let forecasts = project.forecast(&selected, &force)?;
        console::say(&match args.log_format {
            LogFormat::Text => forecasts::text(plan, &forecasts),
            LogFormat::Json => forecasts::json(plan, &forecasts),
        });
        return Ok(());
    }
    project.store.stop_on(stop.flag());
    let record = RunRecord::new(&project.store.runs());
    let (name, logs) = (record.name(), record.logs());
    let tracking = tracked::pipeline(plan, &pipeline.configs, root, &name)?.map(Arc::new);
    let mut listeners: Vec<Box<dyn Listener>> = vec![Box::new(record), console::listener(args.log_format)];
    listeners.extend(tracking.iter().map(|log| Box::new(Arc::clone(log)) as Box<dyn Listener>));
    let jobs = session::jobs(args.jobs);
    // A witness tells of a run without further words, whatever this one was asked to do first.
    let is_everything = selected == project.everything() && !args.skip_download;
    let witness = if is_everything { project.witness() } else { None };
    let options = Options { selected, force, jobs, keep_going: args.keep_going, witness };
    let world = World {
        root,
        store: &project.store,
        run: &name,
        logs: &logs,
        listener: &listeners,
        stop: &stop.flag(),
        remote: project.remote.as_ref(),
    };
    let ran = executor::run(plan, &options, &world);
    if let Some(log) = tracking {
        tracked::tell(log.finish(stop.is_set()), root, args.log_format);
    }
    let tally = ran.map_err(CommandError::failed)?;
    if !args.skip_download {
        project.keep_plan();
    }
    if tally.finished > 0 {
        session::trim(&project.store, args.cache_size);
    }
    // As in the executor: the process ends here.
    std::mem::forget((listeners, project));
    stop.verdict(&tally)
}

impl RunArgs {
    /// What `recsys run PIPELINE --config … --var … --set …` means, with the defaults of the command line and the
    /// environment.
    ///
    /// # Errors
    /// When an environment variable has a value that the command line would refuse.
    pub fn with_overrides(pipeline: &Path, overrides: &Overrides) -> Result<Self, clap::Error> {
        let mut words = vec![OsStr::new("run"), pipeline.as_os_str()];
        words
            .extend(overrides.configs.iter().flat_map(|config| [OsStr::new("--config"), config.as_os_str()]));
        words.extend(overrides.vars.iter().flat_map(|text| [OsStr::new("--var"), OsStr::new(text)]));
        words.extend(overrides.set.iter().flat_map(|text| [OsStr::new("--set"), OsStr::new(text)]));
        let command = Self::augment_args(Command::new("run"));
        Self::from_arg_matches(&command.try_get_matches_from(words)?)
    }

    /// The pipeline, and the steps to run in any case: in `--force pipelines/demo.yaml` the word after
    /// the flag is not a step.
    fn pipeline_and_forced(&self) -> (PipelineArgs, Vec<String>) {
        let mut pipeline = self.pipeline.clone();
        let mut forced = self.force.clone();
        let is_file = |word: &String| word.ends_with(".yaml") || word.ends_with(".yml");
        if let Some(word) = forced.iter_mut().find(|word| is_file(word)) {
            pipeline.pipeline = std::mem::take(word).into();
        }
        (pipeline, forced)
    }
}

fn force(forced: &[String], plan: &Plan) -> Result<Force, CommandError> {
    if forced.is_empty() {
        return Ok(Force::Nothing);
    }
    if forced.iter().any(String::is_empty) {
        return Ok(Force::Everything);
    }
    let mut steps = BTreeSet::new();
    for name in forced {
        steps.extend(plan.positions(name).map_err(CommandError::usage)?);
    }
    Ok(Force::Steps(steps))
}
