//! One try of one step, on a thread of its own: a private folder, the step's code, the commit.

use std::any::Any;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use miette::Diagnostic;
use thiserror::Error;

use super::usage::Measured;
use crate::workflow::digest::Digest;
use crate::workflow::event::{Event, Listener, Reason};
use crate::workflow::files::FilesError;
use crate::workflow::fingerprint::Fingerprint;
use crate::workflow::kind::{Context, Notes, Progress, StepError};
use crate::workflow::lineage::Ancestor;
use crate::workflow::plan::PlannedStep;
use crate::workflow::remote::ReadThrough;
use crate::workflow::store::{KeyLock, Object, Staging, StepResult, Store};

/// Progress is written to the log no more often than this.
const BETWEEN_LINES: Duration = Duration::from_millis(100);

/// Everything that one try needs.
pub struct Task<'a> {
    /// The step.
    pub step: &'a PlannedStep,
    /// What its outputs depend on.
    pub fingerprint: Fingerprint,
    /// The files behind its inputs.
    pub inputs: Vec<TaskInput>,
    /// The steps before it, for a kind that tells of them.
    pub lineage: Vec<Ancestor>,
    /// Why it has to run.
    pub reason: Reason,
    /// 1 for the first try.
    pub attempt: u32,
    /// Where its result may be already.
    pub remote: Option<&'a ReadThrough>,
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
    /// Where the step writes.
    pub staging: Arc<Staging>,
    /// Keeps other runs from making the same; nothing for a service.
    pub held: Option<KeyLock>,
}

/// One file that a step reads.
pub struct TaskInput {
    /// The port, and the name after a dot where there is one.
    pub label: String,
    /// The port.
    pub port: String,
    /// The name within a port that takes many, or nothing.
    pub name: String,
    /// Where the bytes are.
    pub path: PathBuf,
    /// The name of the artifact, for bytes that lie in the store under another one.
    pub shown: Option<String>,
}

/// How a try ended.
pub enum Outcome {
    /// The outputs are in the store.
    Done(Box<StepResult>),
    /// They are, and another machine made them.
    Fetched(Box<StepResult>),
    /// A service was stopped.
    Served,
    /// It was stopped.
    Cancelled,
    /// It failed.
    Failed {
        /// The error, its causes and its help.
        error: String,
    },
}

/// An input is not what it was when the step was decided on.
#[derive(Debug, Error, Diagnostic)]
#[error("the input `{input}` changed while the step ran: `{}`", path.display())]
#[diagnostic(help(
    "what the step made is not kept; if the step edits its input itself, let it write an output instead, else run again"
))]
struct InputChanged {
    input: String,
    path: PathBuf,
}

/// A bug in a step.
#[derive(Debug, Error, Diagnostic)]
#[error("the step crashed: {0}")]
#[diagnostic(help("this is a bug in recsys; please report it with the step's log"))]
struct Crashed(String);

