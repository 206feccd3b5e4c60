//! What a model learns from and scores: named columns of real numbers and of categories.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Texts of categories by their hash, for people; a model compares hashes only.
pub type CategoryNames = Arc<BTreeMap<u32, String>>;

/// The values of one feature, one per row.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Numbers; NaN is a missing value.
    Real(Vec<f32>),
    /// Hashes of categories, see [`category_hash`](super::category_hash).
    Category {
        /// One hash per row.
        hashes: Vec<u32>,
        /// Texts behind the hashes, as far as known.
        names: CategoryNames,
    },
}

impl Values {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Real(values) => values.len(),
            Self::Category { hashes, .. } => hashes.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows that `keep` names, in its order.
    pub fn take(&self, keep: &[usize]) -> Self {
        match self {
            Self::Real(values) => Self::Real(keep.iter().map(|&row| values[row]).collect()),
            Self::Category { hashes, names } => {
                Self::Category { hashes: keep.iter().map(|&row| hashes[row]).collect(), names: names.clone() }
            }
        }
    }
}

/// One feature: its name and its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Feature {
    /// The name in the model file and in the importances.
    pub name: String,
    /// One value per row.
    pub values: Values,
}

impl Feature {
    /// A feature of numbers.
    pub fn real(name: impl Into<String>, values: Vec<f32>) -> Self {
        Self { name: name.into(), values: Values::Real(values) }
    }
}

/// A table of features: `n_rows × n_features`, by columns.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Features {
    columns: Vec<Feature>,
    n_rows: usize,
}

impl Features {
    /// Takes columns of equal length.
    ///
    /// # Panics
    /// When the columns differ in length.
    pub fn new(columns: Vec<Feature>) -> Self {
        let n_rows = columns.first().map_or(0, |column| column.values.len());
        assert!(columns.iter().all(|column| column.values.len() == n_rows), "columns differ in length");
        Self { columns, n_rows }
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The columns.
    pub fn columns(&self) -> &[Feature] {
        &self.columns
    }

    /// The columns, each of which can go when it has been used.
    pub fn into_columns(self) -> Vec<Feature> {
        self.columns
    }

    /// The rows that `keep` names, in its order.
    pub fn take(&self, keep: &[usize]) -> Self {
        let columns = self
            .columns
            .iter()
            .map(|column| Feature { name: column.name.clone(), values: column.values.take(keep) });
        Self { columns: columns.collect(), n_rows: keep.len() }
    }

    /// Adds the rows of `other` below.
    ///
    /// # Panics
    /// When `other` has other columns.
    pub fn append(&mut self, other: Self) {
        if self.columns.is_empty() {
            *self = other;
            return;
        }
        assert_eq!(self.columns.len(), other.columns.len(), "tables differ in columns");
        self.n_rows += other.n_rows;
        for (own, other) in self.columns.iter_mut().zip(other.columns) {
            assert_eq!(own.name, other.name, "tables differ in columns");
            match (&mut own.values, other.values) {
                (Values::Real(own), Values::Real(mut other)) => own.append(&mut other),
                (Values::Category { hashes: own, .. }, Values::Category { mut hashes, .. }) => {
                    own.append(&mut hashes);
                }
                _ => panic!("column `{}` holds numbers in one table and categories in the other", own.name),
            }
        }
    }
}
