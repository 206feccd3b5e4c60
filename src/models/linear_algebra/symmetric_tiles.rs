//! A symmetric matrix as the tiles of its lower triangle, and its inverse in the same memory.
//!
//! Half of the matrix takes half of the memory, and tiles that own their values can be updated side by
//! side. The inverse sweeps over the diagonal tiles; with `D = A_kk⁻¹`, for all `i, j ≠ k`,
//!
//! ```text
//! A_ij ← A_ij − A_ik D A_kj      A_ik ← A_ik D      A_kk ← −D
//! ```
//!
//! after which the matrix holds `−A⁻¹`. A sweep keeps the symmetry and is one matrix product a tile, `n³`
//! multiplications and additions in all, as many as a Cholesky factorisation and the inverse from it. For
//! a positive definite matrix every `A_kk` is a Schur complement, hence positive definite too.
//!
//! # Source
//! Goodnight: A tutorial on the SWEEP operator, The American Statistician 33(3), 1979.

use std::ops::ControlFlow;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, Par};
use rayon::prelude::*;

use super::Progress;

/// Rows and columns of a tile: 1 MiB of values, so that three tiles stay in a core's cache.
const TILE: usize = 512;

/// A symmetric `n × n` matrix, f32.
#[derive(Debug, Clone)]
pub struct SymmetricTiles {
    n: usize,
    /// Tile `(i, j)` with `i ≥ j` lies at `i (i + 1) / 2 + j`; of a diagonal tile the lower half counts.
    tiles: Vec<Mat<f32>>,
}

/// Why there is no inverse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoInverse {
    /// A pivot is not positive, or no finite number.
    NotPositiveDefinite,
    /// The caller ended the work.
    Stopped,
}

/// Rows `TILE · block ..` of the lower triangle, as its tiles from the left.
pub struct TileRow<'a> {
    /// The first row.
    pub start: usize,
    tiles: &'a mut [Mat<f32>],
}

impl TileRow<'_> {
    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.tiles[0].nrows()
    }

    /// The value in `row`, counted from `start`, and `column` of the matrix, not above the diagonal.
    pub fn value_mut(&mut self, row: usize, column: usize) -> &mut f32 {
        &mut self.tiles[column / TILE][(row, column % TILE)]
    }
}

impl SymmetricTiles {
    /// Zeros.
    pub fn zeros(n: usize) -> Self {
        let size = |block: usize| TILE.min(n - block * TILE);
        let n_blocks = n.div_ceil(TILE);
        let tiles = (0..n_blocks).flat_map(|i| (0..=i).map(move |j| Mat::zeros(size(i), size(j)))).collect();
        Self { n, tiles }
    }

    /// Bytes that a matrix of this size and its inverse take, the working memory included.
    pub fn n_bytes(n: usize) -> f64 {
        let (n, tile) = (n as f64, TILE as f64);
        size_of::<f32>() as f64 * (n * (n + tile) / 2.0 + 2.0 * n * tile)
    }

    /// Number of rows and columns.
    pub fn n(&self) -> usize {
        self.n
    }

    /// The values on the diagonal.
    pub fn diagonal(&self) -> Vec<f32> {
        (0..self.n).map(|row| self.tiles[at(row / TILE, row / TILE)][(row % TILE, row % TILE)]).collect()
    }

    /// Adds to every value on the diagonal.
    pub fn add_to_diagonal(&mut self, value: f32) {
        for row in 0..self.n {
            self.tiles[at(row / TILE, row / TILE)][(row % TILE, row % TILE)] += value;
        }
    }

