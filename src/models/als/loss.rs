//! The objective, computed from the factors alone; `fit` gets the same number as a by-product.

use rayon::prelude::*;

use super::gram::gram;
use super::objective::Objective;
use super::table::Table;
use super::{Als, AlsError, AlsModel};
use crate::interactions::Interactions;

/// `L` of the module's text for any factors, in f64.
///
/// The sum over all pairs is `α₀ Σ_u x_uᵀ (YᵀY) x_u` plus corrections at the observed pairs.
///
/// # Errors
/// When a confidence leaves the range of f32.
pub fn loss(parameters: &Als, interactions: &Interactions, model: &AlsModel) -> Result<f64, AlsError> {
    let confidences = parameters.confidences(interactions)?;
    let (users, items) = (&model.user_factors, &model.item_factors);
    let weights = Objective::of(parameters);
    let unobserved = f64::from(weights.unobserved_weight);
    let product =
        |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum() };
    let gram = gram(&Table::from_factors(items));
    let per_user: Vec<f64> = (0..users.n_rows())
        .into_par_iter()
        .map(|user| {
            let x = users.row(user);
            let mut all = 0.0;
            for (i, &x_i) in x.iter().enumerate() {
                for (j, &x_j) in x.iter().enumerate() {
                    all += f64::from(x_i) * f64::from(gram[(i, j)]) * f64::from(x_j);
                }
            }
            let (row, values) = confidences.row(user);
            let mut sum = unobserved * all;
            for (&item, &confidence) in row.iter().zip(values) {
                let score = product(x, items.row(item as usize));
                sum += f64::from(confidence) * (1.0 - score).powi(2) - unobserved * score * score;
            }
            let lambda = weights.regularization(row.len(), items.n_rows());
            sum + f64::from(lambda) * product(x, x)
        })
        .collect();
    let observed: f64 = confidences.values().iter().map(|&value| f64::from(value)).sum();
    let item_lengths = confidences.item_counts().into_iter().enumerate().map(|(item, n_users)| {
        let lambda = weights.regularization(n_users as usize, users.n_rows());
        f64::from(lambda) * product(items.row(item), items.row(item))
    });
    let pairs = users.n_rows() as f64 * items.n_rows() as f64;
    let unobserved = unobserved * (pairs - confidences.len() as f64);
    Ok((per_user.iter().sum::<f64>() + item_lengths.sum::<f64>()) / (observed + unobserved))
}
