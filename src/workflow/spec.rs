//! The pipeline as written: steps with references and values and their places; nothing resolved.
//!
//! Reading goes through phases, each a file: [`load`] the file and what it includes, check their
//! shape ([`file`]), work out variables, [`expand`] steps into instances and drop those that are off,
//! then render each [`step`] and follow its references to groups and off steps ([`connect`]). What is
//! wrong is collected, not thrown: the plan adds what it finds, and everything is told at once.

mod connect;
mod expand;
mod file;
mod load;
mod overrides;
mod step;
pub mod units;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::fault::{Fault, FileError};
use super::source::{SourceId, Sources, Span};
use super::values::Scope;
use super::yaml::Node;

pub use file::{PipelineFile, Resources, StepFile};
pub use overrides::Overrides;
pub use step::placeholder;

/// Steps that a pipeline may have, instances of `foreach:` and `matrix:` counted.
pub const MOST_STEPS: usize = 10_000;

/// A pipeline with its templates rendered and its steps expanded.
#[derive(Debug, Clone)]
pub struct Spec {
    /// `name:`, or a name made from that of the file.
    pub name: String,
    /// The steps that take part, in the order of the files.
    pub steps: Vec<StepSpec>,
    /// The steps that do not.
    pub off: Vec<OffStep>,
    /// The pipeline file.
    pub path: PathBuf,
    /// The variables and their values as they are written, changes included.
    pub variables: BTreeMap<String, serde_json::Value>,
    /// `tracking:` of all files as one, rendered; whoever logs runs knows what may stand there.
    pub tracking: Option<Node>,
    /// Every text that it was made from, for underlining.
    pub sources: Sources,
    /// Every file that was read: the pipeline, its includes, the configurations.
    pub files: Vec<PathBuf>,
    /// Every environment variable that was looked at, and its value or that there was none. Values may be secrets.
    pub environment_read: BTreeMap<String, Option<String>>,
    /// What is wrong so far; [`Plan::new`](super::plan::Plan::new) reports it together with what it finds.
    pub faults: Vec<Fault>,
}

/// One step as written.
#[derive(Debug, Clone)]
pub struct StepSpec {
    /// Its name in the pipeline.
    pub name: String,
    /// Where the name stands.
    pub span: Span,
    /// The step of the file that `foreach:` or `matrix:` made this one from.
    pub group: Option<String>,
    /// The kind it uses.
    pub kind: Placed<String>,
    /// Its inputs.
    pub inputs: Vec<InputSpec>,
    /// Paths given for outputs.
    pub outputs: Vec<(Placed<String>, Placed<String>)>,
    /// `with:`, and `run:` as the parameter `command`.
    pub parameters: Node,
    /// Steps that must be done before, without data.
    pub needs: Vec<Placed<String>>,
    /// Declared environment variables and their values.
    pub environment: BTreeMap<String, String>,
    /// Commands whose output enters the fingerprint.
    pub probes: Vec<String>,
    /// Threads that it occupies.
    pub threads: Option<usize>,
    /// Memory that it occupies, in bytes.
    pub memory: Option<u64>,
    /// It is stopped after this time.
    pub timeout: Option<Duration>,
    /// How often it is tried again after a failure, and when.
    pub retries: Retries,
    /// A part of it is wrong and has been reported: what only follows from that is not told again.
    pub incomplete: bool,
}

/// A step that does not take part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffStep {
    /// Its name.
    pub name: String,
    /// The step of the file that `foreach:` or `matrix:` made it from.
    pub group: Option<String>,
    /// Why, after "but it is off: ".
    pub reason: String,
    /// Paths that it would write, as far as they are written down.
    outputs: Vec<String>,
}

/// One artifact that a step reads.
#[derive(Debug, Clone)]
pub struct InputSpec {
    /// The input port.
    pub port: Placed<String>,
    /// The name within a port that takes many.
    pub name: Option<String>,
    /// `step.port` or a path.
    pub reference: Placed<String>,
    /// What was written, when that names every step of a group.
    pub group: Option<String>,
    /// The step behind it is off: an input that may be missing is left out, any other is a mistake.
    pub off: Option<OffStep>,
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

/// How often a failed step is tried again, and when.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Retries {
    /// How often.
    pub times: u32,
    /// The time before the first retry.
    pub wait: Duration,
    /// Each wait is this many times the one before.
    pub factor: f64,
}

impl Default for Retries {
    fn default() -> Self {
        Self { times: 0, wait: Duration::from_secs(1), factor: 2.0 }
    }
}

