//! `--log-format json`: each event as one line of JSON on standard error, as the history keeps it.
//!
//! The closing `run_finished` is the last line; there are no tables, and standard output stays empty.

use std::sync::{Mutex, PoisonError};

use super::say::report;
use crate::workflow::event::{Event, Listener};
use crate::workflow::history::line;

/// Prints every event, progress included.
#[derive(Default)]
pub struct JsonLines {
    /// Whoever holds it prints: times go up from line to line.
    turn: Mutex<()>,
}

impl Listener for JsonLines {
    fn hear(&self, event: &Event) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        report(&line(event));
    }
}
