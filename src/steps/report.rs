//! `report`: a page about the data, the models and how they were made, and pictures of the data.
//!
//! The page shows what it is given: a section whose input is left out is not there. Steps before it, their
//! durations and the curves of their training are told by the runner. Events are read once, in batches.

mod user_segments;

use std::num::NonZeroUsize;

use polars::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::data_type::{EVENTS, IMPORTANCES, ITEMS, PAGE, PICTURE, REPORT, USER_METRICS};
use crate::charts::page::facts::{Facts, Step as StepFacts};
use crate::charts::{Picture, page, pictures};
use crate::codec::table::{self, ColumnType};
use crate::codec::{CodecError, json, png, stream};
use crate::data::columns as c;
use crate::data::distribution::Distribution;
use crate::data::error::DataError;
use crate::data::overview::Overview;
use crate::data::top::Tops;
use crate::workflow::kind::{Context, InputPort, OutputPort, ParameterFault, Step, StepError};
use crate::workflow::lineage::Ancestor;
use crate::workflow::render;

const BATCH_ROWS: NonZeroUsize = NonZeroUsize::new(1 << 18).expect("a constant above 0");

/// Parameters of `report`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Report {
    /// The heading of the page.
    pub title: String,
    /// How many tracks, artists and genres are shown.
    #[schemars(range(min = 1, max = 200))]
    pub top: usize,
    /// Into how many groups users are cut by the size of their history.
    #[schemars(range(min = 1, max = 20))]
    pub segments: usize,
}

impl Default for Report {
    fn default() -> Self {
        Self { title: "Recommender report".to_owned(), top: 20, segments: 4 }
    }
}

impl Step for Report {
    const KIND: &'static str = "report";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str =
        "Writes a page about the data, the models and how they were made, and pictures of the data";
    const EXAMPLE: &'static str = "\
report:
  uses: report
  inputs:
    events: preprocess.events
    items: preprocess.items
    preprocess: preprocess.report
    split: split.report
    evaluation: evaluate.report
    user_metrics: evaluate.user_metrics
    history: split.history_events
    ranking: rank.report
    importances: rank.importances
  with: { title: Music, top: 20, segments: 4 }
";
    const INPUTS: &'static [InputPort] = &[
        InputPort::new("events", &[EVENTS], "one row per user and track"),
        InputPort::new("items", &[ITEMS], "the tracks with their names, artists and genres"),
        InputPort::new("preprocess", &[REPORT], "the report of `preprocess`: what each rule removed")
            .optional(),
        InputPort::new("split", &[REPORT], "the report of `split`: periods and cold users").optional(),
        InputPort::new("evaluation", &[REPORT], "the report of `evaluate`: models with intervals").optional(),
        InputPort::new("user_metrics", &[USER_METRICS], "the NDCG of each user, for groups by activity")
            .optional(),
        InputPort::new("history", &[EVENTS], "what users did before the test period, for the same")
            .optional(),
        InputPort::new("ranking", &[REPORT], "the report of `rank`").optional(),
        InputPort::new("importances", &[IMPORTANCES], "how much each feature of the ranker matters")
            .optional(),
    ];
    const OUTPUTS: &'static [OutputPort] = &[
        OutputPort::new("page", PAGE, "html", "the page: one file that needs no network"),
        OutputPort::new("user_activity", PICTURE, "png", "how many tracks users have"),
        OutputPort::new("top_tracks", PICTURE, "png", "the tracks with most users"),
        OutputPort::new("top_genres", PICTURE, "png", "the genres with most listens"),
        OutputPort::new("feature_importances", PICTURE, "png", "the input `importances` as a picture")
            .on_request(),
    ];
    const LINEAGE: bool = true;

    fn check(&self) -> Result<(), ParameterFault> {
        if self.title.trim().is_empty() {
            let message = "expected a heading, found none".to_owned();
            return Err(ParameterFault { parameter: "title", message });
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let facts = self.facts(ctx)?;
        let save = |port: &str, picture: &Picture| {
            png::write(ctx.output(port), picture.width, picture.height, &picture.rgb)
        };
        save("user_activity", &pictures::user_activity(&facts.activity))?;
        save("top_tracks", &pictures::top_tracks(&facts.tops, &facts.overview))?;
        save("top_genres", &pictures::top_genres(&facts.tops, &facts.overview))?;
        if ctx.requested_output("feature_importances").is_some() {
            let subtitle = format!("{} features", facts.importances.len());
            save("feature_importances", &pictures::feature_importances(&facts.importances, &subtitle))?;
        }
        let path = ctx.output("page");
        Ok(std::fs::write(path, page::html(&facts)).map_err(CodecError::io("write", path))?)
    }
}