impl Retries {
    /// No wait is longer than this.
    pub const LONGEST_WAIT: Duration = Duration::from_secs(300);

    /// How long to wait before the retry with this number, counted from 1; nothing when there is none left.
    pub fn wait_before(&self, retry: u32) -> Option<Duration> {
        if retry == 0 || retry > self.times {
            return None;
        }
        let exponent = i32::try_from(retry - 1).unwrap_or(i32::MAX);
        let seconds = self.wait.as_secs_f64() * self.factor.powi(exponent);
        Some(Duration::from_secs_f64(seconds.min(Self::LONGEST_WAIT.as_secs_f64())))
    }
}

/// Why a pipeline cannot be read.
#[derive(Debug, Error, Diagnostic)]
pub enum SpecError {
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    #[diagnostic(
        code(recsys::pipeline::unreadable),
        help(
            "check the path; a pipeline is named after the command, as in `recsys run pipelines/demo.yaml`, or by RECSYS_PIPELINE"
        )
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is a folder.
    #[error("`{}` is a folder, not a file", path.display())]
    #[diagnostic(code(recsys::pipeline::folder), help("{help}"))]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The files in it.
        help: String,
    },
    /// Mistakes in the file.
    #[error(transparent)]
    #[diagnostic(transparent)]
    File(#[from] FileError),
}

/// The text of a file that is no pipeline, such as an experiment, as a source of its own.
///
/// # Errors
/// When it cannot be read or is no text.
pub fn read_file(path: &Path, sources: &mut Sources) -> Result<(String, SourceId), SpecError> {
    load::read_other(path, sources)
}

impl Spec {
    /// Reads a pipeline file and what it includes, and renders its templates.
    ///
    /// # Errors
    /// When a file cannot be read or is no YAML; other mistakes are kept in [`Spec::faults`].
    pub fn read(path: &Path, scope: Scope, overrides: &Overrides) -> Result<Self, SpecError> {
        let mut sources = Sources::default();
        let text = load::read_main(path, &mut sources)?;
        Self::assemble(path, text, sources, scope, overrides)
    }

    /// Takes a pipeline from its text.
    ///
    /// # Errors
    /// When the text is no YAML; other mistakes are kept in [`Spec::faults`].
    pub fn parse(path: &Path, text: &str, scope: Scope, overrides: &Overrides) -> Result<Self, SpecError> {
        Self::assemble(path, text.to_owned(), Sources::default(), scope, overrides)
    }

    fn assemble(
        path: &Path,
        text: String,
        mut sources: Sources,
        scope: Scope,
        overrides: &Overrides,
    ) -> Result<Self, SpecError> {
        let mut faults = Vec::new();
        let shape = file::shape();
        let loaded = load::load(path, text, &shape, &mut sources, &mut faults);
        let changes = overrides::read(overrides, &mut sources, &mut faults)?;
        let Some(files) = loaded else { return Err(FileError::new(&sources, faults).into()) };
        let name = load::name_of(&files, path, &mut faults);
        let scope = load::variables(&files, &changes.vars, &scope, &mut faults);
        let declared = files.iter().filter_map(|file| file.root.given("vars")).flat_map(Node::entries);
        let mut variables: BTreeMap<String, serde_json::Value> =
            declared.map(|entry| (entry.key.clone(), entry.node.to_json())).collect();
        for change in &changes.vars {
            variables.entry(change.name.clone()).and_modify(|value| *value = change.value.to_json());
        }
        let tracking = load::tracking(&files, &changes.tracking, &scope, &mut faults);
        let drafts = expand::expand(&files, &scope, &sources, &mut faults);
        overrides::check_names(&changes, &drafts, &mut faults);
        let known = connect::Known::new(&drafts);
        let mut builder = step::Builder::new(&shape, &known, &changes, &mut faults);
        let steps = drafts.on.iter().map(|draft| builder.build(draft)).collect();
        let off = drafts.off;
        let files =
            files.into_iter().map(|file| file.path).chain(overrides.configs.iter().cloned()).collect();
        let environment_read = scope.environment_read();
        Ok(Self {
            name,
            steps,
            off,
            path: path.to_owned(),
            variables,
            tracking,
            sources,
            files,
            environment_read,
            faults,
        })
    }

    /// These faults as an error with the texts that they are in.
    pub fn error(&self, faults: Vec<Fault>) -> FileError {
        FileError::new(&self.sources, faults)
    }
}

/// A scalar as text; anything else as JSON.
fn text(node: &Node) -> String {
    match node.to_json() {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
