//! Half a sweep: every row of one side solved with the other side fixed, in parallel.
//!
//! Rows are cut into blocks of about equal work, whatever the number of threads; one thread solves a
//! block from start to end, and sums are added in the order of the blocks. So the result is the same,
//! bit for bit, at any thread count.

use std::ops::Range;

use faer::{Mat, Scale};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::gram::gram;
use super::kernel::BLOCK;
use super::objective::Objective;
use super::table::{Chunk, Table, fill};
use super::{Als, Solver, cg, cholesky, subspace};
use crate::interactions::Interactions;

/// Interactions in a block of rows, about.
const BLOCK_WORK: usize = 8192;
/// What a row costs besides its interactions, in interactions.
const ROW_WORK: usize = 32;

/// One side's interactions, cut into blocks of rows once for all sweeps.
pub struct Side {
    confidences: Interactions,
    blocks: Vec<Range<usize>>,
}

/// What a half-step leaves besides the new rows.
pub struct Outcome {
    /// `Σ φ(x)` over the rows, `φ(x) = xᵀAx − 2bᵀx`.
    pub objective: f64,
    /// `Σ |y|²` over the fixed rows.
    pub fixed_squares: f64,
}

impl Side {
    /// Rows are what `confidences` calls users.
    pub fn new(confidences: Interactions) -> Self {
        let mut blocks = Vec::new();
        let (mut start, mut work) = (0, 0);
        for row in 0..confidences.n_users() {
            work += confidences.row(row).0.len() + ROW_WORK;
            if work >= BLOCK_WORK {
                blocks.push(start..row + 1);
                (start, work) = (row + 1, 0);
            }
        }
        if start < confidences.n_users() {
            blocks.push(start..confidences.n_users());
        }
        Self { confidences, blocks }
    }

    /// The interactions.
    pub fn confidences(&self) -> &Interactions {
        &self.confidences
    }

    /// Solves every row of `table` with `fixed` held fixed.
    ///
    /// # Errors
    /// The first row that has no single solution.
    pub fn solve(
        &self,
        table: &mut Table,
        fixed: &Table,
        weights: Objective,
        parameters: &Als,
    ) -> Result<Outcome, usize> {
        let mut gram = gram(fixed);
        let fixed_squares = (0..gram.nrows()).map(|i| f64::from(gram[(i, i)])).sum();
        gram *= Scale(weights.unobserved_weight);
        let padded = padded(&gram, fixed.n_chunks());
        let arch = Arch::new();
        let unobserved_weight = weights.unobserved_weight;

        let tasks: Vec<_> = self.blocks.iter().cloned().zip(self.slices(table)).collect();
        let sums: Vec<Result<f64, usize>> = tasks
            .into_par_iter()
            .with_max_len(1)
            .map(|(rows, chunks)| match parameters.solver {
                Solver::Cg => {
                    let system =
                        cg::System { fixed, gram: &padded, unobserved_weight, steps: parameters.cg_steps };
                    Ok(arch.dispatch(CgBlock { side: self, weights, system, rows, chunks }))
                }
                Solver::Cholesky => {
                    let system = cholesky::System { fixed, gram: &gram, unobserved_weight };
                    self.exact(weights, system, rows, chunks)
                }
                Solver::IalsPlusPlus => {
                    let block_size = parameters.block_size.min(fixed.n_factors());
                    let system = subspace::System { fixed, gram: &gram, unobserved_weight, block_size };
                    self.by_blocks(weights, system, rows, chunks)
                }
            })
            .collect();
        let objective = sums.into_iter().sum::<Result<f64, usize>>()?;
        Ok(Outcome { objective, fixed_squares })
    }

    /// `Σ λ |x|²` over the rows of `table`, each with its own `λ`; `n_columns` is what a row could have.
    pub fn weighted_squares(&self, table: &Table, weights: Objective, n_columns: usize) -> f64 {
        let blocks: Vec<f64> = self
            .blocks
            .par_iter()
            .map(|rows| {
                let squares = |row: usize| -> f64 {
                    let n_interactions = self.confidences.row(row).0.len();
                    let square: f32 =
                        table.row(row).iter().flat_map(|chunk| chunk.0).map(|value| value * value).sum();
                    f64::from(weights.regularization(n_interactions, n_columns)) * f64::from(square)
                };
                rows.clone().map(squares).sum()
            })
            .collect();
        blocks.into_iter().sum()
    }

    /// The rows of each block, apart, so that each can be changed by its own thread.
    fn slices<'t>(&self, table: &'t mut Table) -> Vec<&'t mut [Chunk]> {
        let n_chunks = table.n_chunks();
        let mut rest = table.chunks_mut();
        let mut slices = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let (front, back) = rest.split_at_mut(block.len() * n_chunks);
            slices.push(front);
            rest = back;
        }
        slices
    }

    fn exact(
        &self,
        weights: Objective,
        system: cholesky::System<'_>,
        rows: Range<usize>,
        chunks: &mut [Chunk],
    ) -> Result<f64, usize> {
        let mut scratch = cholesky::Scratch::new(system.fixed.n_factors());
        let mut objective = 0.0;
        for (row, x) in rows.zip(chunks.chunks_exact_mut(system.fixed.n_chunks())) {
            let (items, confidences) = self.confidences.row(row);
            if !items.is_empty() {
                let lambda = weights.regularization(items.len(), system.fixed.n_rows());
                objective += system.solve(items, confidences, lambda, x, &mut scratch).map_err(|_| row)?;
            }
        }
        Ok(objective)
    }

    fn by_blocks(
        &self,
        weights: Objective,
        system: subspace::System<'_>,
        rows: Range<usize>,
        chunks: &mut [Chunk],
    ) -> Result<f64, usize> {
        let mut scratch = subspace::Scratch::new(system.fixed.n_factors(), system.block_size);
        let mut objective = 0.0;
        for (row, x) in rows.zip(chunks.chunks_exact_mut(system.fixed.n_chunks())) {
            let (items, confidences) = self.confidences.row(row);
            if !items.is_empty() {
                let lambda = weights.regularization(items.len(), system.fixed.n_rows());
                objective += system.solve(items, confidences, lambda, x, &mut scratch).map_err(|_| row)?;
            }
        }
        Ok(objective)
    }
}

/// `gram` with its rows padded to whole chunks and their number to whole blocks.
fn padded(gram: &Mat<f32>, n_chunks: usize) -> Vec<Chunk> {
    let n_factors = gram.nrows();
    let mut rows = vec![Chunk::ZERO; n_factors.next_multiple_of(BLOCK) * n_chunks];
    for (i, row) in rows.chunks_exact_mut(n_chunks).take(n_factors).enumerate() {
        fill(row, (0..n_factors).map(|j| gram[(i, j)]));
    }
    rows
}

/// A block of rows for [`cg`], compiled for each instruction set.
struct CgBlock<'a> {
    side: &'a Side,
    weights: Objective,
    system: cg::System<'a>,
    rows: Range<usize>,
    chunks: &'a mut [Chunk],
}

impl WithSimd for CgBlock<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let mut scratch = cg::Scratch::default();
        let mut objective = 0.0;
        for (row, x) in self.rows.zip(self.chunks.chunks_exact_mut(self.system.fixed.n_chunks())) {
            let (items, confidences) = self.side.confidences.row(row);
            if !items.is_empty() {
                let lambda = self.weights.regularization(items.len(), self.system.fixed.n_rows());
                objective += self.system.solve(simd, items, confidences, lambda, x, &mut scratch);
            }
        }
        objective
    }
}
