//! Columns that hold a list of ids a row, such as the genres of a track, with the ids made dense.

use std::path::Path;

use polars::prelude::*;

use super::CodecError;
use crate::interactions::Interactions;

/// The lists of a column; equal ids have equal indices, in the order of the ids.
#[derive(Debug, Default)]
pub struct IdLists {
    n_ids: usize,
    starts: Vec<usize>,
    indices: Vec<Option<u32>>,
}

impl IdLists {
    /// Takes the lists of `column`; a null in a list is no id, a null list has no length.
    ///
    /// # Errors
    /// When the column holds no lists of integers.
    pub fn new(path: &Path, table: &DataFrame, column: &'static str) -> Result<Self, CodecError> {
        let wrong = |error: PolarsError| CodecError::value(path, column, error.to_string());
        let lists =
            table.column(column).and_then(|column| column.cast(&DataType::List(Box::new(DataType::Int64))));
        let lists = lists.map_err(wrong)?;
        let lists = lists.list().map_err(wrong)?.rechunk();
        let starts = lists.offsets().map_err(wrong)?.as_slice().iter().map(|&start| start as usize).collect();
        let inner = lists.get_inner();
        let ids: Vec<Option<i64>> = inner.i64().map_err(wrong)?.iter().collect();
        let mut known: Vec<i64> = ids.iter().copied().flatten().collect();
        known.sort_unstable();
        known.dedup();
        let index = |id: i64| known.partition_point(|&other| other < id) as u32;
        Ok(Self { n_ids: known.len(), starts, indices: ids.into_iter().map(|id| id.map(index)).collect() })
    }

    /// Number of different ids.
    pub fn n_ids(&self) -> usize {
        self.n_ids
    }

    /// The list of a row, in its own order.
    pub fn row(&self, row: usize) -> impl Iterator<Item = u32> {
        self.indices[self.starts[row]..self.starts[row + 1]].iter().copied().flatten()
    }

    /// The lists as a matrix rows × ids of ones.
    pub fn matrix(&self) -> Interactions {
        let mut row_starts = vec![0];
        let mut ids = Vec::with_capacity(self.indices.len());
        for row in 0..self.starts.len() - 1 {
            let mut list: Vec<u32> = self.row(row).collect();
            list.sort_unstable();
            list.dedup();
            ids.extend(list);
            row_starts.push(ids.len());
        }
        let ones = vec![1.0; ids.len()];
        Interactions::new(self.starts.len() - 1, self.n_ids, row_starts, ids, ones)
            .expect("ids rise within a row, and 1 is a count")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_dense_and_lists_become_rows_of_ones() {
        let lists: Vec<Option<Series>> = vec![
            Some(Series::new("".into(), [Some(40i64), Some(7), None, Some(40)])),
            Some(Series::new("".into(), Vec::<i64>::new())),
            None,
            Some(Series::new("".into(), [7i64])),
        ];
        let mut table = df!("row" => [0u32, 1, 2, 3]).unwrap();
        table.with_column(Series::new("ids".into(), lists).into()).unwrap();
        let lists = IdLists::new(Path::new("table.parquet"), &table, "ids").unwrap();
        assert_eq!(lists.n_ids(), 2);
        assert_eq!(lists.row(0).collect::<Vec<_>>(), [1, 0, 1]);
        let matrix = lists.matrix();
        assert_eq!((matrix.n_users(), matrix.n_items()), (4, 2));
        assert_eq!(matrix.row(0), (&[0, 1][..], &[1.0, 1.0][..]));
        assert_eq!(matrix.row(2).0, [0; 0]);
        assert_eq!(matrix.row(3).0, [0]);
    }
}
