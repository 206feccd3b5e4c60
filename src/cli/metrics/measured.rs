//! What a run measured: the numbers that its steps left, with what the store still knows of them.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;
use miette::Diagnostic;
use serde::Serialize;
use thiserror::Error;

use crate::cli::CommandError;
use crate::steps::evaluate::kept;
use crate::workflow::digest::Digest;
use crate::workflow::fault::did_you_mean;
use crate::workflow::history::account::{Account, StepEnd};
use crate::workflow::store::{StepResult, Store};

/// What stands at the head of an evaluation, at its headline cut.
const HEADLINE: [&str; 6] = ["ndcg", "recall", "map", "hit_rate", "coverage_items", "novelty"];

/// One number of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The step that left it.
    pub step: String,
    /// The model that it is of, where it is that of an evaluation.
    pub model: Option<String>,
    /// Its name, without the model.
    pub name: String,
    /// Its name as the step left it.
    #[serde(skip)]
    pub metric: String,
    /// The number.
    pub value: f64,
    /// Its 95 % interval.
    pub interval: Option<[f64; 2]>,
    /// Whether it is shown when nothing is asked for.
    #[serde(skip)]
    pub is_headline: bool,
    /// The result that it belongs to.
    #[serde(skip)]
    pub key: Option<Digest>,
}

/// Which numbers.
#[derive(Debug, Args)]
pub struct Pick {
    /// Of this step alone; may be repeated
    #[arg(long = "step", value_name = "STEP")]
    steps: Vec<String>,

    /// Only metrics with this in their names: `ndcg@10`, `als.ndcg`; may be repeated
    #[arg(long = "metric", value_name = "NAME")]
    metrics: Vec<String>,

    /// Every number, not only the headline of evaluations
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Error, Diagnostic)]
#[error("nothing that was measured is called `{name}`")]
#[diagnostic(help("{help}"))]
struct Nothing {
    name: String,
    help: String,
}

/// The results in the store that a run made or reused, by their keys.
pub fn results(account: &Account, store: &Store) -> BTreeMap<Digest, StepResult> {
    store.recorded_as(&account.steps.iter().filter_map(|step| step.key).collect())
}

/// Every number of a run, in the order of its steps.
pub fn of(account: &Account, store: &Store) -> Vec<Measured> {
    let results = results(account, store);
    let mut all = Vec::new();
    for step in account.steps.iter().filter(|step| matches!(step.ended, StepEnd::Ran | StepEnd::Reused)) {
        let result = step.key.and_then(|key| results.get(&key));
        let details = result.and_then(|result| kept::details(store, result));
        let cut = details.as_ref().and_then(|details| details.compare_at);
        let mut own: Vec<Measured> = step
            .metrics
            .iter()
            .map(|(metric, value)| {
                let models = details.iter().flat_map(|details| &details.models);
                let model = models
                    .filter(|model| metric.strip_prefix(*model).is_some_and(|rest| rest.starts_with('.')))
                    .max_by_key(|model| model.len());
                let name = model.map_or(metric.as_str(), |model| &metric[model.len() + 1..]);
                let interval = details.as_ref().and_then(|details| details.intervals.get(metric));
                let at_cut = |name: &str| cut.is_none_or(|cut| name.ends_with(&format!("@{cut}")));
                Measured {
                    step: step.step.clone(),
                    model: model.cloned(),
                    name: name.to_owned(),
                    metric: metric.clone(),
                    value: *value,
                    interval: interval.copied(),
                    is_headline: model.is_none() || (headline(name).is_some() && at_cut(name)),
                    key: step.key,
                }
            })
            .collect();
        own.sort_by_cached_key(|one| {
            let rank = headline(&one.name).unwrap_or(HEADLINE.len());
            (one.model.clone(), rank, one.name.clone())
        });
        all.extend(own);
    }
    // Where something was evaluated, that is what people ask for.
    if all.iter().any(|one| one.model.is_some()) {
        all.iter_mut().filter(|one| one.model.is_none()).for_each(|one| one.is_headline = false);
    }
    all
}

fn headline(name: &str) -> Option<usize> {
    let metric = name.split('@').next().unwrap_or(name);
    HEADLINE.iter().position(|known| *known == metric)
}

impl Pick {
    /// Whether every number was asked for.
    pub fn is_all(&self) -> bool {
        self.all
    }

    /// Those that were asked for.
    ///
    /// # Errors
    /// When a name fits nothing.
    pub fn pick<'a>(&self, all: &'a [Measured]) -> Result<Vec<&'a Measured>, CommandError> {
        for step in &self.steps {
            let known: BTreeSet<&str> = all.iter().map(|one| one.step.as_str()).collect();
            if !known.contains(step.as_str()) {
                let help = did_you_mean(step, known);
                return Err(CommandError::usage(Nothing { name: step.clone(), help }));
            }
        }
        for metric in &self.metrics {
            if !all.iter().any(|one| one.metric.contains(metric.as_str())) {
                let known: BTreeSet<&str> = all.iter().map(|one| one.name.as_str()).collect();
                let help = did_you_mean(metric, known);
                return Err(CommandError::usage(Nothing { name: metric.clone(), help }));
            }
        }
        let is_wanted = |one: &&Measured| {
            let of_step = self.steps.is_empty() || self.steps.contains(&one.step);
            let named = self.metrics.iter().any(|metric| one.metric.contains(metric.as_str()));
            of_step && (named || (self.metrics.is_empty() && (self.all || one.is_headline)))
        };
        Ok(all.iter().filter(is_wanted).collect())
    }
}
