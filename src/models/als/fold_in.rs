//! The vector of a new or changed user from the user's interactions, without fitting again.
//!
//! With the item vectors fixed, a user's vector is the exact minimum of the same objective that `fit`
//! lowers: one row of a half-step, solved by Cholesky. `YᵀY` is computed once for all rows. The same
//! holds for items with the user vectors fixed.

use faer::Scale;
use rayon::prelude::*;

use super::cholesky::{Scratch, Singular, System};
use super::gram::gram;
use super::half_step::padded;
use super::kernel::{Kernel, Task, Work, dispatch};
use super::objective::Objective;
use super::table::{Chunk, Table};
use super::{Als, AlsError};
use crate::interactions::Interactions;
use crate::models::factors::Factors;
use crate::models::weighting::Weighting;

/// One side of a fitted model, ready to solve rows of the other side.
#[derive(Debug, Clone)]
pub struct FoldIn {
    parameters: Als,
    weights: Objective,
    fixed: Table,
    /// `α₀YᵀY` as the exact solver wants it.
    gram: Vec<Chunk>,
}

impl FoldIn {
    /// Prepares to solve users, given the item vectors of a model fitted with `parameters`; or items,
    /// given its user vectors.
    ///
    /// # Errors
    /// When a parameter is out of its range or the vectors are of another length.
    pub fn new(parameters: &Als, fixed: &Factors) -> Result<Self, AlsError> {
        parameters.check()?;
        if fixed.n_factors() != parameters.factors {
            return Err(AlsError::State {
                found: format!("the vectors have {} factors", fixed.n_factors()),
                expected: format!("{} factors", parameters.factors),
            });
        }
        let weights = Objective::of(parameters);
        let fixed = Table::from_factors(fixed);
        let mut gram = gram(&fixed);
        gram *= Scale(weights.unobserved_weight);
        let gram = padded(&gram, fixed.n_chunks());
        Ok(Self { parameters: parameters.clone(), weights, fixed, gram })
    }

    /// The vector of a row with these items, each at most once, in any order, and values beside them as
    /// in the training matrix. A row without items gets a vector of zeros.
    ///
    /// # Errors
    /// When an item is unknown or twice there, a value is no count, the weights of a row depend on other
    /// rows (`bm25`), or the row has no single solution.
    pub fn row(&self, items: &[u32], values: &[f32]) -> Result<Vec<f32>, AlsError> {
        let (items, confidences) = self.confidences(items, values)?;
        let mut scratch = self.scratch();
        self.solve(&items, &confidences, &mut [], &mut scratch)
    }

    /// The vectors of many rows: `n_rows × factors`, in parallel; every row as by [`row`](Self::row).
    ///
    /// # Errors
    /// As `row`, for the first row that has one.
    pub fn rows(&self, interactions: &Interactions) -> Result<Factors, AlsError> {
        let n_rows = interactions.n_users();
        let rows: Vec<Vec<f32>> = (0..n_rows)
            .into_par_iter()
            .map_init(
                || self.scratch(),
                |scratch, row| {
                    let (items, values) = interactions.row(row);
                    let (items, confidences) = self.confidences(items, values)?;
                    self.solve(&items, &confidences, &mut [], scratch)
                },
            )
            .collect::<Result<_, AlsError>>()?;
        Ok(Factors::new(n_rows, self.parameters.factors, rows.concat()))
    }

    /// [`row`](Self::row) with confidences, for weights that depend on all interactions; `items` rise.
    ///
    /// # Errors
    /// When an item is unknown, a confidence is not finite and positive, or the row has no single solution.
    pub fn row_of_confidences(&self, items: &[u32], confidences: &[f32]) -> Result<Vec<f32>, AlsError> {
        let row = self.checked(items, confidences)?;
        let (items, confidences) = row.row(0);
        self.solve(items, confidences, &mut [], &mut self.scratch())
    }

    /// Length of the vectors.
    pub fn n_factors(&self) -> usize {
        self.parameters.factors
    }

    pub(super) fn fixed(&self) -> &Table {
        &self.fixed
    }

    pub(super) fn scratch(&self) -> Scratch {
        Scratch::new(self.fixed.n_chunks())
    }

    /// The items, rising, and their confidences.
    pub(super) fn confidences(
        &self,
        items: &[u32],
        values: &[f32],
    ) -> Result<(Vec<u32>, Vec<f32>), AlsError> {
        if self.parameters.weighting == Weighting::Bm25 {
            return Err(AlsError::WeightsOfAll);
        }
        let row = self.checked(items, values)?;
        let row = self.parameters.confidences(&row)?;
        Ok((row.items().to_vec(), row.values().to_vec()))
    }

    /// The minimum of the objective over the row, zeros without interactions; and `A⁻¹ b` in the place of
    /// each `b` of `others`.
    pub(super) fn solve(
        &self,
        items: &[u32],
        confidences: &[f32],
        others: &mut [Vec<Chunk>],
        scratch: &mut Scratch,
    ) -> Result<Vec<f32>, AlsError> {
        let mut x = vec![Chunk::ZERO; self.fixed.n_chunks()];
        if !items.is_empty() {
            let row = Row { fold_in: self, items, confidences, x: &mut x, others, scratch };
            dispatch(self.fixed.bytes(), row).map_err(|_| AlsError::SingularRow)?;
        }
        let x: Vec<f32> = x.iter().flat_map(|chunk| chunk.0).take(self.parameters.factors).collect();
        if x.iter().all(|value| value.is_finite()) { Ok(x) } else { Err(AlsError::SingularRow) }
    }

