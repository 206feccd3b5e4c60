//! Why data cannot be prepared or split.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use polars::error::PolarsError;
use thiserror::Error;

/// Why data cannot be prepared or split.
#[derive(Debug, Error, Diagnostic)]
pub enum DataError {
    /// A value that cannot be, such as a null.
    #[error("`{}`, column `{column}`: expected {expected}, found {found}", path.display())]
    #[diagnostic(help("{help}"))]
    Value {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What it should hold.
        expected: &'static str,
        /// What it holds.
        found: String,
        /// The next action.
        help: &'static str,
    },
    /// A table without rows.
    #[error("`{}` has no rows", path.display())]
    #[diagnostic(help("check how the file was made; every raw table needs at least one row"))]
    NoRows {
        /// The file.
        path: PathBuf,
    },
    /// A rule that drops everything.
    #[error("no {what} left of `{}`: {history}", path.display())]
    #[diagnostic(help("{help}"))]
    NothingLeft {
        /// `tracks`, `interactions`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What each rule left.
        history: String,
        /// The next action.
        help: String,
    },
    /// A column that cannot be read as what it should be.
    #[error("`{}`: {source}", path.display())]
    #[diagnostic(help("check the types of the columns; ids must fit into 64 signed bits"))]
    Frame {
        /// The file.
        path: PathBuf,
        /// What Polars said.
        source: PolarsError,
    },
    /// More users or items than an index can number.
    #[error("{count} {what} are more than the 4,294,967,295 that an index can number")]
    #[diagnostic(help("keep fewer with `users_sample_rate` or the filters"))]
    TooMany {
        /// `users`, `tracks`.
        what: &'static str,
        /// How many.
        count: usize,
    },
}

impl DataError {
    /// For `map_err` after a call of Polars on the table in `path`.
    pub fn frame(path: &Path) -> impl Fn(PolarsError) -> Self {
        let path = path.to_owned();
        move |source| Self::Frame { path: path.clone(), source }
    }

    /// Nulls in a column that has none.
    pub fn nulls(path: &Path, column: &str, nulls: usize, rows: usize) -> Self {
        Self::Value {
            path: path.to_owned(),
            column: column.to_owned(),
            expected: "a value in every row",
            found: format!("{nulls} nulls in {rows} rows"),
            help: "fill the nulls, or drop those rows, when you write the file",
        }
    }
}
