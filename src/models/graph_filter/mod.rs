//! Graph filtering: what spreads from a user's items over the graph of users and items, with no training.
//!
//! With `R` the matrix of ones, `d_u` and `d_i` the numbers of items of each user and users of each item,
//!
//! ```text
//! N = D_u^−a R D_i^−c        G = Nᵀ N / s        f(G) = G (G + smoothing · I)⁻¹
//! score of item j = [ x_u D_i^−c f(G) D_i^p ]_j
//! ```
//!
//! where `s` is the largest eigenvalue of `NᵀN`. `G` takes a step to a user and back; its large
//! eigenvalues belong to what whole crowds share, its small ones to chance. The filter `f` leaves the
//! large ones and damps the small ones softly: the solution of a ridge regression of the normalised matrix
//! on itself. With `smoothing` → ∞ it becomes one step of `G`, the linear filter of GF-CF and LinkProp;
//! without exponents and up to a factor for each item it is EASEᴿ. `f` is evaluated as a Chebyshev
//! polynomial: sparse products only, so that time and memory grow with the items times the interactions,
//! not with the cube and the square of the items.
//!
//! # Shapes
//! `weights`: n_items × n_items, of which each row keeps its `weights_per_item` largest.
//!
//! # Source
//! Shen, Wu, Zhang, Shan, Zhang, Letaief, Li: How powerful is graph convolution for recommendation?,
//! CIKM 2021, arXiv 2108.07567 (GF-CF, linear part). Fu, Wang, Ma et al.: Revisiting neighborhood-based
//! link prediction for collaborative filtering, WWW 2022, arXiv 2203.15789 (exponents of the degrees).
//! Steck: Embarrassingly shallow autoencoders, WWW 2019, arXiv 1905.03375 (the ridge). Shuman,
//! Vandergheynst, Frossard: Chebyshev polynomial approximation for distributed signal processing, 2011,
//! arXiv 1105.1891.

mod chebyshev;
mod graph;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use miette::Diagnostic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::graph::{Graph, Scaling};
use crate::interactions::{Interactions, InvalidInteractions};
use crate::models::degrees::item_powers;
use crate::models::item_weights::{ItemWeights, recommend_by_weights};
use crate::models::linear_algebra::Progress;
use crate::models::lists::Block;
use crate::models::recommender::{Recommender, Request};

/// Parameters of the model and of the candidates made with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GraphFilter {
    /// `a`: more makes users who choose much say less.
    #[schemars(range(min = -2, max = 2))]
    pub user_exponent: f64,
    /// `c`: more makes popular items of the history say less.
    #[schemars(range(min = -2, max = 2))]
    pub item_exponent: f64,
    /// `p`: more recommends popular items more.
    #[schemars(range(min = -2, max = 2))]
    pub popularity_exponent: f64,
    /// Size, against the largest eigenvalue, of an eigenvalue that the filter halves: less looks farther
    /// along the graph and finds finer tastes, more trusts only what many share.
    #[schemars(range(min = 0.001, max = 1_000_000))]
    pub smoothing: f64,
    /// Weights that each item keeps, the largest by absolute value; the others become 0.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub weights_per_item: usize,
    /// Candidates per user.
    #[schemars(range(min = 1, max = 10_000))]
    pub n: usize,
    /// Whether items of the user's own training history are left out of the candidates.
    pub filter_seen: bool,
}

impl Default for GraphFilter {
    fn default() -> Self {
        Self {
            user_exponent: 0.25,
            item_exponent: 0.25,
            popularity_exponent: 0.2,
            smoothing: 0.14,
            weights_per_item: 1000,
            n: 100,
            filter_seen: true,
        }
    }
}

/// A fitted model. Nothing leads to or from an item without interactions.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphFilterModel {
    /// The weights `D_i^−c f(G) D_i^p`.
    pub weights: ItemWeights,
}

/// Why no model could be made.
#[derive(Debug, Error, Diagnostic)]
pub enum GraphFilterError {
    /// Nothing to spread over.
    #[error("the matrix of interactions is empty ({n_users} users × {n_items} items, no interaction)")]
    #[diagnostic(help("look at the filters and dates of the steps before: they left nothing to train on"))]
    Empty {
        /// Rows of the matrix.
        n_users: usize,
        /// Columns of the matrix.
        n_items: usize,
    },
    /// A parameter with which the formula has no finite value.
    #[error("`{parameter}` = {value} takes the weights out of the range of f32")]
    #[diagnostic(help("choose exponents from −2 to 2 and `smoothing` above 0.001"))]
    Parameter {
        /// Its name.
        parameter: &'static str,
        /// Its value.
        value: f64,
    },
    /// Exponents and degrees that together leave the range of f32.
    #[error("edges of the normalised graph: {0}")]
    #[diagnostic(help("choose exponents nearer to 0"))]
    Weights(#[from] InvalidInteractions),
    /// The caller ended the work.
    #[error("the work was stopped before there was a model")]
    #[diagnostic(help("start it again: a solution in closed form has no part that could be kept"))]
    Stopped,
}

impl GraphFilter {
    /// Makes the model; `on_step` hears of every step, all about equally long, and may end the work.
    ///
    /// The same interactions and parameters give the same bits at any thread count.
    ///
    /// # Errors
    /// When there is nothing to learn from, a parameter is out of its range, or `on_step` ends the work.
    pub fn fit(
        &self,
        interactions: &Interactions,
        on_step: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<GraphFilterModel, GraphFilterError> {
        let (n_users, n_items) = (interactions.n_users(), interactions.n_items());
        if interactions.is_empty() {
            return Err(GraphFilterError::Empty { n_users, n_items });
        }
        for (parameter, value, range) in [
            ("user_exponent", self.user_exponent, -2.0..=2.0),
            ("item_exponent", self.item_exponent, -2.0..=2.0),
            ("popularity_exponent", self.popularity_exponent, -2.0..=2.0),
            ("smoothing", self.smoothing, 0.001..=1e6),
        ] {
            if !range.contains(&value) {
                return Err(GraphFilterError::Parameter { parameter, value });
            }
        }
        let graph = Graph::new(interactions, self.user_exponent, self.item_exponent)?;
        let smoothing = self.smoothing;
        let filter = chebyshev::coefficients(|x| x * (1.0 + smoothing) / (x + smoothing), TOLERANCE);
        let power = |exponent: f64| -> Vec<f32> {
            item_powers(interactions, exponent).into_iter().map(|power| power as f32).collect()
        };
        let scaling = Scaling {
            before: power(-self.item_exponent),
            after: power(self.popularity_exponent),
            weights_per_item: self.weights_per_item,
        };
        let weights = graph.polynomial(&filter, &scaling, on_step).ok_or(GraphFilterError::Stopped)?;
        Ok(GraphFilterModel { weights })
    }
}

/// Error of the polynomial, against 1, the filter at the largest eigenvalue.
const TOLERANCE: f64 = 1e-3;

impl Recommender for GraphFilterModel {
    fn recommend<E>(
        &self,
        request: &Request<'_>,
        emit: impl FnMut(Block<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        recommend_by_weights(&self.weights, request, emit)
    }
}
