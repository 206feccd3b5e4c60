//! `rank`: trains the ranker on the target period and ranks the candidates of every user.
//!
//! Training: what models fitted on train proposed, described by train events, labelled by target
//! events. Scoring: what models refitted on train + target propose, described by train + target events.
//! The same features on both sides, one period apart.

mod official;
mod tables;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;
use std::path::PathBuf;

use polars::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::official::Official;
use self::tables::Tables;
use super::data_type::{
    CANDIDATES, EVENTS, IMPORTANCES, ITEMS, PICTURE, RANKER, RANKER_BINARY, RECOMMENDATIONS, REPORT, USERS,
};
use crate::charts::pictures;
use crate::codec::table_writer::TableWriter;
use crate::codec::{catboost_json, json, png, table};
use crate::models::boosting::{BoostedTrees, Boosting, BootstrapType, Iteration, Loss, Scorer};
use crate::ranking::features::{FeatureGroup, FeatureSet};
use crate::ranking::ranker::{Ranker, TrainingReport, rank};
use crate::ranking::training::{Sampler, TrainingSet};
use crate::ranking::{NameMismatch, RankingError};
use crate::workflow::kind::{Context, InputPort, OutputPort, ParameterFault, Step, StepError};

/// Fewer positives than this say little about order.
const FEW_POSITIVES: usize = 200;

/// Trains a ranker of gradient-boosted trees and ranks candidates; boosting parameters have CatBoost's names.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rank {
    /// Length of each user's final list.
    #[schemars(range(min = 1, max = 10_000))]
    pub n: usize,
    /// Groups of features; leave one out to see what it is worth.
    pub features: Vec<FeatureGroup>,
    /// Candidates that were not chosen, drawn per training user; null keeps all.
    #[schemars(range(min = 1))]
    pub negatives_per_user: Option<usize>,
    /// Users whose candidates train the ranker, at most; null takes every user with a chosen candidate.
    #[schemars(range(min = 1))]
    pub max_train_users: Option<usize>,
    /// Share of the training users held out to find the number of trees, in turn when there are
    /// few of them; the final model is trained on all users. 0 trains `iterations` trees.
    #[schemars(range(min = 0.0, max = 0.9))]
    pub validation_share: f64,
    /// Who grows the trees.
    pub trainer: TrainedBy,
    /// A Python with the official package: for `trainer: catboost` and the output `cbm` only.
    pub python: PathBuf,
    /// What training makes small.
    pub loss_function: Loss,
    /// Largest number of trees.
    #[schemars(range(min = 1, max = 100_000))]
    pub iterations: usize,
    /// How far each tree goes.
    #[schemars(range(min = 0.000001, max = 1.0))]
    pub learning_rate: f64,
    /// Levels of each tree.
    #[schemars(range(min = 1, max = 8))]
    pub depth: usize,
    /// Pulls leaves towards 0.
    #[schemars(range(min = 0.0))]
    pub l2_leaf_reg: f64,
    /// Borders per number.
    #[schemars(range(min = 1, max = 254))]
    pub border_count: usize,
    /// Features with at most so many categories have a split for each; others are described by ordered
    /// target statistics.
    #[schemars(range(min = 1, max = 255))]
    pub one_hot_max_size: usize,
    /// How the rows of each tree are drawn.
    pub bootstrap_type: BootstrapType,
    /// Share of the rows that each tree is grown on, for `bernoulli`.
    #[schemars(range(min = 0.01, max = 1.0))]
    pub subsample: f64,
    /// How unequal the weights of rows are, for `bayesian`; 0 makes them equal.
    #[schemars(range(min = 0, max = 100))]
    pub bagging_temperature: f64,
    /// Share of the features that each tree may use.
    #[schemars(range(min = 0.01, max = 1.0))]
    pub rsm: f64,
    /// Stop when the loss on the validation users has not fallen for so many trees.
    #[schemars(range(min = 1))]
    pub early_stopping_rounds: usize,
    /// Seed of everything that is drawn.
    pub seed: u64,
}

