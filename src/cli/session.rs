//! What every command that runs steps does around the run: signals, threads, the size of the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

use super::CommandError;
use crate::console::{self, bytes};
use crate::workflow::event::Tally;
use crate::workflow::store::Store;

/// Ctrl-C and SIGTERM, heard since it was made.
pub struct Stop {
    flag: Arc<AtomicBool>,
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// Listens from now on; the second signal ends the process at once, its commands are ended by their guard.
    pub fn on_signals() -> Self {
        let (flag, signal) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        for number in [SIGINT, SIGTERM] {
            let armed =
                signal_hook::flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&flag))
                    .and_then(|_| {
                        signal_hook::flag::register_usize(number, Arc::clone(&signal), number as usize)
                    })
                    .and_then(|_| signal_hook::flag::register(number, Arc::clone(&flag)));
            if let Err(error) = armed {
                tracing::warn!("Ctrl-C will end the run without cleaning up: {error}");
            }
        }
        Self { flag, signal }
    }

    /// Set once a signal came.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.flag)
    }

    /// Whether a signal came.
    pub fn is_set(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }

    /// How a command without a run ends, when a signal came.
    pub fn as_error(&self) -> Option<CommandError> {
        self.is_set().then(|| CommandError::Stopped(self.signal.load(Ordering::Relaxed)))
    }

    /// How the command ends after a run.
    ///
    /// # Errors
    /// When a step failed or the run was stopped.
    pub fn verdict(&self, tally: &Tally) -> Result<(), CommandError> {
        match tally {
            tally if tally.is_stopped() => Err(CommandError::Stopped(self.signal.load(Ordering::Relaxed))),
            tally if tally.failed > 0 => Err(CommandError::StepFailed),
            _ => Ok(()),
        }
    }
}

/// Threads for steps that run at the same time: as asked for, or one per core.
pub fn jobs(asked: Option<u16>) -> usize {
    asked.map_or_else(|| std::thread::available_parallelism().map_or(1, Into::into), usize::from)
}

/// Brings the store down to a size.
pub fn trim(store: &Store, size: u64) {
    match store.keep_under(size) {
        Ok(0) => {}
        Ok(removed) => console::remark(&format!(
            "the store was over {}: results of {} that are cheap to make again were removed",
            bytes(size),
            bytes(removed)
        )),
        Err(error) => tracing::warn!("the store could not be collected: {error}"),
    }
}
