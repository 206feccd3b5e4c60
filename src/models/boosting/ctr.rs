//! Target statistics (CTRs): a category, or a combination of features, as what its rows had in training.
//!
//! A CTR maps a row to a key, looks up the counts of that key, and turns them into the number
//! ((good + prior) / (total + prior denominator) + shift) · scale, which splits compare with borders. A key
//! that training never saw has no counts. All in f32, as the official package computes it.
//!
//! # Source
//! L. Prokhorenkova et al.: *CatBoost: unbiased boosting with categorical features*, NeurIPS 2018, §3; the
//! key is that of the official package, version 1.2.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::features::{Features, Values};

/// Multiplies while keys are combined.
const MULTIPLIER: u64 = 0x4906_ba49_4954_cb65;

/// One CTR of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Ctr {
    /// What makes the key, in this order.
    pub projection: Vec<Element>,
    /// How counts become a number.
    pub kind: CtrKind,
    /// Which border of the target parts good from bad; 0 when the target has two classes.
    pub target_border: usize,
    /// Added to the good ones.
    pub prior: f32,
    /// Added to the total.
    pub prior_denominator: f32,
    /// Added to the quotient.
    pub shift: f32,
    /// Multiplies at last.
    pub scale: f32,
    /// What training saw, shared by CTRs that differ in the numbers above only.
    pub table: Arc<CtrTable>,
}

/// A part of a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Element {
    /// The category in a column.
    Category(usize),
    /// Whether the category in a column is this one.
    Is {
        /// The column.
        feature: usize,
        /// The hash of the category.
        value: u32,
    },
    /// Whether the number in a column is above a border.
    Above {
        /// The column.
        feature: usize,
        /// The border.
        border: f32,
    },
}

/// How the counts of a key become a number, by CatBoost's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CtrKind {
    /// Good: rows whose target is above the border; total: all rows.
    Borders,
    /// Good: rows whose target is just below the border; total: all rows.
    Buckets,
    /// Good: rows; total: those of the most frequent key.
    Counter,
    /// Good: rows; total: all rows of all keys.
    FeatureFreq,
    /// Good: sum of the targets, cut into classes and scaled to 0…1; total: rows.
    BinarizedTargetMeanValue,
    /// Good: sum of the targets; total: rows.
    FloatTargetMeanValue,
}

/// Counts by key.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CtrTable {
    /// Numbers of each key.
    pub width: usize,
    /// Where the numbers of each key start, in units of `width`.
    pub keys: HashMap<u64, u32, BuildHasherDefault<KeyHasher>>,
    /// The numbers: rows per class, or rows, or sum of targets and rows.
    pub counts: Vec<f64>,
    /// The total of `Counter` and `FeatureFreq`.
    pub denominator: f64,
}

/// Keys are mixed already.
#[derive(Debug, Clone, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = (self.0 ^ key).wrapping_mul(MULTIPLIER).rotate_left(32);
    }
}

impl Element {
    /// The column.
    pub fn feature(self) -> usize {
        match self {
            Self::Category(feature) | Self::Is { feature, .. } | Self::Above { feature, .. } => feature,
        }
    }
}

/// The key of a row; `high` says of each column whether missing numbers are above every border.
pub(super) fn key(
    projection: &[Element],
    features: &Features,
    row: usize,
    high: impl Fn(usize) -> bool,
) -> u64 {
    projection.iter().fold(0, |key, &element| {
        let value = match (element, &features.columns()[element.feature()].values) {
            (Element::Category(_), Values::Category { hashes, .. }) => i64::from(hashes[row] as i32) as u64,
            (Element::Is { value, .. }, Values::Category { hashes, .. }) => u64::from(hashes[row] == value),
            (Element::Above { feature, border }, Values::Real(values)) => {
                u64::from(values[row] > border || (values[row].is_nan() && high(feature)))
            }
            _ => unreachable!("kinds of features are checked before keys are made"),
        };
        combine(key, value)
    })
}

/// Adds a value to a key.
pub(super) fn combine(key: u64, value: u64) -> u64 {
    key.wrapping_add(value.wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER)
}

impl CtrTable {
    /// The numbers of a key.
    pub fn get(&self, key: u64) -> Option<&[f64]> {
        let start = *self.keys.get(&key)? as usize * self.width;
        self.counts.get(start..start + self.width)
    }
}

impl Ctr {
    /// What splits compare, from the numbers of a key; none when training never saw it.
    pub fn value(&self, counts: Option<&[f64]>) -> f32 {
        let of_key = counts.unwrap_or(&[]);
        let first = of_key.first().copied().unwrap_or(0.0);
        let (good, total) = match self.kind {
            CtrKind::Borders => {
                (of_key.iter().skip(self.target_border + 1).sum(), of_key.iter().sum::<f64>())
            }
            CtrKind::Buckets => {
                (of_key.get(self.target_border).copied().unwrap_or(0.0), of_key.iter().sum::<f64>())
            }
            CtrKind::Counter | CtrKind::FeatureFreq => (first, self.table.denominator),
            CtrKind::BinarizedTargetMeanValue | CtrKind::FloatTargetMeanValue => {
                (first, of_key.get(1).copied().unwrap_or(0.0))
            }
        };
        self.quotient(good, total)
    }

    /// ((good + prior) / (total + prior denominator) + shift) · scale.
    pub(super) fn quotient(&self, good: f64, total: f64) -> f32 {
        ((good as f32 + self.prior) / (total as f32 + self.prior_denominator) + self.shift) * self.scale
    }
}
