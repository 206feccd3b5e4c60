//! Queries as the scan reads them: whole numbers, and what rounding to them can hide.

use super::exact;
use super::kernel::Kernel;
use super::table::{Bounds, GROUP, OFFSET, Table};

/// What rounding in `f32` and `f64` can add to or take from a score, as a share of the longest score there can be:
/// some multiples of 2⁻²⁴.
const ROUNDING: f64 = 1.0 / (1u64 << 20) as f64;

/// More than any two scores, which lie between −1 and 1, can differ.
const BOUNDLESS: f64 = 4.0;

/// A query's numbers beside its words. Scores are shares of `|query| · |longest item|`, so that they lie
/// between −1 and 1 whatever the units of the factors.
#[derive(Debug, Clone, Copy, Default)]
pub struct Query {
    /// The query's `scale / |query|`.
    scale: f64,
    /// What is lost by rounding the query, and the length of what it was rounded to.
    error: f64,
    length: f64,
    /// Rounding elsewhere.
    slack: f64,
    /// `|query| · |longest item|`.
    pub unit: f64,
    /// What the items' offset adds to every product.
    offset: i32,
}

/// A query beside a block of items.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside {
    /// A product's part of a score.
    pub scale: f32,
    /// How far a score may be from what its product says.
    pub error: f32,
}

impl Query {
    /// Rounds a query to `words`; `None` when it is zero or not finite.
    #[inline(always)]
    pub fn new(kernel: Kernel, vector: &[f32], table: &Table, words: &mut [u32]) -> Option<Self> {
        let length = kernel.dot(vector, vector).sqrt();
        if length == 0.0 || !length.is_finite() {
            return None;
        }
        // Sums of products must fit 31 bits.
        let levels = ((f64::from(i32::MAX) / (255.0 * vector.len() as f64)).floor()).clamp(1.0, 127.0);
        let scale = f64::from(exact::largest(vector)) / levels;
        let mut whole = vec![0i8; words.len() * GROUP];
        let error = kernel.round(vector, scale, &mut whole[..vector.len()]);
        let mut sum = 0;
        for (word, whole) in words.iter_mut().zip(whole.as_chunks::<GROUP>().0) {
            *word = u32::from_le_bytes(whole.map(|whole| whole as u8));
            sum += whole.iter().map(|&whole| i32::from(whole)).sum::<i32>();
        }
        let unit = length * table.longest;
        // Beyond these `f32` has no scores to tell items apart, so every item's own is looked at.
        let slack = if (1e-30..1e37).contains(&unit) { ROUNDING } else { BOUNDLESS };
        Some(Self {
            scale: scale / length,
            error: error / length,
            length: 1.0 + error / length,
            slack,
            unit,
            offset: sum * i32::from(OFFSET),
        })
    }

    /// By Cauchy and Schwarz no score in this block, nor in a later one, is above this.
    #[inline(always)]
    pub fn ceiling(&self, bounds: &Bounds) -> f32 {
        (bounds.length + self.slack) as f32
    }

    /// What a product of this query with an item of the block tells of the score.
    ///
    /// With `q = q̂ + δ`, `y = ŷ + ε`: `|q·y − q̂·ŷ| = |δ·y + q̂·ε| ≤ |δ| |y| + |q̂| |ε|`.
    #[inline(always)]
    pub fn beside(&self, bounds: &Bounds) -> Beside {
        let error = self.error * bounds.length + self.length * bounds.error + self.slack;
        Beside { scale: (self.scale * bounds.scale) as f32, error: error as f32 }
    }

    /// What a product must reach for the score to reach `threshold`, perhaps.
    #[inline(always)]
    pub fn least_product(&self, beside: &Beside, threshold: f32) -> i32 {
        let least = (f64::from(threshold) - f64::from(beside.error)) / f64::from(beside.scale);
        // A scale too small for `f32` tells nothing.
        if least.is_nan() || beside.scale == 0.0 {
            i32::MIN
        } else {
            (least.floor() as i32).saturating_add(self.offset)
        }
    }

    /// A number that the score reaches at least.
    #[inline(always)]
    pub fn floor(&self, beside: &Beside, product: i32) -> f32 {
        (product - self.offset) as f32 * beside.scale - beside.error
    }

    /// How far a score may lie above its floor.
    #[inline(always)]
    pub fn gap(&self, bounds: &Bounds) -> f32 {
        2.0 * self.beside(bounds).error
    }

    /// The floor of a score that is known.
    #[inline(always)]
    pub fn floor_of_score(&self, score: f32) -> f32 {
        ((f64::from(score) / self.unit).clamp(-1.0, 1.0) - self.slack) as f32
    }
}
