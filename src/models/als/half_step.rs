//! Half a sweep: every row of one side solved with the other side fixed, in parallel.
//!
//! Rows are cut into blocks of about equal work, whatever the number of threads; one thread solves a
//! block from start to end, and sums are added in the order of the blocks. So the result is the same,
//! bit for bit, at any thread count.

use std::ops::Range;

use faer::{Mat, Scale};
use rayon::prelude::*;

use super::basis::Basis;
use super::gram::gram;
use super::kernel::{Kernel, ROWS, Task, Work, dispatch};
use super::objective::Objective;
use super::pages::Pages;
use super::rows::Rows;
use super::table::{Chunk, LANES, Table, fill};
use super::{Als, Solver, cg, cholesky, subspace};

/// Interactions in a block of rows, about.
const BLOCK_WORK: usize = 8192;
/// What a row costs besides its interactions, in interactions.
const ROW_WORK: usize = 32;
/// Rows that are brought into another basis by one piece of work.
const TURNED: usize = 512;

/// One side's interactions, cut into blocks of rows once for all sweeps.
pub struct Side<'a> {
    interactions: Rows<'a>,
    blocks: Vec<Range<usize>>,
}

/// What a half-step leaves besides the new rows.
pub struct Outcome {
    /// `Σ φ(x)` over the rows, `φ(x) = xᵀAx − 2bᵀx`.
    pub objective: f64,
    /// `Σ |y|²` over the fixed rows.
    pub fixed_squares: f64,
}

impl<'a> Side<'a> {
    /// Cuts the rows into blocks.
    pub fn new(interactions: Rows<'a>) -> Self {
        let mut blocks = Vec::new();
        let (mut start, mut work) = (0, 0);
        for row in 0..interactions.n_rows() {
            work += interactions.columns(row).len() + ROW_WORK;
            if work >= BLOCK_WORK {
                blocks.push(start..row + 1);
                (start, work) = (row + 1, 0);
            }
        }
        if start < interactions.n_rows() {
            blocks.push(start..interactions.n_rows());
        }
        Self { interactions, blocks }
    }

