//! What a variant can be shown, sorted and filtered by: its settings, metrics, cost, and how it ended.

use std::collections::BTreeSet;
use std::path::PathBuf;

use miette::Diagnostic;
use serde_json::Value as Json;
use thiserror::Error;

use crate::workflow::experiment::{Against, Direction, Ended, ExperimentRecord, MetricName, VariantRecord};
use crate::workflow::fault::did_you_mean;

/// One variant of one experiment.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// Its experiment.
    pub record: &'a ExperimentRecord,
    /// The variant.
    pub variant: &'a VariantRecord,
    /// Against the one that all are compared with.
    pub against: Option<Against>,
    /// Whether no other variant beats it in all that was asked for at once.
    pub on_front: bool,
}

/// One thing that is known of variants.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// The name of the variant.
    Variant,
    /// The name of the experiment.
    Experiment,
    /// How it ended.
    State,
    /// The rung that it got to, counted from 1.
    Rung,
    /// The value of a parameter or variable.
    Parameter(String),
    /// A number that a step left, as `step.metric`.
    Metric(String),
    /// What its steps took.
    Seconds,
    /// The largest memory of one of its steps in bytes.
    Memory,
    /// Its objective minus that of the one that all are compared with.
    Difference,
    /// The corrected p-value of that.
    PValue,
}

/// Fields by a word of their own.
const WORDS: [(&str, Field); 11] = [
    ("variant", Field::Variant),
    ("name", Field::Variant),
    ("experiment", Field::Experiment),
    ("state", Field::State),
    ("rung", Field::Rung),
    ("time", Field::Seconds),
    ("seconds", Field::Seconds),
    ("memory", Field::Memory),
    ("peak_memory_bytes", Field::Memory),
    ("difference", Field::Difference),
    ("p", Field::PValue),
];

/// Metrics of which less is better, by a part of their names.
const LESS_IS_BETTER: [&str; 3] = ["loss", "popularity_bias", "users_without_list"];

/// Nothing is called so, or several things are.
#[derive(Debug, Error, Diagnostic)]
pub enum FieldError {
    /// Nothing.
    #[error("no variant has a setting, metric or word `{name}`")]
    #[diagnostic(code(recsys::experiment::unknown_field), help("{help}"))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What was meant.
        help: String,
    },
    /// Several.
    #[error("`{name}` may be {}", several.join(" or "))]
    #[diagnostic(code(recsys::experiment::ambiguous_field), help("write more of the name"))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// What it may be.
        several: Vec<String>,
    },
}

impl Row<'_> {
    /// The value of a parameter or variable, wherever it is set: by the variant, the command line, the experiment, or
    /// the pipeline's own variables.
    pub fn setting(&self, path: &str) -> Option<Json> {
        let (record, variant) = (self.record, self.variant);
        let typed = |texts: &[String], name: &str| {
            let value = texts.iter().rev().find_map(|text| text.strip_prefix(name)?.strip_prefix('='));
            value.map(crate::workflow::experiment::file::from_yaml)
        };
        let on_line = match path.strip_prefix("vars.") {
            Some(name) => typed(&record.changes.vars, name),
            None => typed(&record.changes.set, path),
        };
        let own = path.strip_prefix("vars.").and_then(|name| record.variables.get(name));
        on_line
            .or_else(|| variant.values.get(path).cloned())
            .or_else(|| record.set.get(path).cloned())
            .or_else(|| own.cloned())
    }

    /// What is known of the variant.
    pub fn value(&self, field: &Field) -> Option<Json> {
        let variant = self.variant;
        Some(match field {
            Field::Variant => variant.name.clone().into(),
            Field::Experiment => self.record.name.clone().into(),
            Field::State => self.state().into(),
            Field::Rung => (variant.rung + 1).into(),
            Field::Parameter(path) => self.setting(path)?,
            Field::Metric(name) => (*variant.metrics.get(name)?).into(),
            Field::Seconds => variant.seconds.into(),
            Field::Memory => variant.peak_memory_bytes?.into(),
            Field::Difference => self.against?.difference.into(),
            Field::PValue => self.against?.p_value.into(),
        })
    }

    /// How it ended, in one word or two.
    pub fn state(&self) -> &'static str {
        let Self { record, variant, .. } = self;
        match variant.ended {
            Ended::Done if record.objective.value(&variant.metrics).is_none() => "no value",
            Ended::Done if !record.is_candidate(variant) => "breaks a constraint",
            Ended::Done if variant.rung + 1 < record.n_rungs() => "out",
            ended => ended.name(),
        }
    }
}

