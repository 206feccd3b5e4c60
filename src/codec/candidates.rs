//! What one model proposes to each user: `user_idx u32, item_idx u32, score f32, rank u32`, sorted by
//! user and rank (from 1).

use std::path::Path;

use polars::prelude::*;

use super::CodecError;
use super::table::ColumnType;
use super::table_writer::TableWriter;
use crate::models::lists::Block;

/// What a table of candidates must have.
pub const COLUMNS: [(&str, ColumnType); 4] = [
    ("user_idx", ColumnType::Integer),
    ("item_idx", ColumnType::Integer),
    ("score", ColumnType::Number),
    ("rank", ColumnType::Integer),
];

/// A table of candidates that is being written.
pub struct Writer {
    table: TableWriter,
}

impl Writer {
    /// Creates `path`.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &Path) -> Result<Self, CodecError> {
        let empty = part(Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Ok(Self { table: TableWriter::create(path, empty.schema())? })
    }

    /// Adds the lists of the users that follow.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&mut self, block: &Block<'_>) -> Result<(), CodecError> {
        let n_entries = block.lists.n_entries();
        let (mut users, mut items) = (Vec::with_capacity(n_entries), Vec::with_capacity(n_entries));
        let (mut scores, mut ranks) = (Vec::with_capacity(n_entries), Vec::with_capacity(n_entries));
        for (&user, (list, list_scores)) in block.queries.iter().zip(block.lists.iter()) {
            users.resize(users.len() + list.len(), user);
            items.extend_from_slice(list);
            scores.extend_from_slice(list_scores);
            ranks.extend(1..=list.len() as u32);
        }
        self.table.append(&part(users, items, scores, ranks))
    }

    /// Completes the file.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(self) -> Result<(), CodecError> {
        self.table.finish()
    }
}

fn part(users: Vec<u32>, items: Vec<u32>, scores: Vec<f32>, ranks: Vec<u32>) -> DataFrame {
    df!("user_idx" => users, "item_idx" => items, "score" => scores, "rank" => ranks)
        .expect("the columns of a part are equally long")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::table;
    use crate::models::lists::Lists;

    #[test]
    fn rows_lie_by_user_and_rank() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("candidates.parquet");
        let mut writer = Writer::create(&path).unwrap();
        let mut lists = Lists::new();
        lists.push([(7, 0.5), (2, 0.25)]);
        lists.push([]);
        writer.write(&Block { queries: &[1, 3], lists: &lists, done: 2, total: 3 }).unwrap();
        let mut lists = Lists::new();
        lists.push([(9, 1.5)]);
        writer.write(&Block { queries: &[4], lists: &lists, done: 3, total: 3 }).unwrap();
        writer.finish().unwrap();

        let columns = ["user_idx", "item_idx", "score", "rank"].map(|name| (name, ColumnType::Number));
        let expected = part(vec![1, 1, 4], vec![7, 2, 9], vec![0.5, 0.25, 1.5], vec![1, 2, 1]);
        assert!(table::read(&path, &columns).unwrap().equals(&expected));
    }

    #[test]
    fn no_candidates_are_a_table_without_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("candidates.parquet");
        Writer::create(&path).unwrap().finish().unwrap();
        assert_eq!(table::read(&path, &[("score", ColumnType::Number)]).unwrap().height(), 0);
    }
}
