//! What happened in a run, in the past tense; the runner tells, others show and record it.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::fingerprint::Change;
use super::kind::Progress;
use super::release::Restored;

/// One thing that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Another run of the pipeline is at work; this one waits for it.
    RunWaited {
        /// The name of the other run, when it has told it.
        run: Option<String>,
    },
    /// While waiting: the other run told something.
    RunFollowed {
        /// What happened there.
        event: Box<Event>,
    },
    /// Another run makes what this step would make; this one waits for it.
    StepWaited {
        /// Its name.
        step: String,
    },
    /// A run began.
    RunStarted {
        /// Name of the pipeline.
        pipeline: String,
        /// Names of the steps it will look at, in order.
        steps: Vec<String>,
    },
    /// A step's result was in the store.
    StepReused {
        /// Its name.
        step: String,
        /// Why nothing had to run.
        reason: Reused,
        /// The text that it left for the end of a run.
        summary: Option<String>,
    },
    /// A released file had been changed or deleted, and was put back.
    ArtifactRestored {
        /// The step that made it.
        step: String,
        /// The file.
        path: PathBuf,
        /// What was wrong.
        was: Restored,
    },
    /// A step began.
    StepStarted {
        /// Its name.
        step: String,
        /// Why it had to run.
        reason: Reason,
        /// 1 for the first try.
        attempt: u32,
    },
    /// A step told how far it is.
    StepProgressed {
        /// Its name.
        step: String,
        /// How far.
        progress: Progress,
    },
    /// A step warned of something.
    StepWarned {
        /// Its name.
        step: String,
        /// What of.
        warning: String,
    },
    /// A step ended well and its outputs are released.
    StepFinished {
        /// Its name.
        step: String,
        /// How long it took.
        elapsed: Duration,
        /// Where its outputs are, and their sizes in bytes.
        outputs: Vec<(PathBuf, u64)>,
        /// A text for the end of the run.
        summary: Option<String>,
    },
    /// A step failed.
    StepFailed {
        /// Its name.
        step: String,
        /// The error, with its help, as plain text.
        error: String,
        /// Whether it will be tried again.
        will_retry: bool,
    },
    /// A step was stopped together with the run.
    StepStopped {
        /// Its name.
        step: String,
    },
    /// A step could not run because one before it failed or the run was stopped.
    StepSkipped {
        /// Its name.
        step: String,
    },
    /// The run ended.
    RunFinished {
        /// How it went.
        tally: Tally,
    },
}

/// Why a step had to run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It never ran in this project.
    NeverRun,
    /// The command line said so.
    Forced,
    /// What it depends on changed.
    Changed(Vec<Change>),
    /// Its result was in the store, but not all of its bytes.
    Damaged {
        /// The output that cannot be used.
        output: String,
    },
    /// It was released once, but its result is no longer in the store.
    Evicted,
    /// It is a service.
    Service,
}

/// Why a step did not have to run.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reused {
    /// Nothing it depends on changed since the release.
    Unchanged,
    /// Steps before it ran and made the same bytes again.
    CutOff {
        /// Those steps.
        after: Vec<String>,
    },
    /// An earlier result fits: the edit was taken back, or another step or run made the same.
    Restored {
        /// What changed since the release.
        changes: Vec<Change>,
    },
    /// It lies before the selected steps and was taken as it is.
    AsReleased,
}

/// How many steps went which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Ran and ended well.
    pub finished: usize,
    /// Were in the store.
    pub reused: usize,
    /// Failed.
    pub failed: usize,
    /// Did not get their turn.
    pub skipped: usize,
    /// Whether the run was stopped from outside.
    pub stopped: bool,
    /// Wall time.
    pub elapsed: Duration,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NeverRun => f.write_str("never run before"),
            Self::Forced => f.write_str("forced"),
            Self::Changed(changes) => {
                let texts: Vec<String> = changes.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join(", "))
            }
            Self::Damaged { output } => write!(f, "its output `{output}` is missing or damaged in the store"),
            Self::Evicted => f.write_str("its result is no longer in the store"),
            Self::Service => f.write_str("asked for"),
        }
    }
}

/// Somebody who wants to know what happens; called from several threads.
pub trait Listener: Send + Sync {
    /// Takes one event.
    fn hear(&self, event: &Event);
}

/// Several listeners, told in order.
impl Listener for Vec<Box<dyn Listener>> {
    fn hear(&self, event: &Event) {
        for listener in self {
            listener.hear(event);
        }
    }
}
