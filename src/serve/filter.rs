//! What a request leaves out of its list: tracks, genres, too many of one artist or of one song.
//!
//! A filter works on the whole lists, before they are cut at `k`, so that an answer is short only
//! when nothing else is left. Ids that the release does not know filter nothing.

use std::collections::HashMap;

use super::catalog::ItemSet;
use super::error::ApiError;
use super::library::Library;
use super::parameters::Parameters;
use crate::codec::id_lists::IdLists;

/// The filters of one request, resolved against a release.
#[derive(Debug, Default)]
pub struct Filter {
    exclude: ItemSet,
    /// Only these, when given.
    include: Option<ItemSet>,
    /// Only these; all when empty.
    genres: Vec<u32>,
    max_per_artist: Option<usize>,
    max_per_track_group: Option<usize>,
}

impl Filter {
    /// Reads `exclude`, `include`, `genre`, `max_per_artist` and `max_per_track_group`.
    ///
    /// # Errors
    /// When a value cannot be, a genre is not known, or the table of items lacks the column that a
    /// filter goes by.
    pub fn new(parameters: &Parameters, library: &Library) -> Result<Self, ApiError> {
        let details = &library.details;
        let items = |ids: Vec<i64>| -> ItemSet {
            ids.into_iter().filter_map(|track_id| library.catalog.item(track_id)).collect()
        };
        let include = parameters.ids("include")?;
        let filter = Self {
            exclude: items(parameters.ids("exclude")?),
            include: (!include.is_empty()).then(|| items(include)),
            genres: genres(parameters, library)?,
            max_per_artist: parameters.count("max_per_artist")?,
            max_per_track_group: parameters.count("max_per_track_group")?,
        };
        if filter.max_per_artist.is_some() && details.artists().is_none() {
            return Err(ApiError::UnsupportedFilter { field: "max_per_artist", column: "artist_ids" });
        }
        if filter.max_per_track_group.is_some() && details.groups().is_none() {
            let column = "track_group_id";
            return Err(ApiError::UnsupportedFilter { field: "max_per_track_group", column });
        }
        Ok(filter)
    }

    /// Whether the track may be in the list, whatever else is.
    pub fn allows(&self, library: &Library, item: u32) -> bool {
        let is_of_genre = || {
            let genre = library.details.genre_of().map(|genre_of| genre_of[item as usize]);
            genre.is_some_and(|genre| self.genres.contains(&genre))
        };
        !self.exclude.contains(&item)
            && self.include.as_ref().is_none_or(|include| include.contains(&item))
            && (self.genres.is_empty() || is_of_genre())
    }

    /// Whether it lets every track in.
    pub fn is_open(&self) -> bool {
        self.exclude.is_empty() && self.include.is_none() && self.genres.is_empty() && !self.is_limited()
    }

    /// Whether it depends on the other tracks of the list what may be in it.
    pub fn is_limited(&self) -> bool {
        self.max_per_artist.is_some() || self.max_per_track_group.is_some()
    }

    /// Counts artists and groups along one list.
    pub fn limits<'a>(&self, library: &'a Library) -> Limits<'a> {
        let artists = self.max_per_artist.zip(library.details.artists());
        let groups = self.max_per_track_group.zip(library.details.groups());
        Limits { artists, groups, of_artist: HashMap::new(), of_group: HashMap::new() }
    }
}

/// How many tracks of each artist and group a list has so far.
#[derive(Debug)]
pub struct Limits<'a> {
    artists: Option<(usize, &'a IdLists)>,
    groups: Option<(usize, &'a [i64])>,
    of_artist: HashMap<u32, usize>,
    of_group: HashMap<i64, usize>,
}

impl Limits<'_> {
    /// Whether the list may go on with this track; then it counts, for each of its artists.
    pub fn admit(&mut self, item: u32) -> bool {
        let row = item as usize;
        if let Some((max, artists)) = self.artists
            && artists.row(row).any(|artist| self.of_artist.get(&artist).is_some_and(|n| *n >= max))
        {
            return false;
        }
        if let Some((max, groups)) = self.groups {
            let n = self.of_group.entry(groups[row]).or_default();
            if *n >= max {
                return false;
            }
            *n += 1;
        }
        if let Some((_, artists)) = self.artists {
            artists.row(row).for_each(|artist| *self.of_artist.entry(artist).or_default() += 1);
        }
        true
    }
}

fn genres(parameters: &Parameters, library: &Library) -> Result<Vec<u32>, ApiError> {
    let number = |name: &str| {
        if library.details.genre_of().is_none() {
            return Err(ApiError::UnsupportedFilter { field: "genre", column: "genre_name" });
        }
        library
            .details
            .genre_number(name)
            .ok_or_else(|| ApiError::invalid("genre", "the name of a genre in the items table", name))
    };
    parameters.all("genre").filter(|name| !name.is_empty()).map(number).collect()
}
