//! EASEᴿ: a linear autoencoder over items with a solution in closed form.
//!
//! Minimises, over weights `B` from items to items with zeros on the diagonal,
//!
//! ```text
//! |X − X B|² + λ |B|²
//! ```
//!
//! with `X = 1` for an observed pair, 0 for every other pair: each item of a history is told from the
//! others. The minimum is `B = I − P · diag(1 / diag P)` with `P = (XᵀX + λI)⁻¹`; a user's scores are
//! `x_u B`. It has one parameter that matters and no random start, and beats many deep models; the price
//! is `n³` operations and `2 n²` bytes for `n` items with interactions.
//!
//! Three exponents, 0 in the paper, let users and items say less the more interactions they have: `X` is
//! then `D_u^−a X D_i^−c`, and the scores are `x_u D_i^−c B D_i^p`. On sparse data that is worth a lot.
//!
//! # Shapes
//! `weights`: n_items × n_items, of which each row keeps its `weights_per_item` largest.
//!
//! # Source
//! Steck: Embarrassingly shallow autoencoders for sparse data, WWW 2019, arXiv 1905.03375. The exponents:
//! see [`degrees`](super::degrees).

mod gram;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use miette::Diagnostic;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::interactions::{Interactions, InvalidInteractions};
use crate::models::degrees::{item_powers, normalized};
use crate::models::item_weights::{ItemWeights, largest, recommend_by_weights};
use crate::models::linear_algebra::Progress;
use crate::models::linear_algebra::symmetric_tiles::{NoInverse, SymmetricTiles};
use crate::models::lists::Block;
use crate::models::recommender::{Recommender, Request};

/// Parameters of the model and of the candidates made with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ease {
    /// Weight `λ` of the squared weights: in users, for it stands beside how many users an item has.
    /// Try 50 to 1000, more for denser data; with exponents above 0 a tenth of that and less.
    #[schemars(range(min = 0.001, max = 1_000_000_000))]
    pub regularization: f64,
    /// `a`: more makes users who choose much say less.
    #[schemars(range(min = -2, max = 2))]
    pub user_exponent: f64,
    /// `c`: more makes popular items of the history say less.
    #[schemars(range(min = -2, max = 2))]
    pub item_exponent: f64,
    /// `p`: more recommends popular items more.
    #[schemars(range(min = -2, max = 2))]
    pub popularity_exponent: f64,
    /// Weights that each item keeps, the largest by absolute value; the others become 0.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub weights_per_item: usize,
    /// Memory that the fit may take, in GiB; it grows with the square of the number of items.
    #[schemars(range(min = 0.001, max = 100_000))]
    pub memory_limit_gib: f64,
    /// Candidates per user.
    #[schemars(range(min = 1, max = 10_000))]
    pub n: usize,
    /// Whether items of the user's own training history are left out of the candidates.
    pub filter_seen: bool,
}

impl Default for Ease {
    fn default() -> Self {
        Self {
            regularization: 100.0,
            user_exponent: 0.0,
            item_exponent: 0.0,
            popularity_exponent: 0.0,
            weights_per_item: 1000,
            memory_limit_gib: 8.0,
            n: 100,
            filter_seen: true,
        }
    }
}

/// A fitted model. Nothing leads to or from an item without interactions.
#[derive(Debug, Clone, PartialEq)]
pub struct EaseModel {
    /// The weights `D_i^−c B D_i^p`.
    pub weights: ItemWeights,
}

/// Why no model could be fitted.
#[derive(Debug, Error, Diagnostic)]
pub enum EaseError {
    /// Nothing to learn from.
    #[error("the matrix of interactions is empty ({n_users} users × {n_items} items, no interaction)")]
    #[diagnostic(help("look at the filters and dates of the steps before: they left nothing to train on"))]
    Empty {
        /// Rows of the matrix.
        n_users: usize,
        /// Columns of the matrix.
        n_items: usize,
    },
    /// More items than fit into the memory allowed.
    #[error("{n_items} items take {needed:.1} GiB of memory, `memory_limit_gib` allows {limit}")]
    #[diagnostic(help(
        "leave rare items out in the steps before, use `als` or `item_knn`, whose memory grows with the \
         interactions, or raise `memory_limit_gib` if the machine has it"
    ))]
    Memory {
        /// Items with interactions.
        n_items: usize,
        /// GiB that the fit takes.
        needed: f64,
        /// The parameter.
        limit: f64,
    },
    /// An exponent with which the formula has no finite value.
    #[error("`{parameter}` = {value} takes the weights out of the range of f32")]
    #[diagnostic(help("choose an exponent from −2 to 2"))]
    Parameter {
        /// Its name.
        parameter: &'static str,
        /// Its value.
        value: f64,
    },
    /// Exponents and degrees that together leave the range of f32.
    #[error("entries of the normalised matrix: {0}")]
    #[diagnostic(help("choose exponents nearer to 0"))]
    Normalized(#[from] InvalidInteractions),
    /// The equations have no single solution in f32.
    #[error("`regularization` = {regularization} leaves the equations without a single solution")]
    #[diagnostic(help(
        "raise `regularization`: without exponents above a thousandth of the users of the most popular item"
    ))]
    Singular {
        /// The parameter.
        regularization: f64,
    },
    /// The caller ended the fit.
    #[error("the fit was stopped before there was a model")]
    #[diagnostic(help("start it again: a solution in closed form has no part that could be kept"))]
    Stopped,
}

