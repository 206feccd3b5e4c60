//! `recsys cache push | pull`, and `--cache-from`: results that other machines have made.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use miette::Diagnostic;
use serde_json::json;
use thiserror::Error;

use super::CommandError;
use super::format::Format;
use super::project::PipelineArgs;
use super::remote_store::Far;
use super::session::Stop;
use super::workspace::store;
use crate::console::{self, bytes};
use crate::workflow::decide::Force;
use crate::workflow::remote::{self, Collected, ReadThrough, RemoteError};
use crate::workflow::store::collect::Policy;
use crate::workflow::values::environment_of_process;

/// Names the remote cache in the environment or in `.env`.
const VARIABLE: &str = "RECSYS_CACHE_FROM";

/// Where results are looked for that are not in `cache/`.
#[derive(Debug, Clone, Args)]
pub struct CacheFrom {
    /// Take what is not in `cache/` from this remote cache: `s3://bucket/prefix`, `file:/shared/folder`
    #[arg(long, env = VARIABLE, value_name = "URL")]
    cache_from: Option<String>,
}

impl CacheFrom {
    /// The cache, ready to be read until `stop` is set; nothing is asked yet.
    ///
    /// # Errors
    /// When the address cannot be one.
    pub fn open(&self, root: &Path, stop: Arc<AtomicBool>) -> Result<Option<ReadThrough>, CommandError> {
        let written = || environment_of_process(root).remove(VARIABLE);
        let url = self.cache_from.clone().or_else(written).filter(|url| !url.is_empty());
        let far = url.map(|url| Far::open(&url, root, stop)).transpose().map_err(CommandError::Usage)?;
        Ok(far.map(|far| ReadThrough::new(Box::new(far))))
    }
}

/// Send results and their bytes to a remote cache, so that others need not make them again.
///
/// What is there already is not sent. Objects go first and results last, several at a time: a push that
/// is broken off has done no harm, and the next one goes on.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys cache push s3://team/recsys-cache             what is released of every pipeline
  recsys cache push file:/mnt/shared/cache --all       everything in the store
Elsewhere:
  recsys run --cache-from s3://team/recsys-cache       or RECSYS_CACHE_FROM in the environment or `.env`
Whoever may write to a remote cache decides what its readers take for their results.")]
pub struct PushArgs {
    /// The remote cache: `s3://bucket/prefix`, `file:/shared/folder`
    #[arg(env = VARIABLE, value_name = "URL")]
    url: String,

    /// Send every result in the store, not only those that are released
    #[arg(long)]
    all: bool,

    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Take the results of a pipeline from a remote cache into `cache/`, without running anything.
///
/// `recsys run` then finds them; `recsys run --cache-from URL` does both at once.
#[derive(Debug, Args)]
pub struct PullArgs {
    /// The remote cache: `s3://bucket/prefix`, `file:/shared/folder`
    #[arg(long, env = VARIABLE, value_name = "URL")]
    cache_from: String,

    #[command(flatten)]
    pipeline: PipelineArgs,

    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Error, Diagnostic)]
#[error("the remote cache {address} could not be used: {cause}")]
#[diagnostic(help("{help}; what was done until then is not lost"))]
struct Unusable {
    address: String,
    cause: RemoteError,
    help: String,
}

impl Unusable {
    fn at(far: &Far) -> impl FnOnce(RemoteError) -> CommandError + use<> {
        let address = remote::RemoteStore::address(far).to_owned();
        move |cause| {
            let help = cause.help().map_or_else(|| "check the address".to_owned(), |help| help.to_string());
            CommandError::failed(Self { address, cause, help })
        }
    }
}

