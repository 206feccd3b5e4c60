//! `evaluate`: measures models on the test period and compares them.
//!
//! Every list is measured on the same users under one protocol, which is written into the report.
//! Lists may be a base model's candidates (`user_idx, item_idx, rank`) or final recommendations
//! (`user_id, track_id, rank`): their columns say which. Numbers are comparable only under equal
//! protocols, so each choice that moves them is a parameter. A log of impressions, where one is given,
//! adds what users did with the answers of a service, by variant.

pub mod kept;
pub mod user_values;

use std::path::Path;

use miette::Diagnostic;
use polars::df;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::data_type::{
    CANDIDATES, COMPARISON, IMPRESSIONS, ITEMS, MATRIX, RECOMMENDATIONS, REPORT, USER_METRICS, USERS,
};
use crate::codec::lists::Ids;
use crate::codec::{CodecError, catalog, feedback, json, lists, npz, table};
use crate::eval::compare::{Comparison, choose_baseline};
use crate::eval::feedback::OnlineReport;
use crate::eval::pareto;
use crate::eval::table::render;
use crate::eval::{Evaluation, Evaluator, ItemsCounted, Metric, Protocol, SeenItems, UsersCounted};
use crate::workflow::fault::did_you_mean;
use crate::workflow::kind::{Context, InputPort, OutputPort, ParameterFault, Step, StepError};

/// Parameters of `evaluate`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Evaluate {
    /// Where lists are cut: every metric is measured at each of these.
    #[schemars(length(min = 1), inner(range(min = 1, max = 1000)))]
    pub k: Vec<usize>,
    /// Whether items of the user's history are left out of the relevant items: to recommend again
    /// what someone knows is no discovery. `false` counts repeated choices as hits.
    pub novel_only: bool,
    /// Which users with a relevant item count.
    pub users: UsersCounted,
    /// Which items may be relevant and make up the catalogue.
    pub items: ItemsCounted,
    /// What happens to recommended items of the user's own history.
    pub seen_items: SeenItems,
    /// The list that others are tested against; by default `popularity`, else the first by name.
    pub baseline: Option<String>,
    /// The cut of the table at the end of the run; by default the largest `k`.
    #[schemars(range(min = 1, max = 1000))]
    pub compare_at: Option<usize>,
    /// Resamples of the users for the 95 % intervals; 0 for none.
    #[schemars(range(min = 0, max = 10000))]
    pub bootstrap_samples: usize,
    /// Seed of the resamples.
    pub seed: u64,
    /// For how many hours after an answer of a service a listen counts as chosen from it; with the input
    /// `impressions` only.
    #[schemars(range(min = 0, max = 8760))]
    pub impression_hours: f64,
}

impl Default for Evaluate {
    fn default() -> Self {
        Self {
            k: vec![5, 10],
            novel_only: true,
            users: UsersCounted::Warm,
            items: ItemsCounted::All,
            seen_items: SeenItems::Keep,
            baseline: None,
            compare_at: None,
            bootstrap_samples: 1000,
            seed: 42,
            impression_hours: 24.0,
        }
    }
}

/// A baseline that is not among the lists.
#[derive(Debug, Error, Diagnostic)]
#[error("the baseline `{name}` is not among the lists")]
#[diagnostic(help("{hint}"))]
pub struct UnknownBaseline {
    name: String,
    hint: String,
}

