//! Gradient boosting on oblivious trees, the CatBoost way: `Boosting` → `fit` → [`BoostedTrees`].
//!
//! Each iteration grows a tree of depth d on the derivatives of the loss at the present scores; a leaf
//! takes one Newton step −η·G/(H + λ) with G, H the sums of first and second derivatives of its rows.
//! The model is one that the official CatBoost package opens (see `codec::catboost_json`); training is our
//! own: plain boosting on histograms, not CatBoost's ordered boosting, so scores differ from what the
//! package would train, and quality does not suffer.
//!
//! | file | what is in it |
//! |---|---|
//! | [`features`] | columns of numbers and categories |
//! | [`quantize`] | values as bins of one byte |
//! | [`loss`] | `Logloss`, `QuerySoftMax` |
//! | [`tree`] | growing one tree from histograms |
//! | [`model`] | the fitted model and its scores |
//! | [`importance`] | how much each feature matters |
//! | [`cityhash`] | how a category becomes a number |
//!
//! # Source
//! L. Prokhorenkova, G. Gusev, A. Vorobev, A. V. Dorogush, A. Gulin: *CatBoost: unbiased boosting with
//! categorical features*, NeurIPS 2018, arXiv:1706.09516; J. H. Friedman: *Greedy function approximation: a
//! gradient boosting machine*, Annals of Statistics 29 (2001).

pub mod cityhash;
pub mod features;
pub mod importance;
pub mod loss;
pub mod model;
pub mod quantize;
mod tree;

#[cfg(test)]
mod tests;

use std::ops::{ControlFlow, Range};

use miette::Diagnostic;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;
use thiserror::Error;

pub use cityhash::category_hash;
pub use features::{CategoryNames, Feature, Features, Values};
pub use loss::Loss;
pub use model::{BoostedTrees, FeatureInfo, FeatureKind, Missing, Split, Tree};

use loss::CHUNK;
use quantize::{Binned, Bins};
use tree::{BinSplit, Grower};

/// Parameters of training, by CatBoost's names.
#[derive(Debug, Clone, PartialEq)]
pub struct Boosting {
    /// What is made small.
    pub loss_function: Loss,
    /// Largest number of trees.
    pub iterations: usize,
    /// η: how far each tree goes.
    pub learning_rate: f64,
    /// Levels of a tree, 1 to 8.
    pub depth: usize,
    /// λ: pulls leaves towards 0.
    pub l2_leaf_reg: f64,
    /// Borders per number, 1 to 254.
    pub border_count: usize,
    /// Categories of a feature that get a split of their own, the most frequent first, up to 255; the
    /// others are told apart by other features only.
    pub one_hot_max_size: usize,
    /// Share of the rows that a tree is grown on, drawn anew for each tree; leaves take all rows.
    pub subsample: f64,
    /// Share of the features that a tree may use, drawn anew for each tree.
    pub rsm: f64,
    /// Stop when the validation loss has not fallen for so many iterations, and keep the best.
    pub early_stopping_rounds: usize,
    /// Seed of what is drawn.
    pub seed: u64,
}

impl Default for Boosting {
    fn default() -> Self {
        Self {
            loss_function: Loss::Logloss,
            iterations: 500,
            learning_rate: 0.1,
            depth: 4,
            l2_leaf_reg: 3.0,
            border_count: 254,
            one_hot_max_size: 255,
            subsample: 0.8,
            rsm: 0.5,
            early_stopping_rounds: 30,
            seed: 0,
        }
    }
}

/// Rows to learn from.
#[derive(Debug, Clone)]
pub struct Samples {
    /// `n_rows × n_features`.
    pub features: Features,
    /// 1 for a positive, 0 for a negative; `n_rows`.
    pub labels: Vec<f32>,
    /// Consecutive rows that belong together, such as the candidates of a user; they cover all rows.
    pub groups: Vec<Range<usize>>,
}

/// How far training is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Iteration {
    /// Trees so far.
    pub trees: usize,
    /// Loss on the training rows.
    pub loss: f64,
    /// Loss on the validation rows, if there are any.
    pub validation_loss: Option<f64>,
}

/// What training made.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// The model, cut at the best iteration when there were validation rows.
    pub model: BoostedTrees,
    /// Every iteration that ran.
    pub iterations: Vec<Iteration>,
}

/// Why no model could be trained.
#[derive(Debug, Error, Diagnostic)]
pub enum BoostingError {
    /// Nothing to tell apart.
    #[error("the training rows are all of one class: {rows} rows, {positives} positives")]
    #[diagnostic(help("training needs rows of both classes: widen the label period or the candidates"))]
    OneClass {
        /// Rows there are.
        rows: usize,
        /// Positives among them.
        positives: usize,
    },
    /// The caller said so.
    #[error("training was stopped before it was done")]
    #[diagnostic(help("run again to train to the end"))]
    Stopped,
}

