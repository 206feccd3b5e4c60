//! What came out of an experiment, kept so that it can be shown and compared later.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use thiserror::Error;

use super::file::Experiment;
use super::objective::{Constraint, MetricName, Objective};
use crate::workflow::files::{self, FilesError};
use crate::workflow::fingerprint::RunKey;
use crate::workflow::history::now;
use crate::workflow::spec::Overrides;

/// Raised when a program that reads records must know of a change.
const VERSION: u32 = 2;

/// The last results of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentRecord {
    /// Of the layout of this record; the first had none.
    #[serde(default = "first_version")]
    pub version: u32,
    /// What it is called.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// The pipeline that is varied.
    pub pipeline: PathBuf,
    /// Configuration files that hold for every variant.
    pub configs: Vec<PathBuf>,
    /// Values that hold for every variant.
    pub set: BTreeMap<String, Json>,
    /// What the command line changed in every variant.
    #[serde(default)]
    pub changes: Overrides,
    /// Variables of the pipeline as they are written, before the experiment changes them.
    #[serde(default)]
    pub variables: BTreeMap<String, Json>,
    /// When it ran, in UTC.
    pub finished: String,
    /// What is best.
    pub objective: Objective,
    /// What must be kept.
    pub constraints: Vec<Constraint>,
    /// What is shown beside the objective.
    pub report: Vec<MetricName>,
    /// What each rung of a successive halving has of the resource, from the first to the last; empty without one.
    #[serde(default)]
    pub rungs: Vec<Json>,
    /// The variants, in the order of the file.
    pub variants: Vec<VariantRecord>,
}

fn first_version() -> u32 {
    1
}

/// What came out of one variant.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VariantRecord {
    /// Made of its values.
    pub name: String,
    /// Values by parameter; of a resource that which the last of its rungs had.
    pub values: BTreeMap<String, Json>,
    /// The last rung that it was on, counted from 0.
    #[serde(default)]
    pub rung: usize,
    /// Its objective on each rung that it was done on.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub climbed: Vec<Option<f64>>,
    /// How it ended, on its last rung.
    pub ended: Ended,
    /// The error of the step that failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// The numbers that its steps left, as `step.metric`.
    pub metrics: BTreeMap<String, f64>,
    /// 95 % intervals of those of the numbers that were measured on users.
    #[serde(default)]
    pub intervals: BTreeMap<String, [f64; 2]>,
    /// What its steps took when they ran, those that it shares included.
    pub seconds: f64,
    /// The largest memory of one of its steps in bytes, where that is known.
    pub peak_memory_bytes: Option<u64>,
    /// Against the best variant, user by user, where that can be told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub against_best: Option<Against>,
    /// Where its steps are released: the name of each step in the pipeline, and in the experiment.
    pub steps: BTreeMap<String, String>,
    /// The results of its steps in the store, by the name of the step in the pipeline.
    #[serde(default)]
    pub results: BTreeMap<String, RunKey>,
}

/// A variant against another, user by user.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Against {
    /// Users that both were measured on.
    pub users: usize,
    /// Mean of its value minus the other's.
    pub difference: f64,
    /// Lower end of the 95 % interval of the difference.
    #[serde(default)]
    pub low: Option<f64>,
    /// Upper end of it.
    #[serde(default)]
    pub high: Option<f64>,
    /// Two-sided, paired, corrected for the number of variants.
    pub p_value: f64,
    /// Whether both were measured on the same data in the same way.
    #[serde(default = "yes")]
    pub same_data: bool,
}

fn yes() -> bool {
    true
}

/// How a variant ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// All of its steps are done.
    Done,
    /// A step failed.
    Failed,
    /// It did not get its turn.
    #[default]
    NotRun,
}

impl Ended {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::NotRun => "not run",
        }
    }
}

/// A record that cannot be read.
#[derive(Debug, Error, Diagnostic)]
#[error("the results in `{}` cannot be read: {why}", path.display())]
#[diagnostic(
    code(recsys::experiment::unreadable),
    help(
        "`recsys exp run FILE` writes them anew; what its steps made is in the store and need not run again"
    )
)]
pub struct UnreadableRecord {
    /// The file.
    pub path: PathBuf,
    why: String,
}

