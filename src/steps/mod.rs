//! The seam between the runner and the domain: one file a kind, and the registry.
//!
//! A step file is thin: load the inputs, call the domain, save the outputs. Adding a kind is one
//! new file here, its `mod` line, and its line in [`KINDS`]; help, JSON Schema and checks derive
//! from that list.

mod als;
mod blend;
mod bpr;
mod download;
mod ease;
pub mod evaluate;
mod flat_lists;
mod graph_filter;
mod item2item;
mod item_knn;
mod popularity;
mod preprocess;
mod rank;
mod report;
mod rerank;
mod serve;
mod shell;
mod similar;
mod split;
mod synthetic;
mod upload;

use std::path::Path;

use crate::codec::candidates;
use crate::codec::table::{self, ColumnType};
use crate::data::synthetic::Synthetic;
use crate::interactions::Interactions;
use crate::models::als::Als;
use crate::models::blend::Blend;
use crate::models::bpr::Bpr;
use crate::models::ease::Ease;
use crate::models::graph_filter::GraphFilter;
use crate::models::item_knn::ItemKnn;
use crate::models::item2item::Item2Item;
use crate::models::popularity::Popularity;
use crate::models::recommender::{Recommender, Request};
use crate::models::similar::Similar;
use crate::ranking::RankingError;
use crate::ranking::catalog::Catalog;
use crate::ranking::rerank::Rerank;
use crate::workflow::kind::{Context, Kind, StepError};

/// Every kind, in the order of the reference.
#[rustfmt::skip]
pub static KINDS: &[Kind] = &[
    Kind::of::<Synthetic>(),
    Kind::of::<download::Download>(),
    Kind::of::<preprocess::Preprocess>(),
    Kind::of::<split::Split>(),
    Kind::of::<Popularity>(),
    Kind::of::<Als>(),
    Kind::of::<Bpr>(),
    Kind::of::<ItemKnn>(),
    Kind::of::<Ease>(),
    Kind::of::<GraphFilter>(),
    Kind::of::<Item2Item>(),
    Kind::of::<Blend>(),
    Kind::of::<Similar>(),
    Kind::of::<rank::Rank>(),
    Kind::of::<Rerank>(),
    Kind::of::<evaluate::Evaluate>(),
    Kind::of::<report::Report>(),
    Kind::of::<flat_lists::FlatLists>(),
    Kind::of::<serve::Serve>(),
    Kind::of::<shell::Shell>(),
    Kind::of::<upload::Upload>(),
];

/// Data types of ports, each written once: an edge between different types is refused.
pub mod data_type {
    /// Raw `tracks.parquet`.
    pub const RAW_TRACKS: &str = "raw tracks";
    /// Raw `catalog_names.parquet`.
    pub const RAW_CATALOG: &str = "raw catalog names";
    /// Raw `interactions.parquet`.
    pub const RAW_INTERACTIONS: &str = "raw interactions";
    /// `items.parquet`: one row per item with ids and names.
    pub const ITEMS: &str = "items";
    /// `users.parquet`: `user_idx`, `user_id`.
    pub const USERS: &str = "users";
    /// One row per (user, item) with counts and dates.
    pub const EVENTS: &str = "events";
    /// CSR matrix users × items.
    pub const MATRIX: &str = "interaction matrix";
    /// Factor tables of a model.
    pub const FACTORS: &str = "factors";
    /// Sparse weights from items to items.
    pub const ITEM_WEIGHTS: &str = "item weights";
    /// `user_idx, item_idx, score, rank`: what one base model proposes to each user.
    pub const CANDIDATES: &str = "candidates";
    /// `user_id, track_id, score, rank`: the final lists.
    pub const RECOMMENDATIONS: &str = "recommendations";
    /// `track_id, similar_track_id, score, rank`.
    pub const SIMILAR: &str = "similar tracks";
    /// Ranked lists as a service has them in memory.
    pub const FLAT_LISTS: &str = "flat lists";
    /// `track_id, score, rank`.
    pub const TOP_POPULAR: &str = "top popular";
    /// A score for every track.
    pub const TRACK_SCORES: &str = "track scores";
    /// A boosted ranker in CatBoost's JSON format.
    pub const RANKER: &str = "ranker";
    /// The same in CatBoost's binary format.
    pub const RANKER_BINARY: &str = "ranker, binary";
    /// How much each feature matters.
    pub const IMPORTANCES: &str = "feature importances";
    /// A picture.
    pub const PICTURE: &str = "picture";
    /// A JSON report.
    pub const REPORT: &str = "report";
    /// What a service showed its users, and what they listened to.
    pub const IMPRESSIONS: &str = "impressions";
    /// A table that compares models.
    pub const COMPARISON: &str = "comparison";
    /// A page for people.
    pub const PAGE: &str = "page";
    /// A metric of each user.
    pub const USER_METRICS: &str = "user metrics";
}

/// What the second stage knows of the items.
fn read_catalog(path: &Path) -> Result<Catalog, StepError> {
    let columns = [
        ("item_idx", ColumnType::Integer),
        ("track_id", ColumnType::Integer),
        ("track_group_id", ColumnType::Integer),
        ("artist_ids", ColumnType::IntegerList),
        ("genre_ids", ColumnType::IntegerList),
        ("genre_name", ColumnType::Text),
    ];
    Ok(Catalog::from_table(&table::read(path, &columns)?).map_err(RankingError::from)?)
}

/// What every step of a base model does once it has a model: writes the output `candidates`, block after
/// block, with progress.
fn propose(ctx: &Context<'_>, model: &impl Recommender, request: &Request<'_>) -> Result<(), StepError> {
    let mut writer = candidates::Writer::create(ctx.output("candidates"))?;
    model.recommend(request, |block| -> Result<(), StepError> {
        writer.write(&block)?;
        ctx.progress(block.done as u64, Some(block.total as u64), "users", "");
        Ok(ctx.check_cancelled()?)
    })?;
    Ok(writer.finish()?)
}

/// [`propose`] for every user with items in `train`: what is new to them, or anything.
fn propose_to_trained(
    ctx: &Context<'_>,
    model: &impl Recommender,
    train: &Interactions,
    n: usize,
    filter_seen: bool,
) -> Result<(), StepError> {
    propose(ctx, model, &Request { users: &train.users_with_items(), history: train, n, filter_seen })
}
