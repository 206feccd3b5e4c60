//! One row solved exactly in blocks of factors, one block after the other: iALS++.
//!
//! The block `π` of the row moves to the minimum over the block of `φ(x) = xᵀAx − 2bᵀx`, with
//! `A = α₀YᵀY + λI + Σ (c − α₀) y yᵀ` and `b = Σ c y`:
//!
//! ```text
//! x_π ← x_π + A_ππ⁻¹ h_π        h = b − A x
//! ```
//!
//! which costs `block²` per interaction instead of `factors²`. The predictions `s = y·x` of the row's
//! interactions are kept while the blocks change `x`, so that `h_π` needs the block's numbers only. Each
//! block lowers `φ` by `h_π · A_ππ⁻¹ h_π`, so `φ` at the end comes free.
//!
//! The source goes through all users and all items for one block before it takes up the next one; here
//! a row does all its blocks at once. It is the same descent in another order, with predictions that
//! live as long as the row, not as long as the fit.
//!
//! # Source
//! Rendle, Krichene, Zhang, Koren: iALS++: Speeding up matrix factorization with subspace optimization,
//! 2021.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::matmul::{matmul, triangular};
use faer::{Accum, Mat, MatMut, MatRef, Par};

use super::cholesky::Singular;
use super::table::{Chunk, Table, fill};

/// Vectors that are gathered for one product.
const PIECE: usize = 512;

/// What all rows of a half-step share.
#[derive(Clone, Copy)]
pub struct System<'a> {
    /// The other side's vectors `Y`.
    pub fixed: &'a Table,
    /// `α₀YᵀY`.
    pub gram: &'a Mat<f32>,
    /// Confidence `α₀` of a pair never observed.
    pub unobserved_weight: f32,
    /// Factors that are solved at once.
    pub block_size: usize,
}

/// Memory that rows use one after the other.
pub struct Scratch {
    a: Mat<f32>,
    x: Vec<f32>,
    /// `α₀YᵀY x`.
    gram_x: Vec<f32>,
    step: Vec<f32>,
    predictions: Vec<f32>,
    weights: Vec<f32>,
    gathered: Vec<f32>,
    weighted: Vec<f32>,
    factorization: MemBuffer,
}

impl Scratch {
    /// Memory for rows of `n_factors`.
    pub fn new(n_factors: usize, block_size: usize) -> Self {
        let factorization =
            llt::factor::cholesky_in_place_scratch::<f32>(block_size, Par::Seq, Default::default());
        Self {
            a: Mat::zeros(block_size, block_size),
            x: Vec::with_capacity(n_factors),
            gram_x: vec![0.0; n_factors],
            step: Vec::with_capacity(block_size),
            predictions: Vec::new(),
            weights: Vec::new(),
            gathered: Vec::new(),
            weighted: Vec::new(),
            factorization: MemBuffer::new(factorization),
        }
    }
}

