//! A few steps of conjugate gradients for one row: the fast solver.
//!
//! Minimises `φ(x) = xᵀAx − 2bᵀx` from where the row stood, with `A = α₀YᵀY + λI + Σ (c − α₀) y yᵀ` and
//! `b = Σ c y` over the row's interactions. `A` is never formed: a product with it is a product with
//! `α₀YᵀY + λI` and a pass over the gathered vectors `y`. The vectors are gathered once into a scratch
//! that stays in the cache for all passes; only rows too long for it are gathered piece by piece.
//!
//! `φ` at the end comes free: `φ(x₀) = −(r₀ + b)·x₀`, and a step of length `α` lowers it by `α r·r`.
//!
//! # Source
//! Takács, Pilászy, Tikk: Applications of the conjugate gradient method for implicit feedback
//! collaborative filtering, RecSys 2011.

use pulp::Simd;

use super::kernel::{BLOCK, add_weighted, dot, dots, scale_add};
use super::table::{Chunk, LANES, Table};

/// Cache that a gathered row may take, in chunks (512 KiB, half of a usual second-level cache).
const SCRATCH_CHUNKS: usize = 8192;
/// Squared residual at which a row counts as solved.
const SOLVED: f32 = 1e-20;

/// What all rows of a half-step share.
#[derive(Clone, Copy)]
pub struct System<'a> {
    /// The other side's vectors `Y`.
    pub fixed: &'a Table,
    /// `α₀YᵀY`, its rows padded like those of `fixed`, their number to whole blocks.
    pub gram: &'a [Chunk],
    /// Confidence `α₀` of a pair never observed.
    pub unobserved_weight: f32,
    /// Steps a row.
    pub steps: usize,
}

/// Memory that rows use one after the other.
#[derive(Default)]
pub struct Scratch {
    gathered: Vec<Chunk>,
    confidences: Vec<f32>,
    residual: Vec<Chunk>,
    direction: Vec<Chunk>,
    product: Vec<Chunk>,
}

impl Scratch {
    /// Copies the vectors of `items`; whole blocks, filled up with zero vectors.
    #[inline(always)]
    fn gather(&mut self, fixed: &Table, items: &[u32], confidences: &[f32]) {
        let n_padded = items.len().next_multiple_of(BLOCK);
        self.gathered.resize(n_padded * fixed.n_chunks(), Chunk::ZERO);
        let (used, padding) = self.gathered.split_at_mut(items.len() * fixed.n_chunks());
        for (vector, &item) in used.chunks_exact_mut(fixed.n_chunks()).zip(items) {
            for (chunk, from) in vector.iter_mut().zip(fixed.row(item as usize)) {
                *chunk = *from;
            }
        }
        padding.fill(Chunk::ZERO);
        self.confidences.clear();
        self.confidences.extend_from_slice(confidences);
        self.confidences.resize(n_padded, 0.0);
    }
}

impl System<'_> {
    /// Improves the row `x` with these interactions and regularisation `λ`, and returns `φ` there.
    #[inline(always)]
    pub fn solve<S: Simd>(
        &self,
        simd: S,
        items: &[u32],
        confidences: &[f32],
        regularization: f32,
        x: &mut [Chunk],
        scratch: &mut Scratch,
    ) -> f64 {
        let n_chunks = x.len();
        let piece = (SCRATCH_CHUNKS / n_chunks).max(BLOCK);
        let gathered_once = items.len() <= piece;

        // r = b − A x
        let mut residual = std::mem::take(&mut scratch.residual);
        self.gram_product(simd, regularization, x, &mut residual);
        for chunk in &mut residual {
            for value in &mut chunk.0 {
                *value = -*value;
            }
        }
        let mut b_x = 0.0f64;
        for (items, confidences) in items.chunks(piece).zip(confidences.chunks(piece)) {
            scratch.gather(self.fixed, items, confidences);
            b_x += f64::from(scratch.first_pass(simd, self.unobserved_weight, x, &mut residual));
        }
        let mut direction = std::mem::take(&mut scratch.direction);
        direction.clone_from(&residual);
        let mut product = std::mem::take(&mut scratch.product);
        let mut squares = dot(simd, &residual, &residual);
        let mut objective = -f64::from(dot(simd, &residual, x)) - b_x;

        for _ in 0..self.steps {
            if squares < SOLVED {
                break;
            }
            self.gram_product(simd, regularization, &direction, &mut product);
            for (items, confidences) in items.chunks(piece).zip(confidences.chunks(piece)) {
                if !gathered_once {
                    scratch.gather(self.fixed, items, confidences);
                }
                scratch.pass(simd, self.unobserved_weight, &direction, &mut product);
            }
            let curvature = dot(simd, &direction, &product);
            if curvature <= 0.0 {
                break;
            }
            let length = squares / curvature;
            scale_add(simd, 1.0, x, length, &direction);
            scale_add(simd, 1.0, &mut residual, -length, &product);
            objective -= f64::from(length) * f64::from(squares);
            let next_squares = dot(simd, &residual, &residual);
            scale_add(simd, next_squares / squares, &mut direction, 1.0, &residual);
            squares = next_squares;
        }
        (scratch.residual, scratch.direction, scratch.product) = (residual, direction, product);
        objective
    }

    /// `out ← (α₀YᵀY + λI) vector`.
    #[inline(always)]
    fn gram_product<S: Simd>(&self, simd: S, regularization: f32, vector: &[Chunk], out: &mut Vec<Chunk>) {
        let n_chunks = vector.len();
        out.clear();
        out.resize(n_chunks, Chunk::ZERO);
        scale_add(simd, 0.0, out, regularization, vector);
        for (block, rows) in self.gram.chunks_exact(BLOCK * n_chunks).enumerate() {
            let start = block * BLOCK;
            let (blocks, _) = vector[start / LANES].0.as_chunks::<BLOCK>();
            add_weighted(simd, rows, blocks[start % LANES / BLOCK], out);
        }
    }
}

impl Scratch {
    /// `out += Σ (c − (c − α₀) y·x) y`; returns `Σ c y·x`.
    #[inline(always)]
    fn first_pass<S: Simd>(&self, simd: S, unobserved: f32, x: &[Chunk], out: &mut [Chunk]) -> f32 {
        let mut b_x = 0.0;
        let blocks = self.gathered.chunks_exact(BLOCK * x.len());
        for (rows, confidences) in blocks.zip(self.confidences.as_chunks::<BLOCK>().0) {
            let dots = dots(simd, rows, x);
            let mut weights = [0.0; BLOCK];
            for j in 0..BLOCK {
                weights[j] = confidences[j] - (confidences[j] - unobserved) * dots[j];
                b_x += confidences[j] * dots[j];
            }
            add_weighted(simd, rows, weights, out);
        }
        b_x
    }

    /// `out += Σ (c − α₀) (y·p) y`.
    #[inline(always)]
    fn pass<S: Simd>(&self, simd: S, unobserved: f32, p: &[Chunk], out: &mut [Chunk]) {
        let blocks = self.gathered.chunks_exact(BLOCK * p.len());
        for (rows, confidences) in blocks.zip(self.confidences.as_chunks::<BLOCK>().0) {
            let dots = dots(simd, rows, p);
            let mut weights = [0.0; BLOCK];
            for j in 0..BLOCK {
                weights[j] = (confidences[j] - unobserved) * dots[j];
            }
            add_weighted(simd, rows, weights, out);
        }
    }
}
