//! `recsys cache`: what lies in the store, whether it is sound, what can go, and what others have.

use std::path::Path;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use miette::Diagnostic;
use serde_json::json;
use thiserror::Error;

use super::CommandError;
use super::cache_remote::{self, PullArgs, PushArgs};
use super::format::Format;
use super::workspace::store;
use crate::console::{self, bytes};
use crate::workflow::fault::Fault;
use crate::workflow::files::FilesError;
use crate::workflow::source::Span;
use crate::workflow::spec::units;
use crate::workflow::store::collect::{Garbage, KEEP_RUNS, Policy};
use crate::workflow::store::survey::Problem;
use crate::workflow::yaml::{Node, Value};

/// Look after what runs have kept under `cache/`.
#[derive(Debug, Args)]
pub struct CacheArgs {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
    /// Say how much there is of what
    Stats {
        /// How to say it
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Read everything and compare it with its digests
    Verify {
        /// Remove what is damaged, so that the next run makes it again
        #[arg(long)]
        repair: bool,
        /// How to say it
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    Push(PushArgs),
    Pull(PullArgs),
    /// Remove what is not worth its place; never what the current release of a pipeline needs
    #[command(after_help = "\
Examples:
  recsys cache gc                               objects that nothing needs, all but the last 100 runs
  recsys cache gc --older-than 30d --dry-run
  recsys cache gc --max-size 20GiB              what is cheapest to make again per byte goes first
  recsys cache gc --remote s3://team/cache --older-than 30d")]
    Gc {
        /// Remove results that were not used for so long: `12h`, `30d`
        #[arg(long, value_name = "TIME", value_parser = time)]
        older_than: Option<Duration>,
        /// Remove results until the objects take no more than this: `20GiB`
        #[arg(long, value_name = "SIZE", value_parser = size)]
        max_size: Option<u64>,
        /// Keep the records and logs of so many runs
        #[arg(long, value_name = "N", default_value_t = KEEP_RUNS)]
        keep_runs: usize,
        /// Only say what would be removed
        #[arg(long)]
        dry_run: bool,
        /// Collect in this remote cache instead; what was sent within a day stays
        #[arg(long, value_name = "URL")]
        remote: Option<String>,
    },
}

#[derive(Debug, Error, Diagnostic)]
#[error("{n} {} found", if *n == 1 { "problem was" } else { "problems were" })]
#[diagnostic(help(
    "the next run makes or restores again what it needs; `recsys cache verify --repair` removes what is damaged"
))]
struct Unsound {
    n: usize,
}

#[derive(Debug, Error, Diagnostic)]
#[error("a run is at work in this project")]
#[diagnostic(help("wait for it to end: what it needs must not be removed"))]
struct Busy;

/// Does what was asked.
///
/// # Errors
/// When something is damaged, the disk refuses, or a run is at work.
pub fn cache(args: &CacheArgs, root: &Path) -> Result<(), CommandError> {
    match &args.command {
        CacheCommand::Stats { format } => stats(root, *format),
        CacheCommand::Verify { repair, format } => verify(root, *repair, *format),
        CacheCommand::Push(args) => cache_remote::push(args, root),
        CacheCommand::Pull(args) => cache_remote::pull(args, root),
        CacheCommand::Gc { older_than, max_size, keep_runs, dry_run, remote } => {
            let policy = Policy { older_than: *older_than, max_size: *max_size, keep_runs: *keep_runs };
            match remote {
                Some(url) => cache_remote::gc(url, root, &policy, *dry_run),
                None => gc(root, &policy, *dry_run),
            }
        }
    }
}

/// A time as people write it.
///
/// # Errors
/// When it is none.
pub fn time(text: &str) -> Result<Duration, String> {
    written(text, units::duration)
}

/// The store is kept under this when nobody says otherwise.
pub const DEFAULT_SIZE: &str = "50GiB";

/// A size as people write it.
///
/// # Errors
/// When it is none.
pub fn size(text: &str) -> Result<u64, String> {
    written(text, units::memory)
}

fn written<T>(text: &str, read: fn(&Node, &mut Vec<Fault>) -> Option<T>) -> Result<T, String> {
    let mut faults = Vec::new();
    let value = read(&Node::new(Value::Text(text.to_owned()), Span::default()), &mut faults);
    value.ok_or_else(|| faults.into_iter().map(|fault| fault.message).collect())
}