impl Boosting {
    /// Trains; `on_iteration` hears of every tree and may stop.
    ///
    /// `start` holds trees to begin with (CatBoost's `init_model`); they come first in the model and do not
    /// count as iterations.
    ///
    /// # Errors
    /// When all labels are equal, or `on_iteration` breaks.
    ///
    /// # Panics
    /// When the validation rows have other features than the training rows.
    pub fn fit(
        &self,
        start: &[Tree],
        train: &Samples,
        validation: Option<&Samples>,
        mut on_iteration: impl FnMut(Iteration) -> ControlFlow<()>,
    ) -> Result<Fitted, BoostingError> {
        let rows = train.labels.len();
        let positives = train.labels.iter().filter(|&&label| label > 0.0).count();
        if positives == 0 || positives == rows {
            return Err(BoostingError::OneClass { rows, positives });
        }
        let columns = train.features.columns();
        let bins: Vec<Bins> = columns
            .par_iter()
            .map(|column| Bins::fit(&column.values, self.border_count, self.one_hot_max_size))
            .collect();
        let mut model = self.untrained(start, columns, &bins);
        let mut train = Fold::new(train, &bins, &model);
        model.bias = self.loss_function.best_constant(&train.scores, &train.samples.labels);
        train.scores.iter_mut().for_each(|score| *score += model.bias);
        let mut validation = validation.map(|samples| Fold::new(samples, &bins, &model));
        let usable: Vec<usize> = (0..bins.len()).filter(|&feature| bins[feature].count() > 1).collect();

        let mut trees = Vec::new();
        let mut history: Vec<Iteration> = Vec::new();
        let mut best = (f64::INFINITY, 0);
        while trees.len() < self.iterations {
            let seed = mix(self.seed, trees.len() as u64);
            let rows = self.draw_rows(rows, seed);
            let features = self.draw_features(&usable, &mut Pcg64Mcg::seed_from_u64(seed));
            let derivatives =
                self.loss_function.derivatives(&train.scores, &train.samples.labels, &train.samples.groups);
            let grower =
                Grower { binned: &train.binned, bins: &bins, depth: self.depth, l2: self.l2_leaf_reg };
            let splits = grower.grow(&derivatives, rows, &features);
            if splits.is_empty() {
                break;
            }
            let leaves = train.binned.leaves(&splits);
            let sums = leaf_sums(&leaves, &derivatives, 1 << splits.len());
            let leaf_values: Vec<f64> = sums.iter().map(|&sums| self.leaf_value(sums)).collect();
            train.advance(&leaves, &leaf_values);
            let loss = train.loss(self.loss_function);
            let validation_loss = validation.as_mut().map(|fold| {
                fold.advance(&fold.binned.leaves(&splits), &leaf_values);
                fold.loss(self.loss_function)
            });
            trees.push(Tree {
                splits: splits.iter().map(|split| real_split(split, &bins)).collect(),
                leaf_values,
                leaf_weights: sums.iter().map(|&[_, _, rows]| rows).collect(),
            });
            let iteration = Iteration { trees: trees.len(), loss, validation_loss };
            history.push(iteration);
            if on_iteration(iteration).is_break() {
                return Err(BoostingError::Stopped);
            }
            if let Some(loss) = validation_loss {
                if loss < best.0 {
                    best = (loss, trees.len());
                } else if trees.len() - best.1 >= self.early_stopping_rounds {
                    break;
                }
            }
        }
        if validation.is_some() {
            trees.truncate(best.1);
        }
        model.trees.append(&mut trees);
        Ok(Fitted { model, iterations: history })
    }

    /// The model before the first iteration.
    fn untrained(&self, start: &[Tree], columns: &[Feature], bins: &[Bins]) -> BoostedTrees {
        let features = columns.iter().zip(bins).map(|(column, bins)| FeatureInfo {
            name: column.name.clone(),
            kind: match (&column.values, bins) {
                (Values::Category { names, .. }, _) => FeatureKind::Category(names.clone()),
                (_, Bins::Borders(borders)) if borders.first() == Some(&f32::MIN) => {
                    FeatureKind::Real(Missing::Low)
                }
                _ => FeatureKind::Real(Missing::Unseen),
            },
        });
        let loss = Some(self.loss_function);
        BoostedTrees { features: features.collect(), trees: start.to_vec(), scale: 1.0, bias: 0.0, loss }
    }

