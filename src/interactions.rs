//! The matrix users × items that the whole domain shares, in compressed sparse rows.
//!
//! Rows are users, columns are items, a stored value is how often (or how strongly) the user chose
//! the item. Values are finite and positive and columns rise within a row: that is decided here, at
//! the border, so that no model has to ask again.

use miette::Diagnostic;
use sprs::CsMatI;
use thiserror::Error;

/// Interactions of users with items; `n_users × n_items`, f32 values, u32 item ids.
#[derive(Debug, Clone, PartialEq)]
pub struct Interactions {
    matrix: CsMatI<f32, u32, usize>,
}

/// Why some arrays are not a matrix of interactions.
#[derive(Debug, Error, Diagnostic)]
pub enum InvalidInteractions {
    /// A value that no count can be.
    #[error("user {user}, item {item}: a count must be finite and above 0, found {value}")]
    #[diagnostic(help("clean the interactions before this step; `preprocess` does it for raw tables"))]
    Value {
        /// Row of the value.
        user: usize,
        /// Column of the value.
        item: u32,
        /// The value.
        value: f32,
    },
    /// The arrays contradict each other.
    #[error("not a matrix in compressed sparse rows: {0}")]
    #[diagnostic(help("write it with `scipy.sparse.save_npz(path, matrix.tocsr())`"))]
    Structure(#[from] sprs::errors::StructureError),
}

impl Interactions {
    /// Checks and takes the three arrays of a CSR matrix.
    ///
    /// # Errors
    /// When the arrays contradict each other or a value is not finite and positive.
    pub fn new(
        n_users: usize,
        n_items: usize,
        row_starts: Vec<usize>,
        items: Vec<u32>,
        values: Vec<f32>,
    ) -> Result<Self, InvalidInteractions> {
        let matrix = CsMatI::try_new((n_users, n_items), row_starts, items, values)
            .map_err(|(_, _, _, error)| error)?;
        let interactions = Self { matrix };
        for user in 0..n_users {
            let (items, values) = interactions.row(user);
            for (&item, &value) in items.iter().zip(values) {
                if !(value.is_finite() && value > 0.0) {
                    return Err(InvalidInteractions::Value { user, item, value });
                }
            }
        }
        Ok(interactions)
    }

    /// From `(user, item, value)` in any order; values of the same pair are added.
    ///
    /// # Errors
    /// When a value is not finite and positive.
    ///
    /// # Panics
    /// When a user or item lies outside the shape.
    pub fn from_triplets(
        n_users: usize,
        n_items: usize,
        triplets: impl IntoIterator<Item = (u32, u32, f32)>,
    ) -> Result<Self, InvalidInteractions> {
        let mut triplets: Vec<(u32, u32, f32)> = triplets.into_iter().collect();
        triplets.sort_by_key(|&(user, item, _)| (user, item));
        triplets.dedup_by(|next, kept| {
            let same = (next.0, next.1) == (kept.0, kept.1);
            if same {
                kept.2 += next.2;
            }
            same
        });
        let mut row_starts = vec![0usize; n_users + 1];
        for &(user, _, _) in &triplets {
            row_starts[user as usize + 1] += 1;
        }
        for user in 0..n_users {
            row_starts[user + 1] += row_starts[user];
        }
        let items = triplets.iter().map(|t| t.1).collect();
        let values = triplets.iter().map(|t| t.2).collect();
        Self::new(n_users, n_items, row_starts, items, values)
    }

    /// Number of rows.
    pub fn n_users(&self) -> usize {
        self.matrix.rows()
    }

    /// Number of columns.
    pub fn n_items(&self) -> usize {
        self.matrix.cols()
    }

    /// Number of stored values.
    pub fn len(&self) -> usize {
        self.matrix.nnz()
    }

    /// Whether nothing is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The items of a user, rising, and the values beside them.
    pub fn row(&self, user: usize) -> (&[u32], &[f32]) {
        let start = self.row_starts()[user];
        let end = self.row_starts()[user + 1];
        (&self.items()[start..end], &self.values()[start..end])
    }

    /// Where each row starts in [`items`](Self::items); `n_users + 1` entries.
    pub fn row_starts(&self) -> &[usize] {
        self.matrix.indptr().into_raw_storage()
    }

    /// Item ids of all rows, one after the other.
    pub fn items(&self) -> &[u32] {
        self.matrix.indices()
    }

    /// Values of all rows, one after the other.
    pub fn values(&self) -> &[f32] {
        self.matrix.data()
    }

    /// Items × users.
    pub fn transposed(&self) -> Self {
        Self { matrix: self.matrix.transpose_view().to_csr() }
    }

    /// How many users each item has; `n_items` entries.
    pub fn item_counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.n_items()];
        for &item in self.items() {
            counts[item as usize] += 1;
        }
        counts
    }

    /// The users with items, rising.
    pub fn users_with_items(&self) -> Vec<u32> {
        let rows = self.row_starts().windows(2).enumerate();
        rows.filter(|(_, bounds)| bounds[0] < bounds[1]).map(|(user, _)| user as u32).collect()
    }

    /// The same pairs with other values, such as confidences.
    ///
    /// # Errors
    /// When a new value is not finite and positive.
    pub fn map_values(&self, change: impl Fn(f32) -> f32) -> Result<Self, InvalidInteractions> {
        self.with_values(self.values().iter().map(|&value| change(value)).collect())
    }

    /// The same pairs with these values, one for each, in the order of [`values`](Self::values).
    ///
    /// # Errors
    /// When their number differs, or one is not finite and positive.
    pub fn with_values(&self, values: Vec<f32>) -> Result<Self, InvalidInteractions> {
        Self::new(self.n_users(), self.n_items(), self.row_starts().to_vec(), self.items().to_vec(), values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_hold_rising_items_and_equal_pairs_are_added() {
        let matrix =
            Interactions::from_triplets(3, 4, [(2, 3, 1.0), (0, 2, 1.0), (0, 1, 5.0), (2, 3, 2.0)]).unwrap();
        assert_eq!(matrix.row(0), (&[1, 2][..], &[5.0, 1.0][..]));
        assert_eq!(matrix.row(1), (&[][..], &[][..]));
        assert_eq!(matrix.row(2), (&[3][..], &[3.0][..]));
        assert_eq!(matrix.transposed().row(3), (&[2][..], &[3.0][..]));
        assert_eq!(matrix.item_counts(), [0, 1, 1, 1]);
    }

    #[test]
    fn a_value_that_is_no_count_is_refused() {
        for value in [f32::NAN, f32::INFINITY, 0.0, -1.0] {
            assert!(Interactions::from_triplets(1, 1, [(0, 0, value)]).is_err());
        }
    }
}
