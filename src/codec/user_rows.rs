//! Tables with a hundred rows for each of a million users, read by ranges of users.

use std::ops::Range;
use std::path::{Path, PathBuf};

use polars::prelude::*;

use super::CodecError;
use super::table::{ColumnType, format_error, scan};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_range_of_users_come_back_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let mut table = df!("user_idx" => [0u32, 0, 0, 2, 2, 2, 3, 3, 3]).unwrap();
        crate::codec::table::write(&path, &mut table).unwrap();
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
