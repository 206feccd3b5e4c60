//! Item-to-item neighbours: an item scores by its similarity to what the user chose so far.
//!
//! ```text
//! score(u, i) = Σ_p r_up · S_pi,   p over the items of u,   S_pi = w_p · w_i
//! ```
//!
//! where `r` are the counts, `w_i` is the item's vector over users (normalised counts, TF-IDF or BM25) and
//! of each row of `S` only the best `neighbours` are kept, the item itself among them. Parameters,
//! formulas and lists are those of the item-item recommenders of the library `implicit` (0.7).
//!
//! Where to read on: `weights` holds the formulas, `product` the work, `nearest` the selection.
//!
//! # Shapes
//! `similarities`: n_items × n_items, at most `neighbours` a row.
//!
//! # Source
//! Deshpande, Karypis: Item-based top-N recommendation algorithms, ACM TOIS 2004.

mod nearest;
mod product;
#[cfg(test)]
mod tests;
mod weights;

use std::ops::ControlFlow;

use miette::Diagnostic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::product::Vectors;
use super::item_weights::ItemWeights;
use super::lists::Block;
use super::recommender::{Recommender, Request, recommend_by_scores};
use crate::interactions::Interactions;

/// What makes two items similar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Similarity {
    /// The cosine of their counts over users.
    #[default]
    Cosine,
    /// The same after `√count · ln(n_items / (1 + n_u))`: users who choose everything say less.
    TfIdf,
    /// The inner product of Okapi BM25 weights with `k1` and `b`; not normalised, so popular items have
    /// larger similarities.
    Bm25,
}

/// Parameters of the model and of the candidates made with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ItemKnn {
    /// What makes two items similar.
    pub similarity: Similarity,
    /// Similar items kept per item, itself included.
    #[schemars(range(min = 1, max = 10_000))]
    pub neighbours: usize,
    /// How slowly further listens of the same user count less; `similarity: bm25` only.
    #[schemars(range(min = 0, max = 1000))]
    pub k1: f64,
    /// From 0 to 1, how much less a listen says of an item with many; `similarity: bm25` only.
    #[schemars(range(min = 0, max = 1))]
    pub b: f64,
    /// Candidates per user.
    #[schemars(range(min = 1, max = 10_000))]
    pub n: usize,
    /// Whether items of the user's own training history are left out of the candidates.
    pub filter_seen: bool,
}

impl Default for ItemKnn {
    fn default() -> Self {
        Self { similarity: Similarity::Cosine, neighbours: 20, k1: 1.2, b: 0.75, n: 100, filter_seen: true }
    }
}

/// How far a fit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Work done so far, in additions to similarities.
    pub done: u64,
    /// All work.
    pub total: u64,
}

/// A fitted model.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemKnnModel {
    /// The similarities kept: a row an item, its columns the items most similar to it.
    pub similarities: ItemWeights,
}

/// Why no model could be fitted.
#[derive(Debug, Error, Diagnostic)]
pub enum ItemKnnError {
    /// Nothing to learn from.
    #[error("the matrix of interactions is empty ({n_users} users × {n_items} items, no interaction)")]
    #[diagnostic(help("look at the filters and dates of the steps before: they left nothing to train on"))]
    Empty {
        /// Rows of the matrix.
        n_users: usize,
        /// Columns of the matrix.
        n_items: usize,
    },
    /// The caller ended the fit; half of the similarities are of no use.
    #[error("stopped before all similarities were known")]
    Stopped,
}

impl ItemKnn {
    /// Fits the model; `on_progress` hears about every hundredth of the work and may end the fit.
    ///
    /// The same interactions and parameters give the same bits at any thread count.
    ///
    /// # Errors
    /// When there is nothing to learn from, or `on_progress` ended the fit.
    pub fn fit(
        &self,
        interactions: &Interactions,
        on_progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<ItemKnnModel, ItemKnnError> {
        let (n_users, n_items) = (interactions.n_users(), interactions.n_items());
        if interactions.is_empty() {
            return Err(ItemKnnError::Empty { n_users, n_items });
        }
        let by_item = interactions.transposed();
        let vectors = Vectors::new(&by_item, &weights::weights(self, &by_item));
        drop(by_item);
        // No item has more neighbours than there are items.
        let k = self.neighbours.clamp(1, n_items);
        let nearest = vectors.nearest(k, on_progress).ok_or(ItemKnnError::Stopped)?;
        Ok(ItemKnnModel { similarities: similarities(n_items, nearest) })
    }
}

/// The rows `(item, keys)`, in the order of the items.
fn similarities(n_items: usize, nearest: Vec<(u32, Vec<u64>)>) -> ItemWeights {
    let mut rows = vec![Vec::new(); n_items];
    for (item, keys) in nearest {
        let mut row: Vec<(u32, f32)> = keys.into_iter().filter(|&key| key > 0).map(nearest::entry).collect();
        row.sort_unstable_by_key(|&(other, _)| other);
        rows[item as usize] = row;
    }
    ItemWeights::from_rows(rows)
}

impl ItemKnnModel {
    /// What each past item adds to the score of `item`, most first: the contributions sum to the score.
    ///
    /// `history` holds the user's items and the counts beside them, as [`Interactions::row`] gives them;
    /// an item that the model does not know adds nothing.
    pub fn explain(&self, history: (&[u32], &[f32]), item: u32) -> Vec<(u32, f32)> {
        let mut contributions = Vec::new();
        for (&past, &count) in history.0.iter().zip(history.1) {
            if (past as usize) < self.similarities.n_items() {
                let (others, similarities) = self.similarities.row(past as usize);
                if let Ok(at) = others.binary_search(&item) {
                    contributions.push((past, count * similarities[at]));
                }
            }
        }
        contributions.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        contributions
    }
}

impl Recommender for ItemKnnModel {
    fn recommend<E>(
        &self,
        request: &Request<'_>,
        emit: impl FnMut(Block<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let score = |user: u32, scores: &mut [f32]| {
            let (past, counts) = request.history.row(user as usize);
            for (&past, &count) in past.iter().zip(counts) {
                self.similarities.add_row(past, count, scores);
            }
        };
        recommend_by_scores(self.similarities.n_items(), request, score, emit)
    }
}
