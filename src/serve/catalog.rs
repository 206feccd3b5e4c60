//! The tracks that a service knows: external id ↔ dense index.
//!
//! Lists hold 32-bit indices; the number of a track is its row in the items table, so frequent
//! tracks have small indices. Loading looks ids up by the hundred million, which is bound by the cache
//! of the processor: a table of indices into the ids takes a quarter of what a map from ids takes.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use super::flat::Flat;

/// Items by their index, for what an answer leaves out or is limited to.
pub type ItemSet = HashSet<u32, BuildHasherDefault<IdHasher>>;

/// Track ids by index, and back.
#[derive(Debug, Default)]
pub struct Catalog {
    track_ids: Flat<i64>,
    /// The index of each track, from the place that the hash of its id says on, where the first free place
    /// ends the search; at most half of the places are taken, and their number is a power of two.
    places: Flat<u32>,
}

const FREE: u32 = u32::MAX;
/// So many ids are looked up side by side.
const LANES: usize = 64;

impl Catalog {
    /// Numbers the tracks in their order; the id that occurs twice, if any, is the error.
    ///
    /// # Errors
    /// The first id that occurs twice.
    pub fn new(track_ids: Vec<i64>) -> Result<Self, i64> {
        let mut places = vec![FREE; (2 * track_ids.len()).next_power_of_two()];
        for (item, &track_id) in track_ids.iter().enumerate() {
            match find(&track_ids, &places, track_id) {
                Ok(_) => return Err(track_id),
                Err(place) => places[place] = item as u32,
            }
        }
        Ok(Self { track_ids: Flat::in_large_pages(track_ids), places: Flat::in_large_pages(places) })
    }

    /// The index of a track.
    pub fn item(&self, track_id: i64) -> Option<u32> {
        if self.is_empty() { None } else { find(&self.track_ids, &self.places, track_id).ok() }
    }

    /// The indices of many tracks, into a slice of equal length. All ids of a group are looked for at their
    /// first places before any is compared, so that the processor waits for memory once a group, not once
    /// an id: half to a third of the time of [`item`](Self::item).
    ///
    /// # Errors
    /// An id that is not known.
    ///
    /// # Panics
    /// When the lengths differ.
    pub fn items(&self, track_ids: &[i64], items: &mut [u32]) -> Result<(), i64> {
        assert_eq!(track_ids.len(), items.len(), "an index for each id");
        let (known, places) = (&*self.track_ids, &*self.places);
        for (track_ids, items) in track_ids.chunks(LANES).zip(items.chunks_mut(LANES)) {
            for (item, &track_id) in items.iter_mut().zip(track_ids) {
                *item = places.get(first_place(track_id, places.len())).copied().unwrap_or(FREE);
            }
            let (mut elsewhere, mut n_elsewhere) = ([0u8; LANES], 0);
            for (lane, (&item, track_id)) in items.iter().zip(track_ids).enumerate() {
                elsewhere[n_elsewhere] = lane as u8;
                n_elsewhere += usize::from(known.get(item as usize) != Some(track_id));
            }
            for &lane in &elsewhere[..n_elsewhere] {
                let track_id = track_ids[usize::from(lane)];
                items[usize::from(lane)] = self.item(track_id).ok_or(track_id)?;
            }
        }
        Ok(())
    }

    /// The id of the track with this index.
    ///
    /// # Panics
    /// When `item` did not come from this catalogue.
    pub fn track_id(&self, item: u32) -> i64 {
        self.track_ids[item as usize]
    }

    /// The ids by index.
    pub fn track_ids(&self) -> &[i64] {
        &self.track_ids
    }

    /// How many tracks there are.
    pub fn len(&self) -> usize {
        self.track_ids.len()
    }

    /// Whether there is no track.
    pub fn is_empty(&self) -> bool {
        self.track_ids.is_empty()
    }
}

/// Where the search for an id starts among so many places.
fn first_place(track_id: i64, n_places: usize) -> usize {
    let mut hasher = IdHasher::default();
    hasher.write_i64(track_id);
    hasher.finish() as usize & n_places.wrapping_sub(1)
}

/// The index of a track, or the place where it would be.
fn find(track_ids: &[i64], places: &[u32], track_id: i64) -> Result<u32, usize> {
    let mask = places.len() - 1;
    let mut place = first_place(track_id, places.len());
    loop {
        match places[place] {
            FREE => return Err(place),
            item if track_ids[item as usize] == track_id => return Ok(item),
            _ => place = (place + 1) & mask,
        }
    }
}

/// One multiplication folded in half: ids are looked up by the hundred million while loading.
#[derive(Debug, Default, Clone, Copy)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let product = u128::from(self.0 ^ value ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93_u128;
        self.0 = (product >> 64) as u64 ^ product as u64;
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_i64(&mut self, value: i64) {
        self.write_u64(value.cast_unsigned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_indices_map_both_ways_and_a_repeated_id_is_refused() {
        let catalog = Catalog::new(vec![40, -7, i64::MAX]).unwrap();
        assert_eq!(catalog.item(-7), Some(1));
        assert_eq!(catalog.track_id(2), i64::MAX);
        assert_eq!(catalog.item(41), None);
        assert_eq!(Catalog::new(vec![1, 2, 1]).unwrap_err(), 1);
        assert_eq!(Catalog::default().item(1), None);
    }

    #[test]
    fn ids_that_share_their_low_bits_are_told_apart() {
        let track_ids: Vec<i64> = (-20_000..20_000).map(|id| id << 20).collect();
        let catalog = Catalog::new(track_ids.clone()).unwrap();
        assert!((0u32..).zip(&track_ids).all(|(item, &id)| catalog.item(id) == Some(item)));
        assert!(track_ids.iter().all(|id| catalog.item(id + 1).is_none()));
        let mut items = vec![0; track_ids.len()];
        catalog.items(&track_ids, &mut items).unwrap();
        assert!(items.into_iter().eq(0..40_000));
        assert_eq!(catalog.items(&[0, 5, 1 << 20], &mut [0; 3]), Err(5));
        assert_eq!(Catalog::default().items(&[5], &mut [0]), Err(5));
    }
}