    /// The rows of tiles, from the top, to be filled side by side.
    pub fn tile_rows(&mut self) -> Vec<TileRow<'_>> {
        let mut rest = self.tiles.as_mut_slice();
        let mut rows = Vec::new();
        for block in 0..self.n.div_ceil(TILE) {
            let (tiles, below) = rest.split_at_mut(block + 1);
            rows.push(TileRow { start: block * TILE, tiles });
            rest = below;
        }
        rows
    }

    /// Number of rows of tiles.
    pub fn n_tile_rows(&self) -> usize {
        self.n.div_ceil(TILE)
    }

    /// All of the matrix's rows `start..` that belong to a row of tiles, both triangles: row after row
    /// into `rows`. Returns `start`.
    pub fn copy_tile_row(&self, block: usize, rows: &mut Vec<f32>) -> usize {
        let n_rows = self.tiles[at(block, block)].nrows();
        rows.clear();
        rows.resize(n_rows * self.n, 0.0);
        let mut out = MatMut::from_row_major_slice_mut(rows, n_rows, self.n);
        for other in 0..self.n_tile_rows() {
            let n_columns = self.tiles[at(other, other)].nrows();
            let mut out = out.as_mut().subcols_mut(other * TILE, n_columns);
            if other < block {
                out.copy_from(&self.tiles[at(block, other)]);
            } else if other > block {
                out.copy_from(self.tiles[at(other, block)].transpose());
            } else {
                let tile = &self.tiles[at(block, block)];
                for row in 0..n_rows {
                    for column in 0..n_rows {
                        out[(row, column)] = tile[(row.max(column), row.min(column))];
                    }
                }
            }
        }
        block * TILE
    }

    /// Becomes the inverse of itself, for a positive definite matrix; `on_step` hears of every step, the
    /// last of them included, and may end the work.
    ///
    /// # Errors
    /// When the matrix is not positive definite (to the precision of f32) or the caller ends the work;
    /// the values mean nothing then.
    pub fn invert(&mut self, mut on_step: impl FnMut(Progress) -> ControlFlow<()>) -> Result<(), NoInverse> {
        let total = self.n_tile_rows();
        for pivot in 0..total {
            self.sweep(pivot)?;
            if on_step(Progress { done: pivot + 1, total }).is_break() {
                return Err(NoInverse::Stopped);
            }
        }
        let finite = self.tiles.par_iter_mut().map(|tile| {
            let mut finite = true;
            for column in 0..tile.ncols() {
                for value in tile.col_as_slice_mut(column) {
                    *value = -*value;
                    finite &= value.is_finite();
                }
            }
            finite
        });
        if finite.reduce(|| true, |a, b| a && b) { Ok(()) } else { Err(NoInverse::NotPositiveDefinite) }
    }

    fn sweep(&mut self, pivot: usize) -> Result<(), NoInverse> {
        let inverse = inverse(std::mem::replace(&mut self.tiles[at(pivot, pivot)], Mat::new()))?;
        let columns: Vec<Mat<f32>> = (0..self.n_tile_rows())
            .map(|i| match i.cmp(&pivot) {
                std::cmp::Ordering::Less => self.tiles[at(pivot, i)].transpose().to_owned(),
                std::cmp::Ordering::Equal => Mat::new(),
                std::cmp::Ordering::Greater => std::mem::replace(&mut self.tiles[at(i, pivot)], Mat::new()),
            })
            .collect();
        let scaled: Vec<Mat<f32>> = columns
            .par_iter()
            .map(|column| {
                let mut product = Mat::zeros(column.nrows(), column.ncols());
                if column.nrows() > 0 {
                    matmul(&mut product, Accum::Replace, column, &inverse, 1.0, Par::Seq);
                }
                product
            })
            .collect();
        let places = (0..self.n_tile_rows()).flat_map(|i| (0..=i).map(move |j| (i, j)));
        let others: Vec<((usize, usize), &mut Mat<f32>)> =
            places.zip(&mut self.tiles).filter(|((i, j), _)| *i != pivot && *j != pivot).collect();
        others.into_par_iter().for_each(|((i, j), tile)| {
            matmul(tile, Accum::Add, &scaled[i], columns[j].transpose(), -1.0, Par::Seq);
        });
        for (i, column) in scaled.into_iter().enumerate() {
            if i < pivot {
                self.tiles[at(pivot, i)] = column.transpose().to_owned();
            } else if i > pivot {
                self.tiles[at(i, pivot)] = column;
            }
        }
        self.tiles[at(pivot, pivot)] = -inverse;
        Ok(())
    }
}

/// Where the tile `(i, j)` of the lower triangle lies.
fn at(i: usize, j: usize) -> usize {
    i * (i + 1) / 2 + j
}

