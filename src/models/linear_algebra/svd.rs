//! The largest singular values and vectors of a sparse matrix, by random projection.
//!
//! A random matrix of a few more columns than wanted is multiplied by `A` and `Aᵀ` in turn, made
//! orthonormal in between: the column space of the outcome is, but for a small angle, that of the largest
//! singular vectors, and the singular values in that small space are read off exactly. Each power
//! iteration sharpens the angle by `(σ_{l+1} / σ_k)²`.
//!
//! # Shapes
//! `A`: n_rows × n_columns, `left`: n_rows × k, `singular_values`: k, `right`: n_columns × k.
//!
//! # Source
//! Halko, Martinsson, Tropp: Finding structure with randomness, SIAM Review 53(2), 2011,
//! arXiv 0909.4061, algorithms 4.4 and 5.1.

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use rand::SeedableRng;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64;
use rayon::prelude::*;

use crate::interactions::Interactions;
use crate::models::factors::Factors;

/// Rows that one thread takes at a time.
const PANEL: usize = 1024;
/// Parts of a Gram matrix that are summed side by side.
const PARTS: usize = 16;
/// Squared length, against the longest direction, below which a direction is rounding.
const RANK_TOLERANCE: f64 = 1e-12;

/// How exactly, and from which start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TruncatedSvd {
    /// Singular values wanted.
    pub components: usize,
    /// Further columns of the random matrix.
    pub oversampling: usize,
    /// Products with `AᵀA` that sharpen the outcome.
    pub power_iterations: usize,
    /// Seed of the random matrix.
    pub seed: u64,
}

/// `A ≈ left · diag(singular_values) · rightᵀ`.
#[derive(Debug, Clone, PartialEq)]
pub struct Svd {
    /// Left singular vectors, each of length 1 with a positive largest entry.
    pub left: Factors,
    /// Singular values, falling, all above 0.
    pub singular_values: Vec<f32>,
    /// Right singular vectors.
    pub right: Factors,
}

impl TruncatedSvd {
    /// The decomposition; `k` is `components`, or the rank of the matrix where that is less.
    pub fn decompose(&self, matrix: &Interactions) -> Svd {
        let (n_rows, n_columns) = (matrix.n_users(), matrix.n_items());
        let width = (self.components + self.oversampling).min(n_rows).min(n_columns);
        let transposed = matrix.transposed();
        let mut random = Pcg64::seed_from_u64(self.seed);
        let normal = (0..n_columns * width).map(|_| StandardNormal.sample(&mut random)).collect();
        let mut left = orthonormal(&product(matrix, &Factors::new(n_columns, width, normal)));
        for _ in 0..self.power_iterations {
            let right = orthonormal(&product(&transposed, &left));
            left = orthonormal(&product(matrix, &right));
        }
        // Aᵀ left = right · diag(σ) · rotationᵀ, and A ≈ left (Aᵀ left)ᵀ.
        let right = product(&transposed, &left);
        let (squares, rotation) = eigen(&gram(&right));
        let rank = squares.iter().take_while(|&&square| square > RANK_TOLERANCE * squares[0]).count();
        let singular_values: Vec<f64> =
            squares.iter().take(rank.min(self.components)).map(|square| square.sqrt()).collect();
        let k = singular_values.len();
        let width = left.n_factors();
        let mut to_left = Mat::from_fn(width, k, |i, j| rotation[(i, j)] as f32);
        let mut to_right = Mat::from_fn(width, k, |i, j| (rotation[(i, j)] / singular_values[j]) as f32);
        let signs = signs(&rotated(&left, &to_left));
        for (j, sign) in signs.into_iter().enumerate() {
            for i in 0..width {
                to_left[(i, j)] *= sign;
                to_right[(i, j)] *= sign;
            }
        }
        Svd {
            left: rotated(&left, &to_left),
            singular_values: singular_values.into_iter().map(|value| value as f32).collect(),
            right: rotated(&right, &to_right),
        }
    }
}

