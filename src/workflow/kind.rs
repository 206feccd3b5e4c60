//! What a kind says about itself: its name, version, ports and parameters, and how it runs.
//!
//! A kind is written as one plain struct of parameters that implements [`Step`]; the runner sees it
//! only through the erased [`Kind`]. Parameters are described once, by the struct: `serde` decodes
//! them, `schemars` derives the schema from which the checks with positions, `recsys kinds` and the
//! JSON Schema all come. The runner knows nothing else about a kind.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use miette::Diagnostic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::digest::Digest;
use super::lineage::Ancestor;

/// The data type of ports that take or give files of any type.
pub const ANY: &str = "any file";

/// Why a step failed. Any error with a `help` text converts into it with `?`.
pub type StepError = Box<dyn Diagnostic + Send + Sync + 'static>;

/// A kind of step: the parameters of one use of it, and what that use does.
///
/// Implementations are thin: load the inputs, call the domain, save the outputs.
/// The same inputs and parameters must give the same bytes, whatever the thread count.
pub trait Step: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The name after `uses:`, in snake_case.
    const KIND: &'static str;
    /// Raised when the outputs change for the same inputs and parameters; part of the fingerprint.
    const VERSION: u32;
    /// One sentence for `recsys kinds`.
    const SUMMARY: &'static str;
    /// One step in YAML, as it stands under `steps:`; tested, and printed by `recsys kinds <kind>`.
    const EXAMPLE: &'static str;
    /// What the step reads.
    const INPUTS: &'static [InputPort];
    /// What the step writes.
    const OUTPUTS: &'static [OutputPort];
    /// Whether any input and output names are taken besides the declared ones (`shell`).
    const OPEN_PORTS: bool = false;
    /// Whether the step runs until it is stopped and makes nothing to keep (`serve`):
    /// it takes part in a run only when asked for, after everything else.
    const SERVICE: bool = false;
    /// Whether the step is told of the steps before it ([`Context::lineage`]): their names and parameters
    /// are then part of its fingerprint. How long they took is told too and is not, so such a step need not
    /// make the same bytes again.
    const LINEAGE: bool = false;
    /// Whether addresses (`https://…`) in the place of paths stand for a step of this kind.
    const BRIDGE: Option<Bridge> = None;
    /// Whether what the step makes depends on something outside of the project; see [`Step::outside`].
    const OUTSIDE: bool = false;

    /// What the step reads outside of the project: what it is called, and a digest of the state that it is in.
    /// Asked of kinds with [`Step::OUTSIDE`], once in each run; it enters the fingerprint as an input does.
    /// Nothing when this use of the kind does not depend on any.
    ///
    /// # Errors
    /// When it cannot be told.
    fn outside(&self, _world: &Outside<'_>) -> Result<Option<(String, Digest)>, StepError> {
        Ok(None)
    }

    /// What [`Serialize`] leaves out of the parameters because it must not be written down: it reaches
    /// [`Step::run`] by way of [`Context::environment`], and everything else as a digest. The names are such
    /// that no environment variable has.
    fn secrets(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// Checks rules between parameters that no single range can state.
    ///
    /// # Errors
    /// Names the parameter at fault, so that its place in the file can be shown.
    fn check(&self) -> Result<(), ParameterFault> {
        Ok(())
    }

    /// Reads the inputs of `ctx` and writes every output of `ctx`.
    ///
    /// # Errors
    /// Anything that a user must know, with a `help` text that says the next action.
    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError>;
}

/// Which addresses a kind stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bridge {
    /// An input that is an address is brought by a step with the parameter `url` and the output `file`.
    In,
    /// An output that is an address is also sent there, by a step with the parameter `to`, which is the address
    /// up to its last part, and the input `files`, which takes many: the last part names the file.
    Out,
}

/// Where a step is asked about the world outside of the project.
pub struct Outside<'a> {
    /// The project folder.
    pub root: &'a Path,
    /// The environment that the step declares, and its secrets.
    pub environment: &'a BTreeMap<String, String>,
    /// Whether to give up.
    pub stop: &'a (dyn Fn() -> bool + Send + Sync),
}

/// A rule between parameters that is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterFault {
    /// The parameter to underline.
    pub parameter: &'static str,
    /// What was expected and what was found.
    pub message: String,
}

/// How many artifacts an input takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arity {
    /// Exactly one; leaving it out is an error.
    One,
    /// One or none.
    Optional,
    /// A map of names to artifacts, at least one.
    Many,
}

/// Which period an artifact was made from; it follows the data through every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// What base models learn from.
    Train,
    /// Labels of the ranker.
    Target,
    /// Evaluation only; never reaches an input that trains.
    Test,
}

impl Role {
    /// Its name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Target => "target",
            Self::Test => "test",
        }
    }
}

/// A named input of a kind.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct InputPort {
    /// The name under `inputs:`.
    pub name: &'static str,
    /// Data types that fit; an edge from another type is refused.
    pub accepts: &'static [&'static str],
    /// How many artifacts it takes.
    pub arity: Arity,
    /// Periods whose data must not reach it.
    pub refuses: &'static [Role],
    /// One sentence for the reference.
    pub about: &'static str,
}

