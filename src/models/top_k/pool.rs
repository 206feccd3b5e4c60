//! The candidates of one query while the items go by: whatever may be among the best `n` stays.
//!
//! A candidate brings a *floor*, a number that its score reaches at least. Once `n` floors reach a
//! threshold, nothing below it is among the best. The exact threshold is not needed, only one that at least `n`
//! floors reach, so it is found by halving an interval and counting, which takes a tenth of the
//! time of partial sorting.

use super::query::Query;
use super::table::{BLOCK, Bounds, PANEL};

/// Times that the interval is halved.
const HALVINGS: usize = 12;

/// Candidates of one query.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    n: usize,
    /// At least `n` candidates have scores that reach this.
    threshold: f32,
    floors: Vec<f32>,
    ranks: Vec<u32>,
    /// Candidates at which it pays to look for a higher threshold.
    full: usize,
    /// Ranks that must not enter, rising, and how many of them lie behind.
    excluded: Vec<u32>,
    n_passed: usize,
}

impl Pool {
    /// No candidates yet of `n` wanted.
    pub fn new(n: usize, excluded: Vec<u32>) -> Self {
        let full = n.saturating_add(n / 2 + 32);
        // No panel brings more than its items at once.
        let room = full.min(1 << 12) + PANEL;
        let (floors, ranks) = (Vec::with_capacity(room), Vec::with_capacity(room));
        Self { n, threshold: f32::NEG_INFINITY, floors, ranks, full, excluded, n_passed: 0 }
    }

    /// Candidates wanted.
    pub fn n(&self) -> usize {
        self.n
    }

    /// What a score must reach to be among the best `n`.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// The ranks of the candidates.
    pub fn ranks(&self) -> &[u32] {
        &self.ranks
    }

    /// Takes a candidate unless it is excluded. Ranks come rising.
    #[inline(always)]
    pub fn take(&mut self, rank: u32, floor: f32) {
        while self.n_passed < self.excluded.len() && self.excluded[self.n_passed] < rank {
            self.n_passed += 1;
        }
        if self.excluded.get(self.n_passed) != Some(&rank) {
            self.ranks.push(rank);
            self.floors.push(floor);
        }
    }

    /// Whether it is time to [`tighten`](Self::tighten).
    #[inline(always)]
    pub fn is_full(&self) -> bool {
        self.ranks.len() >= self.full
    }

    /// Raises the threshold and drops what cannot reach it.
    #[inline(always)]
    pub fn tighten(&mut self, query: &Query, bounds: &[Bounds]) {
        self.raise();
        let mut n_kept = 0;
        for at in 0..self.ranks.len() {
            let (rank, floor) = (self.ranks[at], self.floors[at]);
            self.ranks[n_kept] = rank;
            self.floors[n_kept] = floor;
            n_kept += usize::from(floor + query.gap(&bounds[rank as usize / BLOCK]) >= self.threshold);
        }
        self.ranks.truncate(n_kept);
        self.floors.truncate(n_kept);
        self.full = n_kept.saturating_add(self.n / 2 + 32);
    }

    #[inline(always)]
    fn raise(&mut self) {
        let (mut lowest, mut highest) = (f32::INFINITY, f32::NEG_INFINITY);
        for &floor in &self.floors {
            lowest = if floor < lowest { floor } else { lowest };
            highest = if floor > highest { floor } else { highest };
        }
        let (mut low, mut high) = (lowest.max(self.threshold), highest);
        if low.is_finite() && high.is_finite() && count(&self.floors, low) >= self.n {
            for _ in 0..HALVINGS {
                let middle = low + (high - low) / 2.0;
                let n_above = count(&self.floors, middle);
                if n_above < self.n {
                    high = middle;
                } else {
                    low = middle;
                    if n_above == self.n {
                        break;
                    }
                }
            }
            self.threshold = low;
        }
    }

    /// Puts other candidates in place of the present ones: the best `n`, with floors that are near
    /// their scores.
    pub fn replace(&mut self, candidates: impl Iterator<Item = (u32, f32)>) {
        (self.ranks, self.floors) = candidates.unzip();
        self.raise();
        self.full = self.ranks.len().saturating_add(self.n / 2 + 32);
    }
}

/// How many floors are not below `least`.
#[inline(always)]
fn count(floors: &[f32], least: f32) -> usize {
    let mut n_above = 0u32;
    for &floor in floors {
        n_above += u32::from(floor >= least);
    }
    n_above as usize
}
