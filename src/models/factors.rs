//! A table of factor vectors: one row a user or an item.

use faer::MatRef;

/// Factor vectors, `n_rows × n_factors`, f32, row after row.
#[derive(Debug, Clone, PartialEq)]
pub struct Factors {
    n_rows: usize,
    n_factors: usize,
    values: Vec<f32>,
}

impl Factors {
    /// Takes the values of `n_rows` vectors, one after the other.
    ///
    /// # Panics
    /// When the number of values is not `n_rows · n_factors`.
    pub fn new(n_rows: usize, n_factors: usize, values: Vec<f32>) -> Self {
        assert_eq!(values.len(), n_rows * n_factors, "a factor table is n_rows × n_factors");
        Self { n_rows, n_factors, values }
    }

    /// Number of users or items.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Length of a vector.
    pub fn n_factors(&self) -> usize {
        self.n_factors
    }

    /// All values, row after row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The vector of one user or item.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.n_factors..][..self.n_factors]
    }

    /// Whether the vector is all zeros, which stands for "never seen in training".
    pub fn is_zero(&self, row: usize) -> bool {
        self.row(row).iter().all(|&value| value == 0.0)
    }

    /// The rows that are not all zeros, rising.
    pub fn nonzero_rows(&self) -> impl Iterator<Item = u32> {
        (0..self.n_rows).filter(|&row| !self.is_zero(row)).map(|row| row as u32)
    }

    /// Chosen rows, packed into a table of their own.
    pub fn select(&self, rows: &[u32]) -> Self {
        let values = rows.iter().flat_map(|&row| self.row(row as usize)).copied().collect();
        Self::new(rows.len(), self.n_factors, values)
    }

    /// Every row divided by its Euclidean length; a zero row stays zero.
    pub fn normalized(mut self) -> Self {
        if self.n_factors > 0 {
            for row in self.values.chunks_exact_mut(self.n_factors) {
                let length = row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
                if length > 0.0 {
                    row.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
                }
            }
        }
        self
    }

    /// Rows `start..start + n_rows` as a matrix for `faer`.
    pub fn view(&self, start: usize, n_rows: usize) -> MatRef<'_, f32> {
        let values = &self.values[start * self.n_factors..][..n_rows * self.n_factors];
        MatRef::from_row_major_slice(values, n_rows, self.n_factors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalized_rows_have_length_one_and_zero_rows_stay() {
        let table = Factors::new(3, 2, vec![3.0, 4.0, 0.0, 0.0, 0.0, -2.0]).normalized();
        assert_eq!(table.values(), [0.6, 0.8, 0.0, 0.0, 0.0, -1.0]);
        assert_eq!(table.nonzero_rows().collect::<Vec<_>>(), [0, 2]);
        assert_eq!(table.select(&[2]).row(0), [0.0, -1.0]);
    }
}
