//! `recsys track`: what runs have logged and no server has taken yet.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use miette::Diagnostic;
use thiserror::Error;

use super::{CommandError, tracked};
use crate::console::{plain_table, remark, say};
use crate::tracking::courier::{self, Outcome};
use crate::tracking::delivery::close_dead;
use crate::tracking::entry::{Entry, WHOLE};
use crate::tracking::spool::{self, Reader, Spool};

/// Tries before a server is taken to be away.
const TRIES: u32 = 3;

/// Send to the MLflow server what runs have logged and it has not taken yet.
///
/// A pipeline or configuration file says `tracking: { mlflow: http://HOST:PORT, experiment: NAME }`, or the environment
/// RECSYS_TRACKING=http://HOST:PORT; RECSYS_TRACKING=off tracks nothing. Runs are logged while they go on and never
/// wait for the server: what it has not taken when a run ends is kept under `cache/tracking/`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys track status                       what waits, and for which server
  recsys track sync                         send it; what was sent before is not sent twice
  recsys track drop 20261121T070000000Z-1   give up what waits of one run

Credentials come from the environment or `.env`: MLFLOW_TRACKING_USERNAME and
MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN.")]
pub struct TrackArgs {
    #[command(subcommand)]
    command: TrackCommand,
}

#[derive(Debug, Subcommand)]
enum TrackCommand {
    /// Send what waits; what was sent before is not sent twice
    Sync,
    /// Show what waits, and for which server
    Status,
    /// Give up what waits of a run, or of all: it is never sent
    Drop {
        /// The run, as `recsys track status` calls it, or `all`
        run: String,
    },
}

#[derive(Debug, Error, Diagnostic)]
enum TrackError {
    #[error("{left} of {all} runs still wait to be tracked")]
    #[diagnostic(help("what was sent is noted; try again when the server is back"))]
    Waiting { left: usize, all: usize },
    #[error("nothing waits of a run `{run}`")]
    #[diagnostic(help("{help}"))]
    NoRun { run: String, help: String },
    #[error("`{}` cannot be removed", path.display())]
    #[diagnostic(help("look at its permissions"))]
    NotRemoved { path: PathBuf, source: std::io::Error },
}

/// Runs the command.
///
/// # Errors
/// When the server has not taken everything, or there is no such run.
pub fn track(args: &TrackArgs, root: &Path) -> Result<(), CommandError> {
    match &args.command {
        TrackCommand::Sync => sync(root),
        TrackCommand::Status => {
            status(root);
            Ok(())
        }
        TrackCommand::Drop { run } => drop_run(run, root),
    }
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn sync(root: &Path) -> Result<(), CommandError> {
    let spools = spool::all(root);
    if spools.is_empty() {
        say("nothing waits to be tracked");
        return Ok(());
    }
    let credentials = tracked::credentials(root);
    let mut left = 0;
    for folder in &spools {
        // Held until the end: nobody else sends the same.
        let held = match Spool::take(folder) {
            Ok(Some(spool)) => spool,
            Ok(None) => {
                remark(&format!("{}: the run is at work and sends for itself", name(folder)));
                continue;
            }
            Err(error) => {
                left += 1;
                remark(&format!("{}: cannot be read: {error}", name(folder)));
                continue;
            }
        };
        let mut held = held;
        let outcome = match close_dead(&mut held) {
            Ok(()) => courier::deliver(folder, root, credentials.clone(), TRIES),
            Err(error) => {
                Outcome { left: courier::left(folder), why: Some(error.to_string()), ..Outcome::default() }
            }
        };
        left += usize::from(outcome.why.is_some());
        say(&told(&name(folder), &outcome));
    }
    if left > 0 {
        return Err(CommandError::failed(TrackError::Waiting { left, all: spools.len() }));
    }
    Ok(())
}

fn told(run: &str, outcome: &Outcome) -> String {
    let refused: String = outcome.refused.iter().map(|refusal| format!("\n  refused: {refusal}")).collect();
    match (&outcome.why, &outcome.link) {
        (Some(why), _) => format!("{run}: {} entries wait: {why}{refused}", outcome.left),
        (None, Some(link)) => format!("{run}: sent, {link}{refused}"),
        (None, None) => format!("{run}: sent{refused}"),
    }
}

fn status(root: &Path) {
    let spools = spool::all(root);
    if spools.is_empty() {
        say("nothing waits to be tracked");
        return;
    }
    let mut table = plain_table(&["run", "", "server · experiment", "entries that wait", "the run is"]);
    for folder in &spools {
        let first = Reader::of(folder).and_then(|reader| reader.read(0, 2)).unwrap_or_default();
        let (mut to, mut what) = ("?".to_owned(), String::new());
        for entry in first.into_iter().filter_map(|placed| placed.entry) {
            match entry {
                Entry::Destination { server, experiment, .. } => to = format!("{server} · {experiment}"),
                Entry::Run { run, name, .. } if run == WHOLE => what = name,
                _ => {}
            }
        }
        let state = if spool::is_live(folder) { "at work" } else { "over" };
        table.add_row([name(folder), what, to, courier::left(folder).to_string(), state.to_owned()]);
    }
    say(&table.lines().map(|line| line.trim_end().to_owned() + "\n").collect::<String>());
    say("`recsys track sync` sends them");
}

fn drop_run(run: &str, root: &Path) -> Result<(), CommandError> {
    let all = spool::all(root);
    let chosen: Vec<&PathBuf> = all.iter().filter(|folder| run == "all" || name(folder) == run).collect();
    if chosen.is_empty() && run != "all" {
        let names: Vec<String> = all.iter().map(|folder| name(folder)).collect();
        let help = crate::workflow::fault::did_you_mean(run, names.iter().map(String::as_str));
        return Err(CommandError::usage(TrackError::NoRun { run: run.to_owned(), help }));
    }
    for folder in chosen {
        if spool::is_live(folder) {
            remark(&format!("{}: the run is at work and keeps its entries", name(folder)));
            continue;
        }
        let removed = fs::remove_dir_all(folder);
        removed.map_err(|source| {
            CommandError::failed(TrackError::NotRemoved { path: folder.clone(), source })
        })?;
        say(&format!("{}: given up", name(folder)));
    }
    Ok(())
}