impl Report {
    fn facts(&self, ctx: &Context<'_>) -> Result<Facts, StepError> {
        // Small files first: one that is wrong should not be found after an hour.
        let mut facts = Facts {
            title: self.title.clone(),
            cleaning: ctx.optional_input("preprocess").map(json::read).transpose()?,
            split: ctx.optional_input("split").map(json::read).transpose()?,
            evaluation: ctx.optional_input("evaluation").map(json::read).transpose()?,
            ranking: ctx.optional_input("ranking").map(json::read).transpose()?,
            importances: importances(ctx)?,
            steps: ctx.lineage().iter().map(StepFacts::from).collect(),
            graph: render::lineage("The steps and how they depend on each other", ctx.lineage()),
            ..Facts::default()
        };
        let path = ctx.input("items");
        let items = table::read(path, ITEM_COLUMNS)?;
        facts.overview = overview(ctx, items.height())?;
        facts.tops = Tops::new(&items, &facts.overview, self.top, path)?;
        drop(items);
        facts.activity = Distribution::new(facts.overview.tracks_of_user.iter().copied());
        facts.popularity = Distribution::new(facts.overview.users_of_item.iter().copied());
        if let (Some(values), Some(history)) =
            (ctx.optional_input("user_metrics"), ctx.optional_input("history"))
        {
            facts.segments = user_segments::read(values, history, self.segments)?;
        }
        Ok(facts)
    }
}

/// Counts the events, batch after batch.
fn overview(ctx: &Context<'_>, n_items: usize) -> Result<Overview, StepError> {
    let path = ctx.input("events");
    let events = table::scan(path, EVENT_COLUMNS)?;
    let n_rows = stream::collect(path, events.clone().select([len().cast(DataType::UInt64).alias("rows")]))?;
    let n_rows = n_rows.column("rows").and_then(|rows| rows.u64()).map_err(DataError::frame(path))?;
    let n_rows = n_rows.get(0).unwrap_or_default();
    let mut overview = Overview::new(n_rows, n_items);
    stream::for_each_batch(path, Overview::query(events), BATCH_ROWS, |batch| -> Result<(), StepError> {
        overview.add(&batch, path)?;
        ctx.progress(overview.rows, Some(n_rows), "events", "counting");
        Ok(ctx.check_cancelled()?)
    })?;
    Ok(overview)
}

/// Features by falling importance.
fn importances(ctx: &Context<'_>) -> Result<Vec<(String, f64)>, StepError> {
    let Some(path) = ctx.optional_input("importances") else { return Ok(Vec::new()) };
    let rows = table::read(path, &[("feature", ColumnType::Text), ("importance", ColumnType::Number)])?;
    let values = rows.column("importance").and_then(|column| column.cast(&DataType::Float64));
    let values = values.map_err(DataError::frame(path))?;
    let names = rows.column("feature").and_then(|column| column.str()).map_err(DataError::frame(path))?;
    let values = values.f64().map_err(DataError::frame(path))?;
    let pairs = names.iter().zip(values.iter());
    let mut features: Vec<(String, f64)> =
        pairs.filter_map(|(name, value)| Some((name?.to_owned(), value?))).collect();
    features.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(features)
}

impl From<&Ancestor> for StepFacts {
    fn from(ancestor: &Ancestor) -> Self {
        let Ancestor { name, kind, version, parameters, made, .. } = ancestor;
        let made = made.as_ref();
        Self {
            name: name.clone(),
            kind: kind.clone(),
            version: *version,
            parameters: parameters.clone(),
            fingerprint: made.map(|made| made.fingerprint.to_string()),
            seconds: made.map(|made| made.seconds),
            finished: made.map(|made| made.finished.clone()),
            bytes: made.map(|made| made.bytes),
            memory: made.and_then(|made| made.notes.usage).map(|usage| usage.peak_memory_bytes),
            curves: made.map(|made| made.notes.curves.clone()).unwrap_or_default(),
            warnings: made.map(|made| made.notes.warnings.clone()).unwrap_or_default(),
        }
    }
}

const EVENT_COLUMNS: &[(&str, ColumnType)] = &[
    (c::USER_IDX, ColumnType::Integer),
    (c::ITEM_IDX, ColumnType::Integer),
    (c::LISTEN_COUNT, ColumnType::Integer),
    (c::FIRST_LISTEN, ColumnType::Date),
];
const ITEM_COLUMNS: &[(&str, ColumnType)] = &[
    (c::ITEM_IDX, ColumnType::Integer),
    (c::TRACK_ID, ColumnType::Integer),
    (c::NAME, ColumnType::Text),
    (c::ARTIST_NAMES, ColumnType::TextList),
    (c::GENRE_NAME, ColumnType::Text),
];
