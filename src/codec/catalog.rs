//! The table of items as evaluation sees it: track groups, genres, and the ids of the tracks.

use std::path::Path;

use polars::prelude::*;

use super::CodecError;
use super::id_lists::IdLists;
use super::table::{self, ColumnType};
use crate::eval::Catalog;
use crate::eval::diversity::ItemVectors;

/// Reads `items.parquet`: track groups, first genres as categories, and all genres as vectors.
///
/// # Errors
/// When the file is not a table of items, sorted by a dense `item_idx`.
pub fn read(path: &Path) -> Result<Catalog, CodecError> {
    let columns = [
        ("item_idx", ColumnType::Integer),
        ("track_group_id", ColumnType::Integer),
        ("genre_ids", ColumnType::IntegerList),
    ];
    let items = table::read(path, &columns)?;
    check_dense(path, &items, "item_idx")?;
    let groups = integers(path, &items, "track_group_id")?;
    let known = distinct(&groups);
    let track_groups = groups.iter().map(|&group| Some(position(&known, group))).collect();

    let genres = IdLists::new(path, &items, "genre_ids")?;
    let categories = (0..items.height()).map(|item| genres.row(item).next()).collect();
    let vectors = (0..items.height()).map(|item| genres.row(item).map(|genre| (genre, 1.0)));
    Ok(Catalog { track_groups, categories, vectors: ItemVectors::new(genres.n_ids(), vectors) })
}

/// A column of integers without nulls.
///
/// # Errors
/// When a value is null or no 64-bit integer.
pub fn integers(path: &Path, table: &DataFrame, column: &'static str) -> Result<Vec<i64>, CodecError> {
    let wrong = |error: PolarsError| CodecError::value(path, column, error.to_string());
    let values = table.column(column).and_then(|column| column.cast(&DataType::Int64)).map_err(wrong)?;
    let n_null = values.null_count();
    if n_null > 0 {
        return Err(CodecError::value(path, column, format!("{n_null} of {} values are null", values.len())));
    }
    Ok(values.i64().map_err(wrong)?.into_no_null_iter().collect())
}

/// Checks that a column counts 0, 1, 2 … in the order of the rows.
///
/// # Errors
/// When it does not; the first row at fault is named.
pub fn check_dense(path: &Path, table: &DataFrame, column: &'static str) -> Result<(), CodecError> {
    let indices = integers(path, table, column)?;
    match indices.iter().zip(0i64..).position(|(&found, expected)| found != expected) {
        None => Ok(()),
        Some(row) => {
            let message = format!("row {row} holds {}, expected {row}: 0, 1, 2 … in order", indices[row]);
            Err(CodecError::value(path, column, message))
        }
    }
}

fn distinct(ids: &[i64]) -> Vec<i64> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn position(known: &[i64], id: i64) -> u32 {
    known.partition_point(|&other| other < id) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_genres_become_dense() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items.parquet");
        let genres: Vec<Option<Series>> = vec![
            Some(Series::new("".into(), [40i64, 7])),
            Some(Series::new("".into(), Vec::<i64>::new())),
            None,
            Some(Series::new("".into(), [7i64])),
        ];
        let mut items =
            df!("item_idx" => [0u32, 1, 2, 3], "track_group_id" => [900i64, 20, 900, 30]).unwrap();
        items.with_column(Series::new("genre_ids".into(), genres).into()).unwrap();
        table::write(&path, &mut items).unwrap();
        let catalog = read(&path).unwrap();
        assert_eq!(catalog.track_groups, [2, 0, 2, 1].map(Some));
        assert_eq!(catalog.categories, [Some(1), None, None, Some(0)]);
        let rows = [vec![(1, 1.0), (0, 1.0)], vec![], vec![], vec![(0, 1.0)]];
        assert_eq!(catalog.vectors, ItemVectors::new(2, rows));
    }

    #[test]
    fn items_that_are_not_dense_are_named() {
        let table = df!("item_idx" => [0u32, 2]).unwrap();
        let message = check_dense(Path::new("items.parquet"), &table, "item_idx").unwrap_err().to_string();
        assert!(message.contains("row 1 holds 2, expected 1"), "{message}");
    }
}
