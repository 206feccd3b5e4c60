//! Why a service does not start or stops: what a person at the terminal reads.

use std::path::PathBuf;

use miette::{Diagnostic, NamedSource, SourceSpan};
use thiserror::Error;

use super::events::postgres::told;
use super::layout::{ManyPorts, UnknownService};
use super::lists::InvalidLists;
use crate::codec::{CodecError, io_help};
use crate::models::als::AlsError;

/// Why a service does not start, or stopped before it was asked to.
#[derive(Debug, Error, Diagnostic)]
pub enum ServiceError {
    /// The service file cannot be read or breaks a rule.
    #[error(transparent)]
    #[diagnostic(transparent)]
    File(#[from] FileFault),
    /// An artifact is not there.
    #[error("the artifact `{}` ({artifact}) is not there", path.display())]
    #[diagnostic(help(
        "run `recsys run` with a pipeline that makes it first, or name another file under `artifacts:` in the \
         service file"
    ))]
    MissingArtifact {
        /// Its key in the service file.
        artifact: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// An artifact cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Codec(#[from] CodecError),
    /// An artifact does not fit the others.
    #[error("`{}`: {cause}", path.display())]
    #[diagnostic(help("the artifacts come from different runs: run the whole pipeline again"))]
    Artifact {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: InvalidLists,
    },
    /// An artifact cannot be read at all.
    #[error("cannot read `{}`: {cause}", path.display())]
    #[diagnostic(help("{}", io_help(cause)))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Artifacts come from different runs.
    #[error("`{}` says that `{artifact}` was made from other `{port}` than those that lie there", manifest.display())]
    #[diagnostic(help("a run has ended half-way: run the whole pipeline again"))]
    Mixed {
        /// What was made.
        artifact: &'static str,
        /// From what.
        port: &'static str,
        /// Where it is said.
        manifest: PathBuf,
    },
    /// Users cannot be folded into a model.
    #[error("`{}` cannot be used here: {cause}", path.display())]
    #[diagnostic(help(
        "fit `als` with other parameters, or leave `artifacts: model` out of the service file"
    ))]
    Model {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: AlsError,
    },
    /// Fold-in was asked for, and there is nothing to fold into.
    #[error("`online: fold_in` needs a factor model")]
    #[diagnostic(help(
        "name one under `artifacts: model` in the service file, such as artifacts/als/als_model.npz"
    ))]
    NoModel,
    /// Another process listens there.
    #[error("port {port} is already in use")]
    #[diagnostic(help("choose another with --port, or stop the other process"))]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// The system does not let the service listen there.
    #[error("cannot listen on {host}:{port}: {cause}")]
    #[diagnostic(help("name an address of this machine with --host, and a port from 1024 up with --port"))]
    Listen {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file of events cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Events(#[from] EventsFault),
    /// The log of impressions cannot be opened.
    #[error("cannot append impressions to `{}`: {cause}", path.display())]
    #[diagnostic(help("name a file that can be written under `impressions: path` in the service file"))]
    Impressions {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A service that is asked for is not in the layout.
    #[error(transparent)]
    #[diagnostic(transparent)]
    UnknownService(#[from] UnknownService),
    /// One port is given for several services.
    #[error(transparent)]
    #[diagnostic(transparent)]
    ManyPorts(#[from] ManyPorts),
    /// An environment variable that should hold an API key does not.
    #[error("the environment variable `{variable}` holds no API key")]
    #[diagnostic(help(
        "set it to one or more keys, separated by commas, or take it out of `keys:` in the service file"
    ))]
    MissingKey {
        /// Its name.
        variable: String,
    },
    /// The running service failed.
    #[error("the service stopped: {0}")]
    #[diagnostic(help("{}", io_help(_0)))]
    Stopped(std::io::Error),
}

impl ServiceError {
    /// 2 for what keeps a service from starting, 1 for what ends a running one.
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Self::Stopped(_)) { 1 } else { 2 }
    }
}

/// What is wrong with a service file.
#[derive(Debug, Error, Diagnostic)]
pub enum FileFault {
    /// The file cannot be read.
    #[error("cannot read the service file `{}`: {cause}", path.display())]
    #[diagnostic(help("{}", io_help(cause)))]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A key or value breaks a rule.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Content(Box<ContentFault>),
}

/// A key or value of a service file that breaks a rule, and its place.
#[derive(Debug, Error, Diagnostic)]
#[error("`{}`{place}: {message}", path.display())]
#[diagnostic(help("`services/default.yaml` of the project shows every key with its meaning"))]
pub struct ContentFault {
    /// The file.
    pub path: PathBuf,
    /// `, line 3, column 7`, or nothing when the whole file is meant.
    pub place: String,
    /// What was expected and what was found.
    pub message: String,
    /// The text of the file.
    #[source_code]
    pub text: NamedSource<String>,
    /// What to underline.
    #[label("here")]
    pub at: Option<SourceSpan>,
}

/// Why the file of events cannot be used.
#[derive(Debug, Error, Diagnostic)]
pub enum EventsFault {
    /// Its folder cannot be made.
    #[error("cannot make the folder of `{}`: {cause}", path.display())]
    #[diagnostic(help("{}", io_help(cause)))]
    Folder {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Another process writes to it.
    #[error("`{}` is in use by another process", path.display())]
    #[diagnostic(help(
        "stop the other service, or give this one its own file under `events: path` in the service file"
    ))]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a newer version.
    #[error("`{}` has format version {found}, this program knows up to {known}", path.display())]
    #[diagnostic(help("use the newer version of recsys, or another file"))]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version known.
        known: u32,
    },
    /// SQLite refused.
    #[error("cannot use `{}` for events: {cause}", path.display())]
    #[diagnostic(help(
        "check the file, its folder and the free space, or name another under `events: path`"
    ))]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        cause: rusqlite::Error,
    },
    /// The address of the database makes no sense; it is not shown, because a password may be in it.
    #[error("the address of the database of events makes no sense")]
    #[diagnostic(help(
        "it comes from the environment variable that `events: database_url_env` names, and looks like \
         postgres://user:password@host:5432/database"
    ))]
    Url,
    /// The database refuses.
    #[error("the database of events refuses: {}", told(cause))]
    #[diagnostic(help(
        "check the address in the environment variable that `events: database_url_env` names"
    ))]
    Postgres {
        /// What it said.
        cause: tokio_postgres::Error,
    },
    /// The database does not answer.
    #[error("the database of events does not answer")]
    #[diagnostic(help("check that it runs, or give it more time with `events: database_timeout_ms`"))]
    Silent,
    /// The tables were made by a newer version.
    #[error("the tables of events have format version {found}, this program knows up to {known}")]
    #[diagnostic(help("use the newer version of recsys, or another database"))]
    Tables {
        /// Their version.
        found: i32,
        /// The newest version known.
        known: i32,
    },
}
