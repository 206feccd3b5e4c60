//! Parse, call one function, render the diagnostic, exit code.

use std::process::ExitCode;

use clap::Parser;
use recsys::cli::{Cli, execute};
use recsys::console::StepLogs;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

fn main() -> ExitCode {
    let cli = Cli::parse();
    tracing_subscriber::registry().with(StepLogs.with_filter(LevelFilter::INFO)).init();
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.exit_code();
            if let Some(report) = error.into_report() {
                show(&report);
            }
            code
        }
    }
}

#[expect(clippy::print_stderr, reason = "the last word of the program")]
fn show(report: &miette::Report) {
    eprintln!("{report:?}");
}