impl Ease {
    /// Fits the model; `on_step` hears of every step, all equally long, and may end the fit.
    ///
    /// The same interactions and parameters give the same bits at any thread count.
    ///
    /// # Errors
    /// When there is nothing to learn from, the items do not fit into memory, an exponent is out of its
    /// range, `regularization` is too small for f32, or `on_step` ends the fit.
    pub fn fit(
        &self,
        interactions: &Interactions,
        on_step: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<EaseModel, EaseError> {
        let (n_users, n_items) = (interactions.n_users(), interactions.n_items());
        if interactions.is_empty() {
            return Err(EaseError::Empty { n_users, n_items });
        }
        for (parameter, value) in [
            ("user_exponent", self.user_exponent),
            ("item_exponent", self.item_exponent),
            ("popularity_exponent", self.popularity_exponent),
        ] {
            if !(-2.0..=2.0).contains(&value) {
                return Err(EaseError::Parameter { parameter, value });
            }
        }
        let counts = interactions.item_counts();
        let known: Vec<u32> = (0..n_items as u32).filter(|&item| counts[item as usize] > 0).collect();
        let needed = self.n_bytes(known.len()) / f64::from(1 << 30);
        if needed > self.memory_limit_gib {
            return Err(EaseError::Memory { n_items: known.len(), needed, limit: self.memory_limit_gib });
        }
        let mut matrix =
            gram::gram(&normalized(interactions, self.user_exponent, self.item_exponent)?, &known);
        matrix.add_to_diagonal(self.regularization as f32);
        matrix.invert(on_step).map_err(|error| match error {
            NoInverse::NotPositiveDefinite => EaseError::Singular { regularization: self.regularization },
            NoInverse::Stopped => EaseError::Stopped,
        })?;
        Ok(EaseModel { weights: self.weights(&matrix, &known, interactions) })
    }

    /// Bytes that the fit and its model take.
    fn n_bytes(&self, n_items: usize) -> f64 {
        let kept = n_items as f64 * self.weights_per_item.min(n_items) as f64;
        SymmetricTiles::n_bytes(n_items) + kept * size_of::<(u32, f32)>() as f64
    }

    /// The largest `d_i^−c B_ij d_j^p`, `B_ij = −P_ij / P_jj`, of each row, in the numbering of all items.
    fn weights(&self, inverse: &SymmetricTiles, known: &[u32], interactions: &Interactions) -> ItemWeights {
        let before = item_powers(interactions, -self.item_exponent);
        let after = item_powers(interactions, self.popularity_exponent);
        let factors: Vec<f32> = known
            .iter()
            .zip(inverse.diagonal())
            .map(|(&item, own)| (-after[item as usize] / f64::from(own)) as f32)
            .collect();
        let tile_rows: Vec<Vec<Vec<(u32, f32)>>> = (0..inverse.n_tile_rows())
            .into_par_iter()
            .with_max_len(1)
            .map_init(Vec::new, |rows, block| {
                let start = inverse.copy_tile_row(block, rows);
                let rows = rows.chunks_exact(known.len()).enumerate();
                rows.map(|(row, values)| {
                    let before = before[known[start + row] as usize] as f32;
                    let weights = known.iter().zip(values).zip(&factors).enumerate();
                    let others = weights.filter(|&(column, _)| column != start + row);
                    let scaled = others.map(|(_, ((&item, p), factor))| (item, before * p * factor));
                    largest(scaled, self.weights_per_item)
                })
                .collect()
            })
            .collect();
        let mut rows = known.iter().copied().zip(tile_rows.into_iter().flatten()).peekable();
        ItemWeights::from_rows(
            (0..interactions.n_items() as u32)
                .map(|item| rows.next_if(|(next, _)| *next == item).map(|(_, row)| row).unwrap_or_default()),
        )
    }
}

impl Recommender for EaseModel {
    fn recommend<E>(
        &self,
        request: &Request<'_>,
        emit: impl FnMut(Block<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        recommend_by_weights(&self.weights, request, emit)
    }
}