/// A sparse matrix times a dense one.
fn product(matrix: &Interactions, dense: &Factors) -> Factors {
    let width = dense.n_factors();
    let mut values = vec![0.0f32; matrix.n_users() * width];
    if width > 0 {
        values.par_chunks_mut(width).enumerate().for_each(|(row, out)| {
            let (columns, weights) = matrix.row(row);
            for (&column, &weight) in columns.iter().zip(weights) {
                let from = dense.row(column as usize);
                out.iter_mut().zip(from).for_each(|(out, from)| *out += weight * from);
            }
        });
    }
    Factors::new(matrix.n_users(), width, values)
}

/// An orthonormal basis of the columns, in f64 up to the last product; directions that are nothing but
/// rounding are left out.
///
/// Twice, since the first pass leaves an error that grows with the spread of the lengths.
fn orthonormal(table: &Factors) -> Factors {
    let once = |table: &Factors| {
        let (squares, vectors) = eigen(&gram(table));
        let kept: Vec<usize> =
            (0..squares.len()).filter(|&at| squares[at] > RANK_TOLERANCE * squares[0]).collect();
        let scaled = Mat::from_fn(squares.len(), kept.len(), |i, j| {
            (vectors[(i, kept[j])] / squares[kept[j]].sqrt()) as f32
        });
        rotated(table, &scaled)
    };
    once(&once(table))
}

/// `table · matrix`.
fn rotated(table: &Factors, matrix: &Mat<f32>) -> Factors {
    let width = matrix.ncols();
    let mut values = vec![0.0f32; table.n_rows() * width];
    if width > 0 {
        values.par_chunks_mut(PANEL * width).enumerate().for_each(|(panel, out)| {
            let n_rows = out.len() / width;
            let out = MatMut::from_row_major_slice_mut(out, n_rows, width);
            matmul(out, Accum::Replace, table.view(panel * PANEL, n_rows), matrix, 1.0, Par::Seq);
        });
    }
    Factors::new(table.n_rows(), width, values)
}

/// `YᵀY`, summed in f64.
fn gram(table: &Factors) -> Mat<f64> {
    let width = table.n_factors();
    let part_length = table.n_rows().div_ceil(PARTS).max(1);
    let parts: Vec<Mat<f64>> = (0..PARTS)
        .into_par_iter()
        .with_max_len(1)
        .map(|part| {
            let mut sum = Mat::zeros(width, width);
            let end = ((part + 1) * part_length).min(table.n_rows());
            for start in (part * part_length..end).step_by(PANEL) {
                let n_rows = PANEL.min(end - start);
                let rows = &table.values()[start * width..][..n_rows * width];
                let rows: Vec<f64> = rows.iter().map(|&value| f64::from(value)).collect();
                let rows = MatRef::from_row_major_slice(&rows, n_rows, width);
                matmul(&mut sum, Accum::Add, rows.transpose(), rows, 1.0, Par::Seq);
            }
            sum
        })
        .collect();
    let mut total = Mat::zeros(width, width);
    for part in &parts {
        total += part;
    }
    total
}

/// Eigenvalues, falling and none below 0, and eigenvectors as columns of a symmetric matrix.
fn eigen(matrix: &Mat<f64>) -> (Vec<f64>, Mat<f64>) {
    let n = matrix.nrows();
    let scratch =
        evd::self_adjoint_evd_scratch::<f64>(n, evd::ComputeEigenvectors::Yes, Par::Seq, Default::default());
    let mut memory = MemBuffer::new(scratch);
    let (mut values, mut vectors) = (Diag::<f64>::zeros(n), Mat::zeros(n, n));
    evd::self_adjoint_evd(
        matrix.as_ref(),
        values.as_mut(),
        Some(vectors.as_mut()),
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    )
    .expect("a symmetric matrix of finite numbers has eigenvalues");
    let falling = (0..n).rev().map(|at| values.column_vector()[at].max(0.0)).collect();
    (falling, vectors.as_ref().reverse_cols().to_owned())
}

