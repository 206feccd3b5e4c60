//! The items that a list has so far, for leaving out what comes again.
//!
//! Open addressing in one flat table, made for a list of known length: an answer asks this of every track
//! it looks at, and a general hash set takes five times as long.

/// No index in a catalogue.
const FREE: u32 = u32::MAX;

/// A set of items that only grows.
#[derive(Debug)]
pub struct Taken {
    table: Vec<u32>,
    n: usize,
}

impl Taken {
    /// A set with room for about `n` items; it grows when there are more.
    pub fn with_room_for(n: usize) -> Self {
        Self { table: vec![FREE; (2 * n).next_power_of_two().max(16)], n: 0 }
    }

    /// Adds an item; whether it is new.
    #[inline]
    pub fn insert(&mut self, item: u32) -> bool {
        if 2 * (self.n + 1) > self.table.len() {
            self.grow();
        }
        let mask = self.table.len() - 1;
        let mut place = item.wrapping_mul(0x9e37_79b9) as usize >> (32 - mask.trailing_ones().min(31)) & mask;
        loop {
            match self.table[place] {
                FREE => {
                    self.table[place] = item;
                    self.n += 1;
                    return true;
                }
                found if found == item => return false,
                _ => place = (place + 1) & mask,
            }
        }
    }

    fn grow(&mut self) {
        let mut larger = Self { table: vec![FREE; 2 * self.table.len()], n: 0 };
        for &item in self.table.iter().filter(|&&item| item != FREE) {
            larger.insert(item);
        }
        *self = larger;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_knows_what_it_has_as_a_hash_set_does(
            items in prop::collection::vec(prop_oneof![0u32..50, 0..FREE], 0..300), room in 0usize..100,
        ) {
            let (mut taken, mut set) = (Taken::with_room_for(room), HashSet::new());
            for item in items {
                prop_assert_eq!(taken.insert(item), set.insert(item));
            }
        }
    }
}
