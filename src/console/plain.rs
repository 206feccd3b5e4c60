//! Plain lines, one an event, for logs and pipes.

use std::sync::{Mutex, PoisonError};

use super::outcome::Outcome;
use super::say::{remark, say};
use crate::workflow::event::{Event, Listener};
use crate::workflow::release::Restored;
use crate::workflow::units::{bytes, seconds};

/// Prints a line for each event but progress.
#[derive(Default)]
pub struct Plain {
    outcome: Mutex<Outcome>,
}

impl Plain {
    /// A listener that has heard nothing yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Listener for Plain {
    fn hear(&self, event: &Event) {
        let mut outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        outcome.hear(event);
        if let Some(line) = line(event) {
            remark(&line);
        }
        if let Event::RunFinished { tally } = event {
            say(&outcome.render(tally));
        }
    }
}

/// One line about an event, when it deserves one.
pub fn line(event: &Event) -> Option<String> {
    match event {
        Event::RunWaited { run: Some(run) } => {
            Some(format!("run {run} of this pipeline is at work; waiting for it and showing what it does"))
        }
        Event::RunWaited { run: None } => {
            Some("another run of this pipeline is at work; waiting for it to end".to_owned())
        }
        Event::RunFollowed { told } => line(told).map(|line| format!("  | {line}")),
        Event::StepWaited { step } => {
            Some(format!("[{step}] the same is being made already; waiting for it"))
        }
        Event::StepFetchBegan { step, from, bytes: size } => {
            Some(format!("[{step}] fetching {} from {from}", bytes(*size)))
        }
        Event::StepStopped { step } => Some(format!("[{step}] stopped")),
        Event::ArtifactRestored { step, path, was } => {
            let path = path.display();
            Some(match was {
                Restored::Missing => format!("[{step}] `{path}` was missing since the last run; restored"),
                Restored::Modified => format!("[{step}] `{path}` was modified since the last run; restored"),
                Restored::Replaced => {
                    format!(
                        "[{step}] `{path}` held what another pipeline of the project makes there; replaced"
                    )
                }
            })
        }
        Event::StepStarted { step, reason, attempt: 1 } => Some(format!("[{step}] started: {reason}")),
        Event::StepStarted { step, attempt, .. } => Some(format!("[{step}] started again, try {attempt}")),
        Event::StepWarned { step, warning } => Some(format!("[{step}] warning: {warning}")),
        Event::StepFinished { step, elapsed, .. } => {
            Some(format!("[{step}] finished in {}", seconds(*elapsed)))
        }
        Event::StepFailed { step, error, will_retry } => {
            let then = if *will_retry { "; it will be tried again" } else { "" };
            Some(format!("[{step}] failed{then}: {error}"))
        }
        Event::StepSkipped { step } => Some(format!("[{step}] not run")),
        Event::RunStarted { .. }
        | Event::StepReused { .. }
        | Event::StepProgressed { .. }
        | Event::RunFinished { .. } => None,
    }
}
