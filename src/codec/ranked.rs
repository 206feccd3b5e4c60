//! Ranked lists on disk: tables of `key, track, score, rank`, read in blocks.
//!
//! A table of final recommendations holds a hundred rows for each of a million users. Whoever reads
//! it keeps a compact form, so the rows are handed over a block at a time and never lie in memory
//! all at once.

use std::fs::File;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use polars::prelude::*;

use super::CodecError;
use super::table::{self, ColumnType};

/// Columns of 8 MB: the allocator keeps such memory for the next block, larger ones it gives back to the system.
const BLOCK_ROWS: u32 = 1 << 20;

/// Consecutive rows of a ranked table; the four slices have one length.
#[derive(Debug, Clone, Copy)]
pub struct RankedBlock<'a> {
    /// What the list belongs to: a user or a track.
    pub keys: &'a [i64],
    /// The tracks of the lists.
    pub tracks: &'a [i64],
    /// How strongly each is recommended.
    pub scores: &'a [f32],
    /// Position in its list, from 1.
    pub ranks: &'a [u32],
}

/// Reads a table whose lists belong to the column `key` and name tracks in the column `track`.
///
/// # Errors
/// When the file cannot be read, a column is missing, of another type or holds a null or a NaN;
/// and whatever `each` returns.
pub fn read<E: From<CodecError>>(
    path: &Path,
    key: &str,
    track: &str,
    mut each: impl FnMut(RankedBlock<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let query = scan(path, &[key, track])?;
    thread::scope(|scope| {
        // The next block is read while this one is taken; when nobody takes any more, the channel is closed.
        let (to, blocks) = mpsc::sync_channel(1);
        scope.spawn(move || {
            for block in 0.. {
                let rows = collect(path, query.clone().slice(block * i64::from(BLOCK_ROWS), BLOCK_ROWS));
                let is_last = rows.as_ref().map_or(true, |rows| rows.height() < BLOCK_ROWS as usize);
                if to.send(rows).is_err() || is_last {
                    break;
                }
            }
        });
        for rows in blocks {
            let rows = rows?;
            let (scores, ranks) = scores_and_ranks(path, &rows)?;
            each(RankedBlock {
                keys: integers(path, &rows, key)?,
                tracks: integers(path, &rows, track)?,
                scores,
                ranks,
            })?;
        }
        Ok(())
    })
}

/// How many rows a table has, from its footer alone.
///
/// # Errors
/// When the file cannot be read or is not Parquet.
pub fn n_rows(path: &Path) -> Result<usize, CodecError> {
    let file = File::open(path).map_err(CodecError::io("read", path))?;
    ParquetReader::new(file).num_rows().map_err(|error| table::format_error(path, &error))
}

/// Reads a table that is one list; its column `track_id` takes the place of the key as well.
///
/// # Errors
/// See [`read`].
pub fn read_one<T>(path: &Path, take: impl FnOnce(RankedBlock<'_>) -> T) -> Result<T, CodecError> {
    let rows = collect(path, scan(path, &["track_id"])?.sort(["rank"], SortMultipleOptions::default()))?;
    let tracks = integers(path, &rows, "track_id")?;
    let (scores, ranks) = scores_and_ranks(path, &rows)?;
    Ok(take(RankedBlock { keys: tracks, tracks, scores, ranks }))
}

/// Reads one column of integers.
///
/// # Errors
/// When the file cannot be read, or the column is missing, of another type or holds a null.
pub fn read_ids(path: &Path, column: &str) -> Result<Vec<i64>, CodecError> {
    let query = table::scan(path, &[(column, ColumnType::Integer)])?;
    let rows = collect(path, query.select([col(column).strict_cast(DataType::Int64)]))?;
    Ok(integers(path, &rows, column)?.to_vec())
}

fn scan(path: &Path, ids: &[&str]) -> Result<LazyFrame, CodecError> {
    let mut columns: Vec<(&str, ColumnType)> = ids.iter().map(|&id| (id, ColumnType::Integer)).collect();
    columns.extend([("score", ColumnType::Number), ("rank", ColumnType::Integer)]);
    let mut selection: Vec<Expr> = ids.iter().map(|&id| col(id).strict_cast(DataType::Int64)).collect();
    selection.push(col("score").strict_cast(DataType::Float32));
    selection.push(col("rank").strict_cast(DataType::UInt32));
    Ok(table::scan(path, &columns)?.select(selection))
}

fn collect(path: &Path, query: LazyFrame) -> Result<DataFrame, CodecError> {
    let mut rows = query.collect().map_err(|error| CodecError::Format {
        path: path.to_owned(),
        format: "Parquet",
        message: error.to_string(),
    })?;
    rows.rechunk_mut();
    Ok(rows)
}

fn scores_and_ranks<'a>(path: &Path, rows: &'a DataFrame) -> Result<(&'a [f32], &'a [u32]), CodecError> {
    let scores = whole(path, "score", rows.column("score").and_then(|c| c.f32()?.cont_slice()))?;
    if scores.iter().any(|score| score.is_nan()) {
        return Err(value_error(path, "score", "a score is not a number (NaN)"));
    }
    let ranks = whole(path, "rank", rows.column("rank").and_then(|c| c.u32()?.cont_slice()))?;
    Ok((scores, ranks))
}

fn integers<'a>(path: &Path, rows: &'a DataFrame, column: &str) -> Result<&'a [i64], CodecError> {
    whole(path, column, rows.column(column).and_then(|c| c.i64()?.cont_slice()))
}

/// A column in one piece is a slice unless it holds nulls.
fn whole<'a, T>(path: &Path, column: &str, slice: PolarsResult<&'a [T]>) -> Result<&'a [T], CodecError> {
    slice.map_err(|_| value_error(path, column, "a value is missing (null)"))
}

fn value_error(path: &Path, column: &str, message: &str) -> CodecError {
    CodecError::Value { path: path.to_owned(), column: column.to_owned(), message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_integer_width_is_read_and_nulls_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.parquet");
        let mut rows =
            df!("user_id" => [7i32, 7], "track_id" => [1i64, 2], "score" => [0.5f64, 0.25], "rank" => [1i64, 2])
                .unwrap();
        table::write(&path, &mut rows).unwrap();
        let mut seen = Vec::new();
        read::<CodecError>(&path, "user_id", "track_id", |block| {
            seen.push((block.keys.to_vec(), block.scores.to_vec(), block.ranks.to_vec()));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [(vec![7, 7], vec![0.5, 0.25], vec![1, 2])]);

        let mut rows =
            df!("track_id" => [Some(1i64), None], "score" => [0.5, 0.25], "rank" => [1u32, 2]).unwrap();
        table::write(&path, &mut rows).unwrap();
        let error = read_ids(&path, "track_id").unwrap_err().to_string();
        assert!(error.contains("column `track_id`: a value is missing"), "{error}");
    }
}
