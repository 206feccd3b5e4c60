//! The interactions of one side, row by row, with as little memory as they take.
//!
//! A fit reads the matrix in both orders. One of them is the caller's own matrix, which is borrowed;
//! only the other is built. Confidences that are a multiple of the values are made when a row is
//! read, and values that are all the same are not kept at all.

use std::borrow::Cow;

use super::{Als, AlsError};
use crate::interactions::Interactions;
use crate::models::weighting::Weighting;

/// Rows of columns and confidences; the confidence of a pair is `scale` times its value.
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    /// `n_rows + 1` entries.
    starts: Cow<'a, [usize]>,
    columns: Cow<'a, [u32]>,
    /// Beside the columns; none when every value is 1.
    values: Cow<'a, [f32]>,
    scale: f64,
}

impl<'a> Rows<'a> {
    /// The rows of the users with the confidences that the parameters ask for.
    ///
    /// # Errors
    /// When a confidence leaves the range of f32.
    pub fn new(parameters: &Als, interactions: &'a Interactions) -> Result<Self, AlsError> {
        let (mut scale, mut values) = (parameters.alpha, Cow::Borrowed(interactions.values()));
        match parameters.weighting {
            Weighting::Linear => {}
            Weighting::Binary => values = Cow::Borrowed(&[]),
            Weighting::Log | Weighting::Bm25 => {
                values = Cow::Owned(parameters.confidences(interactions)?.values().to_vec());
                scale = 1.0;
            }
        }
        let smallest = values.iter().copied().reduce(f32::min).unwrap_or(1.0);
        let largest = values.iter().copied().reduce(f32::max).unwrap_or(1.0);
        if scaled(scale, smallest) <= 0.0 || !scaled(scale, largest).is_finite() {
            // Slow, and knows which pair it is.
            parameters.confidences(interactions)?;
        }
        if smallest == largest {
            scale *= f64::from(largest);
            values = Cow::Borrowed(&[]);
        }
        Ok(Self { values, scale, ..Self::of(interactions) })
    }

    /// The rows of the users with confidences that are the values.
    pub fn of(confidences: &'a Interactions) -> Self {
        Self {
            starts: Cow::Borrowed(confidences.row_starts()),
            columns: Cow::Borrowed(confidences.items()),
            values: Cow::Borrowed(confidences.values()),
            scale: 1.0,
        }
    }

    /// The same pairs by column, of which there are `n_columns`.
    pub fn transposed(&self, n_columns: usize) -> Rows<'static> {
        let mut starts = vec![0; n_columns + 1];
        for &column in &*self.columns {
            starts[column as usize + 1] += 1;
        }
        for column in 0..n_columns {
            starts[column + 1] += starts[column];
        }
        let mut free = starts.clone();
        let mut columns = vec![0; self.columns.len()];
        let mut values = vec![0.0; self.values.len()];
        for row in 0..self.n_rows() {
            for at in self.starts[row]..self.starts[row + 1] {
                let place = &mut free[self.columns[at] as usize];
                columns[*place] = row as u32;
                if let Some(&value) = self.values.get(at) {
                    values[*place] = value;
                }
                *place += 1;
            }
        }
        Rows { starts: starts.into(), columns: columns.into(), values: values.into(), scale: self.scale }
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// Where each row starts; `n_rows + 1` entries.
    pub fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// The columns of a row, rising.
    #[inline]
    pub fn columns(&self, row: usize) -> &[u32] {
        &self.columns[self.starts[row]..self.starts[row + 1]]
    }

    /// The columns of a row and the confidences beside them, which may be written to `made`.
    #[inline]
    pub fn row<'b>(&'b self, row: usize, made: &'b mut Vec<f32>) -> (&'b [u32], &'b [f32]) {
        let columns = self.columns(row);
        if self.values.is_empty() {
            made.resize(columns.len(), self.scale as f32);
            return (columns, made);
        }
        let values = &self.values[self.starts[row]..self.starts[row + 1]];
        if self.scale == 1.0 {
            return (columns, values);
        }
        made.clear();
        made.extend(values.iter().map(|&value| scaled(self.scale, value)));
        (columns, made)
    }

    /// The sum of all confidences.
    pub fn total(&self) -> f64 {
        if self.values.is_empty() {
            return self.columns.len() as f64 * f64::from(self.scale as f32);
        }
        self.values.iter().map(|&value| f64::from(scaled(self.scale, value))).sum()
    }
}

fn scaled(scale: f64, value: f32) -> f32 {
    (scale * f64::from(value)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidences_are_those_of_the_weighting_in_both_orders() {
        let pairs = (0..90u32).map(|at| (at % 7, at * 3 % 11, 1.0 + (at % 4) as f32));
        let counts = Interactions::from_triplets(8, 12, pairs).unwrap();
        let same = counts.map_values(|_| 3.0).unwrap();
        for matrix in [&counts, &same] {
            for weighting in [Weighting::Linear, Weighting::Log, Weighting::Bm25, Weighting::Binary] {
                for alpha in [1.0, 0.3] {
                    let parameters = Als { weighting, alpha, ..Als::default() };
                    let expected = parameters.confidences(matrix).unwrap();
                    let rows = Rows::new(&parameters, matrix).unwrap();
                    let sum: f64 = expected.values().iter().map(|&value| f64::from(value)).sum();
                    assert!((rows.total() / sum - 1.0).abs() < 1e-12);
                    for (rows, expected) in [(rows.transposed(12), expected.transposed()), (rows, expected)] {
                        assert_eq!(rows.starts(), expected.row_starts());
                        let mut made = Vec::new();
                        for row in 0..rows.n_rows() {
                            assert_eq!(rows.row(row, &mut made), expected.row(row), "{parameters:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn values_that_are_all_the_same_are_not_kept() {
        let matrix = Interactions::from_triplets(2, 3, [(0, 2, 5.0), (1, 0, 5.0)]).unwrap();
        let rows = Rows::new(&Als::default(), &matrix).unwrap();
        assert!(rows.values.is_empty() && rows.transposed(3).values.is_empty());
        assert_eq!(rows.row(1, &mut Vec::new()), (&[0][..], &[5.0][..]));
    }
}
