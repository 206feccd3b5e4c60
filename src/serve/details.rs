//! What a service can say of a track, and what it can filter by: names, genre, artists, group.
//!
//! Genres are numbered by their names in lower case, so that a filter compares numbers.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::codec::id_lists::IdLists;
use crate::codec::item_details::ItemDetails;
use crate::codec::texts::Texts;

/// The tracks of a release by their index in the catalogue.
#[derive(Debug, Default)]
pub struct Details {
    names: Texts,
    artist_names: Texts,
    albums: Texts,
    genres: Texts,
    genre_numbers: HashMap<String, u32>,
    /// The number of each track's genre; `None` when the table of items has no genres.
    genre_of: Option<Vec<u32>>,
    artists: Option<IdLists>,
    groups: Option<Vec<i64>>,
}

/// What a track is called; `null` or empty where the table of items does not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Names<'a> {
    /// The track itself.
    track: Option<&'a str>,
    /// Its artists.
    artists: Vec<&'a str>,
    /// Its album.
    album: Option<&'a str>,
    /// Its genre.
    genre: Option<&'a str>,
}

impl Details {
    /// Takes what the table of items says of its `n_tracks` tracks, and numbers the genres.
    pub fn new(details: ItemDetails, n_tracks: usize) -> Self {
        let mut genre_numbers = HashMap::new();
        let genre_of = details.genres.as_ref().map(|genres| {
            let number = |item| {
                let Some(name) = genres.row(item) else { return u32::MAX };
                let next = genre_numbers.len() as u32;
                *genre_numbers.entry(name.to_lowercase()).or_insert(next)
            };
            (0..n_tracks).map(number).collect()
        });
        Self {
            names: details.names.unwrap_or_default(),
            artist_names: details.artist_names.unwrap_or_default(),
            albums: details.albums.unwrap_or_default(),
            genres: details.genres.unwrap_or_default(),
            genre_numbers,
            genre_of,
            artists: details.artists,
            groups: details.groups,
        }
    }

    /// What a track is called; of `None`, a track that is not in the catalogue, nothing is known.
    pub fn names(&self, item: Option<u32>) -> Names<'_> {
        let row = item.map_or(usize::MAX, |item| item as usize);
        Names {
            track: self.names.row(row),
            artists: self.artist_names.list(row).filter(|name| !name.is_empty()).collect(),
            album: self.albums.row(row),
            genre: self.genres.row(row),
        }
    }

    /// The name of a track and of its artists.
    pub fn title(&self, item: u32) -> (Option<&str>, impl Iterator<Item = &str>) {
        let row = item as usize;
        (self.names.row(row), self.artist_names.list(row))
    }

    /// The number of a genre, by its name in any case.
    pub fn genre_number(&self, name: &str) -> Option<u32> {
        self.genre_numbers.get(&name.to_lowercase()).copied()
    }

    /// The numbers of the tracks' genres, when the table of items has them.
    pub fn genre_of(&self) -> Option<&[u32]> {
        self.genre_of.as_deref()
    }

    /// The artists of each track, when the table of items has them.
    pub fn artists(&self) -> Option<&IdLists> {
        self.artists.as_ref()
    }

    /// The group of versions that each track belongs to, when the table of items has them.
    pub fn groups(&self) -> Option<&[i64]> {
        self.groups.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn genres_are_found_in_any_case_and_nothing_is_said_where_nothing_is_known() {
        let genres = Texts::of_rows([Some("Rock"), Some("rock"), None, Some("Été")].into_iter());
        let details = Details::new(ItemDetails { genres: Some(genres), ..ItemDetails::default() }, 4);
        assert_eq!(details.genre_of(), Some(&[0, 0, u32::MAX, 1][..]));
        assert_eq!(["ROCK", "éTÉ", "pop"].map(|name| details.genre_number(name)), [Some(0), Some(1), None]);
        let unknown = Names { track: None, artists: vec![], album: None, genre: None };
        assert_eq!(details.names(None), unknown);
        assert_eq!(details.names(Some(0)), Names { genre: Some("Rock"), ..unknown });
    }
}
