//! The Gram matrix `YᵀY` of a factor table.

use faer::Mat;
use rayon::prelude::*;

use super::kernel::{Kernel, LINES, Task, Work, dispatch};
use super::table::{Chunk, LANES, Table};

/// Parts that are summed side by side; fixed, so that the sum does not depend on the thread count.
const PARTS: usize = 16;
/// Rows of one product: they stay in the first-level cache.
const PANEL: usize = 64;

/// `YᵀY` (`n_factors × n_factors`) of a table `Y`.
pub fn gram(table: &Table) -> Mat<f32> {
    let n_factors = table.n_factors();
    let sum = dispatch(table.bytes(), Parts(table));
    Mat::from_fn(n_factors, n_factors, |i, j| {
        let (i, j) = (i.min(j), i.max(j));
        sum[i * table.n_chunks() + j / LANES].0[j % LANES]
    })
}

/// The upper half of the matrix, its rows padded to whole chunks.
struct Parts<'a>(&'a Table);

impl Work for Parts<'_> {
    type Output = Vec<Chunk>;

    fn with<K: Kernel>(self, kernel: K) -> Vec<Chunk> {
        let table = self.0;
        let n_rows = table.n_rows().div_ceil(PARTS).max(1);
        let vectors = table.chunks().par_chunks(n_rows * table.n_chunks());
        let parts: Vec<_> =
            vectors.with_max_len(1).map(|vectors| kernel.enter(Part { vectors, table })).collect();
        let mut total = vec![Chunk::ZERO; table.n_factors().next_multiple_of(LINES) * table.n_chunks()];
        for part in &parts {
            for (total, part) in total.iter_mut().zip(part) {
                total.0.iter_mut().zip(part.0).for_each(|(total, part)| *total += part);
            }
        }
        total
    }
}

/// Some vectors of the table.
struct Part<'a> {
    vectors: &'a [Chunk],
    table: &'a Table,
}

impl<K: Kernel> Task<K> for Part<'_> {
    type Output = Vec<Chunk>;

    #[inline(always)]
    fn run(self, kernel: K) -> Vec<Chunk> {
        let (n_factors, n_chunks) = (self.table.n_factors(), self.table.n_chunks());
        let mut sum = vec![Chunk::ZERO; n_factors.next_multiple_of(LINES) * n_chunks];
        for panel in self.vectors.chunks(PANEL * n_chunks) {
            for (line, lines) in sum.chunks_exact_mut(LINES * n_chunks).enumerate() {
                kernel.outer::<true>(panel, panel, line * LINES, lines);
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::factors::Factors;

    #[test]
    fn it_is_the_sum_of_outer_products() {
        let (n_rows, n_factors) = (1200, 3);
        let values = (0..n_rows * n_factors).map(|value| (value % 5) as f32).collect();
        let factors = Factors::new(n_rows, n_factors, values);
        let gram = gram(&Table::from_factors(&factors));
        for i in 0..n_factors {
            for j in 0..n_factors {
                let plain: f32 = (0..n_rows).map(|row| factors.row(row)[i] * factors.row(row)[j]).sum();
                assert_eq!(gram[(i, j)], plain);
            }
        }
    }
}
