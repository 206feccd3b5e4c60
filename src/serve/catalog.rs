//! The tracks that a service knows: external id ↔ dense index.
//!
//! Lists hold 32-bit indices; the number of a track is its row in the items table, so frequent
//! tracks have small indices. Loading looks ids up by the hundred million, which is bound by the cache
//! of the processor: a table of indices into the ids takes a quarter of what a map from ids takes.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// Items by their index, for what an answer leaves out or is limited to.
pub type ItemSet = HashSet<u32, BuildHasherDefault<IdHasher>>;

/// Track ids by index, and back.
#[derive(Debug, Default)]
pub struct Catalog {
    track_ids: Vec<i64>,
    /// The index of each track, from the place that the hash of its id says on, where the first free place
    /// ends the search; at most half of the places are taken, and their number is a power of two.
    places: Vec<u32>,
}

const FREE: u32 = u32::MAX;

impl Catalog {
    /// Numbers the tracks in their order; the id that occurs twice, if any, is the error.
    ///
    /// # Errors
    /// The first id that occurs twice.
    pub fn new(track_ids: Vec<i64>) -> Result<Self, i64> {
        let places = vec![FREE; (2 * track_ids.len()).next_power_of_two()];
        let mut catalog = Self { track_ids, places };
        for item in 0..catalog.track_ids.len() {
            let track_id = catalog.track_ids[item];
            match catalog.find(track_id) {
                Ok(_) => return Err(track_id),
                Err(place) => catalog.places[place] = item as u32,
            }
        }
        Ok(catalog)
    }

    /// The index of a track.
    pub fn item(&self, track_id: i64) -> Option<u32> {
        if self.is_empty() { None } else { self.find(track_id).ok() }
    }

    /// The index of a track, or the place where it would be.
    fn find(&self, track_id: i64) -> Result<u32, usize> {
        let mut hasher = IdHasher::default();
        hasher.write_i64(track_id);
        let mask = self.places.len() - 1;
        let mut place = hasher.finish() as usize & mask;
        loop {
            match self.places[place] {
                FREE => return Err(place),
                item if self.track_ids[item as usize] == track_id => return Ok(item),
                _ => place = (place + 1) & mask,
            }
        }
    }

    /// The id of the track with this index.
    ///
    /// # Panics
    /// When `item` did not come from this catalogue.
    pub fn track_id(&self, item: u32) -> i64 {
        self.track_ids[item as usize]
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
    }
}
