//! Which item is compared with which: the samples of a block of users, in random order.
//!
//! Per epoch each interaction `(u, i)` gives one sample, as in a random permutation; its negative `j` is
//! drawn anew each time. Samples of a few hundred users come together, shuffled among themselves: the
//! users' vectors then lie in the nearest cache, and the items of a user are in a set of bits for as long
//! as negatives are checked against it.

use std::ops::Range;

use rand::Rng as _;
use rand_pcg::Pcg64Mcg;

use super::kernel::Sample;

/// Items by number, each with a chance to be drawn.
#[derive(Debug)]
pub enum Draw {
    /// Items `0..n`, all with the same chance.
    Uniform(u32),
    /// An item's chance is its share of the interactions.
    Popularity(Alias),
}

impl Draw {
    /// An item for 32 random bits.
    #[inline(always)]
    fn item(&self, bits: u32) -> u32 {
        match self {
            Self::Uniform(n) => split(bits, *n).0,
            Self::Popularity(alias) => alias.item(bits),
        }
    }
}

/// Draws from any distribution with one look into a table.
///
/// # Source
/// Walker: New fast method for generating discrete random numbers with arbitrary frequency
/// distributions, Electronics Letters 1974; built as in Vose 1991.
#[derive(Debug)]
pub struct Alias {
    /// For each item, up to which fraction (of 2³²) its cell is its own, and whose the rest is.
    cells: Vec<(u32, u32)>,
}

impl Alias {
    /// From counts above zero.
    pub fn new(counts: &[u32]) -> Self {
        let total: f64 = counts.iter().map(|&count| f64::from(count)).sum();
        let mut shares: Vec<f64> =
            counts.iter().map(|&count| f64::from(count) * counts.len() as f64 / total).collect();
        let items = 0..counts.len() as u32;
        let (mut small, mut large): (Vec<u32>, Vec<u32>) = items.partition(|&i| shares[i as usize] < 1.0);
        let mut cells: Vec<(u32, u32)> = (0..counts.len() as u32).map(|item| (u32::MAX, item)).collect();
        while let (Some(&poor), Some(&rich)) = (small.last(), large.last()) {
            small.pop();
            cells[poor as usize] = ((shares[poor as usize] * 2f64.powi(32)) as u32, rich);
            shares[rich as usize] -= 1.0 - shares[poor as usize];
            if shares[rich as usize] < 1.0 {
                large.pop();
                small.push(rich);
            }
        }
        Self { cells }
    }

    #[inline(always)]
    fn item(&self, bits: u32) -> u32 {
        let (cell, fraction) = split(bits, self.cells.len() as u32);
        let (own, other) = self.cells[cell as usize];
        if fraction < own { cell } else { other }
    }
}

/// 32 random bits as a number below `n` and what is left of them, again 32 bits.
#[inline(always)]
fn split(bits: u32, n: u32) -> (u32, u32) {
    let product = u64::from(bits) * u64::from(n);
    ((product >> 32) as u32, product as u32)
}

/// The interactions as the sampler wants them: items by number.
#[derive(Debug)]
pub struct Sampler<'a> {
    /// Where each user's items start; `n_users + 1` entries.
    pub row_starts: &'a [usize],
    /// The items of all users, in any order within a user.
    pub items: Vec<u32>,
    /// Number of items.
    pub n_items: usize,
    /// Where negatives come from.
    pub negatives: Draw,
    /// Whether a negative that the user has is passed over.
    pub verify: bool,
}

