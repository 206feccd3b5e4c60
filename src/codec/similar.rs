//! Similar tracks: `track_id i64, similar_track_id i64, score f32, rank u32`, sorted by the item index
//! of `track_id` and by rank (from 1).

use std::path::Path;

use polars::prelude::*;

use super::CodecError;
use super::table_writer::TableWriter;
use crate::models::lists::Block;

/// A table of similar tracks that is being written.
pub struct Writer<'a> {
    table: TableWriter,
    track_ids: &'a [i64],
}

impl<'a> Writer<'a> {
    /// Creates `path`; `track_ids` names the track of every item index.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: &'a Path, track_ids: &'a [i64]) -> Result<Self, CodecError> {
        let empty = part(Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Ok(Self { table: TableWriter::create(path, empty.schema())?, track_ids })
    }

    /// Adds the lists of the items that follow.
    ///
    /// # Errors
    /// When the disk refuses.
    ///
    /// # Panics
    /// When an item has no track.
    pub fn write(&mut self, block: &Block<'_>) -> Result<(), CodecError> {
        let track_id = |item: &u32| self.track_ids[*item as usize];
        let n_entries = block.lists.n_entries();
        let (mut tracks, mut similar) = (Vec::with_capacity(n_entries), Vec::with_capacity(n_entries));
        let (mut scores, mut ranks) = (Vec::with_capacity(n_entries), Vec::with_capacity(n_entries));
        for (item, (list, list_scores)) in block.queries.iter().zip(block.lists.iter()) {
            tracks.resize(tracks.len() + list.len(), track_id(item));
            similar.extend(list.iter().map(track_id));
            scores.extend_from_slice(list_scores);
            ranks.extend(1..=list.len() as u32);
        }
        self.table.append(&part(tracks, similar, scores, ranks))
    }

    /// Completes the file.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(self) -> Result<(), CodecError> {
        self.table.finish()
    }
}

fn part(tracks: Vec<i64>, similar: Vec<i64>, scores: Vec<f32>, ranks: Vec<u32>) -> DataFrame {
    df!("track_id" => tracks, "similar_track_id" => similar, "score" => scores, "rank" => ranks)
        .expect("the columns of a part are equally long")
}
