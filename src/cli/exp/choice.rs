//! Which variants are shown, and in what order: `--filter`, `--sort`, `--top`, `--pareto`, `--baseline`.

use std::cmp::Ordering;
use std::str::FromStr;

use clap::Args;
use miette::Diagnostic;
use serde_json::Value as Json;
use thiserror::Error;

use super::fields::{Field, Row};
use crate::cli::{CommandError, cache};
use crate::workflow::experiment::Direction;

/// Which variants, and in what order.
#[derive(Debug, Clone, Default, Args)]
pub struct Choice {
    /// Show variants of which this holds: `factors=64`, `ndcg@10 > 0.1`, `time < 10m`, `state != failed`; several must
    /// hold together
    #[arg(long = "filter", value_name = "CONDITION")]
    pub filters: Vec<Condition>,

    /// Sort by a setting, metric, `time`, `memory` or `p`; the good end first, `FIELD:asc` and `FIELD:desc` say
    /// otherwise [default: the objective]
    #[arg(long, value_name = "FIELD")]
    pub sort: Option<String>,

    /// Show no more than the first N
    #[arg(long, value_name = "N")]
    pub top: Option<usize>,

    /// Mark the variants that no other beats in all of these at once (Pareto front); `min:` or `max:` before a name
    /// says which end is the good one
    #[arg(long, value_name = "FIELD,FIELD", value_delimiter = ',')]
    pub pareto: Vec<String>,

    /// Compare all with this variant instead of the best one
    #[arg(long, value_name = "VARIANT")]
    pub baseline: Option<String>,

    /// Compare by this metric instead of the objective
    #[arg(long, value_name = "METRIC")]
    pub by: Option<String>,
}

/// A condition as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    field: String,
    operator: Operator,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    AtLeast,
    AtMost,
    Not,
    Is,
    More,
    Less,
}

/// What is written, the longer first.
const OPERATORS: [(&str, Operator); 7] = [
    (">=", Operator::AtLeast),
    ("<=", Operator::AtMost),
    ("!=", Operator::Not),
    ("==", Operator::Is),
    ("=", Operator::Is),
    (">", Operator::More),
    ("<", Operator::Less),
];

#[derive(Debug, Error, Diagnostic)]
enum ChoiceError {
    #[error("`{field}` is compared with `{value}`, which is no number")]
    #[diagnostic(help("for example `ndcg@10 > 0.1`, `time < 10m`, `memory < 2GiB`"))]
    NoNumber { field: String, value: String },
    #[error("a Pareto front needs two things or more, found {found}")]
    #[diagnostic(help("for example `--pareto ndcg@10,time`"))]
    NoFront { found: usize },
}

impl Choice {
    /// The first so many, nothing else asked for.
    pub fn top(n: usize) -> Self {
        Self { top: Some(n), ..Self::default() }
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The operator that comes first; of two at one place the longer.
        let places =
            OPERATORS.iter().filter_map(|(sign, operator)| Some((text.find(sign)?, *sign, *operator)));
        let first = places.min_by_key(|(at, sign, _)| (*at, std::cmp::Reverse(sign.len())));
        let Some((at, sign, operator)) = first else {
            return Err(
                "expected FIELD, one of = != > >= < <=, and a value, for example `ndcg@10 > 0.1`".to_owned()
            );
        };
        let (field, value) = (text[..at].trim(), text[at + sign.len()..].trim());
        if field.is_empty() || value.is_empty() {
            return Err(format!("expected a name before `{sign}` and a value after it"));
        }
        Ok(Self { field: field.to_owned(), operator, value: value.to_owned() })
    }
}

/// Keeps the rows of which every condition holds.
///
/// # Errors
/// When a name is unknown, or a value that should be a number is none.
pub fn filter(
    rows: &mut Vec<Row<'_>>,
    conditions: &[Condition],
    first: &[String],
) -> Result<(), CommandError> {
    let all = rows.clone();
    for Condition { field: name, operator, value } in conditions {
        let field = Field::find(name, &all, first).map_err(CommandError::usage)?;
        let number = number(&field, value);
        let ordered = !matches!(operator, Operator::Is | Operator::Not);
        if ordered && number.is_none() {
            let (field, value) = (name.clone(), value.clone());
            return Err(CommandError::usage(ChoiceError::NoNumber { field, value }));
        }
        rows.retain(|row| {
            let Some(found) = row.value(&field) else { return false };
            match operator {
                Operator::Is => equal(&found, value, number),
                Operator::Not => !equal(&found, value, number),
                ordered => found.as_f64().zip(number).is_some_and(|(found, wanted)| match ordered {
                    Operator::AtLeast => found >= wanted,
                    Operator::AtMost => found <= wanted,
                    Operator::More => found > wanted,
                    _ => found < wanted,
                }),
            }
        });
    }
    Ok(())
}