/// Sends results.
///
/// # Errors
/// When the far end cannot be reached or refuses, or on Ctrl-C.
pub fn push(args: &PushArgs, root: &Path) -> Result<(), CommandError> {
    let stop = Stop::on_signals();
    let far = Far::open(&args.url, root, stop.flag()).map_err(CommandError::Usage)?;
    let store = store(root);
    // Collection must not take away what is being sent.
    let _kept = store.join();
    let results = match args.all {
        true => store.survey().results.into_iter().map(|found| found.result).collect(),
        false => store.released_results(),
    };
    let bar = progress("sending");
    let sent = remote::push(&far, &store, &results, &|more| bar.inc(more));
    bar.finish_and_clear();
    let sent = sent.map_err(|error| stopped_or(&stop, || Unusable::at(&far)(error)))?;
    console::say(&match args.format {
        Format::Json => format!("{:#}\n", json!(sent)),
        Format::Text if results.is_empty() => "nothing to send: no pipeline was run here\n".to_owned(),
        Format::Text => {
            let lost = match sent.incomplete {
                0 => String::new(),
                n => format!("; {n} not sent, for the store has lost bytes of theirs"),
            };
            format!(
                "sent: {} results, {} objects ({}); {} results were there{lost}\n",
                sent.results,
                sent.objects,
                bytes(sent.bytes),
                sent.known
            )
        }
    });
    Ok(())
}

/// Takes results.
///
/// # Errors
/// When the pipeline is wrong, the far end cannot be reached or refuses, or on Ctrl-C.
pub fn pull(args: &PullArgs, root: &Path) -> Result<(), CommandError> {
    let project = args.pipeline.open(root)?;
    let all = project.everything();
    project.check_files(&all)?;
    let stop = Stop::on_signals();
    let far = Far::open(&args.cache_from, root, stop.flag()).map_err(CommandError::Usage)?;
    let from = ReadThrough::new(Box::new(far));
    project.store.prepare().map_err(CommandError::failed)?;
    let _kept = project.store.share().map_err(CommandError::failed)?;
    let staging = project.store.stage().map_err(CommandError::failed)?;
    let folder = staging.folder().map_err(CommandError::failed)?;
    let bar = progress("fetching");
    let ground = project.ground(&Force::Nothing);
    let pulled = remote::pull(&ground, &all, &project.release(), &from, folder.path(), &|more| bar.inc(more));
    bar.finish_and_clear();
    let synced = project.store.sync();
    let pulled = pulled.map_err(|error| stopped_or(&stop, || CommandError::failed(error)))?;
    synced.map_err(CommandError::failed)?;
    console::say(&match args.format {
        Format::Json => format!("{:#}\n", json!(pulled)),
        Format::Text => {
            let mut text =
                format!("fetched the results of {} steps, {} were here", pulled.fetched.len(), pulled.known);
            if !pulled.missing.is_empty() {
                text.push_str(&format!("\nnot there: {}", pulled.missing.join(", ")));
            }
            if !pulled.unknown.is_empty() {
                text.push_str(&format!(
                    "\nunknown, for they read what these make: {}",
                    pulled.unknown.join(", ")
                ));
            }
            text + "\n"
        }
    });
    Ok(())
}

/// Removes from a remote cache what the policy gives up.
///
/// # Errors
/// When the far end cannot be reached or refuses, or on Ctrl-C.
pub fn gc(url: &str, root: &Path, policy: &Policy, dry_run: bool) -> Result<(), CommandError> {
    let stop = Stop::on_signals();
    let far = Far::open(url, root, stop.flag()).map_err(CommandError::Usage)?;
    let collected = remote::collect(&far, policy, dry_run);
    let collected = collected.map_err(|error| stopped_or(&stop, || Unusable::at(&far)(error)))?;
    let Collected { results, objects, bytes: size, kept_bytes } = collected;
    let verb = if dry_run { "would be removed" } else { "removed" };
    console::say(&format!(
        "{verb}: {objects} objects ({}), {results} results; {} stay\n",
        bytes(size),
        bytes(kept_bytes)
    ));
    Ok(())
}

fn stopped_or(stop: &Stop, error: impl FnOnce() -> CommandError) -> CommandError {
    stop.as_error().unwrap_or_else(error)
}

fn progress(verb: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(&format!("{verb} {{bytes}} ({{bytes_per_sec}}) {{elapsed}}"));
    ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
