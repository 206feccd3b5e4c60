//! Coordinates in which the Gram matrix of the fixed side is diagonal.
//!
//! Every product of a row-solve with `A` holds one with `YᵀY`, `f²` multiply-adds; in the basis of its
//! eigenvectors it takes `f`. The change of basis is orthogonal, so scores, lengths and every step of
//! conjugate gradients stay the same: the vectors of both sides go in before a half-step, in products
//! of whole blocks of rows, which run at the speed of the multipliers, and stay there until the next
//! half-step takes them to its own basis.
//!
//! Fixed vectors are gathered scaled by a power of two, to lengths that a 16-bit float holds well.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{Mat, Par};

use super::kernel::panels;
use super::table::{Chunk, LANES, fill};

/// The eigenvectors of a Gram matrix and a scale.
pub struct Basis {
    /// One for each coordinate, ones in the padding.
    pub eigenvalues: Vec<Chunk>,
    /// The eigenvectors as columns of `n_factors` padded rows, by [`panels`]: a vector times this is in
    /// the basis.
    pub vectors: Vec<Chunk>,
    /// What gathered vectors are multiplied with: a power of two, and its inverse is one too.
    pub scale: f32,
}

impl Basis {
    /// Of a symmetric `gram` (its lower half is read) of vectors not longer than `longest`, which may
    /// become as long as `2^length`; without one they keep their lengths.
    ///
    /// `None` when `gram` holds numbers that are not finite.
    pub fn new(gram: &Mat<f32>, longest: f32, length: Option<i32>) -> Option<Self> {
        let n_factors = gram.nrows();
        let n_chunks = n_factors.div_ceil(LANES);
        let gram = Mat::from_fn(n_factors, n_factors, |i, j| f64::from(gram[(i, j)]));
        if !gram.is_all_finite() {
            return None;
        }
        let mut values = Diag::<f64>::zeros(n_factors);
        let mut vectors = Mat::<f64>::zeros(n_factors, n_factors);
        let (compute, parameters) = (ComputeEigenvectors::Yes, Default::default());
        let memory = self_adjoint_evd_scratch::<f64>(n_factors, compute, Par::Seq, parameters);
        let mut memory = MemBuffer::new(memory);
        let stack = MemStack::new(&mut memory);
        let vectors_out = Some(vectors.as_mut());
        self_adjoint_evd(gram.as_ref(), values.as_mut(), vectors_out, Par::Seq, stack, parameters).ok()?;

        let scale = match length {
            // The exponents of f32 bound it.
            Some(length) if longest > 0.0 => {
                ((length - longest.log2().ceil() as i32).clamp(-120, 120) as f32).exp2()
            }
            _ => 1.0,
        };
        let mut eigenvalues = vec![Chunk([1.0; LANES]); n_chunks];
        let scaled = values.column_vector().iter().map(|value| value.max(0.0) as f32);
        fill(&mut eigenvalues, scaled);
        let mut rows = vec![Chunk::ZERO; n_factors * n_chunks];
        for (i, row) in rows.chunks_exact_mut(n_chunks).enumerate() {
            fill(row, (0..n_factors).map(|j| vectors[(i, j)] as f32));
        }
        Some(Self { eigenvalues, vectors: panels(&rows, n_chunks), scale })
    }
}
