//! The ranker: a boosted model over the features of candidates, trained and applied.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;
use serde::Serialize;

use super::RankingError;
use super::block::Block;
use super::features::{FeatureSet, Past};
use super::parted::Parted;
use super::prior;
use super::training::{TrainingSet, USERS_PER_TASK};
use super::validation::{auc, ndcg};
use super::verdict::Verdict;
use crate::models::boosting::model::FeatureMismatch;
use crate::models::boosting::{
    BoostedTrees, Boosting, Feature, Iteration, Loss, Samples, Scorer, Values, average,
};

/// With fewer positives, every fold of the users is held out in turn: one fold alone would say more of its
/// few users than of the number of trees.
const ENOUGH_POSITIVES: usize = 5_000;

/// Lists are compared up to this rank.
const NDCG_AT: usize = 10;

/// What grows the trees of a ranker.
pub trait Trainer {
    /// Why it cannot.
    type Error: From<RankingError>;

    /// What is trained: loss, seed, number of trees.
    fn parameters(&self) -> &Boosting;

    /// Trains `iterations` trees at most, stopping early on the validation rows, if there are any. `models` are
    /// the base models, whose ranks are among the features.
    ///
    /// # Errors
    /// When the rows say nothing, or `on_iteration` breaks.
    fn train(
        &self,
        models: &[String],
        iterations: usize,
        train: &Samples,
        validation: Option<&Samples>,
        on_iteration: &mut dyn FnMut(Iteration) -> ControlFlow<()>,
    ) -> Result<Trained, Self::Error>;
}

/// What a trainer made.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The model, cut at its best tree when there were validation rows.
    pub model: BoostedTrees,
    /// How many of its trees were there before training.
    pub given_trees: usize,
}

impl Trainer for Boosting {
    type Error = RankingError;

    fn parameters(&self) -> &Boosting {
        self
    }

    fn train(
        &self,
        models: &[String],
        iterations: usize,
        train: &Samples,
        validation: Option<&Samples>,
        on_iteration: &mut dyn FnMut(Iteration) -> ControlFlow<()>,
    ) -> Result<Trained, RankingError> {
        let given = prior::trees(models, train, self.loss_function);
        let boosting = Self { iterations, ..self.clone() };
        let model = boosting.fit(&given, train, validation, on_iteration)?.model;
        Ok(Trained { model, given_trees: given.len() })
    }
}

/// How a ranker is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranker<T> {
    /// What grows its trees.
    pub trainer: T,
    /// Share of the users, drawn by seed, that are held out to find the number of trees; the final model
    /// is trained on all. 0 holds out none and trains `iterations` trees.
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
    /// How such a model does on users that it has not seen; `None` when none were held out.
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
    /// The loss that training makes small.
    pub loss: f64,
    /// Area under the ROC curve over all rows.
    pub auc: f64,
    /// NDCG@10 of the ranker over the rows of each user.
    pub ndcg_at_10: f64,
    /// The same of each base model's own order.
    pub base_ndcg_at_10: BTreeMap<String, f64>,
    /// Whether that is better than the best base model; `None` when no ranks are among the features.
    pub verdict: Option<Verdict>,
}

impl<T: Trainer> Ranker<T> {
    /// Trains; `on_iteration` hears of every tree and may stop.
    ///
    /// The number of trees is found on held-out users. When there are many positives, one fold is held out, and
    /// then all users train as many trees. When there are few, each fold is held out in turn, and the ranker is
    /// the mean of the folds' models: one model alone would vary by chance as much as it is worth. Memory holds
    /// the rows once.
    ///
    /// # Errors
    /// When there are no rows of both classes, or `on_iteration` breaks.
    pub fn fit(
        &self,
        set: &FeatureSet,
        mut training: TrainingSet,
        mut on_iteration: impl FnMut(Iteration) -> ControlFlow<()>,
    ) -> Result<(BoostedTrees, TrainingReport), T::Error> {
        let (users, rows, positives) = (training.users.len(), training.labels.len(), training.positives());
        let Boosting { loss_function, iterations: at_most, .. } = *self.trainer.parameters();
        let mut iterations = at_most;
        let mut held_out = HeldOut::default();
        let mut of_folds = Vec::new();
        for fold in 0..self.folds_to_try(positives) {
            let parted = Parted::new(training, |user| self.fold(user) == fold);
            let Parted { held_out: validation, rest, .. } = &parted;
            if has_both_classes(validation) && has_both_classes(rest) {
                let Trained { model, given_trees } =
                    self.trainer.train(&set.models, at_most, rest, Some(validation), &mut on_iteration)?;
                iterations = model.trees.len() - given_trees;
                let scores = model.score(&validation.features).map_err(RankingError::from)?;
                held_out.append(&set.models, scores, validation);
                of_folds.push(model);
            }
            training = parted.gather();
        }
        let validation = (!of_folds.is_empty()).then(|| held_out.quality(loss_function, positives));
        let model = if of_folds.len() > 1 {
            average(of_folds)
        } else {
            let all = training.into_samples();
            self.trainer.train(&set.models, iterations, &all, None, &mut on_iteration)?.model
        };
        let report = TrainingReport { users, rows, positives, trees: model.trees.len(), validation };
        Ok((model, report))
    }

