//! Two-stage recommendation: base models propose, a ranker that sees more than they do decides.
//!
//! Tables come in by blocks of users ([`block`]); what is known of items comes from one pass over all
//! events ([`catalog`], [`item_stats`]). For the users of a block, [`candidates`] unites the lists of the
//! base models, [`features`] describes each pair, and then either [`training`] labels and samples them
//! or the [`ranker`] scores and sorts them. One code path computes features for both, so they cannot
//! drift apart; it is given events, a reference day and nothing else, so it cannot see past that day.
//! [`rerank`] then trades some relevance for variety.

pub mod block;
pub mod candidates;
pub mod catalog;
pub mod columns;
pub mod features;
pub mod item_stats;
pub mod parted;
pub mod prior;
pub mod ranker;
pub mod rerank;
pub mod training;
pub mod validation;
pub mod verdict;

#[cfg(test)]
mod tests;

use miette::Diagnostic;
use polars::prelude::PolarsError;
use thiserror::Error;

use crate::models::boosting::BoostingError;
use crate::models::boosting::model::FeatureMismatch;

/// Why candidates could not be ranked.
#[derive(Debug, Error, Diagnostic)]
pub enum RankingError {
    /// A column is missing, holds nulls, or is of another type.
    #[error("a table of the ranker cannot be used: {0}")]
    #[diagnostic(help(
        "make the tables again with `preprocess`, `split` and the base models of one pipeline"
    ))]
    Table(#[from] PolarsError),
    /// A table is not in the order that blocks need.
    #[error("{table}: expected rows sorted by `user_idx`")]
    #[diagnostic(help("sort the table by `user_idx`"))]
    Unsorted {
        /// Which table.
        table: &'static str,
    },
    /// An item that the catalogue does not have.
    #[error("{table}: item {item} is outside the catalogue of {n_items} items")]
    #[diagnostic(help("all tables of one ranker must come from one run of `preprocess`"))]
    UnknownItem {
        /// Which table.
        table: &'static str,
        /// The `item_idx`.
        item: u32,
        /// Items there are.
        n_items: usize,
    },
    /// A period without events.
    #[error("there are no events before the target period")]
    #[diagnostic(help("let the target period start later (`split`)"))]
    NoEvents,
    /// Nothing to learn from.
    #[error(
        "no candidate of the train period was chosen in the target period: \
         {users} users, {target_pairs} events in the target period"
    )]
    #[diagnostic(help(
        "make the target period longer (`split`), or let the base models propose more candidates (`n`)"
    ))]
    NoPositives {
        /// Users there are.
        users: usize,
        /// Events of the target period.
        target_pairs: usize,
    },
    /// Training failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Boosting(#[from] BoostingError),
    /// The model is for other features.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Features(#[from] FeatureMismatch),
}

/// Training and scoring must unite lists of the same models.
#[derive(Debug, Error, Diagnostic)]
#[error("`train_candidates` has {train}, but `candidates` has {score}")]
#[diagnostic(help(
    "name the same models in both: under `train_candidates` as fitted on train, under `candidates` as \
     refitted on train + target"
))]
pub struct NameMismatch {
    train: String,
    score: String,
}

impl NameMismatch {
    /// Of the names on both sides.
    pub fn new(train: &[String], score: &[String]) -> Self {
        let list = |names: &[String]| {
            let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            quoted.join(", ")
        };
        Self { train: list(train), score: list(score) }
    }
}
