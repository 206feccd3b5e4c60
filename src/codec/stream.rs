//! Tables that are larger than memory: read in batches, written in batches.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use polars::prelude::*;

use super::CodecError;
use super::table::format_error;
use super::table_writer::TableWriter;

/// Rows of a row group; files are read and skipped in these portions.
const ROW_GROUP: usize = 1 << 18;

/// Runs a query over the table in `path` with the streaming engine and returns its small answer.
///
/// # Errors
/// When the file cannot be read or a value does not fit its new type.
pub fn collect(path: &Path, query: LazyFrame) -> Result<DataFrame, CodecError> {
    query
        .collect_with_engine(Engine::Streaming)
        .map(|answer| answer.unwrap_single())
        .map_err(|error| format_error(path, &error))
}

/// Runs a query over the table in `path` and hands its rows over in their order, `rows` at a time.
/// Where the batches begin and end depends on `rows` alone, not on the number of threads.
///
/// # Errors
/// When the file cannot be read, or `use_batch` fails.
pub fn for_each_batch<E: From<CodecError>>(
    path: &Path,
    query: LazyFrame,
    rows: NonZeroUsize,
    mut use_batch: impl FnMut(DataFrame) -> Result<(), E>,
) -> Result<(), E> {
    let (sender, batches) = sync_channel(1);
    let forward = PlanCallback::new(move |batch: DataFrame| Ok(sender.send(batch).is_err()));
    let query = query.sink_batches(forward, true, Some(rows)).map_err(|error| format_error(path, &error))?;
    let reading = std::thread::spawn(move || query.collect_with_engine(Engine::Streaming).map(|_| ()));
    let mut used = Ok(());
    for mut batch in batches.iter() {
        batch.rechunk_mut_par();
        used = use_batch(batch);
        if used.is_err() {
            break;
        }
    }
    drop(batches);
    let read = reading.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    used?;
    read.map_err(|error| format_error(path, &error).into())
}

/// A table that is being written in portions of any size; they become row groups of one size.
pub struct Writer {
    path: PathBuf,
    table: Option<TableWriter>,
}

impl Writer {
    /// A table at `path`; the file is created with the first portion, which brings the columns.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), table: None }
    }

    /// Adds rows; every portion has the same columns, also one without rows.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&mut self, rows: &DataFrame) -> Result<(), CodecError> {
        let table = match &mut self.table {
            Some(table) => table,
            none => none.insert(TableWriter::create(&self.path, rows.schema())?),
        };
        for start in (0..rows.height()).step_by(ROW_GROUP) {
            let mut portion = rows.slice(start as i64, ROW_GROUP);
            portion.rechunk_mut();
            table.append(&portion)?;
        }
        Ok(())
    }

    /// Writes the footer.
    ///
    /// # Errors
    /// When the disk refuses.
    ///
    /// # Panics
    /// When nothing was written, not even a portion without rows.
    pub fn finish(self) -> Result<(), CodecError> {
        self.table.expect("a table has at least one portion, which brings its columns").finish()
    }
}
