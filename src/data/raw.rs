//! The raw catalogue and the raw tracks, checked, as plain columns sorted by id.

use std::path::Path;

use polars::prelude::*;

use super::columns::{ALBUMS, ARTISTS, GENRES, ID, NAME, TRACK_ID, TYPE};
use super::error::DataError;

/// Names by id, for one type of the catalogue.
#[derive(Debug, Default, Clone)]
pub struct Names {
    ids: Vec<i64>,
    names: Vec<String>,
}

impl Names {
    /// Takes pairs in any order; of several names for one id the first that is not empty stays.
    pub fn new(mut pairs: Vec<(i64, String)>) -> Self {
        pairs.sort_by_key(|&(id, _)| id);
        pairs.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same && kept.1.is_empty() {
                kept.1 = std::mem::take(&mut next.1);
            }
            same
        });
        let (ids, names) = pairs.into_iter().unzip();
        Self { ids, names }
    }

    /// The name of an id; none when the catalogue has no such id or its name is blank.
    pub fn get(&self, id: i64) -> Option<&str> {
        let name = self.names[self.ids.binary_search(&id).ok()?].as_str();
        (!name.is_empty()).then_some(name)
    }

    /// Every id of the catalogue, rising.
    pub fn ids(&self) -> &[i64] {
        &self.ids
    }
}

/// The catalogue of names.
#[derive(Debug, Default, Clone)]
pub struct Catalog {
    /// Rows of the file.
    pub n_rows: usize,
    /// Rows of a type that is none of the four.
    pub n_other_types: usize,
    /// Rows beyond the first of the same id and type.
    pub n_repeated: usize,
    /// Names of tracks.
    pub tracks: Names,
    /// Names of albums.
    pub albums: Names,
    /// Names of artists.
    pub artists: Names,
    /// Names of genres.
    pub genres: Names,
}

impl Catalog {
    /// Reads the columns `id, type, name`.
    ///
    /// # Errors
    /// When the table is empty or an id or a type is null.
    pub fn from_frame(frame: &DataFrame, path: &Path) -> Result<Self, DataError> {
        if frame.height() == 0 {
            return Err(DataError::NoRows { path: path.to_owned() });
        }
        let ids = integers(frame, ID, path)?;
        let column = |name| frame.column(name).map_err(DataError::frame(path));
        let (types, names) = (column(TYPE)?, column(NAME)?);
        if types.null_count() > 0 {
            return Err(DataError::nulls(path, TYPE, types.null_count(), frame.height()));
        }
        let types = types.str().map_err(DataError::frame(path))?;
        let names = names.str().map_err(DataError::frame(path))?;
        let mut by_type: [Vec<(i64, String)>; 4] = Default::default();
        let mut n_other_types = 0;
        for ((id, kind), name) in ids.into_iter().zip(types.iter()).zip(names.iter()) {
            let pairs = match kind {
                Some("track") => &mut by_type[0],
                Some("album") => &mut by_type[1],
                Some("artist") => &mut by_type[2],
                Some("genre") => &mut by_type[3],
                _ => {
                    n_other_types += 1;
                    continue;
                }
            };
            pairs.push((id, name.unwrap_or_default().trim().to_owned()));
        }
        let [tracks, albums, artists, genres] = by_type.map(Names::new);
        let n_names: usize = [&tracks, &albums, &artists, &genres].map(|names| names.ids.len()).iter().sum();
        let n_rows = frame.height();
        let n_repeated = n_rows - n_other_types - n_names;
        Ok(Self { n_rows, n_other_types, n_repeated, tracks, albums, artists, genres })
    }
}

/// Lists of ids, one after the other.
#[derive(Debug, Default, Clone)]
pub struct IdLists {
    starts: Vec<usize>,
    values: Vec<i64>,
}

impl IdLists {
    /// The list of a row.
    pub fn row(&self, row: usize) -> &[i64] {
        &self.values[self.starts[row]..self.starts[row + 1]]
    }

    /// Reads a column of lists; a null list is an empty one and nulls inside are left out.
    fn from_column(frame: &DataFrame, name: &str, path: &Path) -> Result<Self, DataError> {
        let wrong = DataError::frame(path);
        let column = frame.column(name).map_err(&wrong)?;
        let column =
            column.strict_cast(&DataType::List(Box::new(DataType::Int64))).map_err(&wrong)?.rechunk();
        let lists = column.list().map_err(&wrong)?;
        let mut ids = Self { starts: vec![0], values: Vec::new() };
        for list in lists.amortized_iter() {
            if let Some(list) = list {
                ids.values.extend(list.as_ref().i64().map_err(&wrong)?.iter().flatten());
            }
            ids.starts.push(ids.values.len());
        }
        Ok(ids)
    }

