//! Parse, call one function, render the diagnostic, exit code.

use std::process::ExitCode;

use recsys::cli::{Cli, execute, unchanged};
use recsys::console::{ServiceLog, StepLogs, remark, say, unsaid};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

fn main() -> ExitCode {
    let code = match unchanged() {
        Some(text) => {
            say(&text);
            ExitCode::SUCCESS
        }
        None => full(),
    };
    match unsaid() {
        Some(error) if code == ExitCode::SUCCESS => {
            remark(&format!("{:?}", miette::Report::new(error)));
            ExitCode::from(1)
        }
        _ => code,
    }
}

/// Everything but the quick answer that nothing has changed.
fn full() -> ExitCode {
    match Cli::read() {
        Ok(cli) => work(cli),
        // Help and version are results, although clap hands them over as errors.
        Err(error) if !error.use_stderr() => {
            say(&styled(&error));
            ExitCode::SUCCESS
        }
        Err(error) => error.exit(),
    }
}

fn work(cli: Cli) -> ExitCode {
    tracing_subscriber::registry()
        .with(StepLogs.with_filter(LevelFilter::INFO))
        .with(ServiceLog.with_filter(LevelFilter::INFO))
        .init();
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = error.exit_code();
            if let Some(report) = error.into_report() {
                remark(&format!("{report:?}"));
            }
            code
        }
    }
}

/// A help text, with its styles on a terminal.
fn styled(error: &clap::Error) -> String {
    let text = error.render();
    if std::io::IsTerminal::is_terminal(&std::io::stdout()) && std::env::var_os("NO_COLOR").is_none() {
        text.ansi().to_string()
    } else {
        text.to_string()
    }
}