impl Field {
    /// The field that a name means in these rows: a word, a path, a metric, or the end of one of those. Of several
    /// metrics that end so `first` wins.
    ///
    /// # Errors
    /// When nothing is called so, or several things are.
    pub fn find(name: &str, rows: &[Row<'_>], first: &[String]) -> Result<Self, FieldError> {
        let paths = paths(rows);
        if paths.contains(name) {
            return Ok(Self::Parameter(name.to_owned()));
        }
        let metrics: BTreeSet<&str> =
            rows.iter().flat_map(|row| row.variant.metrics.keys().map(String::as_str)).collect();
        if metrics.contains(name) {
            return Ok(Self::Metric(name.to_owned()));
        }
        if let Some((_, field)) = WORDS.iter().find(|(word, _)| *word == name) {
            return Ok(field.clone());
        }
        let ends = |known: &str| known.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        let by_path = paths.iter().filter(|path| ends(path)).map(|path| Self::Parameter(path.clone()));
        let shown: Vec<&String> = first.iter().filter(|metric| ends(metric)).collect();
        let by_metric: Vec<Self> = match shown.first() {
            Some(metric) => vec![Self::Metric((*metric).clone())],
            None => metrics.iter().filter(|m| ends(m)).map(|m| Self::Metric((*m).to_owned())).collect(),
        };
        let found: Vec<Self> = by_path.chain(by_metric).collect();
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => {
                let last = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
                let after_step = |name: &str| name.split_once('.').map_or(name, |(_, rest)| rest).to_owned();
                let all = paths.iter().map(String::as_str).chain(metrics.iter().copied());
                let known: BTreeSet<String> = all
                    .flat_map(|name| [name.to_owned(), last(name), after_step(name)])
                    .chain(WORDS.iter().map(|(word, _)| (*word).to_owned()))
                    .collect();
                let help = did_you_mean(name, known.iter().map(String::as_str));
                Err(FieldError::Unknown { name: name.to_owned(), help })
            }
            several => {
                let several = several.iter().take(6).map(|field| format!("`{field}`")).collect();
                Err(FieldError::Ambiguous { name: name.to_owned(), several })
            }
        }
    }

    /// Which end of it is the good one.
    pub fn direction(&self, rows: &[Row<'_>]) -> Direction {
        let objectives = rows.iter().map(|row| &row.record.objective);
        match self {
            Self::Seconds | Self::Memory | Self::PValue => Direction::Minimize,
            Self::Metric(name) => {
                let own = objectives.into_iter().find(|objective| objective.metric.to_string() == *name);
                match own {
                    Some(objective) => objective.direction,
                    None if LESS_IS_BETTER.iter().any(|part| name.contains(part)) => Direction::Minimize,
                    None => Direction::Maximize,
                }
            }
            _ => Direction::Maximize,
        }
    }
}

impl std::fmt::Display for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Parameter(name) | Self::Metric(name) => f.write_str(name),
            other => {
                let word = WORDS.iter().find(|(_, field)| field == other);
                f.write_str(word.map_or("", |(word, _)| word))
            }
        }
    }
}

/// Every parameter and variable that a variant of these sets.
pub fn paths(rows: &[Row<'_>]) -> BTreeSet<String> {
    rows.iter().flat_map(|row| row.variant.values.keys().cloned()).collect()
}

/// Those in which the rows differ.
pub fn differing(rows: &[Row<'_>]) -> Vec<String> {
    let differs = |path: &String| {
        let mut values = rows.iter().map(|row| row.setting(path));
        let first = values.next();
        values.any(|value| Some(value) != first)
    };
    let mut paths = paths(rows);
    // What the command line or the file sets may differ between experiments.
    for row in rows {
        paths.extend(row.record.set.keys().cloned());
        let name = |text: &String| text.split('=').next().map(str::to_owned);
        paths.extend(row.record.changes.set.iter().filter_map(name));
        paths.extend(row.record.changes.vars.iter().filter_map(name).map(|name| format!("vars.{name}")));
    }
    paths.into_iter().filter(differs).collect()
}

/// Metrics that are shown: the first is what is compared, then those of constraints and reports.
pub fn shown_metrics(rows: &[Row<'_>], compared: &MetricName) -> Vec<String> {
    let mut names = vec![compared.to_string()];
    let mut seen: BTreeSet<*const ExperimentRecord> = BTreeSet::new();
    for record in rows.iter().map(|row| row.record) {
        if !seen.insert(std::ptr::from_ref(record)) {
            continue;
        }
        let constraints = record.constraints.iter().map(|constraint| &constraint.metric);
        let all = std::iter::once(&record.objective.metric).chain(constraints).chain(&record.report);
        for name in all.map(ToString::to_string) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// The pipelines of the rows, when they are several.
pub fn pipelines(rows: &[Row<'_>]) -> Option<BTreeSet<PathBuf>> {
    let pipelines: BTreeSet<PathBuf> = rows.iter().map(|row| row.record.pipeline.clone()).collect();
    (pipelines.len() > 1).then_some(pipelines)
}