impl Step for Evaluate {
    const KIND: &'static str = "evaluate";
    const VERSION: u32 = 3;
    const SUMMARY: &'static str = "Measures lists on the test period and compares models with a baseline";
    const EXAMPLE: &'static str = "\
evaluate:
  uses: evaluate
  inputs:
    test: split.test_matrix
    history: split.history_matrix
    items: preprocess.items
    users: preprocess.users
    lists: { popularity: popularity.candidates, als: als.candidates, ranked: rank.recommendations }
  with: { k: [5, 10], baseline: popularity }
";
    const INPUTS: &'static [InputPort] = &[
        InputPort::new("test", &[MATRIX], "what users chose in the test period"),
        InputPort::new("history", &[MATRIX], "all that the models could know: train and target").trains(),
        InputPort::new("items", &[ITEMS], "track groups and genres, for diversity"),
        InputPort::new("users", &[USERS], "ids of the users"),
        InputPort::new(
            "lists",
            &[CANDIDATES, RECOMMENDATIONS],
            "the lists to measure, by the name of the model",
        )
        .many(),
        InputPort::new(
            "impressions",
            &[IMPRESSIONS],
            "the log of a service: what it showed, what was chosen",
        )
        .optional(),
    ];
    const OUTPUTS: &'static [OutputPort] = &[
        OutputPort::new(
            "comparison",
            COMPARISON,
            "parquet",
            "a row for each model, metric and k, with intervals",
        ),
        OutputPort::new(
            "report",
            REPORT,
            "json",
            "for each model its metrics, the protocol and who was counted",
        ),
        OutputPort::new(
            "user_metrics",
            USER_METRICS,
            "parquet",
            "accuracy of each user by model and cut; experiments and runs are compared by it",
        )
        .on_request(),
    ];

    fn check(&self) -> Result<(), ParameterFault> {
        let fault = |parameter, message| Err(ParameterFault { parameter, message });
        match self.compare_at {
            _ if self.k.is_empty() => fault("k", "expected at least one cut, found none".to_owned()),
            Some(k) if !self.k.contains(&k) => {
                fault("compare_at", format!("expected one of `k` {:?}, found {k}", self.k))
            }
            _ => Ok(()),
        }
    }

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let names: Vec<&str> = ctx.inputs("lists").map(|(name, _)| name).collect();
        let baseline = choose_baseline(&names, self.baseline.as_deref()).ok_or_else(|| {
            let name = self.baseline.clone().unwrap_or_default();
            let hint = did_you_mean(&name, names.iter().copied());
            UnknownBaseline { name, hint }
        })?;
        let test = npz::read_matrix(ctx.input("test"))?;
        let history = npz::read_matrix(ctx.input("history"))?;
        let catalog = catalog::read(ctx.input("items"))?;
        let ids = Ids::read(ctx.input("users"), ctx.input("items"))?;
        let users = ctx.requested_output("user_metrics");
        let kept = if users.is_some() { &Metric::ACCURACY[..] } else { &[] };
        let evaluator = Evaluator::new(self.protocol(), &test, &history, &catalog)?.keeping(kept);
        let models = self.measure(ctx, &evaluator, &ids)?;
        if let Some(path) = users {
            user_values::write(path, ctx.input("users"), &evaluator, &models)?;
        }
        let mut comparison = Comparison::new(&evaluator, models, baseline, self.compare_at());
        comparison.online = self.online(ctx)?;
        for (name, model) in &comparison.models {
            for (metric, value) in &model.metrics {
                ctx.metric(format!("{name}.{metric}"), value.value);
            }
        }
        let online = comparison.online.as_ref().map(OnlineReport::render);
        let parts = [Some(render(&comparison)), pareto::render(&comparison), online];
        ctx.summary(parts.into_iter().flatten().collect::<Vec<_>>().join("\n\n"));
        json::write(ctx.output("report"), &comparison)?;
        write_table(ctx.output("comparison"), &comparison)?;
        Ok(())
    }
}

impl Evaluate {
    fn protocol(&self) -> Protocol {
        let mut k = self.k.clone();
        k.sort_unstable();
        k.dedup();
        Protocol {
            k,
            novel_only: self.novel_only,
            users: self.users,
            items: self.items,
            seen_items: self.seen_items,
            bootstrap_samples: self.bootstrap_samples,
            seed: self.seed,
        }
    }

    /// The names of the numbers that it leaves for these lists, when its parameters are these; nothing when they
    /// cannot be known beforehand.
    pub fn metrics_of(parameters: serde_json::Value, lists: &[&str]) -> Option<Vec<String>> {
        let evaluate: Self = serde_json::from_value(parameters).ok()?;
        let cells = evaluate.k.iter().flat_map(|&k| Metric::ALL.map(|metric| metric.at(k)));
        let cells: Vec<String> = cells.collect();
        Some(lists.iter().flat_map(|list| cells.iter().map(move |cell| format!("{list}.{cell}"))).collect())
    }

    fn compare_at(&self) -> usize {
        self.compare_at.or(self.k.iter().copied().max()).expect("`check` has seen at least one cut")
    }

    /// What users did with the answers of a service, if its log is there.
    fn online(&self, ctx: &Context<'_>) -> Result<Option<OnlineReport>, StepError> {
        let Some(path) = ctx.optional_input("impressions") else { return Ok(None) };
        let report = feedback::read(path)?.report(self.impression_hours, self.bootstrap_samples, self.seed);
        for (variant, outcome) in &report.variants {
            ctx.metric(format!("online.{variant}.click_rate"), outcome.clicks.click_rate);
            ctx.metric(format!("online.{variant}.hit_rate"), outcome.hit_rate.value);
        }
        Ok(Some(report))
    }

