//! The tables of popularity: `top_popular` (`track_id i64, score f64, rank u32`, best first) and the
//! scores of every track (`track_id i64, item_idx u32, score f64, rank u32`, by item index).

use std::path::Path;

use polars::prelude::*;

use super::{CodecError, table};
use crate::models::popularity::PopularityModel;

/// Writes the best `n` tracks; `track_ids` names the track of every item index.
///
/// # Errors
/// When the disk refuses.
pub fn write_top(
    path: &Path,
    model: &PopularityModel,
    n: usize,
    track_ids: &[i64],
) -> Result<(), CodecError> {
    let items: Vec<usize> = model.top().take(n).map(|item| item as usize).collect();
    let tracks: Vec<i64> = items.iter().map(|&item| track_ids[item]).collect();
    let scores: Vec<f64> = items.iter().map(|&item| model.scores[item]).collect();
    let ranks: Vec<u32> = (1..=items.len() as u32).collect();
    let mut top = df!("track_id" => tracks, "score" => scores, "rank" => ranks)
        .expect("every listed track has a score and a rank");
    table::write(path, &mut top)
}

/// Writes the score of every track.
///
/// # Errors
/// When the disk refuses.
pub fn write_scores(path: &Path, model: &PopularityModel, track_ids: &[i64]) -> Result<(), CodecError> {
    let mut scores = df!(
        "track_id" => track_ids,
        "item_idx" => (0..track_ids.len() as u32).collect::<Vec<_>>(),
        "score" => &model.scores,
        "rank" => model.ranks(),
    )
    .expect("the model was fitted on these tracks");
    table::write(path, &mut scores)
}
