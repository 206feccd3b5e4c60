//! The Gram matrix `YᵀY` of a factor table.

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use rayon::prelude::*;

use super::table::Table;

/// Parts that are summed side by side; fixed, so that the sum does not depend on the thread count.
const PARTS: usize = 16;
/// Rows that are packed for one product.
const PANEL: usize = 512;

/// `YᵀY` (`n_factors × n_factors`) of a table `Y`.
pub fn gram(table: &Table) -> Mat<f32> {
    let n_factors = table.n_factors();
    let part_length = table.n_rows().div_ceil(PARTS).max(1);
    let parts: Vec<Mat<f32>> = (0..PARTS)
        .into_par_iter()
        .with_max_len(1)
        .map(|part| {
            let mut sum = Mat::zeros(n_factors, n_factors);
            let mut panel = Vec::new();
            let end = ((part + 1) * part_length).min(table.n_rows());
            for start in (part * part_length..end).step_by(PANEL) {
                let n_rows = PANEL.min(end - start);
                panel.clear();
                (start..start + n_rows).for_each(|row| table.extend_row(row, &mut panel));
                let rows = faer::MatRef::from_row_major_slice(&panel, n_rows, n_factors);
                matmul(&mut sum, Accum::Add, rows.transpose(), rows, 1.0, Par::Seq);
            }
            sum
        })
        .collect();
    let mut total = Mat::zeros(n_factors, n_factors);
    for part in &parts {
        total += part;
    }
    total
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