/// For each column the sign that makes its largest entry positive.
fn signs(table: &Factors) -> Vec<f32> {
    let mut largest = vec![0.0f32; table.n_factors()];
    for row in 0..table.n_rows() {
        for (largest, &value) in largest.iter_mut().zip(table.row(row)) {
            if value.abs() > largest.abs() {
                *largest = value;
            }
        }
    }
    largest.into_iter().map(f32::signum).collect()
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    fn random_matrix(n_rows: usize, n_columns: usize, density: f64) -> Interactions {
        let mut random = Pcg64::seed_from_u64(8);
        let pairs = (0..n_rows as u32).flat_map(|row| (0..n_columns as u32).map(move |column| (row, column)));
        let some: Vec<(u32, u32, f32)> = pairs
            .filter_map(|(row, column)| {
                // Rows and columns of unequal weight, so that singular values differ.
                let weight = 4.0 * random.random::<f32>() / (1.0 + (row % 7) as f32 + (column % 5) as f32);
                (random.random::<f64>() < density).then_some((row, column, weight + 0.01))
            })
            .collect();
        Interactions::from_triplets(n_rows, n_columns, some).unwrap()
    }

    fn dense(matrix: &Interactions) -> Mat<f64> {
        let mut dense = Mat::zeros(matrix.n_users(), matrix.n_items());
        for row in 0..matrix.n_users() {
            let (columns, values) = matrix.row(row);
            columns.iter().zip(values).for_each(|(&column, &value)| {
                dense[(row, column as usize)] = f64::from(value);
            });
        }
        dense
    }

    fn wide(factors: &Factors) -> Mat<f64> {
        Mat::from_fn(factors.n_rows(), factors.n_factors(), |i, j| f64::from(factors.row(i)[j]))
    }

    const TEN: TruncatedSvd = TruncatedSvd { components: 10, oversampling: 10, power_iterations: 8, seed: 1 };

    #[test]
    fn it_is_the_dense_decomposition_cut_off() {
        for (n_rows, n_columns) in [(300, 120), (90, 260)] {
            let matrix = random_matrix(n_rows, n_columns, 0.1);
            let svd = TEN.decompose(&matrix);
            let exact = dense(&matrix).thin_svd().unwrap();
            let exact_values: Vec<f64> = exact.S().column_vector().iter().copied().collect();
            assert_eq!(svd.singular_values.len(), 10);
            for (value, exact) in svd.singular_values.iter().zip(&exact_values) {
                assert!((f64::from(*value) / exact - 1.0).abs() < 1e-3, "{value} {exact}");
            }
            // The product of the parts is as near to the matrix as any of its rank: Eckart and Young.
            let values =
                Mat::from_fn(10, 10, |i, j| if i == j { f64::from(svd.singular_values[i]) } else { 0.0 });
            let rest = dense(&matrix) - wide(&svd.left) * values * wide(&svd.right).transpose();
            let least = exact_values[10..].iter().map(|value| value * value).sum::<f64>().sqrt();
            assert!(rest.norm_l2() / least < 1.001, "{} {least}", rest.norm_l2());
        }
    }

    #[test]
    fn vectors_are_orthonormal() {
        let svd = TEN.decompose(&random_matrix(200, 150, 0.2));
        for vectors in [wide(&svd.left), wide(&svd.right)] {
            let error = (vectors.transpose() * &vectors - Mat::<f64>::identity(10, 10)).norm_max();
            assert!(error < 1e-4, "{error}");
        }
    }

    #[test]
    fn more_components_than_the_rank_are_the_rank() {
        let twins = (0..6).flat_map(|row| [(row, row % 2, 1.0), (row, 2 + row % 2, 1.0)]);
        let matrix = Interactions::from_triplets(9, 5, twins).unwrap();
        let svd = TEN.decompose(&matrix);
        assert_eq!(svd.singular_values.len(), 2);
        assert!(svd.singular_values.iter().all(|value| (value - 6f32.sqrt()).abs() < 1e-5));
        assert!(svd.left.is_zero(8), "a row without values has no vector");
    }

    #[test]
    fn an_empty_matrix_has_no_components() {
        for (n_rows, n_columns) in [(0, 0), (4, 0), (0, 4), (3, 4)] {
            let svd = TEN.decompose(&Interactions::from_triplets(n_rows, n_columns, []).unwrap());
            assert!(svd.singular_values.is_empty());
            assert_eq!((svd.left.n_rows(), svd.right.n_rows()), (n_rows, n_columns));
        }
    }

    #[test]
    fn the_vectors_do_not_depend_on_the_thread_count() {
        let matrix = random_matrix(3000, 40, 0.1);
        let with_threads = |n_threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| TEN.decompose(&matrix))
        };
        assert_eq!(with_threads(1), with_threads(3));
    }
}
