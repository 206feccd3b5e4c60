//! A Parquet table that is written part by part, for results that need not fit into memory.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use polars::io::parquet::write::BatchedWriter;
use polars::prelude::*;

use super::CodecError;
use super::table::write_error;

/// A table that is being written; every part becomes a row group.
pub struct Appender<'a> {
    path: &'a Path,
    writer: BatchedWriter<BufWriter<File>>,
}

impl<'a> Appender<'a> {
    /// Creates `path` for rows with the columns of `empty`.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &'a Path, empty: &DataFrame) -> Result<Self, CodecError> {
        let file = BufWriter::new(File::create(path).map_err(CodecError::io("write", path))?);
        let writer =
            ParquetWriter::new(file).batched(empty.schema()).map_err(|error| write_error(path, error))?;
        Ok(Self { path, writer })
    }

    /// Adds rows at the end.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn push(&mut self, part: &DataFrame) -> Result<(), CodecError> {
        self.writer.write_batch(part).map_err(|error| write_error(self.path, error))
    }

    /// Writes the footer; without it the file is not a table.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(self) -> Result<(), CodecError> {
        self.writer.finish().map(|_| ()).map_err(|error| write_error(self.path, error))
    }
}
