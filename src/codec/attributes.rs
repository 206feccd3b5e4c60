//! What a track is by its albums, artists and genres: `items.parquet` as sparse matrices.

use std::path::Path;

use super::CodecError;
use super::catalog::check_dense;
use super::id_lists::IdLists;
use super::table::{self, ColumnType};
use crate::models::item2item::Attributes;

/// Reads the lists of ids of every item.
///
/// # Errors
/// When the file is not a table of items, sorted by a dense `item_idx`.
pub fn read(path: &Path) -> Result<Attributes, CodecError> {
    let columns = [
        ("item_idx", ColumnType::Integer),
        ("album_ids", ColumnType::IntegerList),
        ("artist_ids", ColumnType::IntegerList),
        ("genre_ids", ColumnType::IntegerList),
    ];
    let items = table::read(path, &columns)?;
    check_dense(path, &items, "item_idx")?;
    let matrix = |column| IdLists::new(path, &items, column).map(|lists| lists.matrix());
    Ok(Attributes {
        albums: matrix("album_ids")?,
        artists: matrix("artist_ids")?,
        genres: matrix("genre_ids")?,
    })
}
