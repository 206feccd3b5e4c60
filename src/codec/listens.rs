//! Events as models count them: the matrix of listens and the date of each pair.

use std::path::Path;

use polars::prelude::*;

use super::CodecError;
use super::table::{self, ColumnType};
use crate::interactions::Interactions;
use crate::models::popularity::Listens;

/// Reads a table of events over `n_items` items and as many users as it names, or `n_users`.
///
/// # Errors
/// When the table cannot be read, is not sorted by (user_idx, item_idx), or names a user or item that
/// there is not.
pub fn read(path: &Path, n_users: Option<usize>, n_items: usize) -> Result<Listens, CodecError> {
    let columns = [
        ("user_idx", ColumnType::Integer),
        ("item_idx", ColumnType::Integer),
        ("listen_count", ColumnType::Integer),
        ("last_listen", ColumnType::Date),
    ];
    let events = table::read(path, &columns)?;
    let users: Vec<i64> = whole_numbers(path, &events, "user_idx", &DataType::Int64)?;
    let items: Vec<i64> = whole_numbers(path, &events, "item_idx", &DataType::Int64)?;
    let counts: Vec<i64> = whole_numbers(path, &events, "listen_count", &DataType::Int64)?;
    let dates = DataType::Datetime(TimeUnit::Microseconds, None);
    let last_listens = whole_numbers(path, &events, "last_listen", &dates)?;
    drop(events);

    let sorted = |row: usize| (users[row - 1], items[row - 1]) < (users[row], items[row]);
    if let Some(row) = (1..users.len()).find(|&row| !sorted(row)) {
        let message = format!("rows are not sorted by (user_idx, item_idx), or repeat, at row {row}");
        return Err(CodecError::value(path, "item_idx", message));
    }
    let n_users = n_users.unwrap_or_else(|| users.last().map_or(0, |&last| last.max(-1) as usize + 1));
    for (column, indices, bound) in [("user_idx", &users, n_users), ("item_idx", &items, n_items)] {
        if let Some(index) = indices.iter().find(|&&index| index < 0 || index as usize >= bound) {
            return Err(CodecError::value(path, column, format!("index {index} is not below {bound}")));
        }
    }

    let mut row_starts = vec![0usize; n_users + 1];
    users.iter().for_each(|&user| row_starts[user as usize + 1] += 1);
    (0..n_users).for_each(|user| row_starts[user + 1] += row_starts[user]);
    let items = items.into_iter().map(|item| item as u32).collect();
    let counts = counts.into_iter().map(|count| count as f32).collect();
    let counts = Interactions::new(n_users, n_items, row_starts, items, counts)
        .map_err(|source| CodecError::Interactions { path: path.to_owned(), source })?;
    Ok(Listens { counts, last_listens })
}

/// A column as integers, after a cast to `kind`; nulls and values out of its range are refused.
pub(super) fn whole_numbers(
    path: &Path,
    table: &DataFrame,
    name: &str,
    kind: &DataType,
) -> Result<Vec<i64>, CodecError> {
    let column = table
        .column(name)
        .and_then(|column| column.strict_cast(kind))
        .and_then(|column| column.cast(&DataType::Int64))
        .map_err(|error| CodecError::value(path, name, error.to_string()))?;
    let values = column.i64().map_err(|error| CodecError::value(path, name, error.to_string()))?;
    if values.null_count() > 0 {
        return Err(CodecError::value(
            path,
            name,
            format!("expected no nulls, found {}", values.null_count()),
        ));
    }
    Ok(values.into_no_null_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, users: [u32; 3], items: [u32; 3], days: [Option<i32>; 3]) {
        let dates = Column::new("last_listen".into(), days).cast(&DataType::Date).unwrap();
        let mut events =
            df!("user_idx" => users, "item_idx" => items, "listen_count" => [1u32, 2, 3]).unwrap();
        table::write(path, events.with_column(dates).unwrap()).unwrap();
    }

    #[test]
    fn events_become_a_matrix_with_dates() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.parquet");
        write(&path, [0, 0, 2], [1, 3, 0], [Some(1), Some(2), Some(0)]);
        let listens = read(&path, None, 4).unwrap();
        let expected = [(0, 1, 1.0), (0, 3, 2.0), (2, 0, 3.0)];
        assert_eq!(listens.counts, Interactions::from_triplets(3, 4, expected).unwrap());
        assert_eq!(listens.last_listens, [86_400_000_000, 172_800_000_000, 0]);
        assert_eq!(read(&path, Some(5), 4).unwrap().counts.n_users(), 5);
    }

    #[test]
    fn events_that_cannot_be_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.parquet");
        let message = |n_users, n_items| read(&path, n_users, n_items).unwrap_err().to_string();
        write(&path, [0, 2, 0], [1, 0, 3], [Some(1); 3]);
        assert!(message(None, 4).contains("not sorted"), "{}", message(None, 4));
        write(&path, [0, 0, 2], [1, 3, 0], [Some(1); 3]);
        assert!(message(None, 3).contains("column `item_idx`: index 3 is not below 3"));
        assert!(message(Some(2), 4).contains("column `user_idx`: index 2 is not below 2"));
        write(&path, [0, 0, 2], [1, 3, 0], [Some(1), None, None]);
        assert!(message(None, 4).contains("expected no nulls, found 2"), "{}", message(None, 4));
    }
}
