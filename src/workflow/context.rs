//! What a step is given when it runs, and what it leaves beside its artifacts: progress, numbers, warnings.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use miette::Diagnostic;
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::lineage::Ancestor;

/// Progress from inside a step: rows, iterations, trees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// How much is done.
    pub done: u64,
    /// How much there is, when known.
    pub total: Option<u64>,
    /// What is counted, in the plural: `rows`, `iterations`.
    pub unit: Cow<'static, str>,
    /// What a person wants to see beside the number: `loss 0.0389`.
    pub note: String,
    /// What was measured there, by name: `loss` 0.0389.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measures: Vec<(Cow<'static, str>, f64)>,
}

/// What a step leaves beside its artifacts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Notes {
    /// Named numbers, for comparison between runs: `ranked.ndcg@10`.
    pub metrics: BTreeMap<String, f64>,
    /// What was measured on the way, by name: how much was done, and the value there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub curves: BTreeMap<String, Vec<(u64, f64)>>,
    /// Text for the end of the run, such as a table.
    pub summary: Option<String>,
    /// Things that a person should know and that are not errors.
    pub warnings: Vec<String>,
    /// What its commands used, where it ran any.
    #[serde(default)]
    pub usage: Option<Usage>,
}

impl Notes {
    /// What the step warned of when a metric of it was no number.
    pub fn no_number(&self, metric: &str) -> Option<&str> {
        let about = no_number(metric);
        self.warnings.iter().map(String::as_str).find(|warning| warning.starts_with(&about))
    }
}

/// How the warning of a metric that is no number begins.
fn no_number(metric: &str) -> String {
    format!("the metric `{metric}` is no number")
}

/// What a command and everything that it waited for used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// The most memory that one of its processes held at a time. Zero when that is less than the runner
    /// itself held when it started the command: smaller peaks cannot be told from the runner's own.
    pub peak_memory_bytes: u64,
    /// Time on the processor, in seconds.
    pub cpu_seconds: f64,
}

/// The world of one running step: where to read, where to write, whom to tell.
pub struct Context<'a> {
    pub(super) inputs: BTreeMap<String, Vec<(String, PathBuf)>>,
    pub(super) outputs: BTreeMap<String, PathBuf>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) work_dir: PathBuf,
    pub(super) checkpoint: PathBuf,
    pub(super) lasting: PathBuf,
    pub(super) outside: Option<Digest>,
    pub(super) root: PathBuf,
    pub(super) log: PathBuf,
    pub(super) lineage: Vec<Ancestor>,
    pub(super) progress: &'a (dyn Fn(Progress) + Send + Sync),
    pub(super) cancelled: &'a AtomicBool,
    pub(super) notes: Mutex<Notes>,
}

