//! The items that a list has so far, for leaving out what comes again.
//!
//! Open addressing in one flat table, made for a list of known length: an answer asks this of every track
//! it looks at, and a general hash set takes five times as long.

/// No index in a catalogue.
const FREE: u32 = u32::MAX;

/// Places of the table that a set has without asking for memory: enough for a list of a hundred.
const N_INLINE: usize = 256;

/// A set of items that only grows.
#[derive(Debug)]
pub struct Taken {
    inline: [u32; N_INLINE],
    /// Takes the place of the other when it is not empty.
    large: Vec<u32>,
    n: usize,
}

impl Taken {
    /// A set with room for about `n` items; it grows when there are more.
    #[inline]
    pub fn with_room_for(n: usize) -> Self {
        let n_places = (2 * n).next_power_of_two();
        let large = if n_places > N_INLINE { vec![FREE; n_places] } else { Vec::new() };
        Self { inline: [FREE; N_INLINE], large, n: 0 }
    }

    /// Adds an item; whether it is new.
    #[inline]
    pub fn insert(&mut self, item: u32) -> bool {
        let table = if self.large.is_empty() { &mut self.inline[..] } else { &mut self.large };
        if 2 * (self.n + 1) > table.len() {
            self.grow();
            return self.insert(item);
        }
        let is_new = insert(table, item);
        self.n += usize::from(is_new);
        is_new
    }

    #[cold]
    fn grow(&mut self) {
        let table = if self.large.is_empty() { &self.inline[..] } else { &self.large };
        let mut larger = vec![FREE; 2 * table.len()];
        for &item in table.iter().filter(|&&item| item != FREE) {
            insert(&mut larger, item);
        }
        self.large = larger;
    }
}

/// Puts an item into a table, whose length is a power of two and which has a free place.
#[inline]
fn insert(table: &mut [u32], item: u32) -> bool {
    let mask = table.len() - 1;
    let mut place = item.wrapping_mul(0x9e37_79b9) as usize >> (32 - mask.trailing_ones().min(31)) & mask;
    loop {
        match table[place] {
            FREE => {
                table[place] = item;
                return true;
            }
            found if found == item => return false,
            _ => place = (place + 1) & mask,
        }
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
            items in prop::collection::vec(prop_oneof![0u32..50, 0..FREE], 0..700), room in 0usize..400,
        ) {
            let (mut taken, mut set) = (Taken::with_room_for(room), HashSet::new());
            for item in items {
                prop_assert_eq!(taken.insert(item), set.insert(item));
            }
        }
    }
}
