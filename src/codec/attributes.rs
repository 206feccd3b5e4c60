//! What a track is by its artists, albums and genres: `items.parquet` as sparse matrices.

use std::path::Path;

use super::CodecError;
use super::catalog::check_dense;
use super::id_lists::IdLists;
use super::table::{self, ColumnType};
use crate::interactions::Interactions;

/// The columns that are read, in the order of the matrices.
const COLUMNS: [&str; 3] = ["artist_ids", "album_ids", "genre_ids"];

/// Reads artists, albums and genres, each a matrix items × ids of ones.
///
/// # Errors
/// When the file is not a table of items, sorted by a dense `item_idx`.
pub fn read(path: &Path) -> Result<[Interactions; 3], CodecError> {
    let mut columns = vec![("item_idx", ColumnType::Integer)];
    columns.extend(COLUMNS.map(|column| (column, ColumnType::IntegerList)));
    let items = table::read(path, &columns)?;
    check_dense(path, &items, "item_idx")?;
    let matrix = |column| IdLists::new(path, &items, column).map(|lists| lists.matrix());
    Ok([matrix(COLUMNS[0])?, matrix(COLUMNS[1])?, matrix(COLUMNS[2])?])
}
