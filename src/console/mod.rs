//! What people see and what logs keep: listeners to the events of a run. With `cli` the only place
//! that prints.
//!
//! Progress goes to standard error, results to standard output.

mod json_lines;
mod live;
mod outcome;
mod plain;
mod say;
mod service_log;
mod step_log_text;
mod step_logs;
mod style;

use std::io::IsTerminal;

use clap::ValueEnum;

use crate::workflow::event::Listener;
pub use crate::workflow::units::{bytes, seconds};

pub use outcome::{counts, nothing_to_do};
pub use say::{Unsaid, remark, say, unsaid};
pub use service_log::{ServiceLog, tell_of_services};
pub use step_log_text::log_line;
pub use step_logs::StepLogs;
pub use style::plain_table;

/// How a run is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people: live lines on a terminal, plain lines elsewhere
    Text,
    /// For programs: each event as one line of JSON on standard error
    Json,
}

/// The listener that shows a run in this format.
pub fn listener(format: LogFormat) -> Box<dyn Listener> {
    match format {
        LogFormat::Json => Box::new(json_lines::JsonLines::default()),
        LogFormat::Text if std::io::stderr().is_terminal() => Box::new(live::Live::new()),
        LogFormat::Text => Box::new(plain::Plain::new()),
    }
}