fn stats(root: &Path, format: Format) -> Result<(), CommandError> {
    let store = store(root);
    let survey = store.survey();
    let size: u64 = survey.objects.values().sum();
    let garbage = store.garbage(
        &survey,
        &Policy { older_than: None, max_size: Some(0), keep_runs: 0 },
        SystemTime::now(),
    );
    let released: usize = survey.releases.values().map(|state| state.steps.len()).sum();
    console::say(&match format {
        Format::Json => format!(
            "{:#}\n",
            json!({
                "objects": survey.objects.len(), "bytes": size, "results": survey.results.len(),
                "runs": survey.runs.len(), "released_steps": released, "removable_bytes": garbage.bytes,
            })
        ),
        Format::Text => format!(
            "objects          {:>8}   {}\nresults          {:>8}\nreleased steps   {:>8}\nrecorded runs    {:>8}\nnot released     {:>8}   {}\n",
            survey.objects.len(),
            bytes(size),
            survey.results.len(),
            released,
            survey.runs.len(),
            garbage.objects.len(),
            bytes(garbage.bytes),
        ),
    });
    Ok(())
}

fn verify(root: &Path, repair: bool, format: Format) -> Result<(), CommandError> {
    let store = store(root);
    // What a run makes good meanwhile must not be removed afterwards.
    let _alone = match repair && store.folder().is_dir() {
        true => Some(store.close().map_err(CommandError::failed)?.ok_or(CommandError::failed(Busy))?),
        false => None,
    };
    let survey = store.survey();
    let size: u64 = survey.objects.values().sum();
    let bar = ProgressBar::new(size).with_style(
        ProgressStyle::with_template("reading {bar:24} {bytes}/{total_bytes} ({eta})")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let problems = store.verify(root, &survey, |read| bar.inc(read));
    bar.finish_and_clear();
    let mut text = match format {
        Format::Json => format!("{:#}\n", json!({ "objects": survey.objects.len(), "problems": problems })),
        Format::Text => problems.iter().map(|problem| told(problem) + "\n").collect(),
    };
    let sound = problems.iter().all(Problem::is_harmless);
    if format == Format::Text && sound {
        let (objects, results) = (survey.objects.len(), survey.results.len());
        text.push_str(&format!("sound: {objects} objects ({}), {results} results\n", bytes(size)));
    }
    console::say(&text);
    if sound {
        return Ok(());
    }
    if repair {
        let repaired = store.repair(root, &problems).map_err(CommandError::failed)?;
        console::say(&format!(
            "{repaired} of them removed or forgotten; the next run makes or restores what it needs\n"
        ));
        return Ok(());
    }
    Err(CommandError::failed(Unsound { n: problems.len() }))
}

fn told(problem: &Problem) -> String {
    match problem {
        Problem::DamagedObject { path } => format!("damaged: `{}`", path.display()),
        Problem::UnreadableResult { path } | Problem::UnreadableRelease { path } => {
            format!("unreadable: `{}`", path.display())
        }
        Problem::MissingObject { result, output } => {
            format!("the output `{output}` of the result `{}` is missing or damaged", result.display())
        }
        Problem::Overwritten { pipeline, step, path } => format!(
            "note: `{}`, released by `{step}` of `{pipeline}`, holds what something else made: a run was killed here, or another pipeline writes there too; the next run of `{pipeline}` puts its own there",
            path.display()
        ),
        Problem::ChangedArtifact { pipeline, step, path } => {
            format!("`{}`, released by `{step}` of `{pipeline}`, is missing or modified", path.display())
        }
    }
}

fn gc(root: &Path, policy: &Policy, dry_run: bool) -> Result<(), CommandError> {
    let store = store(root);
    if !store.folder().is_dir() {
        console::say("nothing is kept yet\n");
        return Ok(());
    }
    let _alone = store.close().map_err(CommandError::failed)?.ok_or(CommandError::failed(Busy))?;
    let garbage = store.garbage(&store.survey(), policy, SystemTime::now());
    if !dry_run {
        let removed = store.remove(&garbage);
        removed.map_err(FilesError::new("collect", store.folder())).map_err(CommandError::failed)?;
    }
    let Garbage { results, objects, runs, leftovers, bytes: size } = &garbage;
    let (results, objects, runs) = (results.len(), objects.len(), runs.len());
    let verb = if dry_run { "would be removed" } else { "removed" };
    console::say(&format!(
        "{verb}: {objects} objects ({}), {results} results, {runs} records of runs, {} leftovers\n",
        bytes(*size),
        leftovers.len()
    ));
    Ok(())
}
