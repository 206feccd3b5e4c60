//! How much of the catalogue is ever recommended: a count over all lists, not a mean over users.
//!
//! Its interval needs care. A resample holds about 63 % of the users, so it always covers less than
//! all users do, and plain percentiles would lie below the value. What the resamples do tell is the
//! spread, so their distribution is moved to have its mean at the value (a bias-corrected interval).
//! Only rare items matter: one that is in 40 lists is missing from a resample once in 10¹⁷.

use std::ops::Range;

use rayon::prelude::*;

use super::bootstrap::{BLOCK, Resamples, interval_95};

/// Items in at least this many lists are in every resample, for all that can be observed.
const COMMON: u32 = 40;

/// The items that a set of lists covers, ready for resampling.
#[derive(Debug, Clone)]
pub struct Coverage {
    covered: usize,
    n_rare: usize,
    /// Lists with a rare item, rising.
    holders: Vec<u32>,
    /// Where the rare items of each holder start in `rare`.
    starts: Vec<usize>,
    rare: Vec<u32>,
}

impl Coverage {
    /// Counts the items below `n_items` of `n_lists` lists; `list` writes one of them into a buffer.
    pub fn count(n_lists: usize, n_items: usize, list: impl Fn(usize, &mut Vec<u32>)) -> Self {
        let mut buffer = Vec::new();
        let mut counts = vec![0u32; n_items];
        for which in 0..n_lists {
            list(which, &mut buffer);
            buffer.iter().for_each(|&item| counts[item as usize] += 1);
        }
        let covered = counts.iter().filter(|count| **count > 0).count();
        let mut n_rare = 0u32;
        let name_of: Vec<Option<u32>> = counts
            .iter()
            .map(|&count| {
                (count > 0 && count < COMMON).then(|| {
                    n_rare += 1;
                    n_rare - 1
                })
            })
            .collect();
        let (mut holders, mut starts, mut rare) = (Vec::new(), vec![0], Vec::new());
        for which in 0..n_lists {
            list(which, &mut buffer);
            rare.extend(buffer.iter().filter_map(|&item| name_of[item as usize]));
            if starts.last().is_some_and(|&start| start < rare.len()) {
                holders.push(which as u32);
                starts.push(rare.len());
            }
        }
        Self { covered, n_rare: n_rare as usize, holders, starts, rare }
    }

    /// How many different items the lists hold.
    pub fn covered(&self) -> usize {
        self.covered
    }

    /// Positions of the holders that lie in a block of the resamples.
    fn holders_in(&self, block: usize) -> Range<usize> {
        let before = |end: usize| self.holders.partition_point(|&holder| (holder as usize) < end);
        before(block * BLOCK)..before((block + 1) * BLOCK)
    }

    /// Marks the rare items of those holders of a block that are drawn.
    fn mark(&self, holders: Range<usize>, drawn: &[u64], seen: &mut [u64]) {
        for holder in holders {
            let list = self.holders[holder] as usize % BLOCK;
            if drawn[list / 64] >> (list % 64) & 1 == 1 {
                for &item in &self.rare[self.starts[holder]..self.starts[holder + 1]] {
                    seen[item as usize / 64] |= 1 << (item % 64);
                }
            }
        }
    }
}

/// 95 % intervals of the number of covered items, for several cuts of the same lists.
pub fn intervals(coverages: &[Coverage], resamples: &Resamples) -> Vec<Option<(f64, f64)>> {
    let n_blocks = coverages.iter().filter_map(|coverage| coverage.holders.last()).max();
    let n_blocks = n_blocks.map_or(0, |&last| last as usize / BLOCK + 1);
    // Blocks without a rare item need not be drawn.
    let blocks: Vec<(usize, Vec<Range<usize>>)> = (0..n_blocks)
        .map(|block| (block, coverages.iter().map(|coverage| coverage.holders_in(block)).collect::<Vec<_>>()))
        .filter(|(_, holders)| holders.iter().any(|holders| !holders.is_empty()))
        .collect();
    let samples: Vec<Vec<f64>> = (0..resamples.n_samples())
        .into_par_iter()
        .map(|sample| {
            let mut seen: Vec<Vec<u64>> =
                coverages.iter().map(|coverage| vec![0; coverage.n_rare.div_ceil(64)]).collect();
            for (block, holders) in &blocks {
                let drawn = resamples.drawn(sample, *block);
                for ((coverage, holders), seen) in coverages.iter().zip(holders).zip(&mut seen) {
                    coverage.mark(holders.clone(), &drawn, seen);
                }
            }
            let count = |seen: &Vec<u64>| seen.iter().map(|word| word.count_ones() as usize).sum::<usize>();
            let common = |coverage: &Coverage| coverage.covered - coverage.n_rare;
            coverages
                .iter()
                .zip(&seen)
                .map(|(coverage, seen)| (common(coverage) + count(seen)) as f64)
                .collect()
        })
        .collect();
    coverages
        .iter()
        .enumerate()
        .map(|(which, coverage)| {
            let mean = samples.iter().map(|sample| sample[which]).sum::<f64>() / samples.len() as f64;
            let shift = coverage.covered as f64 - mean;
            interval_95(samples.iter().map(|sample| sample[which] + shift))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_lies_around_the_count() {
        // 300 lists: item 0 for all (common), and item 1 + list / 3, each of 100 in three lists.
        let list = |which: usize, list: &mut Vec<u32>| *list = vec![0, 1 + which as u32 / 3];
        let coverage = Coverage::count(300, 200, list);
        assert_eq!((coverage.covered(), coverage.n_rare), (101, 100));
        let (low, high) = intervals(&[coverage], &Resamples::new(300, 500, 1))[0].unwrap();
        // An item is missing with probability e⁻³ = 0.05: the count varies by about √(100 · 0.05 · 0.95) ≈ 2.
        assert!((94.0..100.0).contains(&low) && (102.0..108.0).contains(&high), "{low} {high}");
    }

    #[test]
    fn lists_that_are_all_alike_leave_nothing_to_chance() {
        let coverage = Coverage::count(100, 5, |_, list| *list = vec![3, 4]);
        assert_eq!(intervals(&[coverage], &Resamples::new(100, 50, 1)), [Some((2.0, 2.0))]);
        let nothing = Coverage::count(0, 5, |_, _| ());
        assert_eq!(nothing.covered(), 0);
    }
}