/// Sorts by a field, those without a value last, ties as they were.
///
/// # Errors
/// When the name is unknown.
pub fn sort(rows: &mut [Row<'_>], by: &str, first: &[String]) -> Result<(), CommandError> {
    let (name, falling) = match by.rsplit_once(':') {
        Some((name, "asc")) => (name, Some(false)),
        Some((name, "desc")) => (name, Some(true)),
        _ => (by, None),
    };
    let field = Field::find(name, rows, first).map_err(CommandError::usage)?;
    let good_first = matches!(field, Field::Metric(_)) && field.direction(rows) == Direction::Maximize;
    let falling = falling.unwrap_or(good_first);
    rows.sort_by(|a, b| match (a.value(&field), b.value(&field)) {
        (Some(a), Some(b)) => {
            let order = order(&a, &b);
            if falling { order.reverse() } else { order }
        }
        (a, b) => a.is_none().cmp(&b.is_none()),
    });
    Ok(())
}

/// Marks the rows that no other beats in all fields at once; those that miss one are not on the front. Returns the
/// fields and their good ends.
///
/// # Errors
/// When a name is unknown, or there is only one.
pub fn mark_front(
    rows: &mut [Row<'_>],
    names: &[String],
    first: &[String],
) -> Result<Vec<(Field, Direction)>, CommandError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    if names.len() < 2 {
        return Err(CommandError::usage(ChoiceError::NoFront { found: names.len() }));
    }
    let mut fields = Vec::with_capacity(names.len());
    for name in names {
        let (name, direction) = match name.trim().split_once(':') {
            Some(("min", name)) => (name, Some(Direction::Minimize)),
            Some(("max", name)) => (name, Some(Direction::Maximize)),
            _ => (name.trim(), None),
        };
        let field = Field::find(name, rows, first).map_err(CommandError::usage)?;
        let direction = direction.unwrap_or_else(|| field.direction(rows));
        fields.push((field, direction));
    }
    // More is better in each of these numbers.
    let point = |row: &Row<'_>| -> Option<Vec<f64>> {
        fields
            .iter()
            .map(|(field, direction)| {
                let value = row.value(field)?.as_f64()?;
                Some(if *direction == Direction::Minimize { -value } else { value })
            })
            .collect()
    };
    let points: Vec<Option<Vec<f64>>> = rows.iter().map(point).collect();
    let beats = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| a >= b) && a != b;
    for (row, point) in rows.iter_mut().zip(&points) {
        row.on_front =
            point.as_ref().is_some_and(|point| !points.iter().flatten().any(|other| beats(other, point)));
    }
    Ok(fields)
}

/// A value as a number: plain, or a time or a size with its unit.
fn number(field: &Field, text: &str) -> Option<f64> {
    let plain = text.parse::<f64>().ok().filter(|number| number.is_finite());
    plain.or_else(|| match field {
        Field::Seconds => cache::time(text).ok().map(|time| time.as_secs_f64()),
        Field::Memory => cache::size(text).ok().map(|size| size as f64),
        _ => None,
    })
}

fn equal(found: &Json, value: &str, number: Option<f64>) -> bool {
    match (found, number) {
        (Json::String(found), _) => found == value,
        (found, Some(number)) if found.is_number() => found.as_f64() == Some(number),
        (Json::Bool(found), _) => value == if *found { "true" } else { "false" },
        (Json::Null, _) => value == "null",
        (Json::Number(_), _) => false,
        (found, _) => serde_json::from_str::<Json>(value).is_ok_and(|value| value == *found),
    }
}

/// Numbers before texts, each among their like.
fn order(a: &Json, b: &Json) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a_number, b_number) => {
            let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            a_number.is_none().cmp(&b_number.is_none()).then_with(|| text(a).cmp(&text(b)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_at_their_first_operator() {
        let read = |text: &str| text.parse::<Condition>().map(|c| (c.field, c.operator, c.value));
        let condition =
            |field: &str, operator, value: &str| Ok((field.to_owned(), operator, value.to_owned()));
        assert_eq!(read("ndcg@10 > 0.1"), condition("ndcg@10", Operator::More, "0.1"));
        assert_eq!(read("factors=64"), condition("factors", Operator::Is, "64"));
        assert_eq!(read("a>=1"), condition("a", Operator::AtLeast, "1"));
        assert_eq!(read("a == b <= c"), condition("a", Operator::Is, "b <= c"));
        assert_eq!(read("a != x"), condition("a", Operator::Not, "x"));
        for wrong in ["factors", "= 3", "a >", ""] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn values_are_equal_as_people_write_them() {
        let is = |found: Json, value: &str| equal(&found, value, value.parse().ok());
        assert!(is(64.into(), "64.0") && is(0.5.into(), ".5") && is(true.into(), "true"));
        assert!(is("cg".into(), "cg") && !is("64".into(), "65") && !is(64.into(), "6"));
        assert_eq!(number(&Field::Seconds, "2m"), Some(120.0));
        assert_eq!(number(&Field::Memory, "1kB"), Some(1000.0));
        assert_eq!(number(&Field::PValue, "2m"), None);
        assert_eq!(order(&3.into(), &"a".into()), Ordering::Less);
    }
}
