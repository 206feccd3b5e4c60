//! Bayesian personalised ranking: vectors learned from comparisons of two items for a user.
//!
//! Maximises, over user vectors `x_u`, item vectors `y_i` and item biases `b_i`,
//!
//! ```text
//! Σ_(u,i,j) ln σ(x_u·(y_i − y_j) + b_i − b_j) − λ/2 (|x_u|² + |y_i|² + |y_j|² + b_i² + b_j²)
//! ```
//!
//! by stochastic gradient ascent over samples of a user, an item of theirs and one that is not. An epoch
//! visits every interaction once, in random order by blocks of users, each with one negative drawn at
//! random; a negative that turns out to be the user's own is passed over, not drawn again, as in the
//! library `implicit` (0.7), whose parameters and factor layout these are (it draws interactions with
//! replacement, and negatives by popularity only).
//!
//! Where to read on: `sampler` draws, `kernel` holds the step, `training` runs epochs, `table` is what
//! threads share.
//!
//! # Shapes
//! `user_factors`: n_users × (factors + 1), the last column 1. `item_factors`: n_items × (factors + 1),
//! the last column `b`. So a score is one inner product.
//!
//! # Source
//! Rendle, Freudenthaler, Gantner, Schmidt-Thieme: BPR: Bayesian personalized ranking from implicit
//! feedback, UAI 2009.

mod kernel;
mod lanes;
mod sampler;
mod table;
#[cfg(test)]
mod tests;
mod training;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::ops::ControlFlow;

use miette::Diagnostic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::training::Training;
use super::factors::Factors;
use super::lists::Block;
use super::recommender::{Recommender, Request, recommend_by_factors};
use crate::interactions::Interactions;

/// Which items a user's own items are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Negatives {
    /// Every item with interactions has the same chance, as in the paper: popular items win most of their
    /// comparisons and come first in the lists.
    #[default]
    Uniform,
    /// An item's chance is its share of the interactions, as in `implicit`: popular items are compared
    /// mostly with popular ones, so that lists follow taste more and popularity less.
    Popularity,
}

/// Parameters of the model and of the candidates made with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Bpr {
    /// Length of the factor vectors, the bias not counted.
    #[schemars(range(min = 1, max = 2048))]
    pub factors: usize,
    /// Epochs: as many samples as there are interactions each.
    #[schemars(range(min = 1, max = 10_000))]
    pub iterations: usize,
    /// Size of a step.
    #[schemars(range(min = 0.000_001, max = 10))]
    pub learning_rate: f64,
    /// Weight `λ` of the squared lengths of the vectors; more pulls them towards zero.
    #[schemars(range(min = 0, max = 10))]
    pub regularization: f64,
    /// Which items a user's own items are compared with.
    pub negatives: Negatives,
    /// Whether a comparison with another item of the same user is passed over.
    pub verify_negatives: bool,
    /// Whether the same seed gives the same bits; this takes one thread. With `false` all threads change
    /// the item vectors together without waiting for each other, and models differ a little from run to
    /// run.
    pub deterministic: bool,
    /// Seed of the random start and of the samples.
    pub seed: u64,
    /// Candidates per user.
    #[schemars(range(min = 1, max = 10_000))]
    pub n: usize,
    /// Whether items of the user's own training history are left out of the candidates.
    pub filter_seen: bool,
}

impl Default for Bpr {
    fn default() -> Self {
        Self {
            factors: 64,
            iterations: 100,
            learning_rate: 0.01,
            regularization: 0.01,
            negatives: Negatives::Uniform,
            verify_negatives: true,
            deterministic: true,
            seed: 42,
            n: 100,
            filter_seen: true,
        }
    }
}

/// One epoch that is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// Epochs done so far, from 1.
    pub done: usize,
    /// Epochs asked for.
    pub total: usize,
    /// Samples drawn, one an interaction.
    pub n_samples: usize,
    /// Samples whose negative was not the user's own.
    pub n_compared: usize,
    /// Samples in which the user's item had the higher score, before the step that followed.
    pub n_correct: usize,
}

impl Epoch {
    /// Share of the compared samples that were ranked correctly, an estimate of the AUC on the training
    /// interactions; ½ where nothing was compared.
    pub fn train_auc(&self) -> f64 {
        if self.n_compared == 0 { 0.5 } else { self.n_correct as f64 / self.n_compared as f64 }
    }

    /// Share of the samples that were passed over.
    pub fn skipped(&self) -> f64 {
        1.0 - self.n_compared as f64 / self.n_samples as f64
    }
}

/// A fitted model. A user or item without interactions has a vector of zeros.
#[derive(Debug, Clone, PartialEq)]
pub struct BprModel {
    /// Vectors of the users, `n_users × (factors + 1)`, and 1 in the last column.
    pub user_factors: Factors,
    /// Vectors of the items, `n_items × (factors + 1)`, and the bias in the last column.
    pub item_factors: Factors,
}

/// Why no model could be fitted.
#[derive(Debug, Error, Diagnostic)]
pub enum BprError {
    /// Nothing to learn from.
    #[error("the matrix of interactions is empty ({n_users} users × {n_items} items, no interaction)")]
    #[diagnostic(help("look at the filters and dates of the steps before: they left nothing to train on"))]
    Empty {
        /// Rows of the matrix.
        n_users: usize,
        /// Columns of the matrix.
        n_items: usize,
    },
    /// Numbers left the range of f32.
    #[error("epoch {epoch}: the factors are no longer finite numbers with `learning_rate` = {learning_rate}")]
    #[diagnostic(help("lower `learning_rate`; `regularization` · `learning_rate` must stay far below 1"))]
    Diverged {
        /// The epoch, from 1.
        epoch: usize,
        /// The parameter.
        learning_rate: f64,
    },
}

impl Bpr {
    /// Fits the model; `on_epoch` hears of every epoch and may end the fit early, with the model as it is
    /// then.
    ///
    /// # Errors
    /// When there is nothing to learn from, or the numbers leave the range of f32.
    pub fn fit(
        &self,
        interactions: &Interactions,
        mut on_epoch: impl FnMut(Epoch) -> ControlFlow<()>,
    ) -> Result<BprModel, BprError> {
        let mut training = Training::new(self, interactions)?;
        for _ in 0..self.iterations {
            if on_epoch(training.epoch()?).is_break() {
                break;
            }
        }
        Ok(training.model())
    }
}

impl Recommender for BprModel {
    fn recommend<E>(
        &self,
        request: &Request<'_>,
        emit: impl FnMut(Block<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        recommend_by_factors(&self.user_factors, &self.item_factors, request, emit)
    }
}
