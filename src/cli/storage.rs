//! `recsys storage`: whether buckets and URLs can be used, and what is missing; copies of single objects.

mod copy;

use std::path::Path;

use clap::{Args, Subcommand};
use miette::Diagnostic;
use thiserror::Error;

use super::CommandError;
use super::session::Stop;
use crate::console;
use crate::storage::check::{Outcome, check, unfinished};
use crate::storage::error::Kind;
use crate::storage::settings::BUCKET;
use crate::storage::{Address, Remote, Settings};
use crate::workflow::values::environment_of_process;

/// Look after the places that data comes from and goes to.
#[derive(Debug, Args)]
pub struct StorageArgs {
    #[command(subcommand)]
    command: StorageCommand,
}

#[derive(Debug, Subcommand)]
enum StorageCommand {
    /// Try out a bucket, a URL or a folder: connection, permissions, and what is missing
    Check(CheckArgs),
    /// Copy one object from or to this machine
    Copy(copy::CopyArgs),
}

/// Try out a bucket, a URL or a folder: connection, permissions, and what is missing.
///
/// In a bucket (or a folder in it) one small object is written, read, listed and deleted, and an upload in parts is
/// begun and taken back; nothing stays. Keys and the endpoint come from the environment and `.env`:
/// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, S3_ENDPOINT_URL (for servers other than Amazon's), AWS_REGION.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys storage check                                    the bucket in S3_BUCKET_NAME
  recsys storage check s3://my-bucket/recsys
  recsys storage check https://host/data/tracks.parquet
  recsys storage check s3://my-bucket --abort-unfinished")]
pub struct CheckArgs {
    /// What to try out [default: s3:// and S3_BUCKET_NAME]
    #[arg(value_name = "ADDRESS")]
    address: Option<String>,

    /// Abort uploads in parts that were begun more than a day ago and never completed
    #[arg(long)]
    abort_unfinished: bool,
}

#[derive(Debug, Error, Diagnostic)]
#[error("there is nothing to check: no address is given, and {BUCKET} is empty")]
#[diagnostic(help("name a bucket, `recsys storage check s3://bucket`, or set {BUCKET} in `.env`"))]
struct NoAddress;

#[derive(Debug, Error, Diagnostic)]
#[error("`{address}` cannot be used for everything")]
#[diagnostic(code(recsys::storage::check), help("mend what is said above, then check again"))]
struct NotUsable {
    address: String,
}

/// Runs one of the commands.
///
/// # Errors
/// When something does not work.
pub fn storage(args: &StorageArgs, root: &Path) -> Result<(), CommandError> {
    match &args.command {
        StorageCommand::Check(args) => check_place(args, root),
        StorageCommand::Copy(args) => copy::copy(args, root),
    }
}

fn check_place(args: &CheckArgs, root: &Path) -> Result<(), CommandError> {
    let environment = environment_of_process(root);
    let bucket = environment.get(BUCKET).map(|bucket| bucket.trim()).filter(|bucket| !bucket.is_empty());
    let given = args.address.clone().or_else(|| bucket.map(|bucket| format!("s3://{bucket}")));
    let given = given.ok_or_else(|| CommandError::usage(NoAddress))?;
    let address: Address = given.parse().map_err(CommandError::usage)?;
    let mut settings = Settings::from_lookup(|name| environment.get(name).cloned());
    // Whoever checks waits for an answer.
    settings.attempts = settings.attempts.min(3);
    let stop = Stop::on_signals().flag();
    let stopped = || stop.load(std::sync::atomic::Ordering::Relaxed);
    let remote = Remote::open(&address, &settings, &stopped).map_err(CommandError::failed)?;
    let at = settings.endpoint.as_deref().map(crate::storage::address::without_secrets);
    let at = at.filter(|_| given.starts_with("s3:")).map(|at| format!(" at {at}")).unwrap_or_default();
    console::say(&format!("{address}{at}"));
    let findings = check(&remote);
    let mut works = true;
    for finding in &findings {
        let (word, told) = match &finding.outcome {
            Outcome::Works(told) => ("ok", told.clone()),
            Outcome::Lacks(told) => ("lacks", told.clone()),
            Outcome::Fails(error) => {
                works = false;
                let help = error.help().map(|help| format!("\n         {help}")).unwrap_or_default();
                let may =
                    if error.kind == Kind::Denied { "the permission for this is missing: " } else { "" };
                ("FAILS", format!("{may}{error}{help}"))
            }
        };
        console::say(format!("  {word:5}  {:20}  {told}", finding.what).trim_end());
    }
    if works && let Ok(count @ 1..) = unfinished(&remote, args.abort_unfinished) {
        let done = if args.abort_unfinished { "were aborted" } else { "can go: `--abort-unfinished`" };
        console::say(&format!(
            "  {count} uploads that were begun more than a day ago and never completed {done}"
        ));
    }
    let address = address.to_string();
    if works { Ok(()) } else { Err(CommandError::failed(NotUsable { address })) }
}
