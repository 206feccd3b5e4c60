//! Items by their content: albums, artists and genres, packed into short vectors.
//!
//! Each item is a row of ones under its attributes; the truncated singular value decomposition
//! `A ≈ U Σ Vᵀ` of these rows gives the item vectors `U Σ`, whose inner products are as near to those of
//! the rows as vectors of that length can be. A user is the mean of the vectors of their items, each item
//! once, however often it was chosen; recommended are the nearest items. Since it needs nobody's choices,
//! it serves items that nobody has yet.
//!
//! # Shapes
//! `item_factors`: n_items × k, where `k` is `components` or, if less, the rank of the attributes.
//!
//! # Source
//! Deerwester, Dumais, Furnas, Landauer, Harshman: Indexing by latent semantic analysis, JASIS 41(6),
//! 1990. Halko, Martinsson, Tropp: Finding structure with randomness, 2011, for the decomposition.

mod attributes;
#[cfg(test)]
mod tests;

use miette::Diagnostic;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use attributes::Attributes;

use crate::interactions::{Interactions, InvalidInteractions};
use crate::models::factors::Factors;
use crate::models::linear_algebra::svd::TruncatedSvd;
use crate::models::lists::{Block, QUERIES_AT_ONCE};
use crate::models::recommender::{Recommender, Request};
use crate::models::similar::Metric;
use crate::models::top_k::TopK;

/// Parameters of the model and of the candidates made with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Item2Item {
    /// Length of the item vectors, at most.
    #[schemars(range(min = 1, max = 2048))]
    pub components: usize,
    /// What makes an item near to a user.
    pub metric: Metric,
    /// Weight of the albums: an album that two items share counts its square.
    #[schemars(range(min = 0, max = 1000))]
    pub album_weight: f64,
    /// Weight of the artists.
    #[schemars(range(min = 0, max = 1000))]
    pub artist_weight: f64,
    /// Weight of the genres.
    #[schemars(range(min = 0, max = 1000))]
    pub genre_weight: f64,
    /// Columns of the random projection beyond `components`: more are more exact.
    #[schemars(range(min = 0, max = 1000))]
    pub oversampling: usize,
    /// Power iterations of the random projection: more are more exact, above all where singular values
    /// fall slowly.
    #[schemars(range(min = 0, max = 100))]
    pub power_iterations: usize,
    /// Seed of the random projection.
    pub seed: u64,
    /// Candidates per user.
    #[schemars(range(min = 1, max = 10_000))]
    pub n: usize,
    /// Whether items of the user's own training history are left out of the candidates.
    pub filter_seen: bool,
}

impl Default for Item2Item {
    fn default() -> Self {
        Self {
            components: 128,
            metric: Metric::Cosine,
            album_weight: 1.0,
            artist_weight: 1.0,
            genre_weight: 1.0,
            oversampling: 16,
            power_iterations: 4,
            seed: 42,
            n: 100,
            filter_seen: true,
        }
    }
}

/// A fitted model. An item without attributes has a vector of zeros and is in no list.
#[derive(Debug, Clone, PartialEq)]
pub struct Item2ItemModel {
    /// Vectors of the items, `n_items × k`.
    pub item_factors: Factors,
    /// Singular values of the attributes, falling; `k` of them.
    pub singular_values: Vec<f32>,
    /// What makes an item near to a user.
    pub metric: Metric,
}

/// Why no model could be fitted.
#[derive(Debug, Error, Diagnostic)]
pub enum Item2ItemError {
    /// Nothing to tell items by.
    #[error("no item has an attribute of a weight above 0 ({n_items} items)")]
    #[diagnostic(help(
        "give the albums, artists or genres of the items, and leave at least one of `album_weight`, \
         `artist_weight` and `genre_weight` above 0"
    ))]
    Empty {
        /// Number of items.
        n_items: usize,
    },
    /// Attributes of unequal numbers of items.
    #[error("the {block} belong to {found} items, the albums to {expected}")]
    #[diagnostic(help("make all attributes from the same catalogue"))]
    Shape {
        /// `artists` or `genres`.
        block: &'static str,
        /// Items of this block.
        found: usize,
        /// Items of the albums.
        expected: usize,
    },
    /// A value that no weight can be.
    #[error("attributes times their weight: {0}")]
    #[diagnostic(help("choose weights nearer to 1"))]
    Value(#[from] InvalidInteractions),
}

impl Item2Item {
    /// Fits the model. The same attributes and parameters give the same bits at any thread count.
    ///
    /// # Errors
    /// When no item has an attribute, the blocks have unequal numbers of items, or a weight takes the
    /// values out of the range of f32.
    pub fn fit(&self, attributes: &Attributes) -> Result<Item2ItemModel, Item2ItemError> {
        let matrix = attributes.weighted([self.album_weight, self.artist_weight, self.genre_weight])?;
        if matrix.is_empty() {
            return Err(Item2ItemError::Empty { n_items: matrix.n_users() });
        }
        let Self { components, oversampling, power_iterations, seed, .. } = *self;
        let svd = TruncatedSvd { components, oversampling, power_iterations, seed }.decompose(&matrix);
        let mut values = svd.left.values().to_vec();
        for row in values.chunks_exact_mut(svd.singular_values.len()) {
            row.iter_mut().zip(&svd.singular_values).for_each(|(value, sigma)| *value *= sigma);
        }
        let item_factors = Factors::new(matrix.n_users(), svd.singular_values.len(), values);
        Ok(Item2ItemModel { item_factors, singular_values: svd.singular_values, metric: self.metric })
    }
}

impl Item2ItemModel {
    /// The means of the vectors of some users' items, `users × k`; zeros for a user without items.
    pub fn user_factors(&self, history: &Interactions, users: &[u32]) -> Factors {
        let k = self.item_factors.n_factors();
        let mut means = vec![0.0f32; users.len() * k];
        means.par_chunks_mut(k).zip(users).for_each(|(mean, &user)| {
            let items = history.row(user as usize).0;
            for &item in items {
                let vector = self.item_factors.row(item as usize);
                mean.iter_mut().zip(vector).for_each(|(mean, value)| *mean += value);
            }
            let n_items = items.len().max(1) as f32;
            mean.iter_mut().for_each(|value| *value /= n_items);
        });
        Factors::new(users.len(), k, means)
    }
}

impl Recommender for Item2ItemModel {
    fn recommend<E>(
        &self,
        request: &Request<'_>,
        mut emit: impl FnMut(Block<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let search = match self.metric {
            Metric::Cosine => TopK::cosine(&self.item_factors),
            Metric::Dot => TopK::inner_product(&self.item_factors),
        };
        let mut done = 0;
        for queries in request.users.chunks(QUERIES_AT_ONCE) {
            let vectors = self.user_factors(request.history, queries);
            let lists = search.search(&vectors, request.n, |at| request.excluded(queries[at]));
            done += queries.len();
            emit(Block { queries, lists: &lists, done, total: request.users.len() })?;
        }
        Ok(())
    }
}
