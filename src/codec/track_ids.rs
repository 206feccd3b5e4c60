//! The track of every item index, from the table of items.

use std::path::Path;

use polars::prelude::*;

use super::CodecError;
use super::listens::whole_numbers;
use super::table::{self, ColumnType};

/// `track_id` by `item_idx`.
///
/// # Errors
/// When the table cannot be read or its `item_idx` are not 0, 1, 2, … in order.
pub fn read(path: &Path) -> Result<Vec<i64>, CodecError> {
    let items = table::read(path, &[("item_idx", ColumnType::Integer), ("track_id", ColumnType::Integer)])?;
    let indices: Vec<i64> = whole_numbers(path, &items, "item_idx", &DataType::Int64)?;
    if let Some((row, found)) = indices.iter().enumerate().find(|&(row, &found)| row as i64 != found) {
        return Err(CodecError::Value {
            path: path.to_owned(),
            column: "item_idx".to_owned(),
            message: format!("expected 0, 1, 2, … in order; row {row} has {found}"),
        });
    }
    whole_numbers(path, &items, "track_id", &DataType::Int64)
}
