//! What came out of an experiment, kept so that it can be shown and compared later.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::objective::{Constraint, MetricName, Objective};
use crate::workflow::files::{self, FilesError};

/// The last results of an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentRecord {
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
    /// When it ran, in UTC.
    pub finished: String,
    /// What is best.
    pub objective: Objective,
    /// What must be kept.
    pub constraints: Vec<Constraint>,
    /// What is shown beside the objective.
    pub report: Vec<MetricName>,
    /// The variants, in the order of the file.
    pub variants: Vec<VariantRecord>,
}

/// What came out of one variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariantRecord {
    /// Made of its values.
    pub name: String,
    /// Values by parameter.
    pub values: BTreeMap<String, Json>,
    /// How it ended.
    pub ended: Ended,
    /// The error of the step that failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// The numbers that its steps left, as `step.metric`.
    pub metrics: BTreeMap<String, f64>,
    /// What its steps took when they ran, those that it shares included.
    pub seconds: f64,
    /// The largest memory of one of its steps in bytes, where that is known.
    pub peak_memory_bytes: Option<u64>,
    /// Against the best variant, user by user, where that can be told.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub against_best: Option<AgainstBest>,
    /// Where its steps are released: the name of each step in the pipeline, and in the experiment.
    pub steps: BTreeMap<String, String>,
}

/// A variant against the best one, user by user.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AgainstBest {
    /// Users that both were measured on.
    pub users: usize,
    /// Mean of its objective minus that of the best.
    pub difference: f64,
    /// Two-sided, paired, corrected for the number of variants.
    pub p_value: f64,
}

/// How a variant ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// All of its steps are done.
    Done,
    /// A step failed.
    Failed,
    /// It did not get its turn.
    NotRun,
}

impl ExperimentRecord {
    /// The folder of the records in the store.
    pub fn folder(store: &Path) -> PathBuf {
        store.join("experiments")
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

    /// The record of an experiment; nothing when there is none that this program can read.
    pub fn find(folder: &Path, name: &str) -> Option<Self> {
        files::read_json(&folder.join(format!("{name}.json")))
    }

    /// Every record, the newest first.
    pub fn all(folder: &Path) -> Vec<Self> {
        let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let names =
            files.filter_map(|file| file.file_name().to_str()?.strip_suffix(".json").map(str::to_owned));
        let mut records: Vec<Self> = names.filter_map(|name| Self::find(folder, &name)).collect();
        records.sort_by(|a, b| b.finished.cmp(&a.finished).then_with(|| a.name.cmp(&b.name)));
        records
    }

    /// Whether a variant may be chosen: it is done, its objective is a number, and it keeps the constraints.
    pub fn may_be_chosen(&self, variant: &VariantRecord) -> bool {
        variant.ended == Ended::Done
            && self.objective.value(&variant.metrics).is_some()
            && self.constraints.iter().all(|constraint| constraint.holds(&variant.metrics))
    }

    /// Positions of the variants, the best first: those that may be chosen by objective, then the others that
    /// have one, then the rest; ties in the order of the file.
    pub fn ranking(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.variants.len()).collect();
        let class = |variant: &VariantRecord| {
            (!self.may_be_chosen(variant), self.objective.value(&variant.metrics).is_none())
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
            values: BTreeMap::new(),
            ended,
            error: None,
            metrics: metrics.into(),
            seconds: 1.0,
            peak_memory_bytes: None,
            against_best: None,
            steps: BTreeMap::new(),
        }
    }

    fn record() -> ExperimentRecord {
        ExperimentRecord {
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
    fn records_are_found_again_and_one_of_another_program_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("experiments");
        let mut record = record();
        // JSON has no word for infinity.
        record.variants.remove(0);
        record.keep(&folder).unwrap();
        std::fs::write(folder.join("old.json"), "{\"version\": 1}").unwrap();
        assert_eq!(ExperimentRecord::find(&folder, "als"), Some(record.clone()));
        assert_eq!(ExperimentRecord::all(&folder), [record]);
    }
}