    /// −η·G/(H + λ).
    fn leaf_value(&self, [g, h, _]: [f64; 3]) -> f64 {
        let curvature = h + self.l2_leaf_reg;
        if curvature > 0.0 { -self.learning_rate * g / curvature } else { 0.0 }
    }

    /// The rows that a tree is grown on, in chunks that draw on their own.
    fn draw_rows(&self, n_rows: usize, seed: u64) -> Vec<Vec<u32>> {
        let n_rows = u32::try_from(n_rows).expect("training rows are capped far below 2^32");
        let chunks = (0..n_rows.div_ceil(CHUNK as u32)).into_par_iter();
        let draw = chunks.map(|chunk| {
            let rows = chunk * CHUNK as u32..n_rows.min((chunk + 1) * CHUNK as u32);
            if self.subsample >= 1.0 {
                return rows.collect();
            }
            let mut rng = Pcg64Mcg::seed_from_u64(mix(seed, u64::from(chunk)));
            rows.filter(|_| rng.random_bool(self.subsample)).collect()
        });
        draw.collect()
    }

    fn draw_features(&self, usable: &[usize], rng: &mut Pcg64Mcg) -> Vec<usize> {
        let wanted = (self.rsm * usable.len() as f64).ceil().max(1.0) as usize;
        let mut features = usable.to_vec();
        for drawn in 0..wanted.min(features.len()) {
            let other = rng.random_range(drawn..features.len());
            features.swap(drawn, other);
        }
        features.truncate(wanted);
        features.sort_unstable();
        features
    }
}

/// A seed for each of many draws.
fn mix(seed: u64, draw: u64) -> u64 {
    seed ^ (draw + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Rows with their bins and present scores.
struct Fold<'a> {
    samples: &'a Samples,
    binned: Binned,
    scores: Vec<f64>,
}

impl<'a> Fold<'a> {
    fn new(samples: &'a Samples, bins: &[Bins], model: &BoostedTrees) -> Self {
        let scores = model.score(&samples.features).expect("all rows have the features of the training rows");
        Self { samples, scores, binned: Binned::new(&samples.features, bins) }
    }

    fn advance(&mut self, leaves: &[u8], leaf_values: &[f64]) {
        let rows = self.scores.par_chunks_mut(CHUNK).zip(leaves.par_chunks(CHUNK));
        rows.for_each(|(scores, leaves)| {
            for (score, &leaf) in scores.iter_mut().zip(leaves) {
                *score += leaf_values[usize::from(leaf)];
            }
        });
    }

    fn loss(&self, loss: Loss) -> f64 {
        loss.value(&self.scores, &self.samples.labels, &self.samples.groups)
    }
}

impl Binned {
    /// The leaf of every row.
    fn leaves(&self, splits: &[BinSplit]) -> Vec<u8> {
        let mut leaves = vec![0u8; self.n_rows];
        leaves.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, leaves)| {
            for (bit, split) in splits.iter().enumerate() {
                let column = &self.columns[split.feature][chunk * CHUNK..];
                for (leaf, &bin) in leaves.iter_mut().zip(column) {
                    *leaf |= u8::from(split.holds(bin)) << bit;
                }
            }
        });
        leaves
    }
}

/// G, H and the number of rows of each leaf, added chunk by chunk in the order of the rows.
fn leaf_sums(leaves: &[u8], derivatives: &[[f32; 2]], n_leaves: usize) -> Vec<[f64; 3]> {
    let chunks = leaves.par_chunks(CHUNK).zip(derivatives.par_chunks(CHUNK));
    let parts: Vec<Vec<[f64; 3]>> = chunks
        .map(|(leaves, derivatives)| {
            let mut sums = vec![[0.0; 3]; n_leaves];
            for (&leaf, &[g, h]) in leaves.iter().zip(derivatives) {
                let sum = &mut sums[usize::from(leaf)];
                *sum = [sum[0] + f64::from(g), sum[1] + f64::from(h), sum[2] + 1.0];
            }
            sums
        })
        .collect();
    let mut sums = vec![[0.0; 3]; n_leaves];
    for part in parts {
        for (sum, part) in sums.iter_mut().zip(part) {
            *sum = [sum[0] + part[0], sum[1] + part[1], sum[2] + part[2]];
        }
    }
    sums
}

/// A split by values instead of bins.
fn real_split(split: &BinSplit, bins: &[Bins]) -> Split {
    let bin = usize::from(split.bin);
    match &bins[split.feature] {
        Bins::Borders(borders) => Split::Above { feature: split.feature, border: borders[bin] },
        Bins::Levels(levels) => Split::Is { feature: split.feature, value: levels[bin - 1] },
    }
}