    fn n_folds(&self) -> usize {
        if self.validation_share > 0.0 { (1.0 / self.validation_share).round().max(2.0) as usize } else { 0 }
    }

    fn folds_to_try(&self, positives: usize) -> usize {
        if positives < ENOUGH_POSITIVES { self.n_folds() } else { self.n_folds().min(1) }
    }

    /// Which fold a user belongs to, by seed.
    fn fold(&self, user: usize) -> usize {
        let seed = self.trainer.parameters().seed ^ (user as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Pcg64Mcg::seed_from_u64(seed).random_range(0..self.n_folds())
    }
}

fn has_both_classes(samples: &Samples) -> bool {
    let positives = samples.labels.iter().filter(|&&label| label > 0.0).count();
    0 < positives && positives < samples.labels.len()
}

/// Users that a model had not seen: what it said of their rows, and what is needed to judge that.
#[derive(Default)]
struct HeldOut {
    scores: Vec<f64>,
    labels: Vec<f32>,
    groups: Vec<Range<usize>>,
    /// The ranks that each base model gave, where they are among the features.
    base_ranks: BTreeMap<String, Vec<f32>>,
}

impl HeldOut {
    fn append(&mut self, models: &[String], mut scores: Vec<f64>, rows: &Samples) {
        let shift = self.labels.len();
        self.scores.append(&mut scores);
        self.labels.extend(&rows.labels);
        self.groups.extend(rows.groups.iter().map(|group| group.start + shift..group.end + shift));
        for model in models {
            let name = format!("{model}_rank");
            let column = rows.features.columns().iter().find(|column| column.name == name);
            if let Some(Feature { values: Values::Real(ranks), .. }) = column {
                self.base_ranks.entry(model.clone()).or_default().extend(ranks);
            }
        }
    }

    /// `learnt_from` is the number of chosen candidates that the final model learns from.
    fn quality(self, loss: Loss, learnt_from: usize) -> Validation {
        let of_users = |scores: &[f64]| ndcg(scores, &self.labels, &self.groups, NDCG_AT);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let own = of_users(&self.scores);
        let base = self.base_ranks.iter().map(|(model, ranks)| {
            let scores: Vec<f64> = ranks.iter().map(|&rank| -f64::from(rank)).collect();
            (model, of_users(&scores))
        });
        let base: BTreeMap<&String, Vec<f64>> = base.collect();
        let best = base.iter().max_by(|a, b| mean(a.1).total_cmp(&mean(b.1)));
        let verdict = best.map(|(model, of_base)| Verdict::new(model, &own, of_base, learnt_from));
        Validation {
            users: self.groups.len(),
            rows: self.labels.len(),
            positives: self.labels.iter().filter(|&&label| label > 0.0).count(),
            loss: loss.value(&self.scores, &self.labels, &self.groups),
            auc: auc(&self.scores, &self.labels),
            ndcg_at_10: mean(&own),
            base_ndcg_at_10: base.iter().map(|(&model, values)| (model.clone(), mean(values))).collect(),
            verdict,
        }
    }
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

/// The best `n` candidates of every user of a block; ties go to the smaller `item_idx`. One scorer serves all
/// blocks.
///
/// # Errors
/// When the model is for other features.
pub fn rank(
    scorer: &Scorer<'_>,
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
            let scores = scorer.score(&rows.features)?;
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