    /// Reads and measures one list after the other, so that one at a time is in memory.
    fn measure(
        &self,
        ctx: &Context<'_>,
        evaluator: &Evaluator<'_>,
        ids: &Ids,
    ) -> Result<Vec<(String, Evaluation)>, StepError> {
        let deepest = self.k.iter().copied().max();
        let n_lists = ctx.inputs("lists").count() as u64;
        let mut models = Vec::new();
        for (place, (name, path)) in ctx.inputs("lists").enumerate() {
            ctx.check_cancelled()?;
            ctx.progress(place as u64, Some(n_lists), "lists", name);
            let skips = self.seen_items == SeenItems::Skip;
            let lists = lists::read(path, ids, if skips { None } else { deepest })?;
            let evaluation = evaluator.evaluate(&lists)?;
            warn(ctx, name, &evaluation, evaluator);
            models.push((name.to_owned(), evaluation));
        }
        ctx.progress(n_lists, Some(n_lists), "lists", "comparing");
        Ok(models)
    }
}

/// Says what makes a model look worse than it is.
fn warn(ctx: &Context<'_>, name: &str, evaluation: &Evaluation, evaluator: &Evaluator<'_>) {
    let too_deep: Vec<String> = (evaluator.protocol().k.iter())
        .filter(|k| **k > evaluation.longest_list)
        .map(|k| format!("@{k}"))
        .collect();
    if !too_deep.is_empty() {
        ctx.warn(format!(
            "`{name}`: no list has more than {} items, so {} counts the missing places as misses; \
             make longer lists or lower `k`",
            evaluation.longest_list,
            too_deep.join(" and ")
        ));
    }
    let n_users = evaluator.counts().evaluated_users;
    if evaluation.users_without_list * 100 > n_users {
        ctx.warn(format!(
            "`{name}`: {} of {n_users} evaluated users have no list and count as misses",
            evaluation.users_without_list
        ));
    }
}

