//! From how often a user chose an item to how sure we are that the user likes it.
//!
//! With `r` the stored value of a pair, the confidence is `c = alpha · w(r)`. As in the library
//! `implicit`, `c` itself (not `1 + c`) is the weight of an observed pair, against 1 for a pair that
//! was never observed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::interactions::{Interactions, InvalidInteractions};

/// How a count becomes a weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// The count itself.
    #[default]
    Linear,
    /// `ln(1 + count)`: the tenth listen says less than the first.
    Log,
    /// Okapi BM25 with `K1` = 100 and `B` = 0.8, users as terms and items as documents: popular items
    /// and users who choose everything say less.
    Bm25,
    /// 1 for every pair, however often.
    Binary,
}

impl Weighting {
    /// Every weighting.
    pub const ALL: [Self; 4] = [Self::Linear, Self::Log, Self::Bm25, Self::Binary];

    /// The name in parameters and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Log => "log",
            Self::Bm25 => "bm25",
            Self::Binary => "binary",
        }
    }

    /// The confidences `alpha · w(r)` of all pairs.
    ///
    /// # Errors
    /// When a confidence overflows or vanishes, which takes an absurd `alpha` or count.
    pub fn confidences(
        self,
        interactions: &Interactions,
        alpha: f64,
    ) -> Result<Interactions, InvalidInteractions> {
        let scaled = |weight: f64| (alpha * weight) as f32;
        match self {
            Self::Linear => interactions.map_values(|value| scaled(f64::from(value))),
            Self::Log => interactions.map_values(|value| scaled(f64::from(value).ln_1p())),
            Self::Binary => interactions.map_values(|_| scaled(1.0)),
            Self::Bm25 => bm25(interactions, scaled),
        }
    }
}

/// `w = r (K1 + 1) / (K1 (1 − B + B · |i| / mean|i|) + r) · ln(1 + (n − n_u + ½) / (n_u + ½))`,
/// where `|i|` is the sum of the item's values, `n` the number of items and `n_u` how many of them the
/// user has; the logarithm in Lucene's form, which is never negative.
///
/// # Source
/// Robertson, Walker, Jones, Hancock-Beaulieu, Gatford: Okapi at TREC-3, 1994.
fn bm25(
    interactions: &Interactions,
    scaled: impl Fn(f64) -> f32,
) -> Result<Interactions, InvalidInteractions> {
    const K1: f64 = 100.0;
    const B: f64 = 0.8;
    let n_items = interactions.n_items() as f64;
    let mut lengths = vec![0.0f64; interactions.n_items()];
    for (&item, &value) in interactions.items().iter().zip(interactions.values()) {
        lengths[item as usize] += f64::from(value);
    }
    let mean_length = lengths.iter().sum::<f64>() / n_items;
    let mut values = Vec::with_capacity(interactions.len());
    for user in 0..interactions.n_users() {
        let (items, counts) = interactions.row(user);
        let n_user = items.len() as f64;
        let idf = (1.0 + (n_items - n_user + 0.5) / (n_user + 0.5)).ln();
        values.extend(items.iter().zip(counts).map(|(&item, &count)| {
            let count = f64::from(count);
            let norm = 1.0 - B + B * lengths[item as usize] / mean_length;
            scaled(count * (K1 + 1.0) / (K1 * norm + count) * idf)
        }));
    }
    interactions.with_values(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts() -> Interactions {
        let pairs = [(0, 0, 3.0), (0, 1, 3.0), (1, 0, 3.0), (1, 1, 1.0), (1, 2, 1.0), (2, 0, 9.0)];
        Interactions::from_triplets(3, 4, pairs).unwrap()
    }

    #[test]
    fn alpha_scales_every_weight() {
        let value = |weighting: Weighting| weighting.confidences(&counts(), 2.0).unwrap().values()[0];
        assert_eq!(value(Weighting::Linear), 6.0);
        assert_eq!(value(Weighting::Binary), 2.0);
        assert!((value(Weighting::Log) - 2.0 * 4f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn bm25_favours_rare_items_and_choosy_users() {
        let weights = Weighting::Bm25.confidences(&counts(), 1.0).unwrap();
        let (_, first) = weights.row(0);
        assert!(first[1] > first[0], "item 1 is rarer than item 0");
        assert!(first[0] > weights.row(1).1[0], "user 0 has fewer items than user 1");
    }

    #[test]
    fn a_confidence_that_overflows_is_an_error() {
        let counts = Interactions::from_triplets(1, 1, [(0, 0, 1e38)]).unwrap();
        assert!(Weighting::Linear.confidences(&counts, 1e6).is_err());
    }
}
