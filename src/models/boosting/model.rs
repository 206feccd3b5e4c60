//! The fitted model: oblivious trees.
//!
//! All leaves of one depth share a split, so a tree of depth d is d comparisons that make the d bits
//! of a leaf number, lowest bit first. [`score`](super::score) has the kernel.

use miette::Diagnostic;
use thiserror::Error;

use super::ctr::Ctr;
use super::features::{CategoryNames, Feature, Features, Values};
use super::loss::Loss;
use super::score::Scorer;

/// A fitted model; scores are `scale · Σ leaves + bias`.
#[derive(Debug, Clone, PartialEq)]
pub struct BoostedTrees {
    /// The features it was trained on, in the order of the columns.
    pub features: Vec<FeatureInfo>,
    /// The target statistics that splits ask about.
    pub ctrs: Vec<Ctr>,
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
    /// Whether a target statistic is above a border.
    Ctr {
        /// Which of the model's CTRs.
        ctr: usize,
        /// The border.
        border: f32,
    },
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
        Scorer::new(self).score(features)
    }

    /// The columns that a split asks about.
    pub fn features_of(&self, split: Split) -> Vec<usize> {
        match split {
            Split::Above { feature, .. } | Split::Is { feature, .. } => vec![feature],
            Split::Ctr { ctr, .. } => {
                let mut features: Vec<usize> =
                    self.ctrs[ctr].projection.iter().map(|element| element.feature()).collect();
                features.sort_unstable();
                features.dedup();
                features
            }
        }
    }

    /// Whether the data has the features of the model.
    pub(super) fn check(&self, features: &Features) -> Result<(), FeatureMismatch> {
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