/// Who grows the trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrainedBy {
    /// This program; trees start from the fused orders of the base models.
    #[default]
    Recsys,
    /// The official package, in the Python that `python` names; the version of the package is not part of what
    /// the cache compares.
    Catboost,
}

impl Default for Rank {
    fn default() -> Self {
        let Boosting {
            iterations,
            learning_rate,
            depth,
            l2_leaf_reg,
            border_count,
            one_hot_max_size,
            bootstrap_type,
            subsample,
            bagging_temperature,
            rsm,
            early_stopping_rounds,
            seed,
            ..
        } = Boosting::default();
        Self {
            n: 100,
            features: FeatureGroup::ALL.to_vec(),
            negatives_per_user: Some(50),
            max_train_users: Some(100_000),
            validation_share: 0.2,
            trainer: TrainedBy::default(),
            python: "python3".into(),
            loss_function: Loss::QuerySoftMax,
            iterations,
            learning_rate,
            depth,
            l2_leaf_reg,
            border_count,
            one_hot_max_size,
            bootstrap_type,
            subsample,
            bagging_temperature,
            rsm,
            early_stopping_rounds,
            seed,
        }
    }
}

impl Step for Rank {
    const KIND: &'static str = "rank";
    const VERSION: u32 = 3;
    const SUMMARY: &'static str = "Re-orders the candidates of several models by gradient-boosted trees";
    const EXAMPLE: &'static str = "\
rank:
  uses: rank
  inputs:
    train_events: split.train_events
    target_events: split.target_events
    items: preprocess.items
    users: preprocess.users
    train_candidates: { popularity: popularity_train.candidates, als: als_train.candidates }
    candidates: { popularity: popularity.candidates, als: als.candidates }
  outputs: { model: artifacts/catboost_ranker.json }
  with: { n: 100, iterations: 500, learning_rate: 0.1, depth: 4 }
";
    const INPUTS: &'static [InputPort] = &[
        InputPort::new("train_events", &[EVENTS], "what users did before the target period").train_only(),
        InputPort::new("target_events", &[EVENTS], "what they did in it: the labels").trains(),
        InputPort::new("items", &[ITEMS], "artists, genres and track groups of the items"),
        InputPort::new("users", &[USERS], "the users and their external ids"),
        InputPort::new("train_candidates", &[CANDIDATES], "lists of models fitted on train")
            .many()
            .train_only(),
        InputPort::new("candidates", &[CANDIDATES], "lists of the same models, refitted on train + target")
            .many(),
    ];
    const OUTPUTS: &'static [OutputPort] = &[
        OutputPort::new("model", RANKER, "json", "the ranker; the official CatBoost package opens it"),
        OutputPort::new(
            "recommendations",
            RECOMMENDATIONS,
            "parquet",
            "the best `n` candidates of each user",
        ),
        OutputPort::new("importances", IMPORTANCES, "parquet", "how much each feature matters, in percent"),
        OutputPort::new("importances_plot", PICTURE, "png", "the same as a picture"),
        OutputPort::new(
            "cbm",
            RANKER_BINARY,
            "cbm",
            "the ranker in CatBoost's binary format; needs `python`",
        )
        .on_request(),
        OutputPort::new("report", REPORT, "json", "rows, positives, and quality on held-out users"),
    ];

    fn check(&self) -> Result<(), ParameterFault> {
        if self.features.is_empty() {
            let message = "expected at least one group of features, found none".to_owned();
            return Err(ParameterFault { parameter: "features", message });
        }
        Ok(())
    }

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let set = FeatureSet { models: model_names(ctx)?, groups: self.feature_groups() };
        let tables = Tables::open(ctx)?;
        let training = self.training_set(ctx, &tables, &set)?;
        ctx.metric("rows", training.labels.len() as f64);
        ctx.metric("positives", training.positives() as f64);
        if training.positives() < FEW_POSITIVES {
            ctx.warn(format!(
                "only {} candidates were chosen in the target period: too few to learn much from; a longer \
                 target period or more candidates would help",
                training.positives()
            ));
        }
        let (model, report) = self.train(ctx, &set, training)?;
        self.save_model(ctx, &model, &report)?;
        self.recommend(ctx, &tables, &set, &model)
    }
}