    /// The interactions.
    pub fn interactions(&self) -> &Rows<'a> {
        &self.interactions
    }

    /// Solves every row of `table` with `fixed` held fixed; `cg` may turn all vectors of both tables
    /// alike, which changes no product of two.
    ///
    /// # Errors
    /// The first row that has no single solution.
    pub fn solve(
        &self,
        table: &mut Table,
        fixed: &mut Table,
        weights: Objective,
        parameters: &Als,
    ) -> Result<Outcome, usize> {
        let mut gram = gram(fixed);
        let fixed_squares = (0..gram.nrows()).map(|i| f64::from(gram[(i, i)])).sum();
        gram *= Scale(weights.unobserved_weight);
        let unobserved_weight = weights.unobserved_weight;
        let objective = match parameters.solver {
            Solver::Cg => {
                let steps = parameters.cg_steps;
                dispatch(fixed.bytes(), Steps { side: self, table, fixed, gram: &gram, weights, steps })
            }
            Solver::Cholesky => {
                let gram = padded(&gram, fixed.n_chunks());
                dispatch(fixed.bytes(), Exact { side: self, table, fixed, gram: &gram, weights })?
            }
            Solver::IalsPlusPlus => {
                let block_size = parameters.block_size.min(fixed.n_factors());
                let system = subspace::System { fixed, gram: &gram, unobserved_weight, block_size };
                self.by_blocks(table, weights, system)?
            }
        };
        Ok(Outcome { objective, fixed_squares })
    }

    /// `Σ λ |x|²` over the rows of `table`, each with its own `λ`; `n_columns` is what a row could have.
    pub fn weighted_squares(&self, table: &Table, weights: Objective, n_columns: usize) -> f64 {
        let blocks: Vec<f64> = self
            .blocks
            .par_iter()
            .map(|rows| {
                let squares = |row: usize| -> f64 {
                    let n_interactions = self.interactions.columns(row).len();
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

    /// Every row by [`subspace`]; gives `Σ φ`, or the first row that has no single solution.
    fn by_blocks(
        &self,
        table: &mut Table,
        weights: Objective,
        system: subspace::System<'_>,
    ) -> Result<f64, usize> {
        let (n_chunks, n_columns) = (system.fixed.n_chunks(), system.fixed.n_rows());
        let tasks: Vec<_> = self.blocks.iter().cloned().zip(self.slices(table)).collect();
        let sums: Vec<Result<f64, usize>> = tasks
            .into_par_iter()
            .with_max_len(1)
            .map(|(rows, chunks)| {
                let mut scratch = subspace::Scratch::new(system.fixed.n_factors(), system.block_size);
                let (mut objective, mut made) = (0.0, Vec::new());
                for (row, x) in rows.zip(chunks.chunks_exact_mut(n_chunks)) {
                    let (items, confidences) = self.interactions.row(row, &mut made);
                    if !items.is_empty() {
                        let lambda = weights.regularization(items.len(), n_columns);
                        let solved = system.solve(items, confidences, lambda, x, &mut scratch);
                        objective += solved.map_err(|_| row)?;
                    }
                }
                Ok(objective)
            })
            .collect();
        sums.into_iter().sum()
    }
}

/// `gram` with its rows padded to whole chunks and their number too, ones in the padding of the diagonal.
pub(super) fn padded(gram: &Mat<f32>, n_chunks: usize) -> Vec<Chunk> {
    let n_factors = gram.nrows();
    let mut rows = vec![Chunk::ZERO; n_chunks * LANES * n_chunks];
    for (i, row) in rows.chunks_exact_mut(n_chunks).enumerate() {
        if i < n_factors {
            fill(row, (0..n_factors).map(|j| gram[(i, j)]));
        } else {
            row[i / LANES].0[i % LANES] = 1.0;
        }
    }
    rows
}

/// A half-step by [`cholesky`]; gives `Σ φ`, or the first row that has no single solution.
struct Exact<'a> {
    side: &'a Side<'a>,
    table: &'a mut Table,
    fixed: &'a Table,
    gram: &'a [Chunk],
    weights: Objective,
}

impl Work for Exact<'_> {
    type Output = Result<f64, usize>;

    fn with<K: Kernel>(self, kernel: K) -> Self::Output {
        let unobserved = self.weights.unobserved_weight;
        let system = cholesky::System { fixed: self.fixed, gram: self.gram, unobserved };
        let tasks: Vec<_> = self.side.blocks.iter().cloned().zip(self.side.slices(self.table)).collect();
        let (side, weights) = (self.side, self.weights);
        let sums: Vec<Result<f64, usize>> = tasks
            .into_par_iter()
            .with_max_len(1)
            .map(|(rows, chunks)| kernel.enter(ExactBlock { side, weights, system, rows, chunks }))
            .collect();
        sums.into_iter().sum()
    }
}

/// A block of rows for [`cholesky`].
struct ExactBlock<'a> {
    side: &'a Side<'a>,
    weights: Objective,
    system: cholesky::System<'a>,
    rows: Range<usize>,
    chunks: &'a mut [Chunk],
}

impl<K: Kernel> Task<K> for ExactBlock<'_> {
    type Output = Result<f64, usize>;

    #[inline(always)]
    fn run(self, kernel: K) -> Self::Output {
        let n_chunks = self.system.fixed.n_chunks();
        let n_columns = self.system.fixed.n_rows();
        let mut scratch = cholesky::Scratch::new(n_chunks);
        let (mut objective, mut made) = (0.0, Vec::new());
        for (row, x) in self.rows.zip(self.chunks.chunks_exact_mut(n_chunks)) {
            let (items, confidences) = self.side.interactions.row(row, &mut made);
            if !items.is_empty() {
                let lambda = self.weights.regularization(items.len(), n_columns);
                let solved = self.system.solve(kernel, items, confidences, lambda, x, &mut scratch);
                objective += solved.map_err(|_| row)?;
            }
        }
        Ok(objective)
    }
}

/// A half-step by [`cg`]; gives `Σ φ`. Both tables are brought into the basis and stay there.
struct Steps<'a> {
    side: &'a Side<'a>,
    table: &'a mut Table,
    fixed: &'a mut Table,
    gram: &'a Mat<f32>,
    weights: Objective,
    steps: usize,
}

