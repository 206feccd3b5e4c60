//! Tables that may be larger than memory, read by ranges of users and written batch by batch.

use std::fs::File;
use std::io::BufWriter;
use std::ops::Range;
use std::path::{Path, PathBuf};

use polars::prelude::*;

use super::CodecError;
use super::table::{ColumnType, format_error, scan, write_error};

/// A Parquet table whose rows are sorted by `user_idx`.
pub struct UserRows {
    path: PathBuf,
    query: LazyFrame,
    /// First row of each user; one more than users.
    starts: Vec<usize>,
}

impl UserRows {
    /// Finds the rows of each of `n_users` users and remembers which columns to read.
    ///
    /// # Errors
    /// When the file cannot be read, lacks a column, or holds a user that is not among them.
    pub fn open(
        path: &Path,
        columns: &[(&str, ColumnType)],
        selection: impl AsRef<[Expr]>,
        n_users: usize,
    ) -> Result<Self, CodecError> {
        let query = scan(path, columns)?;
        let counts = query
            .clone()
            .group_by([col("user_idx").cast(DataType::Int64)])
            .agg([len().cast(DataType::Int64).alias("rows")])
            .collect_with_engine(Engine::Streaming)
            .map_err(|error| format_error(path, &error))?
            .unwrap_single();
        let mut starts = vec![0; n_users + 1];
        let values = |name: &str| {
            let column = counts.column(name).and_then(|column| column.i64());
            column.map(|values| values.iter().collect::<Vec<_>>()).map_err(|error| format_error(path, &error))
        };
        for (user, rows) in values("user_idx")?.into_iter().zip(values("rows")?) {
            let known = user.and_then(|user| usize::try_from(user).ok()).filter(|&user| user < n_users);
            let Some(user) = known else {
                let found = user.map_or_else(|| "a null".to_owned(), |user| user.to_string());
                return Err(CodecError::Value {
                    path: path.to_owned(),
                    column: "user_idx".to_owned(),
                    message: format!(
                        "expected one of {n_users} users, 0 to {n_users} exclusive, found {found}"
                    ),
                });
            };
            starts[user + 1] = rows.unwrap_or_default() as usize;
        }
        for user in 0..n_users {
            starts[user + 1] += starts[user];
        }
        Ok(Self { path: path.to_owned(), query: query.select(selection.as_ref().to_vec()), starts })
    }

    /// Number of rows of all users.
    pub fn len(&self) -> usize {
        self.starts.last().copied().unwrap_or_default()
    }

    /// Whether the table has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows of a range of users. When the file is not sorted they are other users' rows, which
    /// whoever uses them has to notice.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self, users: &Range<usize>) -> Result<DataFrame, CodecError> {
        let (start, end) = (self.starts[users.start], self.starts[users.end]);
        let rows = self.query.clone().slice(start as i64, (end - start) as IdxSize);
        rows.collect().map_err(|error| format_error(&self.path, &error))
    }
}

/// A Parquet file that is written batch by batch.
pub struct BatchWriter {
    path: PathBuf,
    writer: polars::io::parquet::write::BatchedWriter<BufWriter<File>>,
}

impl BatchWriter {
    /// Starts a file with the columns of `like`.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path, like: &DataFrame) -> Result<Self, CodecError> {
        let file = File::create(path).map_err(CodecError::io("write", path))?;
        let writer = ParquetWriter::new(BufWriter::new(file))
            .batched(like.schema())
            .map_err(|error| write_error(path, error))?;
        Ok(Self { path: path.to_owned(), writer })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&mut self, rows: &DataFrame) -> Result<(), CodecError> {
        self.writer.write_batch(rows).map_err(|error| write_error(&self.path, error))
    }

    /// Ends the file; without this it cannot be read.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(self) -> Result<(), CodecError> {
        self.writer.finish().map(|_| ()).map_err(|error| write_error(&self.path, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_range_of_users_come_back_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let mut batches: Option<BatchWriter> = None;
        for user in [0u32, 2, 3] {
            let rows = df!("user_idx" => vec![user; 3], "item_idx" => [0u32, 1, 2]).unwrap();
            let writer = batches.get_or_insert_with(|| BatchWriter::create(&path, &rows).unwrap());
            writer.write(&rows).unwrap();
        }
        batches.unwrap().finish().unwrap();
        let columns = [("user_idx", ColumnType::Integer)];
        let rows = UserRows::open(&path, &columns, [col("user_idx")], 5).unwrap();
        assert_eq!(rows.len(), 9);
        let users = |range| {
            let table = rows.read(&range).unwrap();
            table.column("user_idx").unwrap().u32().unwrap().into_no_null_iter().collect::<Vec<_>>()
        };
        assert_eq!(users(0..2), [0; 3]);
        assert_eq!(users(1..4), [2, 2, 2, 3, 3, 3]);
        assert!(users(4..5).is_empty());
        let error = UserRows::open(&path, &columns, [col("user_idx")], 3).err().unwrap().to_string();
        assert!(error.contains("expected one of 3 users"), "{error}");
    }
}