    /// The row as a matrix of one row, if it fits the model.
    fn checked(&self, items: &[u32], values: &[f32]) -> Result<Interactions, AlsError> {
        let n_rows = self.fixed.n_rows();
        let error =
            |problem: String| AlsError::Row { given: items.len(), values: values.len(), n_rows, problem };
        if items.len() != values.len() {
            return Err(error("an item has one value".to_owned()));
        }
        let mut pairs: Vec<(u32, f32)> = items.iter().copied().zip(values.iter().copied()).collect();
        pairs.sort_by_key(|&(item, _)| item);
        if let Some(two) = pairs.windows(2).find(|two| two[0].0 == two[1].0) {
            return Err(error(format!("item {} is there twice", two[0].0)));
        }
        if let Some(&(item, _)) = pairs.last().filter(|&&(item, _)| item as usize >= n_rows) {
            return Err(error(format!("there is no item {item}")));
        }
        let (items, values): (Vec<u32>, Vec<f32>) = pairs.into_iter().unzip();
        Interactions::new(1, n_rows, vec![0, items.len()], items, values)
            .map_err(|source| error(source.to_string()))
    }
}

/// One row for [`System::solve`].
struct Row<'a> {
    fold_in: &'a FoldIn,
    items: &'a [u32],
    confidences: &'a [f32],
    x: &'a mut [Chunk],
    others: &'a mut [Vec<Chunk>],
    scratch: &'a mut Scratch,
}

impl Work for Row<'_> {
    type Output = Result<(), Singular>;

    fn with<K: Kernel>(self, kernel: K) -> Self::Output {
        kernel.enter(self)
    }
}

impl<K: Kernel> Task<K> for Row<'_> {
    type Output = Result<(), Singular>;

    #[inline(always)]
    fn run(self, kernel: K) -> Self::Output {
        let FoldIn { weights, fixed, gram, .. } = self.fold_in;
        let lambda = weights.regularization(self.items.len(), fixed.n_rows());
        let system = System { fixed, gram, unobserved: weights.unobserved_weight };
        system.solve(kernel, self.items, self.confidences, lambda, self.x, self.scratch)?;
        self.others.iter_mut().for_each(|b| self.scratch.solve_again(kernel, fixed.n_factors(), b));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::super::half_step::Side;
    use super::super::rows::Rows;
    use super::super::{AlsModel, Solver};
    use super::*;

    fn fitted(parameters: &Als) -> (Interactions, AlsModel) {
        let pairs = (0..300u32).map(|at| (at % 17, at * 7 % 23, 1.0 + (at % 4) as f32));
        let interactions = Interactions::from_triplets(18, 24, pairs).unwrap();
        let model = parameters.fit(&interactions, |_| ControlFlow::Continue(())).unwrap();
        (interactions, model)
    }

    fn parameters() -> Als {
        Als {
            factors: 5,
            iterations: 4,
            alpha: 3.0,
            unobserved_weight: 0.5,
            regularization: 0.02,
            regularization_exponent: 1.0,
            solver: Solver::Cholesky,
            ..Als::default()
        }
    }

    #[test]
    fn rows_are_those_of_a_half_step_by_the_exact_solver() {
        let parameters = parameters();
        let (interactions, model) = fitted(&parameters);
        for (matrix, fixed) in
            [(interactions.clone(), &model.item_factors), (interactions.transposed(), &model.user_factors)]
        {
            let fold_in = FoldIn::new(&parameters, fixed).unwrap();
            let folded = fold_in.rows(&matrix).unwrap();
            let mut table = Table::zeros(matrix.n_users(), 5);
            let side = Side::new(Rows::new(&parameters, &matrix).unwrap());
            let weights = Objective::of(&parameters);
            side.solve(&mut table, &mut Table::from_factors(fixed), weights, &parameters).unwrap();
            assert_eq!(folded, table.to_factors());
            let (items, values) = matrix.row(3);
            let mut turned: (Vec<u32>, Vec<f32>) = (items.to_vec(), values.to_vec());
            turned.0.reverse();
            turned.1.reverse();
            assert_eq!(fold_in.row(&turned.0, &turned.1).unwrap(), folded.row(3));
        }
        // The last half-step of a fit solves the items.
        let folded = FoldIn::new(&parameters, &model.user_factors).unwrap();
        assert_eq!(folded.rows(&interactions.transposed()).unwrap(), model.item_factors);
    }

    #[test]
    fn a_row_without_items_is_zero_and_one_that_does_not_fit_is_refused() {
        let parameters = parameters();
        let (_, model) = fitted(&parameters);
        let fold_in = FoldIn::new(&parameters, &model.item_factors).unwrap();
        assert_eq!(fold_in.row(&[], &[]).unwrap(), [0.0; 5]);
        let refused = |items: &[u32], values: &[f32]| fold_in.row(items, values).unwrap_err().to_string();
        assert!(refused(&[24], &[1.0]).contains("there is no item 24"));
        assert!(refused(&[3, 1, 3], &[1.0, 2.0, 1.0]).contains("item 3 is there twice"));
        assert!(refused(&[3], &[]).contains("1 items and 0 values"));
        for value in [f32::NAN, f32::INFINITY, -1.0, 0.0] {
            assert!(refused(&[3], &[value]).contains("finite and above 0"));
        }
        assert!(refused(&[3], &[f32::MAX]).contains("`alpha` = 3"));

        let bm25 = Als { weighting: Weighting::Bm25, ..parameters.clone() };
        let fold_in = FoldIn::new(&bm25, &model.item_factors).unwrap();
        assert!(matches!(fold_in.row(&[1], &[1.0]), Err(AlsError::WeightsOfAll)));
        assert_eq!(fold_in.row_of_confidences(&[1], &[3.0]).unwrap().len(), 5);
        let longer = Als { factors: 6, ..parameters };
        assert!(FoldIn::new(&longer, &model.item_factors).unwrap_err().to_string().contains("5 factors"));
    }
}
