//! Entity resolution: ids whose names have one normal form are one entity, known by its smallest id.

use std::collections::BTreeMap;
use std::hash::Hash;

use polars::prelude::PlHashMap;
use serde::Serialize;

use super::raw::{IdLists, Names, RawTracks};
use rayon::prelude::*;

/// Which ids are the same entity.
#[derive(Debug, Default, Clone)]
pub struct Entities {
    duplicates: PlHashMap<i64, i64>,
    /// What was found, for the report.
    pub summary: EntitySummary,
}

/// How many ids and entities a type of the catalogue has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EntitySummary {
    /// Ids.
    pub ids: usize,
    /// Entities that they are.
    pub entities: usize,
    /// Ids that have no name and so stay by themselves.
    pub without_name: usize,
}

impl Entities {
    /// The smallest id of the entity that `id` belongs to.
    pub fn canonical(&self, id: i64) -> i64 {
        self.duplicates.get(&id).copied().unwrap_or(id)
    }

    /// Canonical ids in the order of `ids`, each once.
    pub fn canonical_list(&self, ids: &[i64]) -> Vec<i64> {
        let mut list: Vec<i64> = Vec::with_capacity(ids.len());
        for &id in ids {
            let id = self.canonical(id);
            if !list.contains(&id) {
                list.push(id);
            }
        }
        list
    }

    /// One entity per name: artists and genres.
    pub fn by_name(names: &Names) -> Self {
        Self::group(names.ids(), names, |_| Some(()))
    }

    /// One entity per name and owner: albums and tracks of the same artist. An id without owner stays alone.
    pub fn by_name_and_owner(
        ids: &[i64],
        names: &Names,
        owner: impl Fn(i64) -> Option<i64> + Sync + Send,
    ) -> Self {
        Self::group(ids, names, owner)
    }

    /// `ids` rise, so that the first of a group is its smallest.
    fn group<K: Eq + Hash + Send>(
        ids: &[i64],
        names: &Names,
        owner: impl Fn(i64) -> Option<K> + Sync + Send,
    ) -> Self {
        let keys: Vec<Option<(K, String)>> =
            ids.par_iter().map(|&id| Some((owner(id)?, super::names::normalise(names.get(id)?)))).collect();
        let mut first: PlHashMap<(K, String), i64> = PlHashMap::default();
        let mut duplicates = PlHashMap::default();
        for (&id, key) in ids.iter().zip(keys) {
            if let Some(key) = key {
                let canonical = *first.entry(key).or_insert(id);
                if canonical != id {
                    duplicates.insert(id, canonical);
                }
            }
        }
        let summary = EntitySummary {
            ids: ids.len(),
            entities: ids.len() - duplicates.len(),
            without_name: ids.iter().filter(|&&id| names.get(id).is_none()).count(),
        };
        Self { duplicates, summary }
    }
}

/// The artist of each album: the canonical first artist of most of its tracks, the smaller id in a tie.
pub fn album_owners(tracks: &RawTracks, artists: &Entities) -> PlHashMap<i64, i64> {
    let mut counts: BTreeMap<(i64, i64), usize> = BTreeMap::new();
    for row in 0..tracks.ids.len() {
        if let Some(artist) = first_artist(&tracks.artists, row, artists) {
            for &album in tracks.albums.row(row) {
                *counts.entry((album, artist)).or_default() += 1;
            }
        }
    }
    let mut best: PlHashMap<i64, (usize, i64)> = PlHashMap::default();
    for ((album, artist), count) in counts {
        let owner = best.entry(album).or_insert((count, artist));
        if count > owner.0 {
            *owner = (count, artist);
        }
    }
    best.into_iter().map(|(album, (_, artist))| (album, artist)).collect()
}

/// The canonical first artist of a row of tracks.
pub fn first_artist(lists: &IdLists, row: usize, artists: &Entities) -> Option<i64> {
    lists.row(row).first().map(|&id| artists.canonical(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pairs: &[(i64, &str)]) -> Names {
        Names::new(pairs.iter().map(|&(id, name)| (id, name.to_owned())).collect())
    }

    #[test]
    fn spellings_of_one_name_are_the_smallest_id() {
        let names = names(&[(9, "Beyonce"), (3, "BEYONCÉ"), (5, "beyonce!"), (4, "Adele"), (1, ""), (2, "")]);
        let artists = Entities::by_name(&names);
        assert_eq!([9, 3, 5].map(|id| artists.canonical(id)), [3, 3, 3]);
        assert_eq!([4, 1, 2, 77].map(|id| artists.canonical(id)), [4, 1, 2, 77]);
        assert_eq!(artists.summary, EntitySummary { ids: 6, entities: 4, without_name: 2 });
        assert_eq!(artists.canonical_list(&[9, 4, 3]), [3, 4]);
    }

    #[test]
    fn tracks_are_one_only_under_one_artist() {
        let names = names(&[(1, "Hello"), (2, "HELLO"), (3, "Hello"), (4, "Hello"), (5, "Hello")]);
        let owner = |id| [None, Some(10), Some(10), Some(20), None, None][id as usize];
        let tracks = Entities::by_name_and_owner(&[1, 2, 3, 4, 5], &names, owner);
        assert_eq!([1, 2, 3, 4, 5].map(|id| tracks.canonical(id)), [1, 1, 3, 4, 5]);
    }
}