/// One row for each model, metric and cut; tests stand in the rows of `ndcg`.
fn write_table(path: &Path, comparison: &Comparison) -> Result<(), CodecError> {
    let rows: Vec<_> = comparison
        .models
        .values()
        .flat_map(|model| {
            let cuts = model.protocol.k.iter();
            let cells = cuts.flat_map(|&k| Metric::ALL.map(|metric| (metric, k)));
            cells.map(move |(metric, k)| {
                let tested = model.against_baseline.iter().filter(|_| metric == Metric::Ndcg);
                (model, metric, k, model.value(metric, k), tested.into_iter().find(|versus| versus.k == k))
            })
        })
        .collect();
    let mut table = df!(
        "model" => rows.iter().map(|row| row.0.model.as_str()).collect::<Vec<_>>(),
        "metric" => rows.iter().map(|row| row.1.name()).collect::<Vec<_>>(),
        "k" => rows.iter().map(|row| row.2 as u32).collect::<Vec<_>>(),
        "value" => rows.iter().map(|row| row.3.value).collect::<Vec<_>>(),
        "low" => rows.iter().map(|row| row.3.low).collect::<Vec<_>>(),
        "high" => rows.iter().map(|row| row.3.high).collect::<Vec<_>>(),
        "users" => rows.iter().map(|row| row.0.counts.evaluated_users as u32).collect::<Vec<_>>(),
        "baseline" => vec![comparison.baseline.as_str(); rows.len()],
        "difference" => rows.iter().map(|row| row.4.map(|v| v.test.mean_difference)).collect::<Vec<_>>(),
        "difference_low" => rows.iter().map(|row| row.4.and_then(|v| v.low)).collect::<Vec<_>>(),
        "difference_high" => rows.iter().map(|row| row.4.and_then(|v| v.high)).collect::<Vec<_>>(),
        "p_value" => rows.iter().map(|row| row.4.map(|v| v.test.p_t_test)).collect::<Vec<_>>(),
        "p_value_holm" => rows.iter().map(|row| row.4.map(|v| v.p_holm)).collect::<Vec<_>>(),
        "p_value_wilcoxon" => rows.iter().map(|row| row.4.map(|v| v.test.p_wilcoxon)).collect::<Vec<_>>(),
    )
    .expect("the columns are made of the same rows");
    table::write(path, &mut table)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use polars::prelude::*;

    use super::*;
    use crate::interactions::Interactions;

    /// Three users who know item 0 and later choose item 1 + user; candidates hit for all of them,
    /// recommendations for the first.
    fn project(folder: &Path, impressions: Option<&'static str>) -> Context<'static> {
        let path = |name: &str| folder.join(name);
        let matrix = |pairs: [(u32, u32); 3]| {
            Interactions::from_triplets(3, 4, pairs.map(|(user, item)| (user, item, 1.0))).unwrap()
        };
        npz::write_matrix(&path("train.npz"), &matrix([(0, 0), (1, 0), (2, 0)])).unwrap();
        npz::write_matrix(&path("test.npz"), &matrix([(0, 1), (1, 2), (2, 3)])).unwrap();
        let mut items = df!(
            "item_idx" => [0u32, 1, 2, 3], "track_id" => [10i64, 11, 12, 13], "track_group_id" => [10i64, 11, 12, 12]
        )
        .unwrap();
        let genres: Vec<Series> = (0..4).map(|genre| Series::new("".into(), [genre as i64 % 2])).collect();
        items.with_column(Series::new("genre_ids".into(), genres).into()).unwrap();
        let write = |name: &str, mut table: DataFrame| table::write(&path(name), &mut table).unwrap();
        write("items.parquet", items);
        write("users.parquet", df!("user_idx" => [0u32, 1, 2], "user_id" => [100i64, 101, 102]).unwrap());
        let candidates = df!("user_idx" => [0u32, 1, 2], "item_idx" => [1u32, 2, 3], "rank" => [1u32, 1, 1]);
        write("als.parquet", candidates.unwrap());
        let recommendations =
            df!("user_id" => [100i64, 101, 102], "track_id" => [11i64, 11, 11], "rank" => [1u32, 1, 1]);
        write("popularity.parquet", recommendations.unwrap());
        let inputs = [
            ("test", "test.npz"),
            ("history", "train.npz"),
            ("items", "items.parquet"),
            ("users", "users.parquet"),
            ("lists", "als.parquet"),
            ("lists", "popularity.parquet"),
        ];
        let outputs = [("comparison", "comparison.parquet"), ("report", "report.json")];
        let in_folder =
            |(port, name): (&'static str, &str)| -> (&'static str, PathBuf) { (port, path(name)) };
        let inputs = inputs.into_iter().chain(impressions.map(|name| ("impressions", name)));
        Context::standalone(inputs.map(in_folder), outputs.map(in_folder), folder.to_owned())
    }

    #[test]
    fn lists_of_both_kinds_are_measured_and_compared() {
        let folder = tempfile::tempdir().unwrap();
        let ctx = project(folder.path(), None);
        let step = Evaluate { k: vec![2, 1], bootstrap_samples: 50, ..Evaluate::default() };
        Step::run(&step, &ctx).unwrap();
        let report: serde_json::Value = json::read(ctx.output("report")).unwrap();
        assert_eq!(report["baseline"], "popularity");
        let als = &report["models"]["als"];
        assert_eq!(als["metrics"]["hit_rate@1"]["value"], 1.0);
        assert_eq!(report["models"]["popularity"]["metrics"]["hit_rate@1"]["value"], 1.0 / 3.0);
        assert_eq!(als["protocol"]["k"], serde_json::json!([1, 2]));
        assert_eq!(als["protocol"]["users"], "warm");
        assert_eq!(als["counts"]["evaluated_users"], 3);
        let table = table::read(ctx.output("comparison"), &[("value", table::ColumnType::Number)]).unwrap();
        assert_eq!(table.height(), 2 * 2 * Metric::ALL.len());
        let bytes = std::fs::read(ctx.output("report")).unwrap();
        Step::run(&step, &ctx).unwrap();
        assert_eq!(std::fs::read(ctx.output("report")).unwrap(), bytes);
    }

    #[test]
    fn the_log_of_a_service_adds_what_was_chosen() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("impressions.jsonl");
        let text = r#"{"at":"2026-01-01T00:00:00Z","user_id":100,"variant":"bold","items":[{"track_id":11,"source":"online"},{"track_id":12,"source":"popular"}]}
{"at":"2026-01-01T01:00:00Z","user_id":100,"listened":[12]}
"#;
        std::fs::write(&log, text).unwrap();
        let ctx = project(folder.path(), Some("impressions.jsonl"));
        Step::run(&Evaluate::default(), &ctx).unwrap();
        let report: serde_json::Value = json::read(ctx.output("report")).unwrap();
        let bold = &report["online"]["variants"]["bold"];
        assert_eq!(bold["click_rate"], 0.5);
        assert_eq!(bold["hit_rate"]["value"], 1.0);
        assert_eq!(bold["sources"]["online"]["chosen"], 0);
    }

    #[test]
    fn an_unknown_baseline_is_named_with_the_nearest_list() {
        let folder = tempfile::tempdir().unwrap();
        let step = Evaluate { baseline: Some("popularty".to_owned()), ..Evaluate::default() };
        let error = Step::run(&step, &project(folder.path(), None)).unwrap_err();
        assert_eq!(error.to_string(), "the baseline `popularty` is not among the lists");
        assert_eq!(error.help().unwrap().to_string(), "did you mean `popularity`?");
    }

    #[test]
    fn the_cut_of_the_table_must_be_measured() {
        let step = Evaluate { compare_at: Some(7), ..Evaluate::default() };
        assert_eq!(Step::check(&step).unwrap_err().message, "expected one of `k` [5, 10], found 7");
        assert!(Step::check(&Evaluate::default()).is_ok());
    }
}
