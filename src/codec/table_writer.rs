//! A Parquet file written piece by piece, for tables that never lie in memory as a whole.
//!
//! Each piece becomes one row group, so the bytes depend on how the caller cuts the table: cut it by
//! rows, never by threads. Pages are encoded on the calling thread, which leaves the others to make
//! the next piece.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use polars::io::parquet::write::BatchedWriter;
use polars::prelude::{DataFrame, ParquetWriter, Schema};

use super::CodecError;
use super::table::write_error;

/// An open Parquet file; it is readable only after [`TableWriter::finish`].
pub struct TableWriter {
    path: PathBuf,
    writer: BatchedWriter<BufWriter<File>>,
}

impl TableWriter {
    /// Starts a file with these columns.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path, schema: &Schema) -> Result<Self, CodecError> {
        let file = File::create(path).map_err(CodecError::io("write", path))?;
        let writer = ParquetWriter::new(BufWriter::new(file))
            .set_parallel(false)
            .batched(schema)
            .map_err(|error| write_error(path, error))?;
        Ok(Self { path: path.to_owned(), writer })
    }

    /// Writes rows with the columns given to [`TableWriter::create`], as one row group.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn append(&mut self, rows: &DataFrame) -> Result<(), CodecError> {
        self.writer.write_batch(rows).map_err(|error| write_error(&self.path, error))
    }

    /// Writes the footer and flushes.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(self) -> Result<(), CodecError> {
        self.writer.finish().map(|_| ()).map_err(|error| write_error(&self.path, error))
    }
}

#[cfg(test)]
mod tests {
    use polars::df;

    use super::TableWriter;
    use crate::codec::table::{self, ColumnType};

    #[test]
    fn pieces_are_read_back_as_one_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let piece = df!("a" => [1i64, 2], "b" => ["x", "y"]).unwrap();
        let mut writer = TableWriter::create(&path, piece.schema()).unwrap();
        writer.append(&piece).unwrap();
        writer.append(&piece.slice(1, 1)).unwrap();
        writer.append(&piece.slice(0, 0)).unwrap();
        writer.finish().unwrap();
        let read = table::read(&path, &[("a", ColumnType::Integer), ("b", ColumnType::Text)]).unwrap();
        assert_eq!(read, df!("a" => [1i64, 2, 2], "b" => ["x", "y", "y"]).unwrap());
    }
}
