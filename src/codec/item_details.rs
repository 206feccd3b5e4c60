//! What the table of items says of a track beyond its id, for answers and filters of a service.
//!
//! Only `track_id` has to be there: a table made by other means serves as well, and what it does not
//! hold cannot be named or filtered by.

use std::path::Path;

use polars::prelude::*;

use super::CodecError;
use super::catalog::integers;
use super::id_lists::IdLists;
use super::table::{self, ColumnType};
use super::texts::Texts;

/// The items in the order of their rows; `None` where the table lacks the column.
#[derive(Debug, Default)]
pub struct ItemDetails {
    /// `track_id`.
    pub track_ids: Vec<i64>,
    /// `track_group_id`: equal for versions of one song.
    pub groups: Option<Vec<i64>>,
    /// `artist_ids`.
    pub artists: Option<IdLists>,
    /// `name`.
    pub names: Option<Texts>,
    /// `artist_names`, a list a row.
    pub artist_names: Option<Texts>,
    /// `album_name`.
    pub albums: Option<Texts>,
    /// `genre_name`.
    pub genres: Option<Texts>,
}

const OPTIONAL: [(&str, ColumnType); 6] = [
    ("track_group_id", ColumnType::Integer),
    ("artist_ids", ColumnType::IntegerList),
    ("name", ColumnType::Text),
    ("artist_names", ColumnType::TextList),
    ("album_name", ColumnType::Text),
    ("genre_name", ColumnType::Text),
];

/// Reads `items.parquet`.
///
/// # Errors
/// When the file cannot be read, `track_id` is missing, or a column that is there has another type.
pub fn read(path: &Path) -> Result<ItemDetails, CodecError> {
    let found = table::column_names(path)?;
    let mut columns = vec![("track_id", ColumnType::Integer)];
    columns.extend(OPTIONAL.into_iter().filter(|(name, _)| found.iter().any(|found| found == name)));
    let mut items = table::read(path, &columns)?;
    items.rechunk_mut();
    let has = |name: &str| columns.iter().any(|&(column, _)| column == name);
    let texts = |column| has(column).then(|| texts(path, &items, column)).transpose();
    Ok(ItemDetails {
        track_ids: integers(path, &items, "track_id")?,
        groups: has("track_group_id").then(|| integers(path, &items, "track_group_id")).transpose()?,
        artists: has("artist_ids").then(|| IdLists::new(path, &items, "artist_ids")).transpose()?,
        names: texts("name")?,
        artist_names: has("artist_names").then(|| text_lists(path, &items, "artist_names")).transpose()?,
        albums: texts("album_name")?,
        genres: texts("genre_name")?,
    })
}

fn texts(path: &Path, items: &DataFrame, column: &'static str) -> Result<Texts, CodecError> {
    let wrong = |error: PolarsError| CodecError::value(path, column, error.to_string());
    let texts = items.column(column).and_then(|column| column.str()).map_err(wrong)?;
    Ok(Texts::of_rows(texts.iter()))
}

fn text_lists(path: &Path, items: &DataFrame, column: &'static str) -> Result<Texts, CodecError> {
    let wrong = |error: PolarsError| CodecError::value(path, column, error.to_string());
    let lists = items.column(column).and_then(|column| column.list()).map_err(wrong)?.rechunk();
    let offsets = lists.offsets().map_err(wrong)?;
    let ends = offsets.as_slice()[1..].iter().map(|&end| end as usize).collect();
    let inner = lists.get_inner();
    let texts = inner.str().map_err(wrong)?;
    Ok(Texts::of_lists(texts.iter().map(Option::unwrap_or_default), ends))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_table_lacks_is_not_there_and_a_wrong_type_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items.parquet");
        let mut items = df!("track_id" => [7i64, 8], "name" => [Some("One"), None]).unwrap();
        let artists = vec![
            Some(Series::new("".into(), ["Ann", "Bob"])),
            Some(Series::new("".into(), Vec::<&str>::new())),
        ];
        items.with_column(Series::new("artist_names".into(), artists).into()).unwrap();
        table::write(&path, &mut items).unwrap();
        let details = read(&path).unwrap();
        assert_eq!(details.track_ids, [7, 8]);
        let names = details.names.unwrap();
        assert_eq!((names.row(0), names.row(1)), (Some("One"), None));
        let artists = details.artist_names.unwrap();
        assert_eq!(artists.list(0).collect::<Vec<_>>(), ["Ann", "Bob"]);
        assert_eq!(artists.list(1).count(), 0);
        assert!(details.groups.is_none() && details.artists.is_none() && details.genres.is_none());

        table::write(&path, &mut df!("track_id" => [7i64], "name" => [1i64]).unwrap()).unwrap();
        let error = read(&path).err().unwrap().to_string();
        assert!(error.contains("column `name`: expected text, found"), "{error}");
    }
}
