//! What a kind says about itself: its name, version, ports and parameters, and how it runs.
//!
//! A kind is written as one plain struct of parameters that implements [`Step`]; the runner sees it
//! only through the erased [`Kind`]. Parameters are described once, by the struct: `serde` decodes
//! them, `schemars` derives the schema from which the checks with positions, `recsys kinds` and the
//! JSON Schema all come. The runner knows nothing else about a kind.

use std::collections::BTreeMap;
use std::path::Path;

use miette::Diagnostic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::digest::Digest;

pub use super::context::{Cancelled, Context, Notes, Progress, Usage};

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
