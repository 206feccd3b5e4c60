//! The ranker: a boosted model over the features of candidates, trained and applied.

use std::ops::ControlFlow;

use rayon::prelude::*;
use serde::Serialize;

use super::RankingError;
use super::block::Block;
use super::features::{FeatureSet, Past};
use super::training::{TrainingSet, USERS_PER_TASK};
use super::validation::{auc, ndcg};
use crate::models::boosting::model::FeatureMismatch;
use crate::models::boosting::{BoostedTrees, Boosting, Iteration, Loss, Samples, Values};

/// Positives that a validation part needs before its loss says when to stop.
const MIN_VALIDATION_POSITIVES: usize = 20;

/// Lists are compared up to this rank.
const NDCG_AT: usize = 10;

/// How a ranker is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranker {
    /// The trainer.
    pub boosting: Boosting,
    /// Share of the users, drawn by seed, whose rows say when to stop; the final model is trained on all.
    pub validation_share: f64,
}

/// What training saw and how well it went.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainingReport {
    /// Users with a chosen candidate.
    pub users: usize,
    /// Rows, chosen and not.
    pub rows: usize,
    /// Chosen candidates.
    pub positives: usize,
    /// Trees of the model.
    pub trees: usize,
    /// How the model does on users that it had not seen; `None` with too few of them.
    pub validation: Option<Validation>,
}

/// Quality on the rows of users that were held out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Validation {
    /// Users held out.
    pub users: usize,
    /// Their rows.
    pub rows: usize,
    /// Chosen candidates among them.
    pub positives: usize,
    /// Mean log-loss.
    pub loss: f64,
    /// Area under the ROC curve over all rows.
    pub auc: f64,
    /// NDCG@10 of the ranker over the rows of each user.
    pub ndcg_at_10: f64,
    /// The same of each base model's own order.
    pub base_ndcg_at_10: Vec<(String, f64)>,
}

impl Ranker {
    /// Trains; `on_iteration` hears of every tree and may stop.
    ///
    /// The number of trees is found on held-out users; then all users train as many.
    ///
    /// # Errors
    /// When there are no rows of both classes, or `on_iteration` breaks.
    pub fn fit(
        &self,
        set: &FeatureSet,
        training: &TrainingSet,
        mut on_iteration: impl FnMut(Iteration) -> ControlFlow<()>,
    ) -> Result<(BoostedTrees, TrainingReport), RankingError> {
        let held_out = |user: usize| self.held_out(user);
        let validation = training.samples(held_out);
        let positives = |samples: &Samples| samples.labels.iter().filter(|&&label| label > 0.0).count();
        let mut boosting = self.boosting.clone();
        let mut report = None;
        if positives(&validation) >= MIN_VALIDATION_POSITIVES {
            let rest = training.samples(|user| !held_out(user));
            let fitted = boosting.fit(&rest, Some(&validation), &mut on_iteration)?;
            boosting.iterations = fitted.model.trees.len();
            report = Some(validate(&fitted.model, set, &validation)?);
        }
        let all = training.samples(|_| true);
        let model = boosting.fit(&all, None, on_iteration)?.model;
        let report = TrainingReport {
            users: training.users.len(),
            rows: training.labels.len(),
            positives: training.positives(),
            trees: model.trees.len(),
            validation: report,
        };
        Ok((model, report))
    }

    /// A seeded share of the users.
    fn held_out(&self, user: usize) -> bool {
        let mut hash = (user as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.boosting.seed;
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((hash ^ (hash >> 31)) as f64) < self.validation_share * u64::MAX as f64
    }
}

fn validate(model: &BoostedTrees, set: &FeatureSet, rows: &Samples) -> Result<Validation, FeatureMismatch> {
    let scores = model.score(&rows.features)?;
    let of = |scores: &[f64]| ndcg(scores, &rows.labels, &rows.groups, NDCG_AT);
    let base = set.models.iter().filter_map(|model| {
        let name = format!("{model}_rank");
        let column = rows.features.columns().iter().find(|column| column.name == name)?;
        let Values::Real(ranks) = &column.values else { return None };
        let scores: Vec<f64> = ranks.iter().map(|&rank| -f64::from(rank)).collect();
        Some((model.clone(), of(&scores)))
    });
    Ok(Validation {
        users: rows.groups.len(),
        rows: rows.labels.len(),
        positives: rows.labels.iter().filter(|&&label| label > 0.0).count(),
        loss: model.loss.unwrap_or(Loss::Logloss).value(&scores, &rows.labels, &rows.groups),
        auc: auc(&scores, &rows.labels),
        ndcg_at_10: of(&scores),
        base_ndcg_at_10: base.collect(),
    })
}

/// Final lists, user by user, best first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lists {
    /// `user_idx`.
    pub users: Vec<u32>,
    /// `item_idx`.
    pub items: Vec<u32>,
    /// What the ranker says.
    pub scores: Vec<f32>,
    /// 1 for the best.
    pub ranks: Vec<u32>,
}

/// The best `n` candidates of every user of a block; ties go to the smaller `item_idx`.
///
/// # Errors
/// When the model is for other features.
pub fn rank(
    model: &BoostedTrees,
    set: &FeatureSet,
    past: Past<'_>,
    block: &Block,
    n: usize,
) -> Result<Lists, FeatureMismatch> {
    let users: Vec<usize> = (0..block.users.len()).collect();
    let parts: Result<Vec<Lists>, FeatureMismatch> = users
        .par_chunks(USERS_PER_TASK)
        .map(|users| {
            let rows = set.compute(past, block, users.iter().copied());
            let scores = model.score(&rows.features)?;
            let mut lists = Lists::default();
            for (bounds, &user) in rows.starts.windows(2).zip(&rows.users) {
                let mut order: Vec<usize> = (bounds[0]..bounds[1]).collect();
                order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
                for (row, rank) in order.into_iter().take(n).zip(1..) {
                    lists.users.push((block.users.start + user) as u32);
                    lists.items.push(rows.items[row]);
                    lists.scores.push(scores[row] as f32);
                    lists.ranks.push(rank);
                }
            }
            Ok(lists)
        })
        .collect();
    let mut all = Lists::default();
    for part in parts? {
        all.users.extend(part.users);
        all.items.extend(part.items);
        all.scores.extend(part.scores);
        all.ranks.extend(part.ranks);
    }
    Ok(all)
}
