//! Ranked lists in memory: one flat array of items, one of scores, and where each list starts.
//!
//! Eight bytes a row and 24 a list: 1.4 M users with 100 items each take 1.2 GB, in five pieces of
//! memory or of a mapped file. A list is found by its key among the sorted ones, beginning where it lies if
//! keys are spread evenly, as ids mostly are: a binary search would miss the cache at every step.

use std::ops::RangeInclusive;

use rayon::prelude::*;

use super::catalog::Catalog;
use super::flat::Flat;
use crate::codec::ranked::RankedBlock;

/// Lists of items by key (a user or a track).
#[derive(Debug, Default)]
pub struct Lists {
    /// Rising.
    pub(super) keys: Flat<i64>,
    /// Where each list starts.
    pub(super) starts: Flat<u64>,
    /// Where each list ends.
    pub(super) ends: Flat<u64>,
    pub(super) items: Flat<u32>,
    pub(super) scores: Flat<f32>,
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
    /// Items with their scores, 0 in a list without.
    pub fn iter(self) -> impl Iterator<Item = (u32, f32)> + use<'a> {
        let score = move |place| self.scores.get(place).copied().unwrap_or_default();
        self.items.iter().enumerate().map(move |(place, &item)| (item, score(place)))
    }

    /// The same without scores, for whoever does not tell them: they lie apart from the items, in memory that has
    /// to be waited for.
    #[must_use]
    pub fn unscored(self) -> Self {
        Self { scores: &[], ..self }
    }
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
        let found = find(&self.keys, key)?;
        let rows = self.starts[found] as usize..self.ends[found] as usize;
        Some(List { items: &self.items[rows.clone()], scores: &self.scores[rows] })
    }

    /// The keys in a range, rising.
    pub fn keys_in(&self, range: RangeInclusive<i64>) -> impl Iterator<Item = i64> + use<'_> {
        let first = self.keys.partition_point(|key| key < range.start());
        let keys = self.keys[first..].iter().copied();
        keys.take_while(move |key| key <= range.end())
    }

    /// How many lists there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no list.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// The place of a key among rising ones: interpolation, then steps that double, then bisection.
fn find(keys: &[i64], key: i64) -> Option<usize> {
    let (&first, &last) = (keys.first()?, keys.last()?);
    if key < first || key > last {
        return None;
    }
    let (offset, width) = (key.abs_diff(first), last.abs_diff(first).max(1));
    let guess = (u128::from(offset) * (keys.len() as u128 - 1) / u128::from(width)) as usize;
    let mut step = 1;
    let (from, to) = if keys[guess] <= key {
        let mut end = guess + 1;
        while end < keys.len() && keys[end] <= key {
            end = (end + step).min(keys.len());
            step *= 2;
        }
        (guess, end)
    } else {
        let mut start = guess;
        while start > 0 && keys[start] > key {
            start = start.saturating_sub(step);
            step *= 2;
        }
        (start, guess)
    };
    keys[from..to].binary_search(&key).ok().map(|place| from + place)
}

/// Rows that one thread numbers at a time.
const ROWS_AT_ONCE: usize = 1 << 14;

/// Takes rows in blocks and makes [`Lists`] of them.
#[derive(Debug, Default)]
pub struct ListsBuilder {
    places: Vec<Place>,
    items: Vec<u32>,
    scores: Vec<f32>,
    last_rank: u32,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    key: i64,
    start: u64,
    end: u64,
}

impl ListsBuilder {
    /// A builder with room for so many rows.
    pub fn with_capacity(n_rows: usize) -> Self {
        let mut builder = Self::default();
        // A footer may say anything: without the room the lists grow as they come.
        let _ =
            builder.items.try_reserve_exact(n_rows).and_then(|()| builder.scores.try_reserve_exact(n_rows));
        builder
    }

    /// Adds the next rows; a list may go on from one block into the next.
    ///
    /// # Errors
    /// When a track is unknown or a rank does not rise within its list.
    pub fn push(&mut self, block: RankedBlock<'_>, catalog: &Catalog) -> Result<(), InvalidLists> {
        let start = self.items.len();
        self.items.resize(start + block.tracks.len(), 0);
        let parts = block.tracks.par_chunks(ROWS_AT_ONCE);
        parts
            .zip(self.items[start..].par_chunks_mut(ROWS_AT_ONCE))
            .try_for_each(|(tracks, items)| catalog.items(tracks, items))
            .map_err(InvalidLists::UnknownTrack)?;
        for (row, (&key, &rank)) in (start as u64..).zip(block.keys.iter().zip(block.ranks)) {
            match self.places.last_mut() {
                Some(place) if place.key == key && self.last_rank < rank => place.end += 1,
                Some(place) if place.key == key => return Err(InvalidLists::Order(key)),
                _ => self.places.push(Place { key, start: row, end: row + 1 }),
            }
            self.last_rank = rank;
        }
        self.scores.extend_from_slice(block.scores);
        Ok(())
    }

    /// The lists, ready for look-ups.
    ///
    /// # Errors
    /// When a key has rows in two places.
    pub fn finish(self) -> Result<Lists, InvalidLists> {
        let Self { mut places, mut items, mut scores, .. } = self;
        places.par_sort_unstable_by_key(|place| place.key);
        if let Some(pair) = places.windows(2).find(|pair| pair[0].key == pair[1].key) {
            return Err(InvalidLists::Order(pair[0].key));
        }
        items.shrink_to_fit();
        scores.shrink_to_fit();
        Ok(Lists {
            keys: Flat::Owned(places.iter().map(|place| place.key).collect()),
            starts: Flat::Owned(places.iter().map(|place| place.start).collect()),
            ends: Flat::Owned(places.iter().map(|place| place.end).collect()),
            items: Flat::Owned(items),
            scores: Flat::Owned(scores),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn keys_are_found_as_by_bisection(
            keys in proptest::collection::btree_set(
                proptest::prop_oneof![-20i64..20, 0i64..1_000_000, proptest::prelude::any::<i64>()], 0..200,
            ),
            others in proptest::collection::vec(proptest::prop_oneof![-25i64..25, proptest::prelude::any::<i64>()], 20),
        ) {
            let keys: Vec<i64> = keys.into_iter().collect();
            for key in keys.iter().copied().chain(others).chain([i64::MIN, i64::MAX]) {
                proptest::prop_assert_eq!(find(&keys, key), keys.binary_search(&key).ok());
            }
        }
    }

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
