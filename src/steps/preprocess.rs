//! `preprocess`: raw tables to clean, encoded ones.
//!
//! The three raw files are checked before any work is done. Interactions pass in batches into buckets of
//! users, which are then taken one at a time: memory holds the catalogue, a few numbers per user and per
//! track, and one bucket.

use std::num::NonZeroUsize;

use polars::prelude::LazyFrame;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::data_type;
use crate::codec::table::{self, ColumnType};
use crate::codec::{json, spill, stream};
use crate::data::columns as c;
use crate::data::encoders::Encoder;
use crate::data::error::DataError;
use crate::data::events::{self, Counts, Event};
use crate::data::listens::{self, Listen, RawUsers, Router, Sample, Survey};
use crate::data::preprocess_report::{Facts, PreprocessReport};
use crate::data::raw::{Catalog, RawTracks};
use crate::data::time_order::TimeOrder;
use crate::data::tracks::{TrackRules, Tracks};
use crate::workflow::kind::{Context, InputPort, OutputPort, Step, StepError};

const BATCH_ROWS: NonZeroUsize = NonZeroUsize::new(1 << 18).expect("a constant above 0");
const LISTENS: &str = "listens";
const EVENTS: &str = "events";

/// Parameters of `preprocess`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Preprocess {
    /// Keep interactions whose `track_seq` is at or under this quantile of all `track_seq`; null keeps all.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub max_track_seq_quantile: Option<f64>,
    /// Drop users with fewer tracks than this.
    #[schemars(range(min = 1))]
    pub min_user_events: u32,
    /// Drop tracks with fewer users than this; 0 keeps tracks that nobody listened to.
    #[schemars(range(min = 0))]
    pub min_item_users: u32,
    /// Keep this share of the users, chosen by `seed`.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub users_sample_rate: f64,
    /// Chooses the users of the sample.
    pub seed: u64,
    /// Drop tracks without an artist.
    pub drop_without_artist: bool,
    /// Drop tracks without a genre.
    pub drop_without_genre: bool,
    /// Drop tracks without a name.
    pub drop_without_name: bool,
}

impl Default for Preprocess {
    fn default() -> Self {
        Self {
            max_track_seq_quantile: Some(0.95),
            min_user_events: 1,
            min_item_users: 1,
            users_sample_rate: 1.0,
            seed: 42,
            drop_without_artist: true,
            drop_without_genre: true,
            drop_without_name: true,
        }
    }
}

impl Step for Preprocess {
    const KIND: &'static str = "preprocess";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str =
        "Cleans the raw tables: one id per entity, versions of a song grouped, one row per user and track";
    const EXAMPLE: &'static str = "\
preprocess:
  uses: preprocess
  inputs:
    tracks: data/raw/tracks.parquet
    catalog: data/raw/catalog_names.parquet
    interactions: data/raw/interactions.parquet
  with:
    max_track_seq_quantile: 0.95
    min_user_events: 5
";
    const INPUTS: &'static [InputPort] = &[
        InputPort::new("tracks", &[data_type::RAW_TRACKS], "tracks with their albums, artists and genres"),
        InputPort::new("catalog", &[data_type::RAW_CATALOG], "names of tracks, albums, artists and genres"),
        InputPort::new("interactions", &[data_type::RAW_INTERACTIONS], "who listened to what, and when"),
    ];
    const OUTPUTS: &'static [OutputPort] = &[
        OutputPort::new("items", data_type::ITEMS, "parquet", "one row per track, most popular first"),
        OutputPort::new("events", data_type::EVENTS, "parquet", "one row per user and track"),
        OutputPort::new("users", data_type::USERS, "parquet", "one row per user"),
        OutputPort::new("report", data_type::REPORT, "json", "rows in, rows out, and why"),
    ];

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        self.run_in_buckets(ctx, listens::BUCKET_ROWS)
    }
}

impl Preprocess {
    /// The whole step, with buckets of about so many interactions.
    fn run_in_buckets(&self, ctx: &Context<'_>, bucket_rows: u64) -> Result<(), StepError> {
        let tracks_path = ctx.input("tracks");
        let catalog_path = ctx.input("catalog");
        let interactions_path = ctx.input("interactions");
        // Every footer, every id and every date is checked before the work begins.
        let _ = table::scan(tracks_path, TRACK_COLUMNS)?;
        let _ = table::scan(catalog_path, CATALOG_COLUMNS)?;
        let scan = table::scan(interactions_path, INTERACTION_COLUMNS)?;
        let columns = listens::columns(scan).map_err(DataError::frame(interactions_path))?;
        let raw = RawTracks::from_frame(&table::read(tracks_path, TRACK_COLUMNS)?, tracks_path)?;
        let catalog = Catalog::from_frame(&table::read(catalog_path, CATALOG_COLUMNS)?, catalog_path)?;
        let answer = stream::collect(interactions_path, Survey::query(columns.clone()))?;
        let survey = Survey::from_frame(&answer, self.max_track_seq_quantile, interactions_path)?;

        let tracks = Tracks::resolve(&raw, &catalog, self.track_rules());
        tracks.rules.require_rows("tracks", tracks_path)?;
        ctx.check_cancelled()?;

        let answer = stream::collect(interactions_path, RawUsers::query(columns.clone()))?;
        let sample = Sample { rate: self.users_sample_rate, seed: self.seed };
        let users = RawUsers::from_frame(&answer, sample, bucket_rows, interactions_path)?;
        drop(answer);
        let mut router = Router::new(&raw.ids, &tracks, &users, sample, &survey);
        route(ctx, &mut router, columns, &survey, users.n_buckets())?;
        let mut interactions = router.rules(survey.n_rows);
        drop(router);
        interactions.require_rows("interactions", interactions_path)?;

        let n_buckets = users.n_buckets();
        let counts = Counts::new(tracks.kept.clone(), self.min_user_events, self.min_item_users);
        let (counts, time_order) = fold(ctx, counts, &tracks, n_buckets)?;
        interactions.drop("same_user_and_track", interactions.rows_out - counts.n_events_in());
        interactions.drop("min_item_users", counts.n_track_dropped);
        interactions.drop("min_user_events", counts.n_user_dropped);
        interactions.require_rows("interactions", interactions_path)?;

        let mut encoder = Encoder::new(&tracks, &counts);
        write_events(ctx, &mut encoder, n_buckets)?;
        table::write(ctx.output("users"), &mut encoder.users())?;
        table::write(ctx.output("items"), &mut encoder.items(&catalog, tracks_path)?)?;
        let report = PreprocessReport::new(Facts {
            catalog: &catalog,
            tracks: &tracks,
            users: &users,
            counts: &counts,
            n_items: encoder.n_items(),
            survey,
            quantile: self.max_track_seq_quantile,
            interactions,
            time_order,
        });
        for warning in report.warnings() {
            ctx.warn(warning);
        }
        for (name, value) in report.metrics() {
            ctx.metric(name, value);
        }
        json::write(ctx.output("report"), &report)?;
        Ok(())
    }