impl System<'_> {
    /// Moves every block of the row `x` to its minimum, in turn, and returns `φ` after the last.
    ///
    /// # Errors
    /// When a block has no single minimum.
    pub fn solve(
        &self,
        items: &[u32],
        confidences: &[f32],
        regularization: f32,
        x: &mut [Chunk],
        scratch: &mut Scratch,
    ) -> Result<f64, Singular> {
        let n_factors = self.fixed.n_factors();
        scratch.x.clear();
        scratch.x.extend(x.iter().flat_map(|chunk| chunk.0).take(n_factors));
        let mut objective = self.start(items, confidences, regularization, scratch);
        for start in (0..n_factors).step_by(self.block_size) {
            let size = self.block_size.min(n_factors - start);
            objective -= self.block(items, confidences, regularization, start, size, scratch)?;
        }
        fill(x, scratch.x.iter().copied());
        Ok(objective)
    }

    /// Predictions, weights and `α₀YᵀY x` of the row as it stands; returns `φ`.
    fn start(&self, items: &[u32], confidences: &[f32], regularization: f32, scratch: &mut Scratch) -> f64 {
        let n_factors = scratch.x.len();
        let Scratch { x, gram_x, predictions, weights, gathered, .. } = scratch;
        let x = MatRef::from_column_major_slice(x, n_factors, 1);
        let gram_x_column = MatMut::from_column_major_slice_mut(gram_x, n_factors, 1);
        matmul(gram_x_column, Accum::Replace, self.gram, x, 1.0, Par::Seq);
        predictions.resize(items.len(), 0.0);
        for (items, predictions) in items.chunks(PIECE).zip(predictions.chunks_mut(PIECE)) {
            gathered.clear();
            items.iter().for_each(|&item| self.fixed.extend_row(item as usize, gathered));
            let gathered = MatRef::from_row_major_slice(gathered, items.len(), n_factors);
            let predictions = MatMut::from_column_major_slice_mut(predictions, items.len(), 1);
            matmul(predictions, Accum::Replace, gathered, x, 1.0, Par::Seq);
        }
        weights.clear();
        weights.extend(confidences.iter().map(|confidence| confidence - self.unobserved_weight));
        let mut objective = 0.0;
        for (&x, &gram_x) in scratch.x.iter().zip(&scratch.gram_x) {
            objective += f64::from(x) * (f64::from(gram_x) + f64::from(regularization) * f64::from(x));
        }
        for (&prediction, &confidence) in scratch.predictions.iter().zip(confidences) {
            let prediction = f64::from(prediction);
            let weight = f64::from(confidence) - f64::from(self.unobserved_weight);
            objective += prediction * (weight * prediction - 2.0 * f64::from(confidence));
        }
        objective
    }

    /// Moves the factors from `start` on to their minimum; returns how much `φ` falls.
    fn block(
        &self,
        items: &[u32],
        confidences: &[f32],
        regularization: f32,
        start: usize,
        size: usize,
        scratch: &mut Scratch,
    ) -> Result<f64, Singular> {
        let Scratch { a, x, gram_x, step, predictions, weights, gathered, weighted, factorization } = scratch;
        let n_factors = x.len();
        let mut a = a.as_mut().submatrix_mut(0, 0, size, size);
        a.copy_from(self.gram.submatrix(start, start, size, size));
        (0..size).for_each(|i| a[(i, i)] += regularization);
        step.clear();
        step.extend((start..start + size).map(|i| -gram_x[i] - regularization * x[i]));
        for at in (0..items.len()).step_by(PIECE) {
            let piece = at..(at + PIECE).min(items.len());
            self.gather(&items[piece.clone()], start, size, gathered);
            weighted.clear();
            for (vector, weight) in gathered.chunks_exact(size).zip(&weights[piece.clone()]) {
                weighted.extend(vector.iter().map(|value| weight * value));
            }
            let residuals: Vec<f32> =
                piece.clone().map(|j| confidences[j] - weights[j] * predictions[j]).collect();
            let vectors = MatRef::from_row_major_slice(gathered, piece.len(), size);
            let weighted = MatRef::from_row_major_slice(weighted, piece.len(), size);
            let (lower, full) =
                (triangular::BlockStructure::TriangularLower, triangular::BlockStructure::Rectangular);
            triangular::matmul(
                a.as_mut(),
                lower,
                Accum::Add,
                vectors.transpose(),
                full,
                weighted,
                full,
                1.0,
                Par::Seq,
            );
            let gradient = MatMut::from_column_major_slice_mut(step, size, 1);
            let residuals = MatRef::from_column_major_slice(&residuals, piece.len(), 1);
            matmul(gradient, Accum::Add, vectors.transpose(), residuals, 1.0, Par::Seq);
        }
        let gradient = step.clone();
        let memory = MemStack::new(factorization);
        llt::factor::cholesky_in_place(a.as_mut(), Default::default(), Par::Seq, memory, Default::default())
            .map_err(|_| Singular)?;
        let column = MatMut::from_column_major_slice_mut(step, size, 1);
        llt::solve::solve_in_place(a.as_ref(), column, Par::Seq, MemStack::new(factorization));
        let fall = gradient.iter().zip(&*step).map(|(&h, &d)| f64::from(h) * f64::from(d)).sum();

        x[start..start + size].iter_mut().zip(&*step).for_each(|(x, d)| *x += d);
        if start + size < n_factors {
            let step = MatRef::from_column_major_slice(step, size, 1);
            let later = MatMut::from_column_major_slice_mut(gram_x, n_factors, 1);
            matmul(later, Accum::Add, self.gram.subcols(start, size), step, 1.0, Par::Seq);
            for at in (0..items.len()).step_by(PIECE) {
                let piece = at..(at + PIECE).min(items.len());
                if items.len() > PIECE {
                    self.gather(&items[piece.clone()], start, size, gathered);
                }
                let vectors = MatRef::from_row_major_slice(gathered, piece.len(), size);
                let predictions =
                    MatMut::from_column_major_slice_mut(&mut predictions[piece.clone()], piece.len(), 1);
                matmul(predictions, Accum::Add, vectors, step, 1.0, Par::Seq);
            }
        }
        Ok(fall)
    }

    /// The numbers `start..start + size` of the vectors of `items`, one vector after the other.
    fn gather(&self, items: &[u32], start: usize, size: usize, gathered: &mut Vec<f32>) {
        gathered.clear();
        items.iter().for_each(|&item| self.fixed.extend_part(item as usize, start..start + size, gathered));
    }
}
