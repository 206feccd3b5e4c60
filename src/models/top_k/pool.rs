//! The candidates of one query: what is above the threshold comes in, the best `n` stay.

use pulp::{Simd, WithSimd};

/// The best candidates of one query so far.
pub struct Pool<'e> {
    n: usize,
    excluded: &'e [u32],
    /// A score must be above this to enter: the `n`-th best once there are `n`.
    threshold: f32,
    keys: Vec<u64>,
}

impl<'e> Pool<'e> {
    /// No candidates yet.
    pub fn new(n: usize, excluded: &'e [u32]) -> Self {
        Self { n, excluded, threshold: f32::NEG_INFINITY, keys: Vec::new() }
    }

    /// Takes a candidate that is above the threshold. Items come in rising order, so a score equal to
    /// the threshold belongs to a larger index and stays out.
    fn take(&mut self, item: u32, score: f32) {
        if self.excluded.binary_search(&item).is_err() {
            self.keys.push(key(item, score));
            if self.keys.len() >= self.n * 4 + 64 {
                self.shrink();
            }
        }
    }

    /// Keeps the best `n` and raises the threshold.
    fn shrink(&mut self) {
        if self.n == 0 {
            self.keys.clear();
            self.threshold = f32::INFINITY;
        } else if self.keys.len() > self.n {
            self.keys.select_nth_unstable_by(self.n - 1, |a, b| b.cmp(a));
            self.keys.truncate(self.n);
            self.threshold = entry(self.keys[self.n - 1]).1;
        }
    }

    /// The best `n`, best first.
    pub fn into_list(mut self) -> impl Iterator<Item = (u32, f32)> {
        self.shrink();
        self.keys.sort_unstable_by(|a, b| b.cmp(a));
        self.keys.into_iter().map(entry)
    }
}

/// A candidate as one integer: greater is better, equal scores by the smaller item.
fn key(item: u32, score: f32) -> u64 {
    // Adding zero makes −0 and 0 the same score.
    let bits = (score + 0.0).to_bits();
    let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    u64::from(ordered) << 32 | u64::from(!item)
}

/// The item and score behind a key.
fn entry(key: u64) -> (u32, f32) {
    let ordered = (key >> 32) as u32;
    let bits = if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered };
    (!(key as u32), f32::from_bits(bits))
}

/// Offers a panel's scores to a pool, compiled for each instruction set.
pub struct Offer<'a, 'e> {
    /// Where they go.
    pub pool: &'a mut Pool<'e>,
    /// The panel's items.
    pub items: &'a [u32],
    /// Their scores.
    pub scores: &'a [f32],
}

impl WithSimd for Offer<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        const STRIDE: usize = 32;
        let Self { pool, items, scores } = self;
        let (strides, rest) = scores.as_chunks::<STRIDE>();
        for (stride, scores) in strides.iter().enumerate() {
            let (vectors, _) = S::as_simd_f32s(scores);
            let mut best = vectors[0];
            for &vector in &vectors[1..] {
                best = simd.max_f32s(best, vector);
            }
            if simd.reduce_max_f32s(best) > pool.threshold {
                offer_each(pool, &items[stride * STRIDE..][..STRIDE], scores);
            }
        }
        offer_each(pool, &items[scores.len() - rest.len()..], rest);
    }
}

fn offer_each(pool: &mut Pool<'_>, items: &[u32], scores: &[f32]) {
    for (&item, &score) in items.iter().zip(scores) {
        if score > pool.threshold {
            pool.take(item, score);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_scores_of_either_sign() {
        let mut scores = [0.5, -0.5, 3.0, -7.0, 0.0];
        scores.sort_by_key(|&score| std::cmp::Reverse(key(1, score)));
        assert_eq!(scores, [3.0, 0.5, 0.0, -0.5, -7.0]);
        assert_eq!(entry(key(77, -2.5)), (77, -2.5));
    }
}
