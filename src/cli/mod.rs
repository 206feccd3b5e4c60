//! The command line: one file a command.

mod accept;
mod cache;
mod cache_remote;
mod check;
mod completions;
mod exp;
mod forecasts;
mod format;
mod graph;
mod help;
mod init;
mod kinds;
mod logs;
mod metrics;
mod page;
mod project;
mod project_view;
mod recommend;
mod remote_store;
mod run;
mod runs;
mod schema;
mod serve;
mod session;
mod sheet;
mod status;
mod storage;
mod track;
mod tracked;
mod unchanged;
mod verify_service;
mod why;
mod workspace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use miette::Diagnostic;
use thiserror::Error;

use crate::serve::ServiceError;

pub use schema::of_pipelines;
pub use unchanged::unchanged;

/// A declarative workflow runner for recommender systems.
///
/// A pipeline file declares steps with their inputs, outputs and parameters. `recsys run` executes
/// what has changed since the last run, in parallel where it can, and releases the results under
/// `artifacts/`.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, propagate_version = true, disable_help_subcommand = true, after_help = help::EXAMPLES)]
pub struct Cli {
    /// Work in this folder, as if started there
    #[arg(short = 'C', long = "directory", global = true, value_name = "DIR")]
    directory: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Set up a project that runs at once
    Init(init::InitArgs),
    /// Run a pipeline: what has changed, and what depends on it
    Run(run::RunArgs),
    /// Try many settings of a pipeline and compare what comes out
    Exp(exp::ExpArgs),
    /// Say of each step whether it would run, and why
    Status(status::StatusArgs),
    /// Explain one step: why it would run or not, back to the edit that caused it
    Why(why::WhyArgs),
    /// Take the present outputs of a step as good, without running it
    Accept(accept::AcceptArgs),
    /// Look after what runs have kept
    Cache(cache::CacheArgs),
    /// Check the places that data comes from and goes to
    Storage(storage::StorageArgs),
    /// Answer over HTTP from the artifacts of a run
    Serve(serve::ServeArgs),
    /// Show what a user would be recommended, without a server
    Recommend(recommend::RecommendArgs),
    /// Ask every route of a service, and say what is wrong
    VerifyService(verify_service::VerifyServiceArgs),
    /// List recorded runs, or tell of one
    Runs(runs::RunsArgs),
    /// Show what runs measured, and what changed between two of them
    Metrics(metrics::MetricsArgs),
    /// Show the last log of a step
    Logs(logs::LogsArgs),
    /// Send to the MLflow server what runs have logged and it has not taken yet
    Track(track::TrackArgs),
    /// Show the steps of a pipeline and how they depend on each other
    Graph(graph::GraphArgs),
    /// Check a pipeline file without running anything
    Check(check::CheckArgs),
    /// List the kinds of steps, or explain one
    Kinds(kinds::KindsArgs),
    /// Print the JSON Schema of pipeline files, for editors
    Schema(schema::SchemaArgs),
    /// Print what makes a shell complete commands and options
    Completions(completions::CompletionsArgs),
}

impl Cli {
    /// What was typed.
    ///
    /// # Errors
    /// When it cannot be understood, and when it asks for help or the version.
    pub fn read() -> Result<Self, clap::Error> {
        let command = help::grouped(Self::command());
        Self::from_arg_matches(&command.try_get_matches()?)
    }
}

/// Why a command did not do what it was asked for.
#[derive(Debug, Error)]
pub enum CommandError {
    /// The file or the command line is wrong.
    #[error("{0}")]
    Usage(Box<dyn Diagnostic + Send + Sync>),
    /// The machine refused, or the run could not go on.
    #[error("{0}")]
    Failed(Box<dyn Diagnostic + Send + Sync>),
    /// A step failed; the run has told which and why.
    #[error("a step failed")]
    StepFailed,
    /// Stopped from outside, by this signal.
    #[error("stopped")]
    Stopped(usize),
}

impl CommandError {
    /// For `map_err` where the file or the command line is to blame.
    pub fn usage(error: impl Diagnostic + Send + Sync + 'static) -> Self {
        Self::Usage(Box::new(error))
    }

    /// For `map_err` where the machine is to blame.
    pub fn failed(error: impl Diagnostic + Send + Sync + 'static) -> Self {
        Self::Failed(Box::new(error))
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) | Self::StepFailed => ExitCode::from(1),
            // As a shell tells of a process that a signal ended.
            Self::Stopped(signal) => ExitCode::from(128 + u8::try_from(*signal).unwrap_or(2)),
        }
    }

    /// What there is to show, when the run has not shown it already.
    pub fn into_report(self) -> Option<miette::Report> {
        match self {
            Self::Usage(error) | Self::Failed(error) => Some(miette::Report::new_boxed(error)),
            Self::StepFailed | Self::Stopped(_) => None,
        }
    }
}

impl From<ServiceError> for CommandError {
    fn from(error: ServiceError) -> Self {
        match error.exit_code() {
            2 => Self::Usage(error.into()),
            _ => Self::Failed(error.into()),
        }
    }
}

/// Runs the command that was given.
///
/// # Errors
/// See [`CommandError`].
pub fn execute(cli: Cli) -> Result<(), CommandError> {
    let root = project::enter(cli.directory.as_deref())?;
    match cli.command {
        Command::Init(args) => init::init(&args, &root),
        Command::Run(args) => run::run(&args, &root),
        Command::Exp(args) => exp::exp(&args, &root),
        Command::Status(args) => status::status(&args, &root),
        Command::Why(args) => why::why(&args, &root),
        Command::Accept(args) => accept::accept_step(&args, &root),
        Command::Cache(args) => cache::cache(&args, &root),
        Command::Storage(args) => storage::storage(&args, &root),
        Command::Serve(args) => serve::serve(&args, &root).map_err(CommandError::from),
        Command::Recommend(args) => recommend::recommend(&args),
        Command::VerifyService(args) => verify_service::verify_service(&args),
        Command::Runs(args) => runs::runs(&args, &root),
        Command::Metrics(args) => metrics::metrics(&args, &root),
        Command::Logs(args) => logs::logs(&args, &root),
        Command::Track(args) => track::track(&args, &root),
        Command::Graph(args) => graph::graph(&args, &root),
        Command::Check(args) => check::check(&args, &root),
        Command::Kinds(args) => kinds::kinds(&args),
        Command::Completions(args) => completions::completions(&args),
        Command::Schema(args) => schema::schema(&args),
    }
}
