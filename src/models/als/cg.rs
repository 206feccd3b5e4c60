//! A few steps of conjugate gradients for one row: the fast solver.
//!
//! Minimises `φ(x) = xᵀAx − 2bᵀx` from where the row stood, with `A = Λ + ρI + Σ (c − α₀) y yᵀ` and
//! `b = Σ c y` over the row's interactions, in the [`Basis`](super::basis::Basis) where the Gram matrix
//! `Λ` is diagonal. `A` is never formed: a product with it is a pass over the gathered vectors `y`.
//! They are gathered once, into a scratch that stays in the cache for all passes; only rows too long
//! for it are gathered piece by piece. The last step needs its length alone, half a pass.
//!
//! `φ` at the end comes free: `φ(x₀) = −(r₀ + b)·x₀`, and a step of length `α` lowers it by `α r·z`.
//!
//! # Source
//! Takács, Pilászy, Tikk: Applications of the conjugate gradient method for implicit feedback
//! collaborative filtering, RecSys 2011.

use super::kernel::{Kernel, TILE};
use super::table::{Chunk, LANES};

/// Cache that a gathered row may take, in chunks (512 KiB, half of a usual second-level cache).
const SCRATCH_CHUNKS: usize = 8192;
/// Squared residual at which a row counts as solved.
const SOLVED: f32 = 1e-20;

/// What all rows of a half-step share.
pub struct System<'a, P> {
    /// The other side's vectors `Y`, scaled, `n_chunks` each.
    pub gathered: &'a [P],
    /// The diagonal of `Λ`.
    pub eigenvalues: &'a [Chunk],
    /// The scale of `gathered`.
    pub scale: f32,
    /// Weight `α₀` of a pair that was never observed.
    pub unobserved: f32,
    /// Steps a row.
    pub steps: usize,
}

/// One row to be solved.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// Vectors of the other side.
    pub items: &'a [u32],
    /// Their confidences `c`.
    pub confidences: &'a [f32],
    /// Regularisation `ρ`.
    pub ridge: f32,
}

/// Memory that rows use one after the other.
#[derive(Default)]
pub struct Scratch {
    tiles: Vec<Chunk>,
    /// `c − α₀`, zeros in the padding.
    weights: Vec<Chunk>,
    confidences: Vec<Chunk>,
    diagonal: Vec<Chunk>,
    residual: Vec<Chunk>,
    direction: Vec<Chunk>,
    product: Vec<Chunk>,
}