/// The names of the base models, which both periods must share.
fn model_names(ctx: &Context<'_>) -> Result<Vec<String>, NameMismatch> {
    let names = |port| -> Vec<String> { ctx.inputs(port).map(|(name, _)| name.to_owned()).collect() };
    let (train, score) = (names("train_candidates"), names("candidates"));
    if train == score { Ok(train) } else { Err(NameMismatch::new(&train, &score)) }
}

impl Rank {
    /// The chosen groups in the order of the columns, each once.
    fn feature_groups(&self) -> Vec<FeatureGroup> {
        FeatureGroup::ALL.into_iter().filter(|group| self.features.contains(group)).collect()
    }

    fn boosting(&self) -> Boosting {
        Boosting {
            loss_function: self.loss_function,
            iterations: self.iterations,
            learning_rate: self.learning_rate,
            depth: self.depth,
            l2_leaf_reg: self.l2_leaf_reg,
            border_count: self.border_count,
            one_hot_max_size: self.one_hot_max_size,
            bootstrap_type: self.bootstrap_type,
            subsample: self.subsample,
            bagging_temperature: self.bagging_temperature,
            rsm: self.rsm,
            early_stopping_rounds: self.early_stopping_rounds,
            seed: self.seed,
        }
    }

    fn training_set(
        &self,
        ctx: &Context<'_>,
        tables: &Tables,
        set: &FeatureSet,
    ) -> Result<TrainingSet, StepError> {
        let period = tables.train_period(ctx)?;
        let target = tables.target_events(ctx)?;
        let sampler = Sampler { negatives_per_user: self.negatives_per_user, seed: self.seed };
        let mut training = TrainingSet::default();
        let limit = self.max_train_users.unwrap_or(usize::MAX);
        for users in tables.shuffled_blocks(self.seed) {
            ctx.check_cancelled()?;
            let block = period.block(tables, &users)?;
            let target = tables.history(&[&target], &users)?;
            let left = limit - training.users.len();
            training.append(sampler.label(set, period.past(tables), &block, &target, left));
            ctx.progress(training.labels.len() as u64, None, "training rows", "");
            if training.users.len() >= limit {
                break;
            }
        }
        if training.positives() == 0 {
            let users = tables.n_users();
            return Err(RankingError::NoPositives { users, target_pairs: target.len() }.into());
        }
        Ok(training)
    }

