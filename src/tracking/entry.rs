//! What is to be logged, one entry a line of the spool: everything that a server must be told, with the times at
//! which it happened, so that it can be told at any later time and more than once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::workflow::digest::Digest;

/// The name of the run of a whole pipeline or experiment within its spool.
pub const WHOLE: &str = "";

/// One thing to be logged. Runs are called by names that are theirs within the spool: [`WHOLE`], or that of a step
/// or variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// The first line: where all of it goes.
    Destination {
        /// Address of the server.
        server: String,
        /// Name of the experiment.
        experiment: String,
        /// What tells the runs of this spool from all others, on any machine.
        id: String,
    },
    /// A run began.
    Run {
        /// Its name here.
        run: String,
        /// The run that it is nested in.
        parent: Option<String>,
        /// Its name for people.
        name: String,
        /// When, in milliseconds since 1970.
        began: i64,
        /// What is said of it.
        tags: BTreeMap<String, String>,
    },
    /// Parameters of a run.
    Parameters {
        /// The run.
        run: String,
        /// Values by name.
        values: BTreeMap<String, String>,
    },
    /// Numbers of a run.
    Metrics {
        /// The run.
        run: String,
        /// Each of them.
        points: Vec<Point>,
    },
    /// More that is said of a run.
    Tags {
        /// The run.
        run: String,
        /// Values by name.
        values: BTreeMap<String, String>,
    },
    /// Files from outside that a run reads.
    Datasets {
        /// The run.
        run: String,
        /// Each of them.
        datasets: Vec<Dataset>,
    },
    /// A file that a run made.
    Artifact {
        /// The run.
        run: String,
        /// What it is called on the server: a path with `/`.
        name: String,
        /// Where its bytes are.
        file: ArtifactFile,
    },
    /// A run ended.
    End {
        /// The run.
        run: String,
        /// How.
        status: Status,
        /// When, in milliseconds since 1970.
        at: i64,
    },
}

/// One value of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Its name.
    pub key: String,
    /// Its value, a finite number.
    pub value: f64,
    /// How far the work was: iterations, trees; 0 for what has no such thing.
    pub step: u64,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

/// A file that a run reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dataset {
    /// Its name for people.
    pub name: String,
    /// The beginning of the digest of its bytes.
    pub digest: String,
    /// Its place.
    pub path: PathBuf,
    /// What it is read as.
    pub context: String,
}

/// Where the bytes of an artifact are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactFile {
    /// An output of a step: in the store as long as it is kept there, else where it was released.
    Output {
        /// Digest of its bytes.
        digest: Digest,
        /// Where it is released, relative to the project folder.
        path: PathBuf,
    },
    /// A small text, here.
    Text(String),
}

/// How a run ended, in the words of MLflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Well.
    Finished,
    /// Not well.
    Failed,
    /// It was stopped, or died.
    Killed,
}

impl Entry {
    /// The run that it is about.
    pub fn run(&self) -> Option<&str> {
        match self {
            Self::Destination { .. } => None,
            Self::Run { run, .. }
            | Self::Parameters { run, .. }
            | Self::Metrics { run, .. }
            | Self::Tags { run, .. }
            | Self::Datasets { run, .. }
            | Self::Artifact { run, .. }
            | Self::End { run, .. } => Some(run),
        }
    }
}