impl<P: Copy> System<'_, P> {
    /// Improves the row `x` and returns `φ` there.
    #[inline(always)]
    pub fn solve<K: Kernel<Packed = P>>(
        &self,
        kernel: K,
        row: Row<'_>,
        x: &mut [Chunk],
        scratch: &mut Scratch,
    ) -> f64 {
        let n_chunks = x.len();
        let piece = (SCRATCH_CHUNKS / n_chunks).next_multiple_of(TILE).max(TILE);
        let gathered_once = row.items.len() <= piece;
        let Scratch { tiles, weights, confidences, diagonal, residual, direction, product } = scratch;
        let unscaled = 1.0 / self.scale;

        // r = b − A x
        diagonal.clear();
        diagonal.extend(self.eigenvalues.iter().map(|chunk| Chunk(chunk.0.map(|value| value + row.ridge))));
        residual.clear();
        residual.extend(diagonal.iter().zip(&*x).map(|(d, x)| negated_product(d, x)));
        let mut b_x = Chunk::ZERO;
        for (items, values) in row.items.chunks(piece).zip(row.confidences.chunks(piece)) {
            self.gather(kernel, items, values, n_chunks, tiles, weights, confidences);
            for ((tile, weights), confidences) in
                tiles.chunks_exact(TILE * n_chunks).zip(&*weights).zip(&*confidences)
            {
                let dots = kernel.dots(tile, x);
                let mut pull = Chunk::ZERO;
                for j in 0..TILE {
                    let dot = dots.0[j] * unscaled;
                    b_x.0[j] += confidences.0[j] * dot;
                    pull.0[j] = (confidences.0[j] - weights.0[j] * dot) * unscaled;
                }
                kernel.add_weighted(tile, &pull, residual);
            }
        }
        let b_x: f32 = b_x.0.iter().sum();
        let mut objective = -f64::from(kernel.dot(residual, x)) - f64::from(b_x);
        direction.clone_from(residual);
        let mut squares = kernel.dot(residual, residual);

        for step in 1..=self.steps {
            if squares < SOLVED {
                break;
            }
            let last = step == self.steps;
            product.clear();
            product.extend(
                diagonal
                    .iter()
                    .zip(&*direction)
                    .map(|(d, p)| Chunk(std::array::from_fn(|i| d.0[i] * p.0[i]))),
            );
            let mut curvature = kernel.dot(product, direction);
            let mut bend = Chunk::ZERO;
            for (items, values) in row.items.chunks(piece).zip(row.confidences.chunks(piece)) {
                if !gathered_once {
                    self.gather(kernel, items, values, n_chunks, tiles, weights, confidences);
                }
                for (tile, weights) in tiles.chunks_exact(TILE * n_chunks).zip(&*weights) {
                    let dots = kernel.dots(tile, direction);
                    let mut pull = Chunk::ZERO;
                    for j in 0..TILE {
                        let dot = dots.0[j] * unscaled;
                        let weighted = weights.0[j] * dot;
                        bend.0[j] += weighted * dot;
                        pull.0[j] = weighted * unscaled;
                    }
                    if !last {
                        kernel.add_weighted(tile, &pull, product);
                    }
                }
            }
            curvature += bend.0.iter().sum::<f32>();
            if curvature <= 0.0 {
                break;
            }
            let length = squares / curvature;
            kernel.scale_add(1.0, x, length, direction);
            objective -= f64::from(length) * f64::from(squares);
            if last {
                break;
            }
            kernel.scale_add(1.0, residual, -length, product);
            let next_squares = kernel.dot(residual, residual);
            kernel.scale_add(next_squares / squares, direction, 1.0, residual);
            squares = next_squares;
        }
        objective
    }

    /// Fills tiles with the vectors of `items`; whole tiles, filled up with zero vectors.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "parts of one scratch, borrowed apart")]
    fn gather<K: Kernel<Packed = P>>(
        &self,
        kernel: K,
        items: &[u32],
        values: &[f32],
        n_chunks: usize,
        tiles: &mut Vec<Chunk>,
        weights: &mut Vec<Chunk>,
        confidences: &mut Vec<Chunk>,
    ) {
        let n_tiles = items.len().div_ceil(TILE);
        tiles.resize(n_tiles * TILE * n_chunks, Chunk::ZERO);
        weights.clear();
        confidences.clear();
        let row = |item: u32| &self.gathered[item as usize * n_chunks..][..n_chunks];
        for (at, tile) in tiles.chunks_exact_mut(TILE * n_chunks).enumerate() {
            let start = at * TILE;
            let here = &items[start..items.len().min(start + TILE)];
            for &item in items.iter().skip(start + TILE).take(TILE) {
                kernel.prefetch(row(item));
            }
            for (j, &item) in here.iter().enumerate() {
                kernel.unpack(row(item), tile, j);
            }
            for j in here.len()..TILE {
                for chunks in tile.chunks_exact_mut(TILE) {
                    chunks[j] = Chunk::ZERO;
                }
            }
            let (mut weight, mut confidence) = (Chunk::ZERO, Chunk::ZERO);
            for (j, &value) in values[start..][..here.len()].iter().enumerate() {
                weight.0[j] = value - self.unobserved;
                confidence.0[j] = value;
            }
            weights.push(weight);
            confidences.push(confidence);
        }
    }
}

#[inline(always)]
fn negated_product(a: &Chunk, b: &Chunk) -> Chunk {
    Chunk(std::array::from_fn(|i| -a.0[i] * b.0[i]))
}

const _: () = assert!(TILE == LANES, "one number for each vector of a tile fills a chunk");
