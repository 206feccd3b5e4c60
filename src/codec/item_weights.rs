//! Weights from items to items as a sparse matrix: `scipy.sparse.load_npz` opens the file, and so does
//! `load` of the item-item recommenders of the library `implicit`.

use std::path::Path;

use super::CodecError;
use super::npz::{Writer, npy_string};
use crate::models::item_weights::ItemWeights;

/// Writes the weights; `neighbours` is how many a row keeps at most.
///
/// # Errors
/// When the disk refuses.
pub fn write(path: &Path, weights: &ItemWeights, neighbours: usize) -> Result<(), CodecError> {
    let (n_items, n_values) = (weights.n_items() as i64, weights.items().len() as u64);
    let starts = weights.row_starts();
    let mut writer = Writer::create(path)?;
    writer.array("indices", &[n_values], weights.items().iter().map(|&item| item as i32))?;
    writer.array("indptr", &[starts.len() as u64], starts.iter().map(|&start| start as i64))?;
    writer.raw("format", &npy_string(b"|S3", b"csr"))?;
    writer.array("shape", &[2], [n_items, n_items])?;
    writer.array("data", &[n_values], weights.weights().iter().copied())?;
    writer.array("K", &[], [neighbours as i64])?;
    writer.finish()
}
