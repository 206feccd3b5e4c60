//! One try of one step, on a thread of its own: a private folder, the step's code, the commit.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use miette::Diagnostic;
use thiserror::Error;

use super::event::{Event, Listener};
use super::fingerprint::Fingerprint;
use super::kind::{Context, Notes, Progress, StepError};
use super::plan::PlannedStep;
use super::store::{StepResult, Store};

/// Progress is written to the log no more often than this.
const BETWEEN_LINES: Duration = Duration::from_millis(100);

/// Everything that one try needs.
pub struct Task<'a> {
    /// The step.
    pub step: &'a PlannedStep,
    /// What its outputs depend on.
    pub fingerprint: Fingerprint,
    /// The files behind its inputs.
    pub inputs: BTreeMap<String, Vec<(String, PathBuf)>>,
    /// The project folder.
    pub root: &'a Path,
    /// Where the outputs go.
    pub store: &'a Store,
    /// The step's log.
    pub log: PathBuf,
    /// Who hears of progress.
    pub listener: &'a dyn Listener,
    /// Set to stop the step.
    pub cancelled: Arc<AtomicBool>,
}

/// How a try ended.
pub enum Outcome {
    /// The outputs are in the store.
    Done(Box<StepResult>),
    /// A service was stopped.
    Served,
    /// It failed.
    Failed {
        /// The error, its causes and its help.
        error: String,
        /// For another try.
        fingerprint: Fingerprint,
    },
}

/// A bug in a step.
#[derive(Debug, Error, Diagnostic)]
#[error("the step crashed: {0}")]
#[diagnostic(help("this is a bug in recsys; please report it with the step's log"))]
struct Crashed(String);

impl Task<'_> {
    /// Runs the step and commits what it made.
    pub fn run(self) -> Outcome {
        let log = self.log.display().to_string();
        let span = tracing::info_span!("step", name = %self.step.name, log = %log);
        let _entered = span.enter();
        tracing::info!(kind = self.step.kind.name, "started");
        match self.attempt() {
            Ok(Some(result)) => {
                tracing::info!(seconds = result.seconds, "finished");
                Outcome::Done(Box::new(result))
            }
            Ok(None) => Outcome::Served,
            Err(error) => {
                let error = describe(&*error);
                tracing::error!("{error}");
                Outcome::Failed { error, fingerprint: self.fingerprint }
            }
        }
    }

    fn attempt(&self) -> Result<Option<StepResult>, StepError> {
        let staging = self.store.stage(&self.step.name)?;
        let work_dir = staging.path().join("work");
        std::fs::create_dir(&work_dir).map_err(super::files::FilesError::new("create", &work_dir))?;
        let outputs: BTreeMap<String, PathBuf> = self
            .step
            .outputs
            .iter()
            .map(|output| {
                let name = output.path.file_name().unwrap_or_default().to_string_lossy();
                (output.port.clone(), staging.path().join(format!("{}-{name}", output.port)))
            })
            .collect();
        let span = tracing::Span::current();
        let logged: Mutex<Option<Instant>> = Mutex::new(None);
        let progress = |progress: Progress| {
            let mut last = logged.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_none_or(|last| last.elapsed() > BETWEEN_LINES) || progress.total == Some(progress.done)
            {
                *last = Some(Instant::now());
                let Progress { done, total, unit, note } = &progress;
                let unit: &str = unit;
                span.in_scope(|| tracing::info!(done, total, unit, note, "progress"));
            }
            drop(last);
            self.listener.hear(&Event::StepProgressed { step: self.step.name.clone(), progress });
        };
        let ctx = Context {
            inputs: self.inputs.clone(),
            outputs: outputs.clone(),
            environment: self.step.environment.clone(),
            work_dir,
            root: self.root.to_owned(),
            log: self.log.clone(),
            progress: &progress,
            cancelled: &self.cancelled,
            notes: Mutex::new(Notes::default()),
        };
        let started = Instant::now();
        match catch_unwind(AssertUnwindSafe(|| self.with_threads(&ctx))) {
            Ok(ended) => ended?,
            Err(payload) => return Err(Crashed(text_of(payload.as_ref())).into()),
        }
        if self.step.kind.service {
            return Ok(None);
        }
        ctx.check_cancelled()?;
        let notes = ctx.notes.into_inner().unwrap_or_else(PoisonError::into_inner);
        let result = self.store.commit(self.fingerprint.clone(), &outputs, notes, started.elapsed())?;
        Ok(Some(result))
    }

    /// Runs the step within as many threads as it declares, or in the pool that all steps share.
    fn with_threads(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let cores = std::thread::available_parallelism().map_or(1, Into::into);
        let threads = self.step.threads.map(|threads| threads.min(cores));
        let pool = threads.map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build());
        match pool {
            Some(Ok(pool)) => pool.install(|| self.step.runnable.run(ctx)),
            // Without a pool of its own a step is slower or faster, never different.
            Some(Err(_)) | None => self.step.runnable.run(ctx),
        }
    }
}

/// An error with its causes and its help, as plain text.
fn describe(error: &dyn Diagnostic) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    if let Some(help) = error.help() {
        text.push_str("\n  help: ");
        text.push_str(&help.to_string());
    }
    text
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
