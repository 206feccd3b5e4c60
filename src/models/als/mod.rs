//! Alternating least squares for implicit feedback.
//!
//! Minimises, over user vectors `x_u` and item vectors `y_i`,
//!
//! ```text
//! L = [ Σ_ui c_ui (p_ui − x_u·y_i)² + Σ_u λ_u |x_u|² + Σ_i λ_i |y_i|² ] / Σ_ui c_ui
//! ```
//!
//! with `p = 1` and `c = alpha · w(count)` for an observed pair, `p = 0` and `c = α₀` (1 unless changed)
//! for every other pair, and `λ_u = λ (n_u + α₀ n_items)^ν`, `λ_i = λ (n_i + α₀ n_users)^ν`, which is `λ`
//! while `ν = 0`. With one side fixed the other side's rows are independent least-squares problems, so a sweep
//! solves all users, then all items; `L` falls with each. With `α₀ = 1` and `ν = 0` the objective, its
//! scaling and the meaning of every parameter are those of the library `implicit` (0.7), which opens
//! the saved model.
//!
//! # Published settings
//! Rendle et al. (2022) minimise `Σ_observed (1 − s)² + α₀ Σ_all s² + λ (…)^ν …`: observed pairs are in
//! both sums. Put `s = s′ / (1 + α₀)`, and this is our objective up to a constant and a factor, with
//!
//! ```text
//! alpha = 1 + α₀    weighting = binary    unobserved_weight = α₀    regularization = (1 + α₀) λ    regularization_exponent = ν
//! ```
//!
//! All vectors come out `√(1 + α₀)` times as long, so every ranking is the same.
//!
//! Where to read on: `half_step` cuts the work, `cg` and `cholesky` solve a row, `kernel` holds the
//! inner loops.
//!
//! # Shapes
//! `user_factors`: n_users × factors. `item_factors`: n_items × factors.
//!
//! # Source
//! Hu, Koren, Volinsky: Collaborative filtering for implicit feedback datasets, ICDM 2008.
//! Rendle, Krichene, Zhang, Koren: Revisiting the performance of iALS on item recommendation
//! benchmarks, RecSys 2022 (`α₀`, `ν`).

#[cfg(target_arch = "x86_64")]
mod avx512;
mod basis;
mod cg;
mod cholesky;
mod gram;
mod half_step;
mod kernel;
mod loss;
mod objective;
mod pages;
mod portable;
mod table;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use miette::Diagnostic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use loss::loss;

use self::half_step::Side;
use self::objective::Objective;
use self::table::Table;
use crate::interactions::{Interactions, InvalidInteractions};
use crate::models::factors::Factors;
use crate::models::lists::Block;
use crate::models::recommender::{Recommender, Request, recommend_by_factors};
use crate::models::weighting::Weighting;

/// Sum of the squared lengths of all user vectors at which none of them says anything.
const VANISHED: f64 = 1e-20;

/// How a row's equations are solved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Solver {
    /// A few steps of conjugate gradients from the previous solution: fast, nearly as good.
    #[default]
    Cg,
    /// Exactly, by a Cholesky factorisation: several times slower.
    Cholesky,
}

/// Parameters of the model and of the candidates made with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Als {
    /// Length of the factor vectors.
    #[schemars(range(min = 1, max = 2048))]
    pub factors: usize,
    /// Sweeps over all users and all items.
    #[schemars(range(min = 1, max = 1000))]
    pub iterations: usize,
    /// Weight `λ` of the squared lengths of the vectors; more pulls them towards zero.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub regularization: f64,
    /// Exponent `ν`: a user with `n` interactions has the weight `λ (n + unobserved_weight · items)^ν`, an
    /// item likewise. 0 is the same `λ` for all; 1 is best in published comparisons, with a `λ` as much
    /// smaller (0.001 to 0.01).
    #[schemars(range(min = 0, max = 2))]
    pub regularization_exponent: f64,
    /// Confidence of a pair never observed; below 1 the observed pairs count for more.
    #[schemars(range(min = 0, max = 1_000_000))]
    pub unobserved_weight: f64,
    /// Confidence of an observed pair per unit of its weight, against `unobserved_weight` for the others.
    #[schemars(range(min = 0.000_001, max = 1_000_000))]
    pub alpha: f64,
    /// How a listen count becomes a weight.
    pub weighting: Weighting,
    /// How each row is solved.
    pub solver: Solver,
    /// Steps of conjugate gradients a row and sweep; `solver: cg` only.
    #[schemars(range(min = 1, max = 100))]
    pub cg_steps: usize,
    /// Seed of the random start.
    pub seed: u64,
    /// Candidates per user.
    #[schemars(range(min = 1, max = 10_000))]
    pub n: usize,
    /// Whether items of the user's own training history are left out of the candidates.
    pub filter_seen: bool,
}

impl Default for Als {
    fn default() -> Self {
        Self {
            factors: 64,
            iterations: 15,
            regularization: 0.01,
            regularization_exponent: 0.0,
            unobserved_weight: 1.0,
            alpha: 1.0,
            weighting: Weighting::Linear,
            solver: Solver::Cg,
            cg_steps: 3,
            seed: 42,
            n: 100,
            filter_seen: true,
        }
    }
}

/// One sweep that is done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sweep {
    /// Sweeps done so far, from 1.
    pub done: usize,
    /// Sweeps asked for.
    pub total: usize,
    /// The objective `L` after this sweep.
    pub loss: f64,
}

