//! Dense indices for users and items, and the tables that carry them.

use std::path::Path;

use polars::prelude::*;

use super::columns as c;
use super::error::DataError;
use super::events::{Counts, Event};
use super::raw::{Catalog, Names};
use super::track::Track;
use super::tracks::Tracks;

const NO_ITEM: u32 = u32::MAX;

/// Numbers items by falling popularity and users by rising id.
pub struct Encoder<'a> {
    tracks: &'a Tracks,
    counts: &'a Counts,
    by_popularity: Vec<u32>,
    item_of: Vec<u32>,
    user_ids: Vec<i64>,
}

impl<'a> Encoder<'a> {
    /// `counts` are settled.
    pub fn new(tracks: &'a Tracks, counts: &'a Counts) -> Self {
        let by_popularity = counts.by_popularity();
        let mut item_of = vec![NO_ITEM; tracks.canonical.len()];
        for (item, &track) in by_popularity.iter().enumerate() {
            item_of[track as usize] = item as u32;
        }
        Self { tracks, counts, by_popularity, item_of, user_ids: Vec::new() }
    }

    /// Items.
    pub fn n_items(&self) -> usize {
        self.by_popularity.len()
    }

    /// The events of the next users, sorted by user and item; buckets come in the order of user ids.
    pub fn events(&mut self, events: &[Event]) -> DataFrame {
        let mut rows: Vec<(u32, u32, &Event)> = Vec::with_capacity(events.len());
        for history in events.chunk_by(|a, b| a.user_id == b.user_id) {
            let start = rows.len();
            let user = self.user_ids.len() as u32;
            let indexed = history.iter().map(|event| (user, self.item_of[event.track as usize], event));
            rows.extend(indexed.filter(|&(_, item, _)| item != NO_ITEM));
            if self.counts.is_enough(rows.len() - start) {
                rows[start..].sort_unstable_by_key(|&(_, item, _)| item);
                self.user_ids.push(history[0].user_id);
            } else {
                rows.truncate(start);
            }
        }
        let track_id = |event: &Event| self.tracks.canonical[event.track as usize].id;
        let time = |name: &str, time: fn(&Event) -> i64| -> Column {
            let times: Int64Chunked = rows.iter().map(|&(_, _, event)| Some(time(event))).collect();
            times.into_datetime(TimeUnit::Microseconds, None).into_column().with_name(name.into())
        };
        let columns = vec![
            Column::new(c::USER_ID.into(), rows.iter().map(|row| row.2.user_id).collect::<Vec<i64>>()),
            Column::new(c::TRACK_ID.into(), rows.iter().map(|row| track_id(row.2)).collect::<Vec<i64>>()),
            Column::new(c::USER_IDX.into(), rows.iter().map(|row| row.0).collect::<Vec<u32>>()),
            Column::new(c::ITEM_IDX.into(), rows.iter().map(|row| row.1).collect::<Vec<u32>>()),
            Column::new(c::LISTEN_COUNT.into(), rows.iter().map(|row| row.2.count).collect::<Vec<u32>>()),
            time(c::FIRST_LISTEN, |event| event.first),
            time(c::LAST_LISTEN, |event| event.last),
        ];
        DataFrame::new(rows.len(), columns).expect("every column has one value per row")
    }

    /// The table of the users whose events were made.
    pub fn users(&self) -> DataFrame {
        let indices: Vec<u32> = (0..self.user_ids.len() as u32).collect();
        let columns =
            vec![Column::new(c::USER_IDX.into(), indices), Column::new(c::USER_ID.into(), &self.user_ids)];
        DataFrame::new(self.user_ids.len(), columns).expect("every column has one value per user")
    }

    /// The table of the items, with the names of the catalogue.
    ///
    /// # Errors
    /// When a list is longer than Polars can hold.
    pub fn items(&self, catalog: &Catalog, path: &Path) -> Result<DataFrame, DataError> {
        let tracks: Vec<&Track> =
            self.by_popularity.iter().map(|&track| &self.tracks.canonical[track as usize]).collect();
        let indices: Vec<u32> = (0..tracks.len() as u32).collect();
        let ids = |name: &str, of: fn(&Track) -> &Vec<i64>| -> Column {
            let n_values = tracks.iter().map(|track| of(track).len()).sum();
            let mut lists = ListPrimitiveChunkedBuilder::<Int64Type>::new(
                name.into(),
                tracks.len(),
                n_values,
                DataType::Int64,
            );
            tracks.iter().for_each(|track| lists.append_slice(of(track)));
            lists.finish().into_column()
        };
        let first_name =
            |names: &Names, ids: &[i64]| ids.iter().find_map(|&id| names.get(id)).map(str::to_owned);
        let mut artists = ListStringChunkedBuilder::new(c::ARTIST_NAMES.into(), tracks.len(), tracks.len());
        for track in &tracks {
            artists.append_values_iter(track.artists.iter().filter_map(|&id| catalog.artists.get(id)));
        }
        let albums: StringChunked =
            tracks.iter().map(|track| first_name(&catalog.albums, &track.albums)).collect();
        let genres: StringChunked =
            tracks.iter().map(|track| first_name(&catalog.genres, &track.genres)).collect();
        let columns = vec![
            Column::new(c::ITEM_IDX.into(), indices),
            Column::new(c::TRACK_ID.into(), tracks.iter().map(|track| track.id).collect::<Vec<i64>>()),
            Column::new(
                c::TRACK_GROUP_ID.into(),
                tracks.iter().map(|track| track.group_id).collect::<Vec<i64>>(),
            ),
            ids(c::ARTIST_IDS, |track| &track.artists),
            ids(c::ALBUM_IDS, |track| &track.albums),
            ids(c::GENRE_IDS, |track| &track.genres),
            Column::new(
                c::NAME.into(),
                tracks.iter().map(|track| track.name.as_str()).collect::<Vec<&str>>(),
            ),
            artists.finish().into_column(),
            albums.into_column().with_name(c::ALBUM_NAME.into()),
            genres.into_column().with_name(c::GENRE_NAME.into()),
        ];
        DataFrame::new(tracks.len(), columns).map_err(DataError::frame(path))
    }
}