impl ExperimentRecord {
    /// The folder of the records in the store.
    pub fn folder(store: &Path) -> PathBuf {
        store.join("experiments")
    }

    /// A record of an experiment without variants yet.
    pub fn new(experiment: &Experiment, changes: Overrides) -> Self {
        Self {
            version: VERSION,
            name: experiment.name.clone(),
            path: experiment.path.clone(),
            pipeline: experiment.pipeline.clone(),
            configs: experiment.configs.clone(),
            set: experiment.set.clone(),
            changes,
            variables: BTreeMap::new(),
            finished: now(),
            objective: experiment.objective.clone(),
            constraints: experiment.constraints.clone(),
            report: experiment.report.clone(),
            rungs: experiment.rungs.clone(),
            variants: Vec::new(),
        }
    }

    /// Keeps it in place of an earlier one.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn keep(&self, folder: &Path) -> Result<(), FilesError> {
        let path = folder.join(format!("{}.json", self.name));
        std::fs::create_dir_all(folder).map_err(FilesError::new("create", folder))?;
        let mut text =
            serde_json::to_vec_pretty(self).expect("a record is plain data, which has a JSON form");
        text.push(b'\n');
        files::write_durably(&path, &text)
    }

    /// Reads one.
    ///
    /// # Errors
    /// When it is damaged, or a newer program wrote it.
    pub fn read(path: &Path) -> Result<Self, UnreadableRecord> {
        let unreadable = |why: String| UnreadableRecord { path: path.to_owned(), why };
        let text = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let json: Json = serde_json::from_slice(&text).map_err(|error| unreadable(error.to_string()))?;
        let version = json["version"].as_u64().unwrap_or(1);
        if version > u64::from(VERSION) {
            return Err(unreadable(format!("a newer version of recsys wrote them (layout {version})")));
        }
        serde_json::from_value(json).map_err(|error| unreadable(error.to_string()))
    }

    /// Every record, the newest first, and those that cannot be read.
    pub fn all(folder: &Path) -> (Vec<Self>, Vec<UnreadableRecord>) {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
        let is_record = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "json");
        let (mut records, mut unreadable) = (Vec::<Self>::new(), Vec::new());
        for path in files.filter(is_record) {
            match Self::read(&path) {
                Ok(record) => records.push(record),
                Err(error) => unreadable.push(error),
            }
        }
        records.sort_by(|a, b| b.finished.cmp(&a.finished).then_with(|| a.name.cmp(&b.name)));
        unreadable.sort_by(|a, b| a.path.cmp(&b.path));
        (records, unreadable)
    }

    /// How many rungs there are; one without successive halving.
    pub fn n_rungs(&self) -> usize {
        self.rungs.len().max(1)
    }

    /// Whether a variant is done on its rung, its objective is a number, and it keeps the constraints.
    pub fn is_candidate(&self, variant: &VariantRecord) -> bool {
        variant.ended == Ended::Done
            && self.objective.value(&variant.metrics).is_some()
            && self.constraints.iter().all(|constraint| constraint.holds(&variant.metrics))
    }

    /// Whether a variant may be chosen: it is done with all of the resource, its objective is a number, and it
    /// keeps the constraints.
    pub fn may_be_chosen(&self, variant: &VariantRecord) -> bool {
        variant.rung + 1 == self.n_rungs() && self.is_candidate(variant)
    }

    /// Positions of the variants, the best first: those that may be chosen by objective, then those of the last
    /// rung and of each one before it, candidates first, then others with an objective; ties in the order of
    /// the file.
    pub fn ranking(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.variants.len()).collect();
        let class = |variant: &VariantRecord| {
            let value = self.objective.value(&variant.metrics);
            (Reverse(variant.rung), !self.is_candidate(variant), value.is_none())
        };
        order.sort_by(|&a, &b| {
            let (one, other) = (&self.variants[a], &self.variants[b]);
            class(one).cmp(&class(other)).then_with(|| {
                match (self.objective.value(&one.metrics), self.objective.value(&other.metrics)) {
                    (Some(x), Some(y)) if self.objective.is_better(x, y) => std::cmp::Ordering::Less,
                    (Some(x), Some(y)) if self.objective.is_better(y, x) => std::cmp::Ordering::Greater,
                    _ => a.cmp(&b),
                }
            })
        });
        order
    }

    /// The best variant, when one may be chosen.
    pub fn best(&self) -> Option<&VariantRecord> {
        let first = &self.variants[*self.ranking().first()?];
        self.may_be_chosen(first).then_some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::experiment::Direction;

    fn variant(name: &str, ended: Ended, ndcg: f64, coverage: f64) -> VariantRecord {
        let metrics = [("validate.ndcg".to_owned(), ndcg), ("validate.coverage".to_owned(), coverage)];
        VariantRecord {
            name: name.to_owned(),
            ended,
            metrics: metrics.into(),
            seconds: 1.0,
            ..VariantRecord::default()
        }
    }

    fn record() -> ExperimentRecord {
        ExperimentRecord {
            version: VERSION,
            changes: Overrides::default(),
            variables: BTreeMap::new(),
            rungs: Vec::new(),
            name: "als".to_owned(),
            path: "configs/experiments/als.yaml".into(),
            pipeline: "pipelines/demo.yaml".into(),
            configs: Vec::new(),
            set: BTreeMap::new(),
            finished: "2026-11-21T17:00:00Z".to_owned(),
            objective: Objective { metric: "validate.ndcg".parse().unwrap(), direction: Direction::Maximize },
            constraints: vec!["validate.coverage >= 0.1".parse().unwrap()],
            report: Vec::new(),
            variants: vec![
                variant("failed", Ended::Failed, f64::INFINITY, 1.0),
                variant("narrow", Ended::Done, 0.9, 0.01),
                variant("worse", Ended::Done, 0.2, 0.5),
                variant("best", Ended::Done, 0.3, 0.1),
            ],
        }
    }

    #[test]
    fn the_best_is_done_and_keeps_the_constraints() {
        let record = record();
        let names: Vec<&str> =
            record.ranking().into_iter().map(|position| record.variants[position].name.as_str()).collect();
        assert_eq!(names, ["best", "worse", "narrow", "failed"]);
        assert_eq!(record.best().unwrap().name, "best");
        let mut turned = record.clone();
        turned.objective.direction = Direction::Minimize;
        assert_eq!(turned.best().unwrap().name, "worse");
        turned.constraints = vec!["validate.coverage >= 2".parse().unwrap()];
        assert_eq!(turned.best(), None);
    }

    #[test]
    fn a_variant_that_did_not_reach_the_last_rung_is_not_the_best() {
        let mut record = record();
        record.rungs = vec![1.into(), 3.into()];
        assert_eq!(record.best(), None);
        record.variants[2].rung = 1;
        assert_eq!(record.best().unwrap().name, "worse");
        assert_eq!(record.ranking()[..2], [2, 3]);
    }

    #[test]
    fn records_are_found_again_and_those_of_other_programs_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("experiments");
        let mut record = record();
        // JSON has no word for infinity.
        record.variants.remove(0);
        record.keep(&folder).unwrap();
        let path = folder.join("als.json");
        assert_eq!(ExperimentRecord::read(&path).unwrap(), record);
        // What the first version wrote lacks what came later.
        let mut old: Json = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        for key in ["version", "changes", "rungs", "variables"] {
            old.as_object_mut().unwrap().remove(key);
        }
        for variant in old["variants"].as_array_mut().unwrap() {
            for key in ["rung", "intervals", "results"] {
                variant.as_object_mut().unwrap().remove(key);
            }
        }
        std::fs::write(&path, old.to_string()).unwrap();
        assert_eq!(ExperimentRecord::read(&path).unwrap().variants, record.variants);
        std::fs::write(folder.join("cut.json"), "{\"version\": 2, ").unwrap();
        std::fs::write(folder.join("new.json"), "{\"version\": 99}").unwrap();
        std::fs::write(folder.join("other.json"), "{\"version\": 1}").unwrap();
        let (records, unreadable) = ExperimentRecord::all(&folder);
        assert_eq!(records.len(), 1);
        let told: Vec<String> = unreadable.iter().map(ToString::to_string).collect();
        assert!(told.len() == 3 && told[1].contains("a newer version of recsys"), "{told:?}");
        assert!(told[2].contains("missing field `name`"), "{told:?}");
    }
}