impl Task<'_> {
    /// Fetches what the step makes from a remote cache, or runs the step and commits what it made.
    pub fn run(self) -> Outcome {
        if let Some(result) = self.fetch() {
            return Outcome::Fetched(Box::new(result));
        }
        if self.cancelled.load(Ordering::Relaxed) {
            return Outcome::Cancelled;
        }
        let log = self.log.display().to_string();
        let span = tracing::info_span!("step", name = %self.step.name, log = %log);
        let _entered = span.enter();
        self.listener.hear(&Event::StepStarted {
            step: self.step.name.clone(),
            reason: self.reason.clone(),
            attempt: self.attempt,
        });
        tracing::info!(kind = self.step.kind.name, "started");
        match self.attempt() {
            Ok(Some(result)) => {
                tracing::info!(seconds = result.seconds, "finished");
                Outcome::Done(Box::new(result))
            }
            Ok(None) => Outcome::Served,
            Err(_) if self.cancelled.load(Ordering::Relaxed) => {
                tracing::info!("stopped");
                Outcome::Cancelled
            }
            Err(error) => {
                let error = describe(&*error);
                tracing::error!("{error}");
                Outcome::Failed { error }
            }
        }
    }

    fn attempt(&self) -> Result<Option<StepResult>, StepError> {
        let folder = self.staging.folder()?;
        let outputs: BTreeMap<String, PathBuf> = self
            .step
            .outputs
            .iter()
            .map(|output| {
                let name = output.path.file_name().unwrap_or_default().to_string_lossy();
                (output.port.clone(), folder.path().join(format!("{}-{name}", output.port)))
            })
            .collect();
        let span = tracing::Span::current();
        let logged: Mutex<Option<Instant>> = Mutex::new(None);
        let progress = |progress: Progress| {
            let mut last = logged.lock().unwrap_or_else(PoisonError::into_inner);
            if last.is_none_or(|last| last.elapsed() > BETWEEN_LINES) || progress.total == Some(progress.done)
            {
                *last = Some(Instant::now());
                let Progress { done, total, unit, note, .. } = &progress;
                let unit: &str = unit;
                span.in_scope(|| tracing::info!(done, total, unit, note, "progress"));
            }
            drop(last);
            self.listener.hear(&Event::StepProgressed { step: self.step.name.clone(), progress });
        };
        let inputs = self.named_inputs()?;
        let checkpoint = self.store.checkpoint_path(&self.fingerprint.key());
        let ctx = Context {
            inputs: inputs.clone(),
            outputs: outputs.clone(),
            environment: self.step.environment.clone(),
            work_dir: folder.path().join("work"),
            checkpoint: checkpoint.clone(),
            lasting: self.store.lasting(),
            outside: self.outside(),
            root: self.root.to_owned(),
            log: self.log.clone(),
            lineage: self.lineage.clone(),
            progress: &progress,
            cancelled: &self.cancelled,
            notes: Mutex::new(Notes::default()),
        };
        let started = Instant::now();
        // A command is measured by itself.
        let measured = (!self.step.kind.open_ports).then(Measured::begin);
        match catch_unwind(AssertUnwindSafe(|| self.with_threads(&ctx))) {
            Ok(ended) => ended?,
            Err(payload) => return Err(Crashed(text_of(payload.as_ref())).into()),
        }
        let Some(held) = &self.held else { return Ok(None) };
        ctx.check_cancelled()?;
        self.check_inputs(&inputs)?;
        let mut notes = ctx.notes.into_inner().unwrap_or_else(PoisonError::into_inner);
        notes.usage = notes.usage.or_else(|| measured.as_ref().and_then(Measured::usage));
        // What tells how long others took may say it otherwise each time.
        let before = self.store.recorded(&self.fingerprint.key()).filter(|_| !self.step.kind.lineage);
        let elapsed = started.elapsed();
        let mut result = self.store.commit(held, self.fingerprint.clone(), &outputs, notes, elapsed)?;
        // One that cannot be removed now goes when the store is collected.
        let _ = fs::remove_file(&checkpoint);
        if let Some(before) = before {
            result.notes.warnings.extend(differences(&before, &result));
        }
        Ok(Some(result))
    }

    /// The state of what the step reads outside of the project, as it was when the step was decided on: it has a
    /// label that no input has.
    fn outside(&self) -> Option<Digest> {
        let is_input = |label: &str| self.inputs.iter().any(|input| input.label == label);
        let is_probe = |label: &str| label.starts_with("$ ");
        let mut others =
            self.fingerprint.inputs.iter().filter(|(label, _)| !is_input(label) && !is_probe(label));
        others.next().map(|(_, digest)| *digest).filter(|_| self.step.kind.outside)
    }

    /// The store's files under the names of the artifacts: programs go by extensions.
    fn named_inputs(&self) -> Result<BTreeMap<String, Vec<(String, PathBuf)>>, FilesError> {
        let mut inputs: BTreeMap<String, Vec<(String, PathBuf)>> = BTreeMap::new();
        let needs_links = self.inputs.iter().any(|input| input.shown.is_some());
        let folder = if needs_links { self.staging.inputs()? } else { PathBuf::new() };
        for input in &self.inputs {
            let path = match &input.shown {
                Some(shown) => {
                    let link = folder.join(format!("{}-{shown}", input.label));
                    symlink(&input.path, &link).map_err(FilesError::new("create", &link))?;
                    link
                }
                None => input.path.clone(),
            };
            inputs.entry(input.port.clone()).or_default().push((input.name.clone(), path));
        }
        Ok(inputs)
    }

    /// Whether the inputs are what they were when the step was decided on.
    fn check_inputs(&self, named: &BTreeMap<String, Vec<(String, PathBuf)>>) -> Result<(), StepError> {
        for TaskInput { label, port, name, path, shown } in &self.inputs {
            let found = self.store.digests().digest(path).ok();
            // A command such as `sed -i` puts a file of its own in the place of the link.
            let link = named.get(port).into_iter().flatten().find(|(found, _)| found == name);
            let leads_there =
                link.is_some_and(|(_, link)| fs::read_link(link).is_ok_and(|target| target == *path));
            let replaced = shown.is_some() && !leads_there;
            if replaced || found.as_ref() != self.fingerprint.inputs.get(label) {
                return Err(InputChanged { input: label.clone(), path: path.clone() }.into());
            }
        }
        Ok(())
    }

    /// Runs the step within as many threads as it declares, or in the pool that all steps share.
    fn with_threads(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let runnable = self.step.runnable().map_err(|error| Crashed(error.to_string()))?;
        let cores = std::thread::available_parallelism().map_or(1, Into::into);
        let threads = self.step.threads.map(|threads| threads.min(cores));
        let pool = threads.map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build());
        match pool {
            Some(Ok(pool)) => pool.install(|| runnable.run(ctx)),
            // Without a pool of its own a step is slower or faster, never different.
            Some(Err(_)) | None => runnable.run(ctx),
        }
    }
}

/// Outputs that a step made otherwise from the same inputs.
fn differences(before: &StepResult, now: &StepResult) -> Option<String> {
    let differs = |(port, object): (&String, &Object)| {
        let digest = before.outputs.get(port).map(|before| before.digest);
        digest.is_some_and(|digest| digest != object.digest).then(|| format!("`{port}`"))
    };
    let ports: Vec<String> = now.outputs.iter().filter_map(differs).collect();
    let told = format!(
        "made other bytes from the same inputs than before: {}; it is not deterministic, or depends on something that it does not declare",
        ports.join(", ")
    );
    (!ports.is_empty()).then_some(told)
}

/// An error with its causes and its help, as plain text.
pub fn describe(error: &dyn Diagnostic) -> String {
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
