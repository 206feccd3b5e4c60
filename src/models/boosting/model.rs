//! The fitted model: oblivious trees and how they score rows.
//!
//! All leaves of one depth share a split, so a tree of depth d is d comparisons that make the d bits
//! of a leaf number, lowest bit first. Scoring walks blocks of rows: each comparison is one pass over
//! a column slice that the compiler turns into vector instructions.

use miette::Diagnostic;
use rayon::prelude::*;
use thiserror::Error;

use super::features::{CategoryNames, Feature, Features, Values};
use super::loss::Loss;

/// Rows scored together: their columns stay in the cache.
const BLOCK: usize = 512;

/// A fitted model; scores are `scale · Σ leaves + bias`.
#[derive(Debug, Clone, PartialEq)]
pub struct BoostedTrees {
    /// The features it was trained on, in the order of the columns.
    pub features: Vec<FeatureInfo>,
    /// The trees.
    pub trees: Vec<Tree>,
    /// Multiplies the sum of the leaves.
    pub scale: f64,
    /// Added to every score.
    pub bias: f64,
    /// What was made small in training; `None` when a model from elsewhere does not say.
    pub loss: Option<Loss>,
}

/// A feature as the model knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureInfo {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: FeatureKind,
}

/// What a feature holds.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureKind {
    /// Numbers.
    Real(Missing),
    /// Categories, with the texts that are known.
    Category(CategoryNames),
}

/// How a missing number compares with borders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// None was seen in training; a missing number counts as below every border.
    Unseen,
    /// Below every border (`nan_mode: Min`).
    Low,
    /// Above every border (`nan_mode: Max`).
    High,
}

/// A tree whose levels each have one split.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// The splits; split k makes bit k of the leaf number.
    pub splits: Vec<Split>,
    /// `2^splits` values.
    pub leaf_values: Vec<f64>,
    /// How many training rows fell into each leaf.
    pub leaf_weights: Vec<f64>,
}

/// A question about a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Split {
    /// Whether a number is above a border.
    Above {
        /// The column.
        feature: usize,
        /// The border.
        border: f32,
    },
    /// Whether a category is this one.
    Is {
        /// The column.
        feature: usize,
        /// The hash of the category.
        value: u32,
    },
}

impl Split {
    /// The column that is asked about.
    pub fn feature(self) -> usize {
        match self {
            Self::Above { feature, .. } | Self::Is { feature, .. } => feature,
        }
    }
}

/// The data does not have the features of the model.
#[derive(Debug, Error, Diagnostic)]
#[error("the model expects {expected} as feature {position}, the data has {found}")]
#[diagnostic(help("score data with the features that the model was trained on, in the same order"))]
pub struct FeatureMismatch {
    position: usize,
    expected: String,
    found: String,
}

impl BoostedTrees {
    /// The score of each row; for [`Loss::Logloss`] the log-odds.
    ///
    /// # Errors
    /// When the features are not those of the model.
    pub fn score(&self, features: &Features) -> Result<Vec<f64>, FeatureMismatch> {
        self.check(features)?;
        let mut scores = vec![0.0; features.n_rows()];
        scores
            .par_chunks_mut(BLOCK)
            .enumerate()
            .for_each(|(block, scores)| self.score_block(features, block * BLOCK, scores));
        Ok(scores)
    }

    fn score_block(&self, features: &Features, start: usize, scores: &mut [f64]) {
        let mut leaves = [0u16; BLOCK];
        let leaves = &mut leaves[..scores.len()];
        let end = start + scores.len();
        for tree in &self.trees {
            leaves.fill(0);
            for (bit, &split) in tree.splits.iter().enumerate() {
                match (split, &features.columns()[split.feature()].values) {
                    (Split::Above { feature, border }, Values::Real(values)) => {
                        let high = matches!(self.features[feature].kind, FeatureKind::Real(Missing::High));
                        for (leaf, &value) in leaves.iter_mut().zip(&values[start..end]) {
                            *leaf |= u16::from(value > border || (high && value.is_nan())) << bit;
                        }
                    }
                    (Split::Is { value, .. }, Values::Category { hashes, .. }) => {
                        for (leaf, &hash) in leaves.iter_mut().zip(&hashes[start..end]) {
                            *leaf |= u16::from(hash == value) << bit;
                        }
                    }
                    _ => unreachable!("kinds of features were checked before scoring"),
                }
            }
            for (score, &leaf) in scores.iter_mut().zip(&*leaves) {
                *score += tree.leaf_values[usize::from(leaf)];
            }
        }
        for score in scores {
            *score = self.scale * *score + self.bias;
        }
    }

    fn check(&self, features: &Features) -> Result<(), FeatureMismatch> {
        let columns = features.columns();
        for position in 0..self.features.len().max(columns.len()) {
            let expected = self.features.get(position);
            let found = columns.get(position);
            let fits = match (expected, found) {
                (Some(FeatureInfo { name, kind }), Some(column)) => {
                    let same_kind = matches!(
                        (kind, &column.values),
                        (FeatureKind::Real(_), Values::Real(_))
                            | (FeatureKind::Category(_), Values::Category { .. })
                    );
                    *name == column.name && same_kind
                }
                _ => false,
            };
            if !fits {
                let name = |name: &str, real: bool| {
                    format!("`{name}` ({})", if real { "numbers" } else { "categories" })
                };
                let none = || "no such column".to_owned();
                return Err(FeatureMismatch {
                    position: position + 1,
                    expected: expected.map_or_else(none, |info| {
                        name(&info.name, matches!(info.kind, FeatureKind::Real(_)))
                    }),
                    found: found.map_or_else(none, |column: &Feature| {
                        name(&column.name, matches!(column.values, Values::Real(_)))
                    }),
                });
            }
        }
        Ok(())
    }
}