impl Work for Steps<'_> {
    type Output = f64;

    fn with<K: Kernel>(self, kernel: K) -> f64 {
        let longest = self.fixed.longest();
        let Some(basis) = Basis::new(self.gram, longest, K::PACKED_LENGTH) else { return f64::NAN };
        let gathered = pack(kernel, self.fixed, &basis);
        let system = cg::System {
            gathered: &gathered,
            eigenvalues: &basis.eigenvalues,
            scale: basis.scale,
            unobserved: self.weights.unobserved_weight,
            steps: self.steps,
        };
        let n_columns = self.fixed.n_rows();
        let tasks: Vec<_> = self.side.blocks.iter().cloned().zip(self.side.slices(self.table)).collect();
        let sums: Vec<f64> = tasks
            .into_par_iter()
            .with_max_len(1)
            .map(|(rows, chunks)| {
                let (side, weights, basis, system) = (self.side, self.weights, &basis, &system);
                kernel.enter(Block { side, weights, n_columns, basis, system, rows, chunks })
            })
            .collect();
        sums.into_iter().sum()
    }
}

/// A block of rows for [`cg`].
struct Block<'a, P> {
    side: &'a Side<'a>,
    weights: Objective,
    n_columns: usize,
    basis: &'a Basis,
    system: &'a cg::System<'a, P>,
    rows: Range<usize>,
    chunks: &'a mut [Chunk],
}

impl<K: Kernel> Task<K> for Block<'_, K::Packed> {
    type Output = f64;

    #[inline(always)]
    fn run(self, kernel: K) -> f64 {
        let n_chunks = self.basis.eigenvalues.len();
        turn(kernel, self.chunks, &self.basis.vectors, n_chunks);
        // The usual numbers of factors, 64 and 128, have loops of their own.
        match n_chunks {
            4 => self.solve::<K, 4>(kernel),
            8 => self.solve::<K, 8>(kernel),
            _ => self.solve::<K, 0>(kernel),
        }
    }
}

impl<P: Copy> Block<'_, P> {
    #[inline(always)]
    fn solve<K: Kernel<Packed = P>, const N: usize>(self, kernel: K) -> f64 {
        let n_chunks = self.basis.eigenvalues.len();
        let mut scratch = cg::Scratch::default();
        let (mut objective, mut made) = (0.0, Vec::new());
        let end = self.rows.end;
        for (row, x) in self.rows.zip(self.chunks.chunks_exact_mut(n_chunks)) {
            let (items, confidences) = self.side.interactions.row(row, &mut made);
            if !items.is_empty() {
                let ridge = self.weights.regularization(items.len(), self.n_columns);
                let next_items = if row + 1 < end { self.side.interactions.columns(row + 1) } else { &[] };
                let row = cg::Row { items, confidences, ridge, next_items };
                objective += self.system.solve::<K, N>(kernel, row, x, &mut scratch);
            }
        }
        objective
    }
}

/// Multiplies every vector with `matrix`, in its place.
#[inline(always)]
fn turn<K: Kernel>(kernel: K, vectors: &mut [Chunk], matrix: &[Chunk], n_chunks: usize) {
    let mut rows = vec![Chunk::ZERO; ROWS * n_chunks];
    for vectors in vectors.chunks_mut(ROWS * n_chunks) {
        rows[..vectors.len()].copy_from_slice(vectors);
        if vectors.len() == rows.len() {
            kernel.transform(&rows, matrix, vectors);
        } else {
            let mut turned = rows.clone();
            kernel.transform(&rows, matrix, &mut turned);
            vectors.copy_from_slice(&turned[..vectors.len()]);
        }
    }
}

/// Brings the vectors of `table` into the basis; gives them as they are gathered.
fn pack<K: Kernel>(kernel: K, table: &mut Table, basis: &Basis) -> Pages<K::Packed> {
    let zero = kernel.pack(&Chunk::ZERO, 0, 1.0);
    let mut packed = Pages::new(table.chunks().len(), zero);
    let length = TURNED * table.n_chunks();
    let pieces = packed.par_chunks_mut(length).zip(table.chunks_mut().par_chunks_mut(length)).enumerate();
    pieces.for_each(|(piece, (packed, vectors))| {
        kernel.enter(Pack { vectors, basis, packed, start: piece * length });
    });
    packed
}

