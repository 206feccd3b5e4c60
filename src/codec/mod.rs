//! How the types of the domain lie on disk; the only place that knows Parquet, NumPy and JSON files.
//!
//! Readers name the file, what was expected and what was found; writers leave nothing half-written
//! behind because the runner gives them private paths.

pub mod als_state;
pub mod attributes;
pub mod candidates;
pub mod catalog;
pub mod catboost_json;
pub mod factors;
pub mod feedback;
pub mod id_lists;
pub mod item_details;
pub mod item_weights;
pub mod json;
pub mod listens;
pub mod lists;
pub mod npz;
pub mod png;
pub mod popular;
pub mod ranked;
pub mod similar;
pub mod spill;
pub mod stream;
pub mod table;
pub mod table_writer;
pub mod texts;
pub mod track_ids;
pub mod user_rows;

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

use crate::interactions::InvalidInteractions;

/// Why a file could not be read or written.
#[derive(Debug, Error, Diagnostic)]
pub enum CodecError {
    /// The operating system refused.
    #[error("cannot {action} `{}`: {source}", path.display())]
    #[diagnostic(help("{}", io_help(source)))]
    Io {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not what its name says.
    #[error("`{}` is not a readable {format} file: {message}", path.display())]
    #[diagnostic(help("make the file again, or point the pipeline at another one"))]
    Format {
        /// The file.
        path: PathBuf,
        /// `Parquet`, `npz`, `JSON`.
        format: &'static str,
        /// What the reader said.
        message: String,
    },
    /// A column is not there.
    #[error("`{}` has no column `{column}` (expected {expected}); it has: {found}", path.display())]
    #[diagnostic(help("add the column or rename the one that holds it"))]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What it should hold.
        expected: &'static str,
        /// The columns there are.
        found: String,
    },
    /// A column holds something else.
    #[error("`{}`, column `{column}`: expected {expected}, found {found}", path.display())]
    #[diagnostic(help("cast the column to the expected type when you write the file"))]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What it should hold.
        expected: &'static str,
        /// What it holds.
        found: String,
    },
    /// A value that cannot be, such as a null or a NaN.
    #[error("`{}`, column `{column}`: {message}", path.display())]
    #[diagnostic(help("clean the column, or filter those rows before this step"))]
    Value {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What is wrong with it.
        message: String,
    },
    /// The arrays of a matrix contradict each other or hold impossible values.
    #[error("`{}`: {source}", path.display())]
    #[diagnostic(forward(source))]
    Interactions {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: InvalidInteractions,
    },
}

impl CodecError {
    /// For `map_err` after a system call on `path`.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// A value that cannot be.
    pub fn value(path: &Path, column: &str, message: impl Into<String>) -> Self {
        Self::Value { path: path.to_owned(), column: column.to_owned(), message: message.into() }
    }
}

/// The next action after an error of the operating system.
pub fn io_help(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => "check the path; relative paths start at the project folder",
        ErrorKind::PermissionDenied => "check the owner and the permissions of the file and its folder",
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only: choose another folder or remount it",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "the disk is full: free some space and run again; what was finished is kept"
        }
        ErrorKind::IsADirectory => "this is a folder; name a file in it",
        _ => "see the message of the operating system above",
    }
}
