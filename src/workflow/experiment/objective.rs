//! What variants are judged by: a metric of a step, and bounds that others must keep.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number that a step leaves: `validate.als.ndcg@10` is `als.ndcg@10` of the step `validate`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct MetricName {
    /// The step.
    pub step: String,
    /// The metric, as the step names it.
    pub metric: String,
}

/// Which end of a metric is the good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// More is better.
    Maximize,
    /// Less is better.
    Minimize,
}

/// What the best variant has most or least of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objective {
    /// The metric.
    pub metric: MetricName,
    /// Which end of it is the good one.
    pub direction: Direction,
}

/// A bound on a metric: `evaluate.als.coverage_items@10 >= 0.02`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Constraint {
    /// The metric.
    pub metric: MetricName,
    /// Whether it must be at least the bound, or at most.
    pub at_least: bool,
    /// The bound.
    pub bound: f64,
}

impl FromStr for MetricName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().split_once('.') {
            Some((step, metric)) if !step.is_empty() && !metric.is_empty() => {
                Ok(Self { step: step.to_owned(), metric: metric.to_owned() })
            }
            _ => Err(format!(
                "expected STEP.METRIC, for example `validate.als.ndcg@10`, found `{}`",
                text.trim()
            )),
        }
    }
}

impl TryFrom<String> for MetricName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<MetricName> for String {
    fn from(name: MetricName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.step, self.metric)
    }
}

impl FromStr for Constraint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = || {
            format!(
                "expected a metric, `>=` or `<=`, and a number, for example `validate.als.coverage_items@10 >= \
                 0.02`, found `{}`",
                text.trim()
            )
        };
        let at_least = text.contains(">=");
        let (metric, bound) = text.split_once(if at_least { ">=" } else { "<=" }).ok_or_else(expected)?;
        let bound: f64 = bound.trim().parse().map_err(|_| expected())?;
        if !bound.is_finite() {
            return Err(expected());
        }
        Ok(Self { metric: metric.parse()?, at_least, bound })
    }
}

impl TryFrom<String> for Constraint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Constraint> for String {
    fn from(constraint: Constraint) -> Self {
        constraint.to_string()
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.metric, if self.at_least { ">=" } else { "<=" }, self.bound)
    }
}

impl Constraint {
    /// Whether these metrics keep it; a metric that is missing or no number does not.
    pub fn holds(&self, metrics: &BTreeMap<String, f64>) -> bool {
        metrics
            .get(&self.metric.to_string())
            .is_some_and(|&value| if self.at_least { value >= self.bound } else { value <= self.bound })
    }
}

impl Objective {
    /// Its value among these metrics; nothing when it is missing or no number.
    pub fn value(&self, metrics: &BTreeMap<String, f64>) -> Option<f64> {
        metrics.get(&self.metric.to_string()).copied().filter(|value| value.is_finite())
    }

    /// Whether the first value is better than the second.
    pub fn is_better(&self, one: f64, other: f64) -> bool {
        match self.direction {
            Direction::Maximize => one > other,
            Direction::Minimize => one < other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_constraints_are_read_and_written_alike() {
        let name: MetricName = "validate.als.ndcg@10".parse().unwrap();
        assert_eq!((name.step.as_str(), name.metric.as_str()), ("validate", "als.ndcg@10"));
        let constraint: Constraint = "validate.als.coverage_items@10 >= 0.02".parse().unwrap();
        assert_eq!(constraint.to_string(), "validate.als.coverage_items@10 >= 0.02");
        assert!("validate".parse::<MetricName>().unwrap_err().contains("STEP.METRIC"));
        for wrong in ["a.b", "a.b > 1", "a.b >= many", "a >= 1", "a.b >= NaN"] {
            assert!(wrong.parse::<Constraint>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_number_keeps_no_bound_and_is_no_objective() {
        let metrics: BTreeMap<String, f64> = [("a.b".to_owned(), f64::NAN), ("a.c".to_owned(), 2.0)].into();
        let holds = |text: &str| text.parse::<Constraint>().unwrap().holds(&metrics);
        assert!(holds("a.c >= 2") && holds("a.c <= 2") && !holds("a.c <= 1"));
        assert!(!holds("a.b >= 0") && !holds("a.b <= 0") && !holds("a.d >= 0"));
        let objective = Objective { metric: "a.b".parse().unwrap(), direction: Direction::Maximize };
        assert_eq!(objective.value(&metrics), None);
    }
}