/// The inverse of one positive definite tile, both triangles; reads the lower one.
fn inverse(mut tile: Mat<f32>) -> Result<Mat<f32>, NoInverse> {
    let n = tile.nrows();
    let scratch = llt::factor::cholesky_in_place_scratch::<f32>(n, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(scratch.or(llt::inverse::inverse_scratch::<f32>(n, Par::Seq)));
    let stack = MemStack::new(&mut memory);
    llt::factor::cholesky_in_place(tile.as_mut(), Default::default(), Par::Seq, stack, Default::default())
        .map_err(|_| NoInverse::NotPositiveDefinite)?;
    let mut inverse = Mat::zeros(n, n);
    llt::inverse::inverse(inverse.as_mut(), tile.as_ref(), Par::Seq, stack);
    for column in 0..n {
        for row in 0..column {
            inverse[(row, column)] = inverse[(column, row)];
        }
    }
    Ok(inverse)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64;

    use super::*;

    /// `B Bᵀ + n/4 · I` of a random `B`.
    fn positive_definite(n: usize) -> (Mat<f32>, SymmetricTiles) {
        let mut random = Pcg64::seed_from_u64(3);
        let b = Mat::from_fn(n, n, |_, _| random.random::<f32>() - 0.5);
        let dense = &b * b.transpose() + Mat::<f32>::identity(n, n) * faer::Scale(n as f32 / 4.0);
        let mut tiles = SymmetricTiles::zeros(n);
        for mut rows in tiles.tile_rows() {
            for row in 0..rows.n_rows() {
                for column in 0..=rows.start + row {
                    *rows.value_mut(row, column) = dense[(rows.start + row, column)];
                }
            }
        }
        (dense, tiles)
    }

    fn to_dense(tiles: &SymmetricTiles) -> Mat<f32> {
        let (n, mut rows, mut all) = (tiles.n(), Vec::new(), Vec::new());
        for block in 0..tiles.n_tile_rows() {
            assert_eq!(tiles.copy_tile_row(block, &mut rows), block * TILE);
            all.extend_from_slice(&rows);
        }
        faer::MatRef::from_row_major_slice(&all, n, n).to_owned()
    }

    #[test]
    fn a_matrix_times_its_inverse_is_the_identity() {
        for n in [1, 7, TILE, 2 * TILE + 77] {
            let (dense, mut tiles) = positive_definite(n);
            assert_eq!(to_dense(&tiles), dense);
            let mut steps = Vec::new();
            let inverted = tiles.invert(|progress| {
                steps.push(progress.done);
                ControlFlow::Continue(())
            });
            assert_eq!(inverted, Ok(()));
            assert_eq!(steps.last(), Some(&n.div_ceil(TILE)));
            let inverse = to_dense(&tiles);
            assert_eq!(
                inverse.diagonal().column_vector().iter().copied().collect::<Vec<_>>(),
                tiles.diagonal()
            );
            let error = (dense * inverse - Mat::<f32>::identity(n, n)).norm_max();
            assert!(error < 1e-4, "{n}: {error}");
        }
    }

    #[test]
    fn the_inverse_does_not_depend_on_the_thread_count() {
        let (_, tiles) = positive_definite(2 * TILE + 10);
        let with_threads = |n_threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            let mut tiles = tiles.clone();
            pool.install(|| tiles.invert(|_| ControlFlow::Continue(()))).unwrap();
            to_dense(&tiles)
        };
        assert_eq!(with_threads(1), with_threads(3));
    }

    #[test]
    fn no_inverse_of_a_singular_matrix_nor_of_one_that_is_no_number() {
        for value in [0.0, f32::NAN, f32::INFINITY] {
            let mut tiles = SymmetricTiles::zeros(3);
            tiles.add_to_diagonal(value);
            assert_eq!(
                tiles.invert(|_| ControlFlow::Continue(())),
                Err(NoInverse::NotPositiveDefinite),
                "{value}"
            );
        }
    }

    #[test]
    fn the_caller_may_end_the_work() {
        let (_, mut tiles) = positive_definite(2 * TILE);
        assert_eq!(tiles.invert(|_| ControlFlow::Break(())), Err(NoInverse::Stopped));
    }

    #[test]
    fn the_diagonal_can_be_raised() {
        let mut tiles = SymmetricTiles::zeros(TILE + 1);
        tiles.add_to_diagonal(4.0);
        tiles.invert(|_| ControlFlow::Continue(())).unwrap();
        assert_eq!(tiles.diagonal(), vec![0.25; TILE + 1]);
    }
}