/// A piece of work of [`pack`].
struct Pack<'a, P> {
    vectors: &'a mut [Chunk],
    basis: &'a Basis,
    packed: &'a mut [P],
    start: usize,
}

impl<K: Kernel> Task<K> for Pack<'_, K::Packed> {
    type Output = ();

    #[inline(always)]
    fn run(self, kernel: K) {
        turn(kernel, self.vectors, &self.basis.vectors, self.basis.eigenvalues.len());
        for (at, (packed, chunk)) in self.packed.iter_mut().zip(self.vectors).enumerate() {
            *packed = kernel.pack(chunk, self.start + at, self.basis.scale);
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64;

    use super::*;
    use crate::interactions::Interactions;
    use crate::models::als::Als;
    use crate::models::als::kernel::dispatch_portable;

    /// A side and two tables; the fixed one takes `n_columns · factors · 4` bytes.
    fn problem(n_columns: usize, factors: usize) -> (Side<'static>, Table, Table) {
        let mut random = Pcg64::seed_from_u64(3);
        let mut triplets = Vec::new();
        for row in 0..70u32 {
            for _ in 0..random.random_range(0..90) {
                let column = random.random_range(0..n_columns) as u32;
                triplets.push((row, column, random.random_range(0.1..9.0f32)));
            }
        }
        let matrix = Interactions::from_triplets(70, n_columns, triplets).unwrap();
        let table = Table::random(matrix.row_starts(), factors, 0.0, 1, 1);
        let every_column: Vec<usize> = (0..=n_columns).collect();
        let rows = Rows::of(&matrix).transposed(n_columns).transposed(70);
        (Side::new(rows), table, Table::random(&every_column, factors, 0.0, 1, 2))
    }

    fn assert_near(a: &Table, b: &Table, tolerance: f32) {
        let largest = a.longest();
        for (a, b) in a.chunks().iter().zip(b.chunks()) {
            for (a, b) in a.0.iter().zip(b.0) {
                assert!((a - b).abs() <= tolerance * largest, "{a} and {b}");
            }
        }
    }

    /// The machine's kernel with 32-bit and with 16-bit vectors, and numbers of factors that fill
    /// chunks or do not.
    #[test]
    fn the_kernels_agree() {
        for (n_columns, factors, tolerance) in
            [(60, 1, 1e-5), (60, 37, 1e-4), (300, 128, 1e-4), (5000, 64, 2e-3), (9000, 40, 2e-3)]
        {
            let (side, table, fixed) = problem(n_columns, factors);
            let weights =
                Objective::of(&Als { regularization: 0.5, unobserved_weight: 0.7, ..Als::default() });
            let mut gram = gram(&fixed);
            gram *= Scale(weights.unobserved_weight);
            let steps = |table: &mut Table, portable: bool| {
                let mut fixed = fixed.clone();
                let bytes = fixed.bytes();
                let work = Steps { side: &side, table, fixed: &mut fixed, gram: &gram, weights, steps: 3 };
                if portable { dispatch_portable(work) } else { dispatch(bytes, work) }
            };
            let (mut fast, mut plain) = (table.clone(), table.clone());
            let (fast_sum, plain_sum) = (steps(&mut fast, false), steps(&mut plain, true));
            assert_near(&plain, &fast, tolerance);
            assert!((fast_sum / plain_sum - 1.0).abs() < 1e-4, "{fast_sum} and {plain_sum}");

            let padded = padded(&gram, fixed.n_chunks());
            let exact = |table: &mut Table, portable: bool| {
                let work = Exact { side: &side, table, fixed: &fixed, gram: &padded, weights };
                if portable { dispatch_portable(work) } else { dispatch(fixed.bytes(), work) }.unwrap()
            };
            let (mut fast, mut plain) = (table.clone(), table.clone());
            let (fast_sum, plain_sum) = (exact(&mut fast, false), exact(&mut plain, true));
            assert_near(&plain, &fast, 1e-4);
            assert!((fast_sum / plain_sum - 1.0).abs() < 1e-5, "{fast_sum} and {plain_sum}");
        }
    }
}
