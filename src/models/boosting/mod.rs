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
//! | [`loss`] | `Logloss`, `QuerySoftMax`, `LambdaMart` |
//! | [`sampling`] | the rows and features that a tree is grown on |
//! | [`tree`] | growing one tree |
//! | [`histogram`] | sums of derivatives per bin, the inner loop |
//! | [`ordered_ctr`] | target statistics of categories, for training |
//! | [`ctr`] | the same in a model |
//! | [`model`] | the fitted model |
//! | [`score`], [`lookup`] | its scores |
//! | [`fold`] | rows while trees are added |
//! | [`exp`] | the exponential function |
//! | [`average`](mod@average) | several models as one |
//! | [`importance`] | how much each feature matters |
//! | [`cityhash`] | how a category becomes a number |
//!
//! # Source
//! L. Prokhorenkova, G. Gusev, A. Vorobev, A. V. Dorogush, A. Gulin: *CatBoost: unbiased boosting with
//! categorical features*, NeurIPS 2018, arXiv:1706.09516; J. H. Friedman: *Greedy function approximation: a
//! gradient boosting machine*, Annals of Statistics 29 (2001).

pub mod average;
pub mod cityhash;
pub mod ctr;
mod exp;
pub mod features;
mod fold;
mod histogram;
pub mod importance;
mod lambda_mart;
mod lookup;
pub mod loss;
pub mod model;
mod ordered_ctr;
pub mod quantize;
pub mod sampling;
pub mod score;
mod tree;

#[cfg(test)]
mod tests;

use std::ops::{ControlFlow, Range};

use miette::Diagnostic;
use rayon::prelude::*;
use thiserror::Error;

pub use average::average;
pub use cityhash::category_hash;
pub use ctr::{Ctr, CtrKind, CtrTable};
pub use features::{CategoryNames, Feature, Features, Values};
pub use loss::Loss;
pub use model::{BoostedTrees, FeatureInfo, FeatureKind, Missing, Split, Tree};
pub use sampling::BootstrapType;
pub use score::Scorer;

use fold::{Fold, leaf_sums};
use quantize::{Bins, MAX_LEVELS};
use sampling::{Draw, draw_features, mix};
use tree::{BinSplit, Grower};

