//! The product of the item vectors with each other, of which only the best of each row are kept.
//!
//! The product is symmetric, so only pairs of an item with a more popular one are computed: items are
//! numbered by popularity, each user's items rise, and an item meets those that stand before it in the
//! rows of its users. Sums grow in one slot an item; with popular items first, most additions fall into
//! the part of the slots that the nearest cache holds. A finished row of sums then offers each pair to both
//! its items; an item's present `k`-th best is the threshold that nearly all pairs fail.
//!
//! Items are taken in segments, between which thresholds rise and the caller hears of the progress. A sum
//! is added up by one thread in the order of the users, so the result has the same bits at any thread
//! count.
//!
//! # Source
//! Bayardo, Ma, Srikant: Scaling up all pairs similarity search, WWW 2007, for the order and the halves.

use std::ops::{ControlFlow, Range};

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::Progress;
use super::nearest::{key, push, threshold};
use crate::interactions::Interactions;
use crate::models::prefetch::prefetch;

/// Segments of about equal work in a fit, at least.
const SEGMENTS: u64 = 100;
/// Items in a segment at most: within it, thresholds are not known yet.
const SEGMENT_ITEMS: usize = 1024;
/// Items that a thread takes at a time.
const CHUNK: usize = 16;
/// Sums that are looked at together.
const STRIDE: usize = 32;
/// Users between the fetch of a row and its use.
const AHEAD: usize = 4;
/// Entries of a row in a cache line.
const LINE: usize = 8;
/// Lines of a row between fetch and use.
const LINES_AHEAD: usize = 16;

/// The item vectors, items by popularity.
pub struct Vectors {
    /// The item behind each number; items without weights have none.
    by_popularity: Vec<u32>,
    /// Where each user's entries start; `n_users + 1`.
    row_starts: Vec<usize>,
    /// Entries of all users: item number, rising, and weight.
    rows: Vec<(u32, f32)>,
    /// Where each item's entries start.
    column_starts: Vec<usize>,
    /// Entries of all items.
    columns: Vec<Entry>,
}

/// A user of an item.
struct Entry {
    user: u32,
    /// How many of the user's items come before this one.
    before: u32,
    weight: f32,
}

impl Vectors {
    /// From items × users and the weights beside its pairs.
    pub fn new(by_item: &Interactions, weights: &[f32]) -> Self {
        let starts = by_item.row_starts();
        let bounds = |item: u32| starts[item as usize]..starts[item as usize + 1];
        let mut by_popularity: Vec<u32> = (0..by_item.n_users() as u32)
            .filter(|&item| weights[bounds(item)].iter().any(|&weight| weight != 0.0))
            .collect();
        by_popularity.sort_by_key(|&item| std::cmp::Reverse(bounds(item).len()));
        let pairs = |item: u32| {
            let pairs = std::iter::zip(&by_item.items()[bounds(item)], &weights[bounds(item)]);
            pairs.filter(|&(_, &weight)| weight != 0.0)
        };
        let mut row_starts = vec![0usize; by_item.n_items() + 1];
        for &item in &by_popularity {
            pairs(item).for_each(|(&user, _)| row_starts[user as usize + 1] += 1);
        }
        for user in 0..by_item.n_items() {
            row_starts[user + 1] += row_starts[user];
        }
        let n_entries = row_starts[by_item.n_items()];
        let mut filled = vec![0u32; by_item.n_items()];
        let mut rows = vec![(0, 0.0); n_entries];
        let mut columns = Vec::with_capacity(n_entries);
        let mut column_starts = vec![0];
        for (number, &item) in by_popularity.iter().enumerate() {
            for (&user, &weight) in pairs(item) {
                let before = &mut filled[user as usize];
                rows[row_starts[user as usize] + *before as usize] = (number as u32, weight);
                columns.push(Entry { user, before: *before, weight });
                *before += 1;
            }
            column_starts.push(columns.len());
        }
        Self { by_popularity, row_starts, rows, column_starts, columns }
    }

    /// Number of items with weights.
    fn len(&self) -> usize {
        self.by_popularity.len()
    }

    /// The users of an item.
    fn column(&self, number: usize) -> &[Entry] {
        &self.columns[self.column_starts[number]..self.column_starts[number + 1]]
    }

    /// The user's items before this one, and their weights.
    #[inline(always)]
    fn before(&self, entry: &Entry) -> &[(u32, f32)] {
        &self.rows[self.row_starts[entry.user as usize]..][..entry.before as usize]
    }

    /// Asks for what is needed some users later.
    #[inline(always)]
    fn prefetch(&self, column: &[Entry], at: usize) {
        if let Some(entry) = column.get(at + 2 * AHEAD) {
            prefetch(&self.row_starts[entry.user as usize]);
        }
        if let Some(entry) = column.get(at + AHEAD) {
            // A row in memory that is longer than a few lines is fetched on by the processor itself.
            let before = self.before(entry);
            before.iter().step_by(8).take(16).for_each(prefetch);
        }
    }

    /// Additions that an item's row of sums takes.
    fn work(&self, number: usize) -> u64 {
        self.column(number).iter().map(|entry| u64::from(entry.before) + 1).sum()
    }

