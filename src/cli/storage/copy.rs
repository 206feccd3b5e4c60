//! `recsys storage copy`: one object, from or to this machine.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::Args;
use miette::Diagnostic;
use thiserror::Error;

use crate::cli::session::Stop;
use crate::cli::{CommandError, workspace};
use crate::console::{self, bytes};
use crate::storage::address::{Place, is_address};
use crate::storage::transfer::{self, Download, Upload};
use crate::storage::{Address, Remote, Settings, StorageError};
use crate::workflow::values::environment_of_process;

/// Copy one object from or to this machine.
///
/// In parallel parts, verified by the checksum that the server tells; broken off, it goes on where it was when the
/// same command is given again. Nothing is sent when the object is there already.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys storage copy s3://my-bucket/data/tracks.parquet data/raw/tracks.parquet
  recsys storage copy artifacts/als/model.npz s3://my-bucket/model/als.npz")]
pub struct CopyArgs {
    /// A file, or the address of an object
    #[arg(value_name = "FROM")]
    from: String,

    /// A file, or the address of an object
    #[arg(value_name = "TO")]
    to: String,
}

#[derive(Debug, Error, Diagnostic)]
#[error("one of the two is a file of this machine, found `{0}` and `{1}`")]
#[diagnostic(help("copy to a file first, and from there"))]
struct NoFile(String, String);

/// Copies it.
///
/// # Errors
/// When it cannot be read or written.
pub fn copy(args: &CopyArgs, root: &Path) -> Result<(), CommandError> {
    let environment = environment_of_process(root);
    let settings = Settings::from_lookup(|name| environment.get(name).cloned());
    let stop = Stop::on_signals().flag();
    let stopped = || stop.load(Ordering::Relaxed);
    let began = Instant::now();
    let (from, to) = (place(&args.from)?, place(&args.to)?);
    let told = match (from.place(), to.place()) {
        (Place::File(file), _) => {
            let remote = Remote::open(&to, &settings, &stopped).map_err(CommandError::failed)?;
            let notes = workspace::store(root).lasting().join("uploads");
            let what = Upload { remote: &remote, file, blake3: None, notes: &notes, tell: &|_| () };
            let there = transfer::upload(&what).map_err(CommandError::failed)?;
            match there.sent {
                0 => format!("{} is there already", bytes(there.size)),
                sent => format!("{} sent", bytes(sent)),
            }
        }
        (_, Place::File(target)) => {
            let remote = Remote::open(&from, &settings, &stopped).map_err(CommandError::failed)?;
            let fetched = fetch(&remote, target).map_err(CommandError::failed)?;
            let verified: Vec<String> = fetched.verified.iter().map(ToString::to_string).collect();
            format!("{} fetched {}", bytes(fetched.size - fetched.resumed), verified.join(", "))
        }
        _ => return Err(CommandError::usage(NoFile(from.to_string(), to.to_string()))),
    };
    console::say(&format!("{} in {:.1} s", told.trim_end(), began.elapsed().as_secs_f64()));
    Ok(())
}

fn fetch(remote: &Remote<'_>, target: &Path) -> Result<transfer::Downloaded, StorageError> {
    let found = remote.head()?;
    let mut partial = target.as_os_str().to_owned();
    partial.push(".part");
    let partial = PathBuf::from(partial);
    transfer::download(&Download { remote, found: &found, target, partial: &partial, tell: &|_| () })
}

fn place(text: &str) -> Result<Address, CommandError> {
    let text = if is_address(text) { text.to_owned() } else { format!("file:{text}") };
    text.parse().map_err(CommandError::usage)
}
