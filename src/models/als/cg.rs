//! A few steps of conjugate gradients for one row: the fast solver.
//!
//! Minimises `φ(x) = xᵀAx − 2bᵀx` from where the row stood, with `A = Λ + ρI + Σ (c − α₀) y yᵀ` and
//! `b = Σ c y` over the row's interactions, in the [`Basis`](super::basis::Basis) where the Gram matrix
//! `Λ` is diagonal. `A` is never formed: a product with it is a pass over the gathered vectors `y`.
//! They are gathered once, into a scratch that stays in the cache for all passes; only rows too long
//! for it are gathered piece by piece. The last step needs its length alone, half a pass.
//!
//! `φ` at the end comes free: `φ(x₀) = −x₀ᵀAx₀ − 2r₀·x₀`, and a step of length `α` lowers it by `α r·r`.
//!
//! # Source
//! Takács, Pilászy, Tikk: Applications of the conjugate gradient method for implicit feedback
//! collaborative filtering, RecSys 2011.

use super::kernel::{Kernel, TILE};
use super::table::{Chunk, LANES};

/// Cache that a gathered row may take, in chunks (512 KiB, half of a usual second-level cache).
const SCRATCH_CHUNKS: usize = 8192;
/// Vectors of the next row that are fetched while a row is solved.
const AHEAD: usize = 256;
/// How far ahead the others are fetched, in vectors.
const SOON: usize = 2 * TILE;
/// Tiles whose part of `φ` is summed in f32.
const FLUSH: usize = 16;
/// Squared residual at which a row counts as solved.
const SOLVED: f32 = 1e-20;

/// What all rows of a half-step share.
pub struct System<'a, P> {
    /// The other side's vectors `Y`, scaled, `n_chunks` each.
    pub gathered: &'a [P],
    /// The diagonal of `Λ`.
    pub eigenvalues: &'a [Chunk],
    /// The scale of `gathered`, a power of two.
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
    /// Vectors that the row after this one will ask for.
    pub next_items: &'a [u32],
}

/// Memory that rows use one after the other.
#[derive(Default)]
pub struct Scratch {
    tiles: Vec<Chunk>,
    confidences: Vec<Chunk>,
    residual: Vec<Chunk>,
    direction: Vec<Chunk>,
    product: Vec<Chunk>,
}