/// A fitted model. A user or item without interactions has a vector of zeros.
#[derive(Debug, Clone, PartialEq)]
pub struct AlsModel {
    /// Vectors of the users, `n_users × factors`.
    pub user_factors: Factors,
    /// Vectors of the items, `n_items × factors`.
    pub item_factors: Factors,
    /// The objective after the last sweep.
    pub loss: f64,
}

/// Why no model could be fitted.
#[derive(Debug, Error, Diagnostic)]
pub enum AlsError {
    /// Nothing to learn from.
    #[error("the matrix of interactions is empty ({n_users} users × {n_items} items, no interaction)")]
    #[diagnostic(help("look at the filters and dates of the steps before: they left nothing to train on"))]
    Empty {
        /// Rows of the matrix.
        n_users: usize,
        /// Columns of the matrix.
        n_items: usize,
    },
    /// A confidence that is no number, zero or infinite.
    #[error("confidences with `alpha` = {alpha} and `weighting` = `{weighting}`: {source}")]
    #[diagnostic(help("choose an `alpha` nearer to 1 or the weighting `log`"))]
    Confidence {
        /// The parameter.
        alpha: f64,
        /// The parameter.
        weighting: &'static str,
        /// Which value.
        source: InvalidInteractions,
    },
    /// A row has no single solution.
    #[error("sweep {sweep}: the equations of {side} {row} have no single solution")]
    #[diagnostic(help("raise `regularization`: any value above 0 makes the solution unique"))]
    Singular {
        /// The sweep, from 1.
        sweep: usize,
        /// `user` or `item`.
        side: &'static str,
        /// Its index.
        row: usize,
    },
    /// Numbers left the range of f32.
    #[error("sweep {sweep}: the factors of the {side}s are no longer finite numbers")]
    #[diagnostic(help("raise `regularization`, lower `alpha`, or use the weighting `log`"))]
    Diverged {
        /// The sweep, from 1.
        sweep: usize,
        /// `user` or `item`.
        side: &'static str,
    },
    /// All vectors are zero: nothing can be told apart.
    #[error("`regularization` = {regularization} has pulled all factors to zero")]
    #[diagnostic(help("lower `regularization` or raise `alpha`"))]
    Vanished {
        /// The parameter.
        regularization: f64,
    },
}

impl Als {
    /// Fits the model; `on_sweep` hears of every sweep and may end the fit early, with the model as it
    /// is then.
    ///
    /// The same interactions and parameters give the same bits at any thread count.
    ///
    /// # Errors
    /// When there is nothing to learn from, or the numbers leave the range of f32.
    pub fn fit(
        &self,
        interactions: &Interactions,
        mut on_sweep: impl FnMut(Sweep) -> ControlFlow<()>,
    ) -> Result<AlsModel, AlsError> {
        if interactions.is_empty() {
            let (n_users, n_items) = (interactions.n_users(), interactions.n_items());
            return Err(AlsError::Empty { n_users, n_items });
        }
        let confidences = self.weighting.confidences(interactions, self.alpha).map_err(|source| {
            AlsError::Confidence { alpha: self.alpha, weighting: self.weighting.name(), source }
        })?;
        let items = Side::new(confidences.transposed());
        let users = Side::new(confidences);
        let mut user_table = Table::random(users.confidences().row_starts(), self.factors, self.seed, 1);
        let mut item_table = Table::random(items.confidences().row_starts(), self.factors, self.seed, 2);

        let observed: f64 = users.confidences().values().iter().map(|&value| f64::from(value)).sum();
        let pairs = interactions.n_users() as f64 * interactions.n_items() as f64;
        let weights = Objective::of(self);
        let total_confidence = observed + self.unobserved_weight * (pairs - interactions.len() as f64);
        let (mut loss, mut user_squares) = (f64::NAN, 0.0);
        for sweep in 1..=self.iterations {
            let half = |side: &Side, name: &'static str, table: &mut Table, fixed: &Table| {
                let outcome = side
                    .solve(table, fixed, weights, self.solver, self.cg_steps)
                    .map_err(|row| AlsError::Singular { sweep, side: name, row })?;
                if outcome.objective.is_finite() {
                    Ok(outcome)
                } else {
                    Err(AlsError::Diverged { sweep, side: name })
                }
            };
            half(&users, "user", &mut user_table, &item_table)?;
            let outcome = half(&items, "item", &mut item_table, &user_table)?;
            // Σ c p² + Σ_i φ(y_i) holds everything but the lengths of the user vectors.
            user_squares = outcome.fixed_squares;
            let user_lengths = match weights.shared_regularization() {
                Some(lambda) => f64::from(lambda) * user_squares,
                None => users.weighted_squares(&user_table, weights, interactions.n_items()),
            };
            loss = (observed + outcome.objective + user_lengths) / total_confidence;
            if on_sweep(Sweep { done: sweep, total: self.iterations, loss }).is_break() {
                break;
            }
        }
        if user_squares < VANISHED {
            return Err(AlsError::Vanished { regularization: self.regularization });
        }
        let model =
            AlsModel { user_factors: user_table.to_factors(), item_factors: item_table.to_factors(), loss };
        for (side, factors) in [("user", &model.user_factors), ("item", &model.item_factors)] {
            if !factors.values().iter().all(|value| value.is_finite()) {
                return Err(AlsError::Diverged { sweep: self.iterations, side });
            }
        }
        Ok(model)
    }
}

impl Recommender for AlsModel {
    fn recommend<E>(
        &self,
        request: &Request<'_>,
        emit: impl FnMut(Block<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        recommend_by_factors(&self.user_factors, &self.item_factors, request, emit)
    }
}