/// Largest number of levels: leaf numbers are bytes.
pub const MAX_DEPTH: usize = 8;

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
    /// Features with at most so many categories, 1 to 255, have a split for each; the others are described
    /// by ordered target statistics.
    pub one_hot_max_size: usize,
    /// How the rows of a tree are drawn, anew for each tree; leaves take all rows.
    pub bootstrap_type: BootstrapType,
    /// Share of the rows that a tree is grown on, for `Bernoulli`.
    pub subsample: f64,
    /// How unequal the weights of rows are, for `Bayesian`; 0 makes them all 1.
    pub bagging_temperature: f64,
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
            bootstrap_type: BootstrapType::Bernoulli,
            subsample: 0.8,
            bagging_temperature: 1.0,
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
    /// Trees to begin with that do not fit.
    #[error("a tree to begin with asks about target statistics")]
    #[diagnostic(help("begin with trees that ask about numbers and one-hot categories only"))]
    StartAsksCtr,
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
        if start.iter().flat_map(|tree| &tree.splits).any(|split| matches!(split, Split::Ctr { .. })) {
            return Err(BoostingError::StartAsksCtr);
        }
        let columns = train.features.columns();
        let one_hot_max_size = self.one_hot_max_size.min(MAX_LEVELS);
        let ctrs = ordered_ctr::fit(train, one_hot_max_size, self.loss_function, self.seed);
        let mut bins: Vec<Bins> = columns
            .par_iter()
            .map(|column| Bins::fit(&column.values, self.border_count, one_hot_max_size))
            .collect();
        let mut model = self.untrained(start, columns, &bins);
        bins.extend(ctrs.iter().map(|ctr| ctr.bins.clone()));
        let of_validation =
            validation.map_or_else(Vec::new, |samples| ordered_ctr::apply(&ctrs, &samples.features));
        let (ctrs, of_train): (Vec<Ctr>, Vec<Vec<u8>>) =
            ctrs.into_iter().map(|ctr| (ctr.ctr, ctr.column)).unzip();
        let mut train = Fold::new(train, &bins, &model, of_train);
        model.bias = self.loss_function.best_constant(&train.scores, &train.samples.labels);
        train.scores.iter_mut().for_each(|score| *score += model.bias);
        let mut validation = validation.map(|samples| Fold::new(samples, &bins, &model, of_validation));
        let n_features = columns.len();
        let usable: Vec<usize> = (0..bins.len()).filter(|&feature| bins[feature].count() > 1).collect();

        let mut derivatives = vec![[0.0; 2]; rows];
        train.evaluate(self.loss_function, &mut derivatives);
        let binned = train.binned.clone();
        let mut grower = Grower::new(&binned, &bins, self.depth.clamp(1, MAX_DEPTH), self.l2_leaf_reg);
        let mut trees = Vec::new();
        let mut history: Vec<Iteration> = Vec::new();
        let mut best = (f64::INFINITY, 0);
        while trees.len() < self.iterations {
            let draw = self.draw(trees.len());
            let splits = grower.grow(&derivatives, draw, &draw_features(&usable, self.rsm, draw.seed));
            if splits.is_empty() {
                break;
            }
            let leaves = train.binned.leaves(&splits);
            let sums = leaf_sums(&leaves, &derivatives, 1 << splits.len());
            let leaf_values: Vec<f64> = sums.iter().map(|&sums| self.leaf_value(sums)).collect();
            train.advance(&leaves, &leaf_values);
            let loss = train.evaluate(self.loss_function, &mut derivatives);
            let validation_loss = validation.as_mut().map(|fold| {
                fold.advance(&fold.binned.leaves(&splits), &leaf_values);
                fold.loss(self.loss_function)
            });
            trees.push(Tree {
                splits: splits.iter().map(|split| real_split(split, &bins, n_features)).collect(),
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
        model.keep_ctrs(ctrs);
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
        BoostedTrees {
            features: features.collect(),
            ctrs: Vec::new(),
            trees: start.to_vec(),
            scale: 1.0,
            bias: 0.0,
            loss,
        }
    }

    /// −η·G/(H + λ).
    fn leaf_value(&self, [g, h, _]: [f64; 3]) -> f64 {
        let curvature = h + self.l2_leaf_reg;
        if curvature > 0.0 { -self.learning_rate * g / curvature } else { 0.0 }
    }

    fn draw(&self, tree: usize) -> Draw {
        Draw {
            bootstrap_type: self.bootstrap_type,
            subsample: self.subsample,
            bagging_temperature: self.bagging_temperature,
            seed: mix(self.seed, tree as u64),
        }
    }
}

impl BoostedTrees {
    /// Takes the CTRs that splits ask about, and numbers the splits anew.
    fn keep_ctrs(&mut self, ctrs: Vec<Ctr>) {
        let mut numbers = vec![None; ctrs.len()];
        for split in self.trees.iter_mut().flat_map(|tree| &mut tree.splits) {
            if let Split::Ctr { ctr, .. } = split {
                *ctr = *numbers[*ctr].get_or_insert_with(|| {
                    self.ctrs.push(ctrs[*ctr].clone());
                    self.ctrs.len() - 1
                });
            }
        }
    }
}

/// A split by values instead of bins; columns after the features are CTRs.
fn real_split(split: &BinSplit, bins: &[Bins], n_features: usize) -> Split {
    let (feature, bin) = (split.feature, usize::from(split.bin));
    match &bins[feature] {
        Bins::Borders(borders) if feature < n_features => Split::Above { feature, border: borders[bin] },
        Bins::Borders(borders) => Split::Ctr { ctr: feature - n_features, border: borders[bin] },
        Bins::Levels(levels) => Split::Is { feature, value: levels[bin - 1] },
    }
}