impl Context<'static> {
    /// A context outside of a run, for tests of single steps.
    ///
    /// A port may be given several times; its files are named after their file stems.
    pub fn standalone(
        inputs: impl IntoIterator<Item = (&'static str, PathBuf)>,
        outputs: impl IntoIterator<Item = (&'static str, PathBuf)>,
        work_dir: PathBuf,
    ) -> Self {
        static NOT_CANCELLED: AtomicBool = AtomicBool::new(false);
        let mut files: BTreeMap<String, Vec<(String, PathBuf)>> = BTreeMap::new();
        for (port, path) in inputs {
            let name = path.file_stem().map_or(port.into(), |stem| stem.to_string_lossy()).into_owned();
            files.entry(port.to_owned()).or_default().push((name, path));
        }
        Self {
            inputs: files,
            outputs: outputs.into_iter().map(|(port, path)| (port.to_owned(), path)).collect(),
            environment: BTreeMap::new(),
            root: work_dir.clone(),
            log: work_dir.join("log.jsonl"),
            lineage: Vec::new(),
            checkpoint: work_dir.join("checkpoint"),
            lasting: work_dir.join("lasting"),
            outside: None,
            work_dir,
            progress: &|_| (),
            cancelled: &NOT_CANCELLED,
            notes: Mutex::default(),
        }
    }
}

impl Context<'_> {
    /// The file behind a required input.
    ///
    /// # Panics
    /// When the kind declares no such input: the plan has checked everything else.
    pub fn input(&self, port: &str) -> &Path {
        self.optional_input(port).expect("a required input is in every plan that was checked")
    }

    /// The file behind an input that may be left out.
    pub fn optional_input(&self, port: &str) -> Option<&Path> {
        self.inputs.get(port).and_then(|files| files.first()).map(|(_, path)| path.as_path())
    }

    /// The named files behind an input that takes many, in the order of their names.
    pub fn inputs(&self, port: &str) -> impl Iterator<Item = (&str, &Path)> {
        self.inputs.get(port).into_iter().flatten().map(|(name, path)| (name.as_str(), path.as_path()))
    }

    /// Every input port with its files.
    pub fn all_inputs(&self) -> impl Iterator<Item = (&str, &[(String, PathBuf)])> {
        self.inputs.iter().map(|(port, files)| (port.as_str(), files.as_slice()))
    }

    /// Where to write an output: a path in a private folder, nothing is there yet.
    ///
    /// # Panics
    /// When the kind declares no such output.
    pub fn output(&self, port: &str) -> &Path {
        self.outputs.get(port).expect("the context has a path for every declared output")
    }

    /// Where to write an output that is made on request, if it is asked for.
    pub fn requested_output(&self, port: &str) -> Option<&Path> {
        self.outputs.get(port).map(PathBuf::as_path)
    }

    /// Every output port with its path.
    pub fn all_outputs(&self) -> impl Iterator<Item = (&str, &Path)> {
        self.outputs.iter().map(|(port, path)| (port.as_str(), path.as_path()))
    }

    /// The environment variables that the step declares, and their values.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// A private folder for temporary files, made when first asked for and removed after the step.
    pub fn work_dir(&self) -> &Path {
        if let Err(error) = std::fs::create_dir_all(&self.work_dir) {
            tracing::warn!("`{}` cannot be made: {error}", self.work_dir.display());
        }
        &self.work_dir
    }

    /// A file that outlives a run that is killed: a later try with the same fingerprint finds it and may
    /// continue from it. A step puts it there as a whole, by renaming; it goes when the step is done.
    pub fn checkpoint(&self) -> &Path {
        &self.checkpoint
    }

    /// The steps that this one comes from, each after those before it, for a kind that asks to be told
    /// ([`Step::LINEAGE`]); empty for others.
    pub fn lineage(&self) -> &[Ancestor] {
        &self.lineage
    }

    /// A folder of the store for what has to outlast the step and whatever becomes of the run; files in it are
    /// the step's own business.
    pub fn lasting(&self) -> &Path {
        &self.lasting
    }

    /// The state that [`Step::outside`] told when the step was decided on.
    pub fn outside(&self) -> Option<Digest> {
        self.outside
    }

    /// The project folder, in which commands run.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The step's log file, for the output of commands.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Tells how far the step is.
    pub fn progress(&self, done: u64, total: Option<u64>, unit: &'static str, note: impl Into<String>) {
        (self.progress)(Progress { done, total, unit: unit.into(), note: note.into(), measures: Vec::new() });
    }

    /// Tells how far the step is and what it measured there: the next point of the curve of each name, which
    /// is kept with the result of the step. A value that is no number is not kept.
    pub fn progress_with(
        &self,
        done: u64,
        total: Option<u64>,
        unit: &'static str,
        note: impl Into<String>,
        mut measures: Vec<(Cow<'static, str>, f64)>,
    ) {
        measures.retain(|(_, value)| value.is_finite());
        self.with_notes(|notes| {
            for (name, value) in &measures {
                notes.curves.entry(name.clone().into_owned()).or_default().push((done, *value));
            }
        });
        (self.progress)(Progress { done, total, unit: unit.into(), note: note.into(), measures });
    }

    /// Keeps a number with the result of the step.
    ///
    /// A value that is no number (there was nothing to measure) is not kept, and warned of.
    pub fn metric(&self, name: impl Into<String>, value: f64) {
        let name = name.into();
        if value.is_finite() {
            self.with_notes(|notes| notes.metrics.insert(name, value));
        } else {
            self.warn(format!("{} ({value}): there was nothing to measure it on", no_number(&name)));
        }
    }

    /// Adds what a command used.
    pub fn used(&self, usage: Usage) {
        self.with_notes(|notes| {
            let so_far = notes.usage.get_or_insert_default();
            so_far.peak_memory_bytes = so_far.peak_memory_bytes.max(usage.peak_memory_bytes);
            so_far.cpu_seconds += usage.cpu_seconds;
        });
    }

    /// Shows a text at the end of the run.
    pub fn summary(&self, text: impl Into<String>) {
        self.with_notes(|notes| notes.summary = Some(text.into()));
    }

    /// Warns of something that does not stop the step.
    pub fn warn(&self, text: impl Into<String>) {
        let text = text.into();
        tracing::warn!("{text}");
        self.with_notes(|notes| notes.warnings.push(text));
    }

    /// Whether the run is being stopped.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Ends the step early when the run is being stopped; call it in every long loop.
    ///
    /// # Errors
    /// [`Cancelled`], to be passed on with `?`.
    pub fn check_cancelled(&self) -> Result<(), Cancelled> {
        if self.is_cancelled() { Err(Cancelled) } else { Ok(()) }
    }

    fn with_notes<T>(&self, change: impl FnOnce(&mut Notes) -> T) -> T {
        change(&mut self.notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// The run was stopped while the step was at work.
#[derive(Debug, Clone, Copy, thiserror::Error, Diagnostic)]
#[error("stopped before it was done")]
pub struct Cancelled;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_that_is_no_number_is_warned_of_and_not_kept() {
        let ctx = Context::standalone([], [], PathBuf::new());
        ctx.metric("als.ndcg@10", 0.5);
        ctx.metric("als.novelty@10", f64::NAN);
        let notes = ctx.notes.lock().unwrap();
        assert_eq!(notes.metrics.keys().collect::<Vec<_>>(), ["als.ndcg@10"]);
        assert!(notes.no_number("als.novelty@10").unwrap().contains("(NaN): there was nothing to measure"));
        assert_eq!(notes.no_number("als.ndcg@10"), None);
    }
}