impl<P: Copy> System<'_, P> {
    /// Improves the row `x` and returns `φ` there. `N` is its number of chunks, known to the compiler, or
    /// 0 for any.
    #[inline(always)]
    pub fn solve<K: Kernel<Packed = P>, const N: usize>(
        &self,
        kernel: K,
        row: Row<'_>,
        x: &mut [Chunk],
        scratch: &mut Scratch,
    ) -> f64 {
        let n_chunks = if N > 0 { N } else { x.len() };
        let x = &mut x[..n_chunks];
        let tile_length = TILE * n_chunks;
        let n_tiles = row.items.len().div_ceil(TILE);
        let n_here = |at: usize| (row.items.len() - at * TILE).min(TILE);
        let kept = n_tiles.min((SCRATCH_CHUNKS / tile_length).max(1)).max(1);
        let mut next = Ahead::new(row.next_items, n_tiles * (self.steps + 1));
        let Scratch { tiles, confidences, residual, direction, product } = scratch;
        if tiles.len() < kept * tile_length {
            tiles.resize(kept * tile_length, Chunk::ZERO);
        }
        confidences.clear();
        for vector in [&mut *residual, direction, product] {
            vector.resize(n_chunks, Chunk::ZERO);
        }
        let (residual, direction) = (&mut residual[..n_chunks], &mut direction[..n_chunks]);
        let (product, eigenvalues) = (&mut product[..n_chunks], &self.eigenvalues[..n_chunks]);
        let unscaled = 1.0 / self.scale;

        // r = b − A x
        kernel.times(-1.0, eigenvalues, row.ridge, x, residual);
        let mut curvature = -f64::from(kernel.dot(residual, x));
        let mut bend = Chunk::ZERO;
        for at in 0..n_tiles {
            let tile = &mut tiles[at.min(kept - 1) * tile_length..][..tile_length];
            self.gather(kernel, row.items, at, tile);
            next.prefetch(kernel, self, n_chunks);
            let confidence = kernel.load(&row.confidences[at * TILE..]);
            let dots = kernel.dots(tile, n_here(at), x);
            let mut pull = [kernel.weigh(&confidence, self.unobserved, &dots, unscaled, &mut bend)];
            kernel.scale_add(-1.0, &mut pull, unscaled, &[confidence]);
            kernel.add_weighted(tile, n_here(at), &pull[0], residual);
            confidences.push(confidence);
            if at % FLUSH == FLUSH - 1 || at == n_tiles - 1 {
                curvature += f64::from(bend.0.iter().sum::<f32>());
                bend = Chunk::ZERO;
            }
        }
        // φ = xᵀAx − 2bᵀx = −xᵀAx − 2r·x
        let mut objective = -curvature - 2.0 * f64::from(kernel.dot(residual, x));
        kernel.scale_add(0.0, direction, 1.0, residual);
        let mut squares = kernel.dot(residual, residual);

        for step in 1..=self.steps {
            if squares < SOLVED {
                break;
            }
            let last = step == self.steps;
            kernel.times(1.0, eigenvalues, row.ridge, direction, product);
            let mut curvature = kernel.dot(product, direction);
            let mut bend = Chunk::ZERO;
            // There and back: what a pass read last is still in the first-level cache for the next.
            let back = step % 2 == 1 && n_tiles == kept;
            for visit in 0..n_tiles {
                let at = if back { n_tiles - 1 - visit } else { visit };
                let confidence = &confidences[at];
                let tile = &mut tiles[at.min(kept - 1) * tile_length..][..tile_length];
                if at + 1 >= kept && n_tiles > kept {
                    self.gather(kernel, row.items, at, tile);
                }
                next.prefetch(kernel, self, n_chunks);
                let dots = kernel.dots(tile, n_here(at), direction);
                let pull = kernel.weigh(confidence, self.unobserved, &dots, unscaled, &mut bend);
                if !last {
                    kernel.add_weighted(tile, n_here(at), &pull, product);
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

    /// Fills a tile with the `at`-th sixteen vectors of a row, zeros after the last.
    #[inline(always)]
    fn gather<K: Kernel<Packed = P>>(&self, kernel: K, items: &[u32], at: usize, tile: &mut [Chunk]) {
        let n_chunks = tile.len() / TILE;
        let start = at * TILE;
        kernel.unpack(self.gathered, &items[start..items.len().min(start + TILE)], tile);
        let soon = start + SOON;
        if soon >= AHEAD && soon < items.len() {
            for &item in items[soon..].iter().take(TILE) {
                kernel.prefetch(self.vector(item, n_chunks));
            }
        }
    }

    #[inline(always)]
    fn vector(&self, item: u32, n_chunks: usize) -> &[P] {
        &self.gathered[item as usize * n_chunks..][..n_chunks]
    }
}

/// The vectors that the next row will ask for: fetched while this row is solved, a few with each tile,
/// so that memory and multipliers work at once.
struct Ahead<'a> {
    items: &'a [u32],
    a_tile: usize,
}

impl<'a> Ahead<'a> {
    #[inline(always)]
    fn new(items: &'a [u32], n_visits: usize) -> Self {
        let items = &items[..items.len().min(AHEAD)];
        Self { items, a_tile: items.len().div_ceil(n_visits.max(1)) }
    }

    #[inline(always)]
    fn prefetch<K: Kernel>(&mut self, kernel: K, system: &System<'_, K::Packed>, n_chunks: usize) {
        let (now, later) = self.items.split_at(self.a_tile.min(self.items.len()));
        for &item in now {
            kernel.prefetch(system.vector(item, n_chunks));
        }
        self.items = later;
    }
}

const _: () = assert!(TILE == LANES, "one number for each vector of a tile fills a chunk");
