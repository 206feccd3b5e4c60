//! The tracks that a service knows: external id ↔ dense index.
//!
//! Lists hold 32-bit indices; the number of a track is its row in the items table, so frequent
//! tracks have small indices.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// Items by their index, for what an answer leaves out or is limited to.
pub type ItemSet = HashSet<u32, BuildHasherDefault<IdHasher>>;

/// Track ids by index, and back.
#[derive(Debug, Default)]
pub struct Catalog {
    track_ids: Vec<i64>,
    items: HashMap<i64, u32, BuildHasherDefault<IdHasher>>,
}

impl Catalog {
    /// Numbers the tracks in their order; the id that occurs twice, if any, is the error.
    ///
    /// # Errors
    /// The first id that occurs twice.
    pub fn new(track_ids: Vec<i64>) -> Result<Self, i64> {
        let mut items = HashMap::with_capacity_and_hasher(track_ids.len(), BuildHasherDefault::default());
        for (item, &track_id) in (0u32..).zip(&track_ids) {
            if items.insert(track_id, item).is_some() {
                return Err(track_id);
            }
        }
        Ok(Self { track_ids, items })
    }

    /// The index of a track.
    pub fn item(&self, track_id: i64) -> Option<u32> {
        self.items.get(&track_id).copied()
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