    fn track_rules(&self) -> TrackRules {
        TrackRules {
            drop_without_artist: self.drop_without_artist,
            drop_without_genre: self.drop_without_genre,
            drop_without_name: self.drop_without_name,
        }
    }
}

/// Sends every interaction that passes the rules into the bucket of its user.
fn route(
    ctx: &Context<'_>,
    router: &mut Router<'_>,
    columns: LazyFrame,
    survey: &Survey,
    n_buckets: usize,
) -> Result<(), StepError> {
    let path = ctx.input("interactions");
    let mut spill = spill::Spill::create(ctx.work_dir(), LISTENS, n_buckets)?;
    let mut done = 0;
    stream::for_each_batch(path, columns, BATCH_ROWS, |batch| -> Result<(), StepError> {
        router.route(&batch, path, |bucket, listen| spill.put(bucket, &listen).map_err(StepError::from))?;
        done += batch.height() as u64;
        ctx.progress(done, Some(survey.n_rows), "rows", "filtering");
        Ok(ctx.check_cancelled()?)
    })?;
    Ok(spill.finish()?)
}

/// Joins listens into events, bucket by bucket, and counts until both minimums hold.
fn fold(
    ctx: &Context<'_>,
    mut counts: Counts,
    tracks: &Tracks,
    n_buckets: usize,
) -> Result<(Counts, TimeOrder), StepError> {
    let folder = ctx.work_dir();
    let mut time_order = TimeOrder::default();
    for bucket in 0..n_buckets {
        let listens = spill::read::<Listen>(folder, LISTENS, bucket)?;
        let events = events::fold(listens, &tracks.canonical_of, &mut time_order);
        spill::write(folder, EVENTS, bucket, &events)?;
        spill::remove(folder, LISTENS, bucket)?;
        counts.add(&events);
        ctx.progress(bucket as u64 + 1, Some(n_buckets as u64), "buckets of users", "one row per track");
        ctx.check_cancelled()?;
    }
    while let Some(next) = counts.settle() {
        counts = next;
        for bucket in 0..n_buckets {
            counts.add(&spill::read::<Event>(folder, EVENTS, bucket)?);
            ctx.check_cancelled()?;
        }
        ctx.progress(counts.n_events, None, "rows", "minimums of users and tracks");
    }
    Ok((counts, time_order.finish()))
}

/// Writes the table of events, sorted by user and item.
fn write_events(ctx: &Context<'_>, encoder: &mut Encoder<'_>, n_buckets: usize) -> Result<(), StepError> {
    let mut writer = stream::Writer::new(ctx.output("events"));
    for bucket in 0..n_buckets {
        let events = spill::read::<Event>(ctx.work_dir(), EVENTS, bucket)?;
        writer.write(&encoder.events(&events))?;
        spill::remove(ctx.work_dir(), EVENTS, bucket)?;
        ctx.progress(bucket as u64 + 1, Some(n_buckets as u64), "buckets of users", "writing");
        ctx.check_cancelled()?;
    }
    Ok(writer.finish()?)
}

const TRACK_COLUMNS: &[(&str, ColumnType)] = &[
    (c::TRACK_ID, ColumnType::Integer),
    (c::ALBUMS, ColumnType::IntegerList),
    (c::ARTISTS, ColumnType::IntegerList),
    (c::GENRES, ColumnType::IntegerList),
];
const CATALOG_COLUMNS: &[(&str, ColumnType)] =
    &[(c::ID, ColumnType::Integer), (c::TYPE, ColumnType::Text), (c::NAME, ColumnType::Text)];
const INTERACTION_COLUMNS: &[(&str, ColumnType)] = &[
    (c::USER_ID, ColumnType::Integer),
    (c::TRACK_ID, ColumnType::Integer),
    (c::TRACK_SEQ, ColumnType::Integer),
    (c::STARTED_AT, ColumnType::Date),
];

#[cfg(test)]
mod tests;
