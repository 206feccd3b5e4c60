//! The tracks, artists and genres that most was listened to.

use std::collections::HashMap;
use std::path::Path;

use polars::prelude::*;

use super::columns as c;
use super::error::DataError;
use super::overview::Overview;

/// One of the most popular.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Top {
    /// Its name; none where the table of items has none.
    pub name: Option<String>,
    /// The artists of a track.
    pub by: Vec<String>,
    /// The id of a track; none for artists and genres, which are told apart by their names.
    pub id: Option<i64>,
    /// Tracks that it has: 1 for a track.
    pub tracks: u64,
    /// Listens.
    pub listens: u64,
    /// Users of a track; for artists and genres the sum over their tracks.
    pub users: u64,
}

/// The most popular of each sort.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tops {
    /// Tracks by users.
    pub tracks: Vec<Top>,
    /// Artists by listens; a track counts for each of its artists.
    pub artists: Vec<Top>,
    /// Genres by listens; a track counts for the first of its genres that has a name.
    pub genres: Vec<Top>,
    /// Artists with a name and a listen.
    pub n_artists: usize,
    /// Genres with a name and a listen.
    pub n_genres: usize,
    /// Listens of tracks without a named artist.
    pub listens_without_artist: u64,
    /// Listens of tracks without a named genre.
    pub listens_without_genre: u64,
}

impl Tops {
    /// The first `n` of each; `items` is the table of items in `path`.
    ///
    /// # Errors
    /// When a column of `items` is missing or of another type.
    pub fn new(items: &DataFrame, overview: &Overview, n: usize, path: &Path) -> Result<Self, DataError> {
        Self::count(items, overview, n).map_err(DataError::frame(path))
    }

    fn count(items: &DataFrame, overview: &Overview, n: usize) -> PolarsResult<Self> {
        let names = items.column(c::NAME)?.str()?;
        let ids = items.column(c::TRACK_ID)?.cast(&DataType::Int64)?;
        let ids = ids.i64()?;
        let genre_names = items.column(c::GENRE_NAME)?.str()?;
        let artist_names = items.column(c::ARTIST_NAMES)?.list()?;
        let indices = items.column(c::ITEM_IDX)?.cast(&DataType::UInt32)?;
        let (mut artists, mut genres) = (Counts::default(), Counts::default());
        let mut tops = Self::default();
        let mut most: Vec<(u32, usize, usize)> = Vec::new();
        for (row, index) in indices.u32()?.iter().enumerate() {
            let item = index.map_or(usize::MAX, |index| index as usize);
            let Some(&users) = overview.users_of_item.get(item).filter(|&&users| users > 0) else { continue };
            most.push((users, row, item));
            let listens = overview.listens_of_item[item];
            match genre_names.get(row) {
                Some(genre) => genres.add(genre, listens, users),
                None => tops.listens_without_genre += listens,
            }
            let by = artists_of(artist_names, row)?;
            for artist in &by {
                artists.add(artist, listens, users);
            }
            if by.is_empty() {
                tops.listens_without_artist += listens;
            }
        }
        most.sort_unstable_by_key(|&(users, row, _)| (std::cmp::Reverse(users), row));
        for &(users, row, item) in most.iter().take(n) {
            tops.tracks.push(Top {
                name: names.get(row).map(str::to_owned),
                by: artists_of(artist_names, row)?,
                id: ids.get(row),
                tracks: 1,
                listens: overview.listens_of_item[item],
                users: users.into(),
            });
        }
        (tops.n_artists, tops.n_genres) = (artists.0.len(), genres.0.len());
        (tops.artists, tops.genres) = (artists.first(n), genres.first(n));
        Ok(tops)
    }
}

fn artists_of(names: &ListChunked, row: usize) -> PolarsResult<Vec<String>> {
    let Some(names) = names.get_as_series(row) else { return Ok(Vec::new()) };
    Ok(names.str()?.iter().flatten().map(str::to_owned).collect())
}

/// Tracks, listens and users by name.
#[derive(Default)]
struct Counts(HashMap<String, (u64, u64, u64)>);

impl Counts {
    fn add(&mut self, name: &str, listens: u64, users: u32) {
        let counts = match self.0.get_mut(name) {
            Some(counts) => counts,
            None => self.0.entry(name.to_owned()).or_default(),
        };
        counts.0 += 1;
        counts.1 += listens;
        counts.2 += u64::from(users);
    }

    /// The first `n` by listens, ties by name.
    fn first(self, n: usize) -> Vec<Top> {
        let mut all: Vec<(String, (u64, u64, u64))> = self.0.into_iter().collect();
        all.sort_unstable_by(|a, b| b.1.1.cmp(&a.1.1).then_with(|| a.0.cmp(&b.0)));
        let top = |(name, (tracks, listens, users))| Top {
            name: Some(name),
            tracks,
            listens,
            users,
            ..Top::default()
        };
        all.into_iter().take(n).map(top).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_counts_for_all_its_artists_and_for_one_genre() {
        let mut overview = Overview::new(0, 4);
        overview.users_of_item = vec![3, 2, 2, 0];
        overview.listens_of_item = vec![3, 9, 2, 0];
        let mut items = df!(
            "item_idx" => [0u32, 1, 2, 3], "track_id" => [70i64, 71, 72, 73],
            "name" => [Some("A"), None, Some("Ц"), Some("unheard")],
            "genre_name" => [Some("rock"), Some("pop"), None, Some("rock")]
        )
        .unwrap();
        let artists = [vec!["Ann", "Bob"], vec!["Bob"], vec![], vec!["Cid"]]
            .map(|names| Series::new("".into(), names.into_iter().map(str::to_owned).collect::<Vec<_>>()));
        items.with_column(Series::new("artist_names".into(), artists).into()).unwrap();
        let tops = Tops::new(&items, &overview, 2, Path::new("items")).unwrap();
        let names =
            |tops: &[Top]| tops.iter().map(|top| top.name.clone().unwrap_or_default()).collect::<Vec<_>>();
        assert_eq!(names(&tops.tracks), ["A", ""], "by users, ties by row");
        assert_eq!(
            (tops.tracks[0].by.as_slice(), tops.tracks[1].id),
            (["Ann".to_owned(), "Bob".to_owned()].as_slice(), Some(71))
        );
        assert_eq!(names(&tops.artists), ["Bob", "Ann"]);
        assert_eq!((tops.artists[0].tracks, tops.artists[0].listens, tops.artists[0].users), (2, 12, 5));
        assert_eq!(names(&tops.genres), ["pop", "rock"]);
        assert_eq!((tops.n_artists, tops.n_genres), (2, 2), "nobody listened to Cid");
        assert_eq!((tops.listens_without_artist, tops.listens_without_genre), (2, 2));
    }
}