    /// The `k` best items of every item, itself among them, as `(item, keys in no order)`; keys of zero
    /// stand for nothing. `None` when `on_progress` ended it.
    pub fn nearest(
        &self,
        k: usize,
        mut on_progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Option<Vec<(u32, Vec<u64>)>> {
        let works: Vec<u64> = (0..self.len()).into_par_iter().map(|number| self.work(number)).collect();
        let total: u64 = works.iter().sum();
        let mut heaps = vec![0u64; self.len() * k];
        let mut thresholds = vec![f32::MIN_POSITIVE; self.len()];
        let (mut start, mut done) = (0, 0);
        while start < self.len() {
            let end = segment_end(&works, start, total / SEGMENTS);
            let offers = self.segment(start..end, k, &works, &thresholds, &mut heaps[start * k..end * k]);
            for &(number, key) in offers.iter().flatten() {
                push(&mut heaps[number as usize * k..][..k], key);
            }
            thresholds[..end]
                .par_iter_mut()
                .zip(heaps.par_chunks(k))
                .for_each(|(least, heap)| *least = threshold(heap[0]));
            done += works[start..end].iter().sum::<u64>();
            start = end;
            if on_progress(Progress { done, total }).is_break() {
                return None;
            }
        }
        let heaps = heaps.chunks(k).map(<[u64]>::to_vec);
        Some(self.by_popularity.iter().copied().zip(heaps).collect())
    }

    /// Fills the heaps of a segment's items with what comes before each; returns what each offers to those
    /// before it.
    fn segment(
        &self,
        numbers: Range<usize>,
        k: usize,
        works: &[u64],
        thresholds: &[f32],
        heaps: &mut [u64],
    ) -> Vec<Vec<(u32, u64)>> {
        let arch = Arch::new();
        heaps
            .par_chunks_mut(CHUNK * k)
            .enumerate()
            .with_max_len(1)
            .map_init(
                || vec![0.0; self.len().next_multiple_of(STRIDE)],
                |sums, (chunk, heaps)| {
                    let mut offers = Vec::new();
                    for (at, heap) in heaps.chunks_exact_mut(k).enumerate() {
                        let number = numbers.start + chunk * CHUNK + at;
                        let dense = works[number] * 8 > number as u64;
                        let vectors = self;
                        let offers = &mut offers;
                        arch.dispatch(Row { vectors, number, dense, sums, thresholds, heap, offers });
                    }
                    offers
                },
            )
            .collect()
    }
}

/// Where the segment ends that starts at `start`.
fn segment_end(works: &[u64], start: usize, work: u64) -> usize {
    let mut sum = 0;
    let within = works[start..].iter().take(SEGMENT_ITEMS).take_while(|&&next| {
        let room = sum <= work;
        sum += next;
        room
    });
    start + within.count().max(1)
}

/// One item's row of sums, compiled for each instruction set.
struct Row<'a> {
    vectors: &'a Vectors,
    number: usize,
    /// Whether to look at all sums rather than only where additions went.
    dense: bool,
    /// All zero before and after.
    sums: &'a mut [f32],
    thresholds: &'a [f32],
    heap: &'a mut [u64],
    offers: &'a mut Vec<(u32, u64)>,
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        let mut own = 0.0;
        let column = self.vectors.column(self.number);
        for (at, entry) in column.iter().enumerate() {
            self.vectors.prefetch(column, at);
            own += entry.weight * entry.weight;
            let before = self.vectors.before(entry);
            for (line, entries) in before.chunks(LINE).enumerate() {
                if let Some(soon) = before.get((line + LINES_AHEAD) * LINE) {
                    prefetch(soon);
                }
                for &(other, value) in entries {
                    self.sums[other as usize] += value * entry.weight;
                }
            }
        }
        if own >= f32::MIN_POSITIVE {
            push(self.heap, key(self.vectors.by_popularity[self.number], own));
        }
        if self.dense {
            self.look_at_all();
        } else {
            self.look_where_additions_went();
        }
    }
}

impl Row<'_> {
    #[inline(always)]
    fn look_at_all(&mut self) {
        let mut least = threshold(self.heap[0]);
        for start in (0..self.number).step_by(STRIDE) {
            let end = (start + STRIDE).min(self.number);
            let (sums, thresholds) = (&self.sums[start..end], &self.thresholds[start..end]);
            let mut any = false;
            for (&sum, &threshold) in sums.iter().zip(thresholds) {
                any |= (sum >= threshold) | (sum >= least);
            }
            if any {
                for other in start..end {
                    if self.sums[other] >= self.thresholds[other] || self.sums[other] >= least {
                        self.offer(other);
                        least = threshold(self.heap[0]);
                    }
                }
            }
        }
        self.sums[..self.number].fill(0.0);
    }

    #[inline(always)]
    fn look_where_additions_went(&mut self) {
        for entry in self.vectors.column(self.number) {
            for &(other, _) in self.vectors.before(entry) {
                self.offer(other as usize);
                self.sums[other as usize] = 0.0;
            }
        }
    }

    /// Offers a pair to both its items.
    #[inline(always)]
    fn offer(&mut self, other: usize) {
        let sum = self.sums[other];
        if sum >= f32::MIN_POSITIVE {
            push(self.heap, key(self.vectors.by_popularity[other], sum));
            if sum >= self.thresholds[other] {
                self.offers.push((other as u32, key(self.vectors.by_popularity[self.number], sum)));
            }
        }
    }
}
