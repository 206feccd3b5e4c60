//! Why a user gets an item: the exact share of each past item in the score.
//!
//! A folded-in user's vector is `x = A⁻¹ Σ_j c_j y_j`, so the score of item `i` is a sum over the items
//! `j` of the user:
//!
//! ```text
//! y_i·x = Σ_j c_j y_iᵀ A⁻¹ y_j
//! ```
//!
//! Each term is the contribution of `j`; they are those that `explain` of the library `implicit` gives.
//! A contribution may be negative: without that item the score would not simply be higher by as much,
//! since `A` would be another.
//!
//! # Source
//! Hu, Koren, Volinsky: Collaborative filtering for implicit feedback datasets, ICDM 2008, section 5.

use super::table::Chunk;
use super::{AlsError, FoldIn};

/// The score of an item and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The score of the folded-in user, the sum of all contributions.
    pub score: f32,
    /// Each item of the user with its contribution, the greatest first; equal ones by item.
    pub contributions: Vec<(u32, f32)>,
}

impl FoldIn {
    /// Explains the scores of some `targets` for a user with these items, given as for
    /// [`row`](FoldIn::row); an explanation a target, in their order.
    ///
    /// # Errors
    /// As `row`, and when a target is unknown.
    pub fn explain(
        &self,
        items: &[u32],
        values: &[f32],
        targets: &[u32],
    ) -> Result<Vec<Explanation>, AlsError> {
        let fixed = self.fixed();
        if let Some(&target) = targets.iter().find(|&&target| target as usize >= fixed.n_rows()) {
            let problem = format!("there is no item {target}");
            let (given, values, n_rows) = (items.len(), values.len(), fixed.n_rows());
            return Err(AlsError::Row { given, values, n_rows, problem });
        }
        let (items, confidences) = self.confidences(items, values)?;
        let mut weighted: Vec<Vec<Chunk>> =
            targets.iter().map(|&target| fixed.row(target as usize).to_vec()).collect();
        self.solve(&items, &confidences, &mut weighted, &mut self.scratch())?;
        let explain = |weighted: &Vec<Chunk>| {
            let shares = items
                .iter()
                .zip(&confidences)
                .map(|(&item, &confidence)| (item, confidence * product(fixed.row(item as usize), weighted)));
            let mut contributions: Vec<(u32, f32)> = shares.collect();
            let score = contributions.iter().map(|&(_, share)| share).sum();
            contributions.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            Explanation { score, contributions }
        };
        Ok(weighted.iter().map(explain).collect())
    }
}

fn product(a: &[Chunk], b: &[Chunk]) -> f32 {
    a.iter().flat_map(|chunk| chunk.0).zip(b.iter().flat_map(|chunk| chunk.0)).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::interactions::Interactions;
    use crate::models::als::Als;

    #[test]
    fn contributions_are_the_derivative_of_the_score_by_what_was_liked_and_sum_to_it() {
        let pairs = (0..300u32).map(|at| (at % 17, at * 7 % 23, 1.0 + (at % 4) as f32));
        let interactions = Interactions::from_triplets(18, 24, pairs).unwrap();
        let parameters = Als {
            factors: 4,
            alpha: 3.0,
            unobserved_weight: 0.5,
            regularization: 0.02,
            regularization_exponent: 1.0,
            ..Als::default()
        };
        let model = parameters.fit(&interactions, |_| ControlFlow::Continue(())).unwrap();
        let fold_in = FoldIn::new(&parameters, &model.item_factors).unwrap();
        let (items, values) = interactions.row(5);
        let x = fold_in.row(items, values).unwrap();
        let targets = [2, 11, 23];
        for (explanation, target) in fold_in.explain(items, values, &targets).unwrap().iter().zip(targets) {
            let y = model.item_factors.row(target as usize);
            let score: f32 = x.iter().zip(y).map(|(x, y)| x * y).sum();
            assert!((explanation.score - score).abs() < 1e-5, "{} and {score}", explanation.score);
            assert_eq!(explanation.contributions.len(), items.len());
            assert!(explanation.contributions.windows(2).all(|two| two[0].1 >= two[1].1));
            for &(item, share) in &explanation.contributions {
                let expected = defined(&parameters, &model.item_factors, items, values, item, target);
                assert!((f64::from(share) - expected).abs() < 1e-5, "item {item}: {share} and {expected}");
            }
        }
        assert!(fold_in.explain(items, values, &[24]).is_err());
        let nothing = fold_in.explain(&[], &[], &[3]).unwrap();
        assert_eq!(nothing, [Explanation { score: 0.0, contributions: vec![] }]);
    }

    /// `c_j y_iᵀ A⁻¹ y_j` in f64, with `A` summed pair by pair as the objective says and the solution by
    /// elimination.
    fn defined(
        parameters: &Als,
        factors: &crate::models::factors::Factors,
        items: &[u32],
        values: &[f32],
        item: u32,
        target: u32,
    ) -> f64 {
        let n = parameters.factors;
        let lambda = parameters.regularization
            * (items.len() as f64 + parameters.unobserved_weight * factors.n_rows() as f64);
        let y = |row: usize, i: usize| f64::from(factors.row(row)[i]);
        let confidence =
            |row: u32| items.binary_search(&row).map(|at| parameters.alpha * f64::from(values[at]));
        let mut rows = vec![vec![0.0; n + 1]; n];
        for (i, sums) in rows.iter_mut().enumerate() {
            sums[i] += lambda;
            sums[n] = y(item as usize, i);
            for row in 0..factors.n_rows() {
                let weight = confidence(row as u32).unwrap_or(parameters.unobserved_weight);
                sums[..n].iter_mut().enumerate().for_each(|(j, sum)| *sum += weight * y(row, i) * y(row, j));
            }
        }
        for pivot in 0..n {
            let pivot_row = rows[pivot].clone();
            for (_, row) in rows.iter_mut().enumerate().filter(|&(i, _)| i != pivot) {
                let factor = row[pivot] / pivot_row[pivot];
                row.iter_mut().zip(&pivot_row).for_each(|(value, p)| *value -= factor * p);
            }
        }
        let product: f64 = (0..n).map(|i| y(target as usize, i) * rows[i][n] / rows[i][i]).sum();
        confidence(item).unwrap() * product
    }
}
