//! The remote cache: the objects and results of stores of other folders and machines, in one place that
//! all can reach.
//!
//! It has the layout of a store: objects by digest, results by run key. Objects are sent before the
//! results that name them, and one name always means the same bytes, so that several writers cannot harm
//! one another. What is read is held against its digest before it is used. A result whose objects are
//! gone is as good as none: it is made, or sent, again.

mod collect;
mod fetch;
mod pull;
mod push;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::SystemTime;

use miette::Diagnostic;
use thiserror::Error;

use super::digest::Digest;
use super::fingerprint::RunKey;
use super::store::LAYOUT;

pub use collect::{Collected, collect};
pub use fetch::{FetchError, ReadThrough};
pub use pull::{PullError, Pulled, pull};
pub use push::{Pushed, push};

/// Why the far end could not do what was asked, with its own help.
pub type RemoteError = Box<dyn Diagnostic + Send + Sync>;

/// Hears how many further bytes went over the line.
pub type Moved<'a> = &'a (dyn Fn(u64) + Sync);

/// A place that keeps bytes under names, with folders written with `/`.
pub trait RemoteStore: Send + Sync {
    /// Its address, without secrets.
    fn address(&self) -> &str;

    /// All bytes of a small file; nothing when there is none.
    ///
    /// # Errors
    /// When it cannot be reached or refuses.
    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, RemoteError>;

    /// Writes a file, of about so many bytes, to a path; false when there is none of this name.
    ///
    /// # Errors
    /// When it cannot be reached or refuses, or the disk does.
    fn download(&self, name: &str, size: u64, to: &Path, moved: Moved<'_>) -> Result<bool, RemoteError>;

    /// Puts a small file there at once, over one of this name.
    ///
    /// # Errors
    /// When it cannot be reached or refuses.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RemoteError>;

    /// Puts a file there, visible only when it is whole.
    ///
    /// # Errors
    /// When it cannot be reached or refuses, or the file cannot be read.
    fn upload(&self, name: &str, from: &Path, moved: Moved<'_>) -> Result<(), RemoteError>;

    /// What is known of a file.
    ///
    /// # Errors
    /// When it cannot be reached or refuses.
    fn find(&self, name: &str) -> Result<Option<Found>, RemoteError>;

    /// Every file in a folder and the folders in it, by name.
    ///
    /// # Errors
    /// When it cannot be reached or refuses.
    fn list(&self, folder: &str) -> Result<Vec<(String, Found)>, RemoteError>;

    /// Removes a file; one that is not there is removed already.
    ///
    /// # Errors
    /// When it cannot be reached or refuses.
    fn remove(&self, name: &str) -> Result<(), RemoteError>;
}

/// What the far end knows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Bytes.
    pub size: u64,
    /// When it was put there.
    pub modified: SystemTime,
}

/// The name of an object.
fn object(digest: Digest) -> String {
    let (folder, file) = digest.folder_and_file();
    format!("{LAYOUT}/objects/{folder}/{file}")
}

/// The digest in the name of an object.
fn digest(name: &str) -> Option<Digest> {
    let (folder, file) = name.strip_prefix(&objects())?.strip_prefix('/')?.split_once('/')?;
    Digest::from_hex(&format!("{folder}{file}"))
}

fn objects() -> String {
    format!("{LAYOUT}/objects")
}

/// The name of a result.
fn result(key: &RunKey) -> String {
    let (folder, file) = key.definition.folder_and_file();
    format!("{}/{folder}/{file}.{}", results(), key.whole)
}

fn results() -> String {
    format!("{LAYOUT}/results")
}

/// What comes from a remote cache cannot be used.
#[derive(Debug, Error, Diagnostic)]
pub enum Unusable {
    /// A record is cut short, changed, or that of something else.
    #[error("the result `{name}` in {address} is damaged")]
    #[diagnostic(help("it is replaced when somebody who has the step's result runs `recsys cache push`"))]
    Result {
        /// The cache.
        address: String,
        /// The record.
        name: String,
    },
    /// An object has other bytes than its name says.
    #[error("`{name}` in {address} does not have the bytes that its name says")]
    #[diagnostic(help("remove it there; `recsys cache push` puts the right bytes in its place"))]
    Object {
        /// The cache.
        address: String,
        /// The object.
        name: String,
    },
    /// A result names bytes that are not there.
    #[error("a result in {address} lacks the bytes of its output `{output}`")]
    #[diagnostic(help("`recsys cache push` by somebody who has them sends them again"))]
    Missing {
        /// The cache.
        address: String,
        /// The output.
        output: String,
    },
}
