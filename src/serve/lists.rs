//! Ranked lists in memory: one flat array of items, one of scores, and where each list starts.
//!
//! Eight bytes a row and 24 a list: 1.4 M users with 100 items each take 1.2 GB, in three
//! allocations. A list is found by binary search over the sorted keys.

use std::ops::RangeInclusive;

use rayon::prelude::*;

use super::catalog::Catalog;
use crate::codec::ranked::RankedBlock;

/// Lists of items by key (a user or a track).
#[derive(Debug, Default)]
pub struct Lists {
    places: Vec<Place>,
    items: Vec<u32>,
    scores: Vec<f32>,
}

/// One list, best first.
#[derive(Debug, Clone, Copy, Default)]
pub struct List<'a> {
    /// Indices in the catalogue.
    pub items: &'a [u32],
    /// Their scores.
    pub scores: &'a [f32],
}

impl<'a> List<'a> {
    /// Items with their scores.
    pub fn iter(self) -> impl Iterator<Item = (u32, f32)> + use<'a> {
        self.items.iter().copied().zip(self.scores.iter().copied())
    }
}

#[derive(Debug, Clone, Copy)]
struct Place {
    key: i64,
    start: usize,
    len: usize,
}

/// Why some rows are not ranked lists over a catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLists {
    /// A row names a track that is not in the catalogue.
    #[error("track {0} is not in the items table")]
    UnknownTrack(i64),
    /// The rows of a list lie apart or its ranks do not rise.
    #[error("the rows of `{0}` do not lie together in the order of their rank")]
    Order(i64),
}

impl Lists {
    /// The list of `key`.
    pub fn list(&self, key: i64) -> Option<List<'_>> {
        let found = self.places.binary_search_by_key(&key, |place| place.key).ok()?;
        let Place { start, len, .. } = self.places[found];
        Some(List { items: &self.items[start..start + len], scores: &self.scores[start..start + len] })
    }

    /// The keys in a range, rising.
    pub fn keys_in(&self, range: RangeInclusive<i64>) -> impl Iterator<Item = i64> + use<'_> {
        let first = self.places.partition_point(|place| place.key < *range.start());
        let keys = self.places[first..].iter().map(|place| place.key);
        keys.take_while(move |key| key <= range.end())
    }

    /// How many lists there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is no list.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }
}

/// Takes rows in blocks and makes [`Lists`] of them.
#[derive(Debug, Default)]
pub struct ListsBuilder {
    lists: Lists,
    last_rank: u32,
}

impl ListsBuilder {
    /// Adds the next rows; a list may go on from one block into the next.
    ///
    /// # Errors
    /// When a track is unknown or a rank does not rise within its list.
    pub fn push(&mut self, block: RankedBlock<'_>, catalog: &Catalog) -> Result<(), InvalidLists> {
        let known = |&track: &i64| catalog.item(track).ok_or(InvalidLists::UnknownTrack(track));
        let items: Vec<u32> = block.tracks.par_iter().map(known).collect::<Result<_, _>>()?;
        for (row, (&key, &rank)) in (self.lists.items.len()..).zip(block.keys.iter().zip(block.ranks)) {
            match self.lists.places.last_mut() {
                Some(place) if place.key == key && self.last_rank < rank => place.len += 1,
                Some(place) if place.key == key => return Err(InvalidLists::Order(key)),
                _ => self.lists.places.push(Place { key, start: row, len: 1 }),
            }
            self.last_rank = rank;
        }
        self.lists.items.extend_from_slice(&items);
        self.lists.scores.extend_from_slice(block.scores);
        Ok(())
    }

    /// The lists, ready for look-ups.
    ///
    /// # Errors
    /// When a key has rows in two places.
    pub fn finish(self) -> Result<Lists, InvalidLists> {
        let mut lists = self.lists;
        lists.places.par_sort_unstable_by_key(|place| place.key);
        lists.places.shrink_to_fit();
        lists.items.shrink_to_fit();
        lists.scores.shrink_to_fit();
        match lists.places.windows(2).find(|pair| pair[0].key == pair[1].key) {
            Some(pair) => Err(InvalidLists::Order(pair[0].key)),
            None => Ok(lists),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(blocks: &[(&[i64], &[i64], &[u32])]) -> Result<Lists, InvalidLists> {
        let catalog = Catalog::new(vec![10, 20, 30]).unwrap();
        let mut builder = ListsBuilder::default();
        for &(keys, tracks, ranks) in blocks {
            let scores: Vec<f32> = ranks.iter().map(|&rank| 1.0 / rank as f32).collect();
            builder.push(RankedBlock { keys, tracks, scores: &scores, ranks }, &catalog)?;
        }
        builder.finish()
    }

    #[test]
    fn a_list_goes_on_from_one_block_into_the_next_and_keys_come_in_any_order() {
        let lists =
            build(&[(&[9, 9, 4], &[10, 20, 30], &[1, 2, 1]), (&[4, -1], &[10, 20], &[2, 1])]).unwrap();
        assert_eq!(lists.len(), 3);
        assert_eq!(lists.list(9).unwrap().items, [0, 1]);
        assert_eq!(lists.list(4).unwrap().iter().collect::<Vec<_>>(), [(2, 1.0), (0, 0.5)]);
        assert_eq!(lists.list(-1).unwrap().items, [1]);
        assert!(lists.list(5).is_none());
    }

    #[test]
    fn rows_apart_falling_ranks_and_unknown_tracks_are_refused() {
        let refused =
            |keys: &[i64], tracks: &[i64], ranks: &[u32]| build(&[(keys, tracks, ranks)]).unwrap_err();
        assert_eq!(refused(&[1, 2, 1], &[10, 10, 20], &[1, 1, 2]), InvalidLists::Order(1));
        assert_eq!(refused(&[1, 1], &[10, 20], &[2, 1]), InvalidLists::Order(1));
        assert_eq!(refused(&[1], &[11], &[1]), InvalidLists::UnknownTrack(11));
    }
}