impl Sampler<'_> {
    /// The number of a user's items.
    pub fn n_items_of(&self, user: u32) -> usize {
        self.row(user).len()
    }

    fn row(&self, user: u32) -> Range<usize> {
        self.row_starts[user as usize]..self.row_starts[user as usize + 1]
    }

    /// Puts a sample for each interaction of `users` into the scratch, in random order, but none where the
    /// negative drawn is an item of the user (or, unverified, the very item).
    pub fn fill(&self, users: &[u32], random: &mut Pcg64Mcg, scratch: &mut Scratch) {
        let Scratch { own, samples } = scratch;
        samples.clear();
        own.resize(self.n_items.div_ceil(64), 0);
        for &user in users {
            let items = &self.items[self.row(user)];
            if self.verify {
                items.iter().for_each(|&item| own[item as usize / 64] |= 1 << (item % 64));
            }
            for &liked in items {
                let bits = random.next_u64();
                let disliked = self.negatives.item(bits as u32);
                if disliked == liked || own[disliked as usize / 64] >> (disliked % 64) & 1 == 1 {
                    continue;
                }
                // Shuffled as it grows: the new sample changes places with any one, itself included.
                let (place, _) = split((bits >> 32) as u32, samples.len() as u32 + 1);
                samples.push(Sample { user, liked, disliked });
                let last = samples.len() - 1;
                samples.swap(place as usize, last);
            }
            if self.verify {
                items.iter().for_each(|&item| own[item as usize / 64] = 0);
            }
        }
    }
}

/// Memory that one thread uses again and again.
#[derive(Debug, Default)]
pub struct Scratch {
    /// A bit for each item: whether the user at hand has it. All zero between users.
    own: Vec<u64>,
    /// The samples of the block.
    pub samples: Vec<Sample>,
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn items_are_drawn_by_their_share() {
        let counts = [600, 1, 300, 0x1_0000, 99];
        let alias = Alias::new(&counts);
        let mut random = Pcg64Mcg::seed_from_u64(1);
        let (mut drawn, n) = ([0.0f64; 5], 400_000);
        (0..n).for_each(|_| drawn[alias.item(random.next_u64() as u32) as usize] += 1.0);
        let total: u32 = counts.iter().sum();
        for (drawn, count) in drawn.iter().zip(counts) {
            let expected = f64::from(count) / f64::from(total) * f64::from(n);
            assert!((drawn - expected).abs() < 5.0 * expected.sqrt() + 1.0, "{drawn} of {expected}");
        }
    }

    /// Users 0 and 2 have items, user 1 has none.
    fn sampler(row_starts: &[usize], verify: bool) -> Sampler<'_> {
        let items = vec![0, 3, 4, 1, 2, 3, 6];
        Sampler { row_starts, items, n_items: 70, negatives: Draw::Uniform(70), verify }
    }

    fn filled(verify: bool) -> Vec<Sample> {
        let mut scratch = Scratch::default();
        let mut random = Pcg64Mcg::seed_from_u64(3);
        let mut all = Vec::new();
        for _ in 0..1000 {
            sampler(&[0, 3, 3, 7], verify).fill(&[2, 1, 0], &mut random, &mut scratch);
            assert!(scratch.own.iter().all(|&bits| bits == 0));
            all.append(&mut scratch.samples);
        }
        all
    }

    #[test]
    fn verified_negatives_are_never_the_users_own() {
        let own = |user: u32| if user == 0 { &[0, 3, 4][..] } else { &[1, 2, 3, 6][..] };
        let samples = filled(true);
        assert!(samples.iter().all(|sample| own(sample.user).contains(&sample.liked)));
        assert!(samples.iter().all(|sample| !own(sample.user).contains(&sample.disliked)));
        let passed_over = 1.0 - samples.len() as f64 / 7000.0;
        assert!((passed_over - (3.0 * 3.0 + 4.0 * 4.0) / 7.0 / 70.0).abs() < 0.01, "{passed_over}");
        let unverified = filled(false);
        assert!(unverified.iter().all(|sample| sample.liked != sample.disliked));
        assert!(unverified.iter().any(|sample| own(sample.user).contains(&sample.disliked)));
    }

    #[test]
    fn the_order_of_a_block_is_random() {
        let row_starts = [0, 3, 3, 7];
        let sampler = sampler(&row_starts, true);
        let mut scratch = Scratch::default();
        let mut first = [0.0f64; 7];
        let mut random = Pcg64Mcg::seed_from_u64(9);
        for _ in 0..14_000 {
            sampler.fill(&[0, 2], &mut random, &mut scratch);
            let sample = scratch.samples[0];
            let row = sampler.row(sample.user);
            let at = sampler.items[row.clone()].iter().position(|&item| item == sample.liked);
            first[row.start + at.unwrap_or_default()] += 1.0;
        }
        assert!(first.iter().all(|&count| (count - 2000.0).abs() < 250.0), "{first:?}");
    }
}
