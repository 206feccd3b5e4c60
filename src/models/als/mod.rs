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
//! Where to read on: `fit` is the loop over sweeps, `rows` the interactions, `half_step` cuts the work,
//! `cg`, `cholesky` and `subspace` solve a row, `kernel` holds the inner loops; `FoldIn` solves for one user of a fitted
//! model and explains the scores.
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
#[cfg(test)]
mod bad_input_tests;
mod basis;
mod cg;
mod cholesky;
mod error;
mod explain;
mod fit;
mod fold_in;
mod gram;
mod half_step;
mod kernel;
mod loss;
mod objective;
mod pages;
mod parameters;
mod portable;
mod rows;
mod subspace;
mod table;
#[cfg(test)]
mod tests;

pub use error::AlsError;
pub use explain::Explanation;
pub use fit::{AlsState, Sweep};
pub use fold_in::FoldIn;
pub use loss::loss;
pub use parameters::{Als, Solver};

use crate::models::factors::Factors;
use crate::models::lists::Block;
use crate::models::recommender::{Recommender, Request, recommend_by_factors};

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

impl Recommender for AlsModel {
    fn recommend<E>(
        &self,
        request: &Request<'_>,
        emit: impl FnMut(Block<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        recommend_by_factors(&self.user_factors, &self.item_factors, request, emit)
    }
}
