//! Tables handed on in pieces, and their columns.
//!
//! A piece is handed on while the next one is made; pieces are cut by rows and users, never by
//! threads, so that the files are the same at any thread count.

use std::ops::Range;

use polars::prelude::{Column, DataFrame, DataType, Field, Schema, TimeUnit};

/// Rows of a piece, about; interactions are cut at the end of a user.
pub const PIECE: usize = 1 << 18;

/// Takes the pieces of a table, in order.
pub type Sink<'a, E> = &'a mut (dyn FnMut(DataFrame) -> Result<(), E> + Send);

/// Columns of the tracks.
pub fn tracks_schema() -> Schema {
    let ids = DataType::List(Box::new(DataType::Int64));
    Schema::from_iter([
        Field::new("track_id".into(), DataType::Int64),
        Field::new("albums".into(), ids.clone()),
        Field::new("artists".into(), ids.clone()),
        Field::new("genres".into(), ids),
    ])
}

/// Columns of the catalogue of names.
pub fn catalog_schema() -> Schema {
    Schema::from_iter([
        Field::new("id".into(), DataType::Int64),
        Field::new("type".into(), DataType::String),
        Field::new("name".into(), DataType::String),
    ])
}

/// Columns of the interactions.
pub fn interactions_schema() -> Schema {
    Schema::from_iter([
        Field::new("user_id".into(), DataType::Int32),
        Field::new("track_id".into(), DataType::Int32),
        Field::new("track_seq".into(), DataType::Int16),
        Field::new("started_at".into(), DataType::Datetime(TimeUnit::Nanoseconds, None)),
    ])
}

/// Makes each piece while the one before it is on its way.
pub fn pipe<E: Send>(
    pieces: impl Iterator<Item = Range<usize>> + Send,
    sink: Sink<'_, E>,
    make: impl Fn(Range<usize>) -> DataFrame + Sync,
) -> Result<(), E> {
    let mut ready: Option<DataFrame> = None;
    for piece in pieces {
        let last = ready.take();
        let (handed, next) = rayon::join(|| last.map_or(Ok(()), &mut *sink), || make(piece));
        handed?;
        ready = Some(next);
    }
    ready.map_or(Ok(()), sink)
}

/// Ranges of [`PIECE`] rows.
pub fn pieces(n: usize) -> impl Iterator<Item = Range<usize>> + Send {
    (0..n).step_by(PIECE).map(move |from| from..(from + PIECE).min(n))
}

/// A piece from its columns.
pub fn table(columns: Vec<Column>) -> DataFrame {
    DataFrame::new_infer_height(columns).expect("the columns of a piece have one length")
}
