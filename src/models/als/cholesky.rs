//! The exact solution of one row: the slow solver, for small numbers of factors and as a reference.
//!
//! `A` is built and factorised in its upper half by one and the same product of the kernel, four rows
//! at a time: `A += Σ (c − α₀) y yᵀ` over the gathered vectors, then `A = UᵀU`, where the rows of `U`
//! that are done are taken away from the next four.

use super::kernel::{Kernel, LINES};
use super::table::{Chunk, LANES, Table};

/// Vectors that are gathered for one product: they stay in the first-level cache.
const PIECE: usize = 64;
/// How far ahead vectors are fetched.
const SOON: usize = 16;
/// A pivot that is this small against its diagonal element is rounding.
const ROUNDING: f32 = 4.0 * f32::EPSILON;

/// `A` of a row is not positive definite: its equations have no single solution.
pub struct Singular;

/// What all rows of a half-step share.
#[derive(Clone, Copy)]
pub struct System<'a> {
    /// The other side's vectors `Y`.
    pub fixed: &'a Table,
    /// `α₀YᵀY`, its rows padded like those of `fixed`, their number to whole chunks, ones in the
    /// padding of the diagonal.
    pub gram: &'a [Chunk],
    /// Confidence `α₀` of a pair never observed.
    pub unobserved: f32,
}

/// Memory that rows use one after the other.
pub struct Scratch {
    a: Vec<Chunk>,
    b: Vec<Chunk>,
    gathered: Vec<Chunk>,
    weighted: Vec<Chunk>,
}

impl Scratch {
    /// Memory for rows of `n_chunks`.
    pub fn new(n_chunks: usize) -> Self {
        Self {
            a: Vec::new(),
            b: vec![Chunk::ZERO; n_chunks],
            gathered: vec![Chunk::ZERO; PIECE * n_chunks],
            weighted: vec![Chunk::ZERO; PIECE * n_chunks],
        }
    }
}

impl Scratch {
    /// `b ← A⁻¹ b`, with the `A` of the row that was solved last.
    #[inline(always)]
    pub fn solve_again<K: Kernel>(&self, kernel: K, n_factors: usize, b: &mut [Chunk]) {
        substitute(kernel, &self.a, n_factors, b);
    }
}

impl System<'_> {
    /// Sets the row `x` to the minimum of `φ(x) = xᵀAx − 2bᵀx` and returns `φ` there, `−bᵀx`, with
    /// `A = α₀YᵀY + λI + Σ (c − α₀) y yᵀ` and `b = Σ c y`.
    #[inline(always)]
    pub fn solve<K: Kernel>(
        &self,
        kernel: K,
        items: &[u32],
        confidences: &[f32],
        regularization: f32,
        x: &mut [Chunk],
        scratch: &mut Scratch,
    ) -> Result<f64, Singular> {
        let n_factors = self.fixed.n_factors();
        let n_chunks = x.len();
        let Scratch { a, b, gathered, weighted } = scratch;
        a.clear();
        a.extend_from_slice(self.gram);
        b.fill(Chunk::ZERO);
        (0..n_factors).for_each(|i| *at(a, n_chunks, i, i) += regularization);
        for (piece, (here, values)) in items.chunks(PIECE).zip(confidences.chunks(PIECE)).enumerate() {
            let length = here.len() * n_chunks;
            let (gathered, weighted) = (&mut gathered[..length], &mut weighted[..length]);
            let vectors = gathered.chunks_exact_mut(n_chunks).zip(weighted.chunks_exact_mut(n_chunks));
            for (j, ((vector, weighted), &value)) in vectors.zip(values).enumerate() {
                if let Some(&item) = items.get(piece * PIECE + j + SOON) {
                    kernel.prefetch(self.fixed.row(item as usize));
                }
                let row = self.fixed.row(here[j] as usize);
                kernel.scale_add(0.0, vector, 1.0, row);
                kernel.scale_add(0.0, weighted, value - self.unobserved, row);
                kernel.scale_add(1.0, b, value, row);
            }
            for first in (0..n_factors).step_by(LINES) {
                let lines = &mut a[first * n_chunks..][..LINES * n_chunks];
                kernel.outer::<true>(weighted, gathered, first, lines);
            }
        }
        factorize(kernel, a, n_factors, n_chunks, regularization)?;
        kernel.scale_add(0.0, x, 1.0, b);
        substitute(kernel, a, n_factors, x);
        Ok(-f64::from(kernel.dot(b, x)))
    }
}

/// The number in row `i` and column `j`.
#[inline(always)]
fn at(a: &mut [Chunk], n_chunks: usize, i: usize, j: usize) -> &mut f32 {
    &mut a[i * n_chunks + j / LANES].0[j % LANES]
}

/// Replaces the upper half of `A` by `U` with `A = UᵀU`; chunks on the diagonal get their zeros.
#[inline(always)]
fn factorize<K: Kernel>(
    kernel: K,
    a: &mut [Chunk],
    n_factors: usize,
    n_chunks: usize,
    regularization: f32,
) -> Result<(), Singular> {
    for first in (0..n_factors).step_by(LINES) {
        let mut whole = [0.0; LINES];
        for (i, whole) in whole.iter_mut().enumerate() {
            *whole = *at(a, n_chunks, first + i, first + i);
        }
        let (done, rest) = a.split_at_mut(first * n_chunks);
        let lines = &mut rest[..LINES * n_chunks];
        kernel.outer::<false>(done, done, first, lines);
        for (i, whole) in whole.into_iter().enumerate() {
            let start = (first + i) / LANES;
            let (above, line) = lines.split_at_mut(i * n_chunks);
            let line = &mut line[start..n_chunks];
            for above in above.chunks_exact(n_chunks) {
                let value = above[start].0[(first + i) % LANES];
                kernel.scale_add(1.0, line, -value, &above[start..]);
            }
            let pivot = line[0].0[(first + i) % LANES];
            // `A − λI` has no negative eigenvalue, so a pivot below `λ` is rounding.
            let pivot = if pivot < regularization { regularization } else { pivot };
            if pivot <= whole * ROUNDING && regularization <= 0.0 {
                return Err(Singular);
            }
            let scale = 1.0 / pivot.sqrt();
            line.iter_mut().flat_map(|chunk| &mut chunk.0).for_each(|value| *value *= scale);
            line[0].0[..(first + i) % LANES].fill(0.0);
            line[0].0[(first + i) % LANES] = pivot.sqrt();
        }
    }
    Ok(())
}

/// Solves `UᵀU x = b` in the place of `b`.
#[inline(always)]
fn substitute<K: Kernel>(kernel: K, u: &[Chunk], n_factors: usize, x: &mut [Chunk]) {
    let n_chunks = x.len();
    for i in 0..n_factors {
        let (start, lane) = (i / LANES, i % LANES);
        let line = &u[i * n_chunks + start..][..n_chunks - start];
        let value = x[start].0[lane] / line[0].0[lane];
        kernel.scale_add(1.0, &mut x[start..], -value, line);
        x[start].0[lane] = value;
    }
    for i in (0..n_factors).rev() {
        let (start, lane) = (i / LANES, i % LANES);
        let line = &u[i * n_chunks + start..][..n_chunks - start];
        let value = std::mem::take(&mut x[start].0[lane]);
        x[start].0[lane] = (value - kernel.dot(line, &x[start..])) / line[0].0[lane];
    }
}
