//! Ranked lists on disk: a model's candidates by dense indices, or final recommendations by ids.
//!
//! Which of the two a table is, its columns say. Only ranks that count are read: the filter is pushed
//! into the scan, so that 100 candidates a user cost no more memory than the 10 that are measured.

use std::path::Path;

use miette::Diagnostic;
use polars::prelude::*;
use rayon::prelude::*;
use thiserror::Error;

use super::CodecError;
use super::catalog::{check_dense, integers};
use super::table::{self, ColumnType};
use crate::eval::{InvalidLists, Lists};

/// Why a table of lists could not be read.
#[derive(Debug, Error, Diagnostic)]
pub enum ListsError {
    /// The file or its columns.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Codec(#[from] CodecError),
    /// An id that the tables of users and items do not have.
    #[error("`{}`, column `{column}`: {id} is not in the table of {table}", path.display())]
    #[diagnostic(help("make the lists from the same `preprocess` step as `users` and `items`"))]
    UnknownId {
        /// The file.
        path: std::path::PathBuf,
        /// `user_id` or `track_id`.
        column: &'static str,
        /// The id.
        id: i64,
        /// `users` or `items`.
        table: &'static str,
    },
    /// The rows are not ranked lists.
    #[error("`{}`: {source}", path.display())]
    #[diagnostic(forward(source))]
    Invalid {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        source: InvalidLists,
    },
}

/// External ids of users and tracks, each to its dense index.
#[derive(Debug, Clone)]
pub struct Ids {
    users: Index,
    tracks: Index,
}

impl Ids {
    /// Reads `users.parquet` and `items.parquet`.
    ///
    /// # Errors
    /// When one of them is not sorted by a dense index.
    pub fn read(users: &Path, items: &Path) -> Result<Self, CodecError> {
        Ok(Self {
            users: Index::read(users, "user_idx", "user_id")?,
            tracks: Index::read(items, "item_idx", "track_id")?,
        })
    }

    /// How many users there are.
    pub fn n_users(&self) -> usize {
        self.users.0.len()
    }

    /// How many items there are.
    pub fn n_items(&self) -> usize {
        self.tracks.0.len()
    }
}

/// Pairs of id and dense index, sorted by id.
#[derive(Debug, Clone)]
struct Index(Vec<(i64, u32)>);

impl Index {
    fn read(path: &Path, index: &'static str, id: &'static str) -> Result<Self, CodecError> {
        let table = table::read(path, &[(index, ColumnType::Integer), (id, ColumnType::Integer)])?;
        check_dense(path, &table, index)?;
        let mut pairs: Vec<(i64, u32)> = integers(path, &table, id)?.into_iter().zip(0..).collect();
        pairs.sort_unstable();
        match pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => Err(CodecError::value(path, id, format!("{} stands there twice", pair[0].0))),
            None => Ok(Self(pairs)),
        }
    }

    fn find(&self, id: i64) -> Option<u32> {
        self.0.binary_search_by_key(&id, |pair| pair.0).ok().map(|place| self.0[place].1)
    }
}

/// Reads the ranks up to `deepest` (all of them without it) of candidates or recommendations.
///
/// # Errors
/// When the file is neither, ids are unknown, or a user's rows are not a ranked list.
pub fn read(path: &Path, ids: &Ids, deepest: Option<usize>) -> Result<Lists, ListsError> {
    let mut rows = table::scan(path, &[])?;
    let schema = rows.collect_schema().map_err(|error| CodecError::value(path, "rank", error.to_string()))?;
    let by_ids = !schema.contains("item_idx") && schema.contains("track_id");
    let (user, item) = if by_ids { ("user_id", "track_id") } else { ("user_idx", "item_idx") };
    let columns = [user, item, "rank"].map(|column| (column, ColumnType::Integer));
    let mut rows = table::scan(path, &columns)?;
    if let Some(deepest) = deepest {
        // Nulls and ranks below 1 stay, to be refused below.
        rows = rows.filter(col("rank").lt_eq(lit(deepest as i64)).or(col("rank").is_null()));
    }
    let rows = rows
        .select(columns.map(|(column, _)| col(column)))
        .collect_with_engine(Engine::Streaming)
        .map(|rows| rows.unwrap_single())
        .map_err(|error| CodecError::value(path, "rank", error.to_string()))?;
    let ranks = indices(path, &rows, "rank")?;
    let (users, items) = if by_ids {
        let look_up = |column, index: &Index, table| {
            let values = integers(path, &rows, column)?;
            let unknown = |id| ListsError::UnknownId { path: path.to_owned(), column, id, table };
            if let Some(&id) = values.par_iter().find_first(|id| index.find(**id).is_none()) {
                return Err(unknown(id));
            }
            Ok(values.par_iter().filter_map(|&id| index.find(id)).collect::<Vec<u32>>())
        };
        (look_up(user, &ids.users, "users")?, look_up(item, &ids.tracks, "items")?)
    } else {
        (indices(path, &rows, user)?, indices(path, &rows, item)?)
    };
    Lists::from_rows(ids.n_users(), ids.n_items(), &users, &items, &ranks)
        .map_err(|source| ListsError::Invalid { path: path.to_owned(), source })
}