impl InputPort {
    /// An input that must be there.
    pub const fn new(name: &'static str, accepts: &'static [&'static str], about: &'static str) -> Self {
        Self { name, accepts, arity: Arity::One, refuses: &[], about }
    }

    /// May be left out.
    pub const fn optional(self) -> Self {
        Self { arity: Arity::Optional, ..self }
    }

    /// Takes a map of names to artifacts.
    pub const fn many(self) -> Self {
        Self { arity: Arity::Many, ..self }
    }

    /// Something is learned from it: no data of the test period.
    pub const fn trains(self) -> Self {
        Self { refuses: &[Role::Test], ..self }
    }

    /// It must not know the labels of the ranker either: train data only.
    pub const fn train_only(self) -> Self {
        Self { refuses: &[Role::Target, Role::Test], ..self }
    }
}

/// A named output of a kind.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct OutputPort {
    /// The name under `outputs:` and after the dot in `step.port`.
    pub name: &'static str,
    /// The data type, compared with [`InputPort::accepts`].
    pub data: &'static str,
    /// File extension of the default path `artifacts/<step>/<name>.<extension>`.
    pub extension: &'static str,
    /// The period it is made from, where the kind decides that (`split`).
    pub role: Option<Role>,
    /// Made only by steps that give it a path under `outputs:`.
    pub on_request: bool,
    /// One sentence for the reference.
    pub about: &'static str,
}

impl OutputPort {
    /// An output; its role is what its step's inputs have.
    pub const fn new(
        name: &'static str,
        data: &'static str,
        extension: &'static str,
        about: &'static str,
    ) -> Self {
        Self { name, data, extension, role: None, on_request: false, about }
    }

    /// Made only by steps that give it a path under `outputs:`.
    pub const fn on_request(self) -> Self {
        Self { on_request: true, ..self }
    }

    /// Data of this period only.
    pub const fn role(self, role: Role) -> Self {
        Self { role: Some(role), ..self }
    }
}

/// A kind with its type erased, as the runner and the reference see it.
#[derive(Clone, Copy)]
pub struct Kind {
    /// [`Step::KIND`].
    pub name: &'static str,
    /// [`Step::VERSION`].
    pub version: u32,
    /// [`Step::SUMMARY`].
    pub summary: &'static str,
    /// [`Step::EXAMPLE`].
    pub example: &'static str,
    /// [`Step::INPUTS`].
    pub inputs: &'static [InputPort],
    /// [`Step::OUTPUTS`].
    pub outputs: &'static [OutputPort],
    /// [`Step::OPEN_PORTS`].
    pub open_ports: bool,
    /// [`Step::SERVICE`].
    pub service: bool,
    /// [`Step::LINEAGE`].
    pub lineage: bool,
    /// [`Step::BRIDGE`].
    pub bridge: Option<Bridge>,
    /// [`Step::OUTSIDE`].
    pub outside: bool,
    schema: fn() -> Value,
    decode: fn(Value) -> Result<Box<dyn Runnable>, serde_json::Error>,
}

impl Kind {
    /// The erased form of `S`.
    pub const fn of<S: Step>() -> Self {
        Self {
            name: S::KIND,
            version: S::VERSION,
            summary: S::SUMMARY,
            example: S::EXAMPLE,
            inputs: S::INPUTS,
            outputs: S::OUTPUTS,
            open_ports: S::OPEN_PORTS,
            service: S::SERVICE,
            lineage: S::LINEAGE,
            bridge: S::BRIDGE,
            outside: S::OUTSIDE,
            schema: || schemars::schema_for!(S).to_value(),
            decode: |value| Ok(Box::new(serde_json::from_value::<S>(value)?)),
        }
    }

    /// JSON Schema of the parameters: types, ranges, defaults and descriptions.
    pub fn schema(&self) -> Value {
        (self.schema)()
    }

    /// Parameters from JSON, defaults filled in.
    ///
    /// # Errors
    /// When a value does not fit the type of its parameter.
    pub fn decode(&self, parameters: Value) -> Result<Box<dyn Runnable>, serde_json::Error> {
        (self.decode)(parameters)
    }

    /// The input named `name`.
    pub fn input(&self, name: &str) -> Option<&'static InputPort> {
        self.inputs.iter().find(|port| port.name == name)
    }

    /// The output named `name`.
    pub fn output(&self, name: &str) -> Option<&'static OutputPort> {
        self.outputs.iter().find(|port| port.name == name)
    }
}

/// A step with its parameters, ready to run; its type erased.
pub trait Runnable: Send + Sync {
    /// See [`Step::check`].
    ///
    /// # Errors
    /// See [`Step::check`].
    fn check(&self) -> Result<(), ParameterFault>;
    /// Every parameter after defaults, as it enters the fingerprint.
    fn parameters(&self) -> Value;
    /// See [`Step::secrets`].
    fn secrets(&self) -> BTreeMap<String, String>;
    /// See [`Step::outside`].
    ///
    /// # Errors
    /// See [`Step::outside`].
    fn outside(&self, world: &Outside<'_>) -> Result<Option<(String, Digest)>, StepError>;
    /// See [`Step::run`].
    ///
    /// # Errors
    /// See [`Step::run`].
    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError>;
}

impl<S: Step> Runnable for S {
    fn check(&self) -> Result<(), ParameterFault> {
        Step::check(self)
    }

    fn parameters(&self) -> Value {
        serde_json::to_value(self).expect("parameters are plain data, which always has a JSON form")
    }

    fn secrets(&self) -> BTreeMap<String, String> {
        Step::secrets(self)
    }

    fn outside(&self, world: &Outside<'_>) -> Result<Option<(String, Digest)>, StepError> {
        Step::outside(self, world)
    }

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        Step::run(self, ctx)
    }
}

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
            self.warn(format!("the metric `{name}` is {value}: there was nothing to measure it on"));
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