    fn reordered(&self, rows: &[usize]) -> Self {
        let mut ids = Self { starts: vec![0], values: Vec::with_capacity(self.values.len()) };
        for &row in rows {
            ids.values.extend_from_slice(self.row(row));
            ids.starts.push(ids.values.len());
        }
        ids
    }
}

/// The raw tracks, rising by id, each id once.
#[derive(Debug, Default, Clone)]
pub struct RawTracks {
    /// Rows of the file.
    pub n_rows: usize,
    /// Track ids, rising.
    pub ids: Vec<i64>,
    /// Album ids of each track.
    pub albums: IdLists,
    /// Artist ids of each track.
    pub artists: IdLists,
    /// Genre ids of each track.
    pub genres: IdLists,
}

impl RawTracks {
    /// Reads the columns `track_id, albums, artists, genres`; of several rows for one id the first stays.
    ///
    /// # Errors
    /// When the table is empty or a track id is null.
    pub fn from_frame(frame: &DataFrame, path: &Path) -> Result<Self, DataError> {
        if frame.height() == 0 {
            return Err(DataError::NoRows { path: path.to_owned() });
        }
        let ids = integers(frame, TRACK_ID, path)?;
        let mut rows: Vec<usize> = (0..ids.len()).collect();
        rows.sort_by_key(|&row| (ids[row], row));
        rows.dedup_by_key(|row| ids[*row]);
        if u32::try_from(rows.len()).is_err() {
            return Err(DataError::TooMany { what: "tracks", count: rows.len() });
        }
        let lists = |name| IdLists::from_column(frame, name, path).map(|lists| lists.reordered(&rows));
        Ok(Self {
            n_rows: frame.height(),
            albums: lists(ALBUMS)?,
            artists: lists(ARTISTS)?,
            genres: lists(GENRES)?,
            ids: rows.iter().map(|&row| ids[row]).collect(),
        })
    }
}

/// A column of integers of any width, without nulls.
fn integers(frame: &DataFrame, name: &str, path: &Path) -> Result<Vec<i64>, DataError> {
    let wrong = DataError::frame(path);
    let column = frame.column(name).map_err(&wrong)?;
    if column.null_count() > 0 {
        return Err(DataError::nulls(path, name, column.null_count(), frame.height()));
    }
    let column = column.strict_cast(&DataType::Int64).map_err(&wrong)?;
    Ok(column.i64().map_err(&wrong)?.iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> &'static Path {
        Path::new("raw/t.parquet")
    }

    #[test]
    fn the_first_name_that_is_not_blank_stays() {
        let frame = df!(
            ID => [7i32, 7, 7, 7, 8, 9],
            TYPE => ["track", "artist", "track", "track", "track", "mood"],
            NAME => [Some(" \t"), Some("Band"), Some(" Song "), Some("Other"), None, Some("sad")],
        )
        .unwrap();
        let catalog = Catalog::from_frame(&frame, path()).unwrap();
        assert_eq!(catalog.tracks.get(7), Some("Song"));
        assert_eq!(catalog.artists.get(7), Some("Band"));
        assert_eq!((catalog.tracks.get(8), catalog.tracks.get(100)), (None, None));
        assert_eq!((catalog.n_other_types, catalog.n_repeated), (1, 2));
    }

    #[test]
    fn tracks_are_sorted_and_null_lists_are_empty() {
        let list = |ids: &[u8]| Some(Series::new(PlSmallStr::EMPTY, ids));
        let column = |name: &str, lists: [Option<Series>; 3]| {
            Series::new(name.into(), lists.to_vec()).cast(&DataType::List(Box::new(DataType::UInt8))).unwrap()
        };
        let frame = DataFrame::new(
            3,
            vec![
                Column::new(TRACK_ID.into(), [5u64, 2, 5]),
                column(ALBUMS, [list(&[]), list(&[1, 2]), list(&[9])]).into(),
                column(ARTISTS, [list(&[3]), None, list(&[9])]).into(),
                column(GENRES, [list(&[4, 6]), list(&[4]), list(&[9])]).into(),
            ],
        )
        .unwrap();
        let tracks = RawTracks::from_frame(&frame, path()).unwrap();
        assert_eq!(tracks.ids, [2, 5]);
        assert_eq!(tracks.albums.row(0), [1, 2]);
        assert_eq!(tracks.artists.row(0), [0i64; 0]);
        assert_eq!(tracks.genres.row(1), [4, 6]);
    }

    #[test]
    fn a_null_id_names_file_and_column() {
        let frame = df!(ID => [Some(1i64), None], TYPE => ["track", "track"], NAME => ["a", "b"]).unwrap();
        let message = Catalog::from_frame(&frame, path()).unwrap_err().to_string();
        assert_eq!(
            message,
            "`raw/t.parquet`, column `id`: expected a value in every row, found 1 nulls in 2 rows"
        );
    }
}
