//! `recsys verify-service`: every route of a service asked, and the four cases gone through.
//!
//! What there is to ask is taken from the service's own description, so that a route which is added is
//! verified without a word here. A service that is started for it gets free ports and a file of events of its
//! own, which goes with it; a running one gets events of made-up users only, unless it is allowed more.

mod cases;
mod conform;
mod http;
mod launch;
mod report;
mod routes;
mod target;

use std::path::PathBuf;

use clap::Args;
use miette::Diagnostic;
use thiserror::Error;

use super::CommandError;
use crate::console::say;
use report::Report;
use target::Target;

/// Ask every route of a service, and say what is wrong.
///
/// Starts the service of a file on free ports, with a file of events of its own, or asks a running one. Each
/// route is asked well and badly, and its answers are held against its description; then a new user, one
/// with events, one with a precomputed list and one with both are followed.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:
  recsys verify-service                                  start services/default.yaml, ask, stop
  recsys verify-service --url http://127.0.0.1:8000      ask a running one
  recsys verify-service --url http://127.0.0.1:8000 --read-only

Exit code 0 when everything is as it should be, 1 when something is not, 2 when the service does not
start or is not there.")]
pub struct VerifyServiceArgs {
    /// The service file
    #[arg(value_name = "LAYOUT", default_value = "services/default.yaml")]
    layout: PathBuf,
    /// Ask the running service at this address instead; of a layout with several ports name each
    #[arg(long, value_name = "URL")]
    url: Vec<String>,
    /// The key that a running service asks for, one that writes
    #[arg(long, env = "RECSYS_API_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Add no event to a running service
    #[arg(long, requires = "url", conflicts_with = "write")]
    read_only: bool,
    /// Add events of users that a running service knows, too
    #[arg(long, requires = "url")]
    write: bool,
    /// Where to write everything that was asked and answered; beside it the results as JSON
    #[arg(long, value_name = "FILE", default_value = "service_test.log")]
    report: PathBuf,
}

/// What may be written while asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Writes {
    Nothing,
    MadeUpUsers,
    AnyUser,
}

#[derive(Debug, Error, Diagnostic)]
#[error("{failed} of {all} checks failed")]
#[diagnostic(help("`{}` has every request and answer", report.display()))]
struct NotVerified {
    failed: usize,
    all: usize,
    report: PathBuf,
}

#[derive(Debug, Error, Diagnostic)]
#[error("{message}")]
#[diagnostic(help(
    "name the address of a running service, such as http://127.0.0.1:8000; only http is spoken"
))]
struct NotThere {
    message: String,
}

#[derive(Debug, Error, Diagnostic)]
#[error("cannot write the report `{}`: {cause}", path.display())]
#[diagnostic(help("name another file with --report"))]
struct NotWritten {
    path: PathBuf,
    cause: std::io::Error,
}

/// Asks, and tells.
///
/// # Errors
/// When the service is not there, or a check fails.
pub fn verify_service(args: &VerifyServiceArgs) -> Result<(), CommandError> {
    let report = if args.url.is_empty() {
        launch::with_service(&args.layout, |addresses| ask(addresses, None, Writes::AnyUser))??
    } else {
        let writes = match (args.read_only, args.write) {
            (true, _) => Writes::Nothing,
            (_, true) => Writes::AnyUser,
            _ => Writes::MadeUpUsers,
        };
        ask(&args.url, args.key.as_deref(), writes)?
    };
    let written = report.write(&args.report);
    written.map_err(|cause| CommandError::failed(NotWritten { path: args.report.clone(), cause }))?;
    say(&report.text(&args.report));
    match report.failed() {
        0 => Ok(()),
        failed => {
            let (all, report) = (report.all(), args.report.clone());
            Err(CommandError::failed(NotVerified { failed, all, report }))
        }
    }
}

/// Asks the services at these addresses, which are parts of one.
fn ask(addresses: &[String], key: Option<&str>, writes: Writes) -> Result<Report, CommandError> {
    let targets: Result<Vec<Target>, String> =
        addresses.iter().map(|address| Target::find(address, key)).collect();
    let targets = targets.map_err(|message| CommandError::usage(NotThere { message }))?;
    let mut report = Report::new(&targets);
    cases::check(&targets, writes, &mut report);
    let known = cases::known(&targets);
    for target in &targets {
        routes::check_good(target, &known, writes, &mut report);
    }
    for target in &targets {
        routes::check_bad(target, &mut report);
    }
    Ok(report)
}
