//! What people see and what logs keep: listeners to the events of a run. With `cli` the only place
//! that prints.
//!
//! Progress goes to standard error, results to standard output.

mod live;
mod outcome;
mod plain;
mod step_logs;
mod style;

use std::io::IsTerminal;

use crate::workflow::event::Listener;

pub use step_logs::StepLogs;
pub use style::{bytes, plain_table, seconds};

/// The listener for this terminal: live lines on a terminal, plain lines elsewhere.
pub fn listener() -> Box<dyn Listener> {
    if std::io::stderr().is_terminal() { Box::new(live::Live::new()) } else { Box::new(plain::Plain::new()) }
}
