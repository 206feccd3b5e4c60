//! The best of scores that lie side by side, one an item.

use pulp::{Arch, Simd, WithSimd};

use super::scan::{entry, key};

/// Scores that are compared with the threshold together.
const STRIDE: usize = 64;

/// The best `n` of scores that lie side by side, one an item, best first; equal scores go to the smaller
/// item, an item with the score `−∞` or without a number is never found, nor are the `excluded`, which rise.
pub fn best(scores: &[f32], n: usize, excluded: &[u32]) -> Vec<(u32, f32)> {
    if n == 0 {
        return Vec::new();
    }
    let mut best = Best {
        n,
        excluded,
        threshold: f32::NEG_INFINITY,
        keys: Vec::with_capacity(full(n).min(scores.len())),
    };
    Arch::new().dispatch(Offer { best: &mut best, scores });
    best.shrink();
    best.keys.sort_unstable_by(|a, b| b.cmp(a));
    best.keys.into_iter().map(entry).collect()
}

/// Candidates at which all but the best `n` are dropped.
fn full(n: usize) -> usize {
    n.saturating_mul(2).saturating_add(256)
}

/// The best candidates so far.
struct Best<'e> {
    n: usize,
    /// Those ahead.
    excluded: &'e [u32],
    /// A score must be above this to enter: the `n`-th best once there are `n`. Items come in rising order, so
    /// a score equal to it belongs to a larger index and stays out.
    threshold: f32,
    keys: Vec<u64>,
}

impl Best<'_> {
    fn offer(&mut self, first: usize, scores: &[f32]) {
        for (item, &score) in (first as u32..).zip(scores) {
            if score > self.threshold {
                self.take(item, score);
            }
        }
    }

    fn take(&mut self, item: u32, score: f32) {
        if self.excluded.first().is_some_and(|&next| next < item) {
            self.excluded = &self.excluded[self.excluded.partition_point(|&next| next < item)..];
        }
        if self.excluded.first() != Some(&item) {
            self.keys.push(key(item, score));
            if self.keys.len() >= full(self.n) {
                self.shrink();
            }
        }
    }

    /// Keeps the best `n` and raises the threshold.
    fn shrink(&mut self) {
        if self.keys.len() > self.n {
            self.keys.select_nth_unstable_by(self.n - 1, |a, b| b.cmp(a));
            self.keys.truncate(self.n);
            self.threshold = entry(self.keys[self.n - 1]).1;
        }
    }
}

/// Offers all scores, compiled for each instruction set.
struct Offer<'a, 'e> {
    best: &'a mut Best<'e>,
    scores: &'a [f32],
}

impl WithSimd for Offer<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { best, scores } = self;
        let (strides, rest) = scores.as_chunks::<STRIDE>();
        for (stride, scores) in strides.iter().enumerate() {
            let (vectors, _) = S::as_simd_f32s(scores);
            let mut highest = vectors[0];
            for &vector in &vectors[1..] {
                highest = simd.max_f32s(vector, highest);
            }
            if simd.reduce_max_f32s(highest) > best.threshold {
                best.offer(stride * STRIDE, scores);
            }
        }
        best.offer(scores.len() - rest.len(), rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_go_to_the_smaller_item_and_minus_infinity_is_never_found() {
        let mut scores = vec![1.0; 1000];
        scores[3] = f32::NEG_INFINITY;
        scores[700] = 2.0;
        assert_eq!(best(&scores, 4, &[0, 2, 999]), [(700, 2.0), (1, 1.0), (4, 1.0), (5, 1.0)]);
        assert_eq!(best(&[f32::NEG_INFINITY; 9], 4, &[]), []);
        assert_eq!(best(&scores, 0, &[]), []);
        assert_eq!(best(&[], 4, &[7]), []);
    }

    #[test]
    fn more_than_there_are_is_all_of_them() {
        let scores: Vec<f32> = (0..500).map(|item| (item * 7 % 501) as f32).collect();
        let found = best(&scores, usize::MAX, &[1]);
        assert_eq!(found.len(), 499);
        assert!(found.windows(2).all(|two| two[0].1 > two[1].1));
    }

    #[test]
    fn a_score_that_is_no_number_does_not_hide_others() {
        let mut scores: Vec<f32> = (0..640).map(|item| item as f32).collect();
        scores[5] = f32::NAN;
        scores[100] = f32::NAN;
        let found: Vec<u32> = best(&scores, 300, &[]).into_iter().map(|(item, _)| item).collect();
        assert_eq!(found, (340..640).rev().collect::<Vec<u32>>());
    }
}
