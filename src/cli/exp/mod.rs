//! `recsys exp`: many variants of a pipeline, and which of them is best.

mod against;
mod choice;
mod collect;
mod dry_run;
mod fields;
mod find;
mod ladder;
mod notes;
mod planner;
mod promote;
mod recorded;
mod run;
mod show;
mod table;
mod tracked;
mod verdict;
mod view;

use std::path::Path;

use clap::{Args, Subcommand};

use super::CommandError;

/// Try many settings of a pipeline and compare what comes out.
#[derive(Debug, Args)]
pub struct ExpArgs {
    #[command(subcommand)]
    command: ExpCommand,
}

#[derive(Debug, Subcommand)]
enum ExpCommand {
    /// Run the variants of an experiment file as one plan: what they share runs once
    Run(run::RunArgs),
    /// List the experiments that ran
    List(show::ListArgs),
    /// Show the last results of an experiment, the best variant first
    Show(show::ShowArgs),
    /// Compare variants of several experiments
    Compare(show::CompareArgs),
    /// Write the values of the best variant into a configuration file, and release its artifacts
    Promote(promote::PromoteArgs),
}

/// Runs the command.
///
/// # Errors
/// When the file is wrong, a step fails, or the run is stopped.
pub fn exp(args: &ExpArgs, root: &Path) -> Result<(), CommandError> {
    match &args.command {
        ExpCommand::Run(args) => run::run(args, root),
        ExpCommand::List(args) => {
            show::list(args, root);
            Ok(())
        }
        ExpCommand::Show(args) => show::show(args, root),
        ExpCommand::Compare(args) => show::compare(args, root),
        ExpCommand::Promote(args) => promote::promote(args, root),
    }
}