    fn train(
        &self,
        ctx: &Context<'_>,
        set: &FeatureSet,
        training: TrainingSet,
    ) -> Result<(BoostedTrees, TrainingReport), StepError> {
        // Each fold begins with its first tree again; the model of all users holds nobody out.
        let (mut fold, mut trees_before) = (0, usize::MAX);
        let on_iteration = |iteration: Iteration| {
            fold += usize::from(iteration.trees <= trees_before);
            trees_before = iteration.trees;
            let held_out = iteration.validation_loss.is_some();
            let part = if held_out { format!("fold_{fold}") } else { "final".to_owned() };
            let note = match iteration.validation_loss {
                Some(loss) => format!("loss {:.4}, validation {loss:.4}", iteration.loss),
                None => format!("loss {:.4}", iteration.loss),
            };
            let losses = [("loss", Some(iteration.loss)), ("validation_loss", iteration.validation_loss)];
            let named = |(name, loss): (&str, Option<f64>)| Some((format!("{part}.{name}").into(), loss?));
            let measures = losses.into_iter().filter_map(named).collect();
            ctx.progress_with(iteration.trees as u64, Some(self.iterations as u64), "trees", note, measures);
            if ctx.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let validation_share = self.validation_share;
        let fitted = match self.trainer {
            TrainedBy::Recsys => {
                let fitted =
                    Ranker { trainer: self.boosting(), validation_share }.fit(set, training, on_iteration);
                fitted.map_err(StepError::from)
            }
            TrainedBy::Catboost => {
                let fitted =
                    Ranker { trainer: self.official(ctx), validation_share }.fit(set, training, on_iteration);
                fitted.map_err(StepError::from)
            }
        };
        ctx.check_cancelled()?;
        fitted
    }

    fn official<'a>(&'a self, ctx: &'a Context<'a>) -> Official<'a> {
        Official { ctx, python: &self.python, boosting: self.boosting() }
    }

    fn save_model(
        &self,
        ctx: &Context<'_>,
        model: &BoostedTrees,
        report: &TrainingReport,
    ) -> Result<(), StepError> {
        ctx.metric("trees", report.trees as f64);
        if let Some(validation) = &report.validation {
            ctx.metric("validation_loss", validation.loss);
            ctx.metric("validation_auc", validation.auc);
            ctx.metric("validation_ndcg@10", validation.ndcg_at_10);
            if let Some(verdict) = validation.verdict.as_ref().filter(|verdict| !verdict.beats) {
                ctx.warn(verdict.words.clone());
            }
        }
        catboost_json::write(ctx.output("model"), model)?;
        if let Some(path) = ctx.requested_output("cbm") {
            self.official(ctx).convert(ctx.output("model"), path)?;
        }
        let names = model.features.iter().map(|feature| feature.name.clone());
        let mut importances: Vec<(String, f64)> = names.zip(model.importances()).collect();
        importances.sort_by(|a, b| b.1.total_cmp(&a.1));
        json::write(ctx.output("report"), &json!({ "training": report, "parameters": self }))?;

        let (names, values): (Vec<String>, Vec<f64>) = importances.iter().cloned().unzip();
        let mut rows = df!("feature" => names, "importance" => values).map_err(RankingError::from)?;
        table::write(ctx.output("importances"), &mut rows)?;
        let subtitle =
            format!("{} trees, {} rows, {} positives", report.trees, report.rows, report.positives);
        let picture = pictures::feature_importances(&importances, &subtitle);
        Ok(png::write(ctx.output("importances_plot"), picture.width, picture.height, &picture.rgb)?)
    }

    fn recommend(
        &self,
        ctx: &Context<'_>,
        tables: &Tables,
        set: &FeatureSet,
        model: &BoostedTrees,
    ) -> Result<(), StepError> {
        let period = tables.history_period(ctx)?;
        let path = ctx.output("recommendations");
        let sorted = ctx.work_dir().join("recommendations.parquet");
        let in_order = tables.user_ids_rise();
        let scorer = Scorer::new(model);
        let mut writer: Option<TableWriter> = None;
        for users in tables.blocks() {
            ctx.check_cancelled()?;
            let block = period.block(tables, &users)?;
            let lists =
                rank(&scorer, set, period.past(tables), &block, self.n).map_err(RankingError::from)?;
            let rows = tables.with_external_ids(lists).map_err(RankingError::from)?;
            let writer = match &mut writer {
                Some(writer) => writer,
                none => {
                    none.insert(TableWriter::create(if in_order { path } else { &sorted }, rows.schema())?)
                }
            };
            writer.append(&rows)?;
            ctx.progress(users.end as u64, Some(tables.n_users() as u64), "users", "");
        }
        writer.expect("there is a block even when there are no users").finish()?;
        if !in_order {
            let rows = table::scan(&sorted, &[])?;
            let order = SortMultipleOptions::default();
            table::sink(path, rows.sort(["user_id", "rank"], order))?;
        }
        Ok(())
    }
}
