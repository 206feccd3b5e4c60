//! The exact solution of one row alone, with its factorisation at hand afterwards: for fold-in and
//! explanations. Sweeps over millions of rows take `cholesky`, which a test holds against this.

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
}

/// Memory that rows use one after the other.
pub struct Scratch {
    a: Mat<f32>,
    b: Vec<f32>,
    gathered: Vec<f32>,
    weighted: Vec<f32>,
    factorization: MemBuffer,
}

impl Scratch {
    /// Memory for rows of `n_factors`.
    pub fn new(n_factors: usize) -> Self {
        let factorization =
            llt::factor::cholesky_in_place_scratch::<f32>(n_factors, Par::Seq, Default::default());
        Self {
            a: Mat::zeros(n_factors, n_factors),
            b: vec![0.0; n_factors],
            gathered: Vec::new(),
            weighted: Vec::new(),
            factorization: MemBuffer::new(factorization),
        }
    }
}

impl Scratch {
    /// `A⁻¹ b` for another right-hand side, with the `A` of the row that was solved last.
    pub fn solve_again(&mut self, b: &mut [f32]) {
        let column = MatMut::from_column_major_slice_mut(b, self.a.nrows(), 1);
        llt::solve::solve_in_place(self.a.as_ref(), column, Par::Seq, MemStack::new(&mut self.factorization));
    }
}

impl System<'_> {
    /// Sets the row `x` to the minimum of `φ(x) = xᵀAx − 2bᵀx` and returns `φ` there, `−bᵀx`, with
    /// `A = α₀YᵀY + λI + Σ (c − α₀) y yᵀ` and `b = Σ c y`.
    pub fn solve(
        &self,
        items: &[u32],
        confidences: &[f32],
        regularization: f32,
        x: &mut [Chunk],
        scratch: &mut Scratch,
    ) -> Result<f64, Singular> {
        let n_factors = self.fixed.n_factors();
        let Scratch { a, b, gathered, weighted, factorization } = scratch;
        a.copy_from(self.gram);
        (0..n_factors).for_each(|i| a[(i, i)] += regularization);
        b.fill(0.0);
        for (items, confidences) in items.chunks(PIECE).zip(confidences.chunks(PIECE)) {
            gathered.clear();
            weighted.clear();
            for (&item, &confidence) in items.iter().zip(confidences) {
                let start = gathered.len();
                self.fixed.extend_row(item as usize, gathered);
                let weight = confidence - self.unobserved_weight;
                weighted.extend(gathered[start..].iter().map(|value| weight * value));
            }
            let gathered = MatRef::from_row_major_slice(gathered, items.len(), n_factors);
            let weighted = MatRef::from_row_major_slice(weighted, items.len(), n_factors);
            let (lower, full) =
                (triangular::BlockStructure::TriangularLower, triangular::BlockStructure::Rectangular);
            triangular::matmul(
                a.as_mut(),
                lower,
                Accum::Add,
                gathered.transpose(),
                full,
                weighted,
                full,
                1.0,
                Par::Seq,
            );
            let b = MatMut::from_column_major_slice_mut(b, n_factors, 1);
            let confidences = MatRef::from_column_major_slice(confidences, items.len(), 1);
            matmul(b, Accum::Add, gathered.transpose(), confidences, 1.0, Par::Seq);
        }
        llt::factor::cholesky_in_place(
            a.as_mut(),
            Default::default(),
            Par::Seq,
            MemStack::new(factorization),
            Default::default(),
        )
        .map_err(|_| Singular)?;
        let mut solution = b.clone();
        let column = MatMut::from_column_major_slice_mut(&mut solution, n_factors, 1);
        llt::solve::solve_in_place(a.as_ref(), column, Par::Seq, MemStack::new(factorization));
        let b_x: f64 = solution.iter().zip(&*b).map(|(&x, &b)| f64::from(x) * f64::from(b)).sum();
        fill(x, solution);
        Ok(-b_x)
    }
}