/// A column of dense indices or ranks.
fn indices(path: &Path, rows: &DataFrame, column: &'static str) -> Result<Vec<u32>, CodecError> {
    let wrong = |error: PolarsError| CodecError::value(path, column, error.to_string());
    let values = rows.column(column).map_err(wrong)?;
    let n_null = values.null_count();
    if n_null > 0 {
        return Err(CodecError::value(path, column, format!("{n_null} of {} values are null", values.len())));
    }
    let values = values.strict_cast(&DataType::UInt32).map_err(wrong)?;
    Ok(values.u32().map_err(wrong)?.into_no_null_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Users 70, 50 and tracks 900, 300, 600 have indices in this order.
    fn ids(folder: &Path) -> Ids {
        let (users, items) = (folder.join("users.parquet"), folder.join("items.parquet"));
        table::write(&users, &mut df!("user_idx" => [0u32, 1], "user_id" => [70i64, 50]).unwrap()).unwrap();
        let mut tracks = df!("item_idx" => [0u32, 1, 2], "track_id" => [900i64, 300, 600]).unwrap();
        table::write(&items, &mut tracks).unwrap();
        Ids::read(&users, &items).unwrap()
    }

    fn read_table(mut rows: DataFrame, deepest: Option<usize>) -> Result<Lists, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lists.parquet");
        table::write(&path, &mut rows).unwrap();
        read(&path, &ids(folder.path()), deepest).map_err(|error| error.to_string())
    }

    #[test]
    fn candidates_and_recommendations_are_told_apart_by_their_columns() {
        let candidates = df!(
            "user_idx" => [1u32, 1, 0], "item_idx" => [2u32, 0, 1], "score" => [0.5f32, 0.25, 1.0], "rank" => [1u32, 2, 1]
        );
        let recommendations = df!(
            "user_id" => [50i64, 50, 70], "track_id" => [600i64, 900, 300], "score" => [0.5f32, 0.25, 1.0], "rank" => [1u32, 2, 1]
        );
        let expected = Lists::from_nested(3, &[vec![1], vec![2, 0]]).unwrap();
        assert_eq!(read_table(candidates.unwrap(), None), Ok(expected.clone()));
        assert_eq!(read_table(recommendations.unwrap(), None), Ok(expected));
    }

    #[test]
    fn ranks_below_the_cut_are_not_read() {
        let rows =
            df!("user_idx" => [0u32, 0, 0], "item_idx" => [2u32, 0, 1], "rank" => [3i64, 1, 2]).unwrap();
        assert_eq!(read_table(rows, Some(2)).unwrap().of(0), [0, 1]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let message = |user: &str, item: &str, users: [i64; 2], items: [i64; 2], ranks: [Option<i64>; 2]| {
            read_table(df!(user => users, item => items, "rank" => ranks).unwrap(), Some(5)).unwrap_err()
        };
        let (first, second) = (Some(1), Some(2));
        let unknown = message("user_id", "track_id", [50, 50], [300, 301], [first, second]);
        assert!(unknown.contains("column `track_id`: 301 is not in the table of items"), "{unknown}");
        let unknown = message("user_id", "track_id", [51, 50], [300, 300], [first, first]);
        assert!(unknown.contains("column `user_id`: 51 is not in the table of users"), "{unknown}");
        let outside = message("user_idx", "item_idx", [0, 2], [0, 0], [first, first]);
        assert!(outside.contains("row 1: `user_idx` is 2, but there are only 2"), "{outside}");
        let twice = message("user_idx", "item_idx", [0, 0], [1, 1], [first, second]);
        assert!(twice.contains("the list of user 0 holds item 1 twice"), "{twice}");
        let from_zero = message("user_idx", "item_idx", [0, 0], [0, 1], [Some(0), first]);
        assert!(from_zero.contains("none at rank 2"), "{from_zero}");
        let null = message("user_idx", "item_idx", [0, 0], [0, 1], [first, None]);
        assert!(null.contains("column `rank`: 1 of 2 values are null"), "{null}");
        let negative = message("user_idx", "item_idx", [0, -4], [0, 1], [first, first]);
        assert!(negative.contains("column `user_idx`"), "{negative}");
        let neither = message("user", "item", [0, 0], [0, 1], [first, second]);
        assert!(neither.contains("no column `user_idx`"), "{neither}");
    }
}
