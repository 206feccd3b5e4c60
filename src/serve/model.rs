//! A factor model at request time: a user's vector solved from their latest events, the tracks that it
//! likes best, and what each event adds to their scores.
//!
//! Solving a row takes microseconds and the search is exact, so a user is known after the first events,
//! without a fit. Nothing is kept between requests.

use std::path::Path;

use super::blend::{Pick, Source};
use super::failure::ServiceError;
use super::online::Listened;
use crate::codec::{CodecError, factors, track_ids};
use crate::models::als::{AlsError, Explanation, FoldIn};
use crate::models::top_k::TopK;
use crate::models::weighting::Weighting;

/// The longest list that is searched for, whatever a filter would need.
const DEEPEST: usize = 10_000;

/// The vectors of the items of `als`, ready to solve users and to be searched.
#[derive(Debug)]
pub struct FactorModel {
    fold_in: FoldIn,
    top_k: TopK,
}

impl FactorModel {
    /// Reads a model that was fitted on these items.
    ///
    /// # Errors
    /// When a file cannot be read, the model is not one of these items, or a row of it cannot be solved
    /// alone.
    pub fn read(model: &Path, items: &Path) -> Result<Self, ServiceError> {
        let (parameters, item_factors) = factors::read_als(model)?;
        let n_items = track_ids::read(items)?.len();
        if n_items != item_factors.n_rows() {
            Err(CodecError::Value {
                path: items.to_owned(),
                column: "item_idx".to_owned(),
                message: format!(
                    "expected the {} items of the model, found {n_items}",
                    item_factors.n_rows()
                ),
            })?;
        }
        let refused = |cause| ServiceError::Model { path: model.to_owned(), cause };
        if parameters.weighting == Weighting::Bm25 {
            return Err(refused(AlsError::WeightsOfAll));
        }
        let fold_in = FoldIn::new(&parameters, &item_factors).map_err(refused)?;
        Ok(Self { fold_in, top_k: TopK::inner_product(&item_factors) })
    }

    /// The `n` tracks that somebody who listened to these likes best, of those that `allows` lets in.
    pub fn recommend(&self, listened: &[Listened], allows: impl Fn(u32) -> bool, n: usize) -> Vec<Pick> {
        let (items, values) = row(listened);
        let vector = match self.fold_in.row(&items, &values) {
            Ok(vector) => vector,
            Err(error) => {
                tracing::error!("a user cannot be folded in: {error}");
                return Vec::new();
            }
        };
        // Filters are few or none: a search somewhat deeper than asked for is nearly always enough.
        let n_findable = self.top_k.items().len().min(DEEPEST);
        let mut depth = n.saturating_add(16).min(n_findable);
        loop {
            let found = self.top_k.find(&vector, depth, &items);
            let exhausted = depth == n_findable || found.last().is_none_or(|&(_, score)| score <= 0.0);
            // A score of 0 says that the vector has nothing to do with the track.
            let found = found.into_iter().filter(|&(item, score)| score > 0.0 && allows(item));
            let picks = found.take(n);
            let picks: Vec<Pick> =
                picks.map(|(item, score)| Pick { item, score, source: Source::Online }).collect();
            if picks.len() == n || exhausted {
                return picks;
            }
            depth = depth.saturating_mul(8).min(n_findable);
        }
    }

    /// What each of these tracks adds to the scores of `targets`, in their order.
    pub fn explain(&self, listened: &[Listened], targets: &[u32]) -> Vec<Explanation> {
        let (items, values) = row(listened);
        self.fold_in.explain(&items, &values, targets).unwrap_or_else(|error| {
            tracing::error!("a user cannot be folded in: {error}");
            Vec::new()
        })
    }
}

/// Items, rising, and their values, of those that have any weight left.
fn row(listened: &[Listened]) -> (Vec<u32>, Vec<f32>) {
    let mut row: Vec<(u32, f32)> = listened.iter().map(|one| (one.item, one.weight * one.count)).collect();
    row.retain(|&(_, value)| value > 0.0);
    row.sort_unstable_by_key(|&(item, _)| item);
    row.into_iter().unzip()
}
