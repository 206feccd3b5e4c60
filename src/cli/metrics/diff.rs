//! `recsys metrics diff`: two runs, metric by metric, and what made the difference.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::measured::{self, Measured, Pick};
use super::{account_of, plain};
use crate::cli::CommandError;
use crate::cli::sheet::{Audience, Cell, Column, Format, Sheet};
use crate::cli::workspace::store;
use crate::console::say;
use crate::steps::evaluate::kept;
use crate::steps::evaluate::user_values::Correction;
use crate::workflow::digest::Digest;
use crate::workflow::fingerprint::Change;
use crate::workflow::history::account::Account;
use crate::workflow::history::read;
use crate::workflow::store::{StepResult, Store};

/// Compare two runs, metric by metric.
///
/// Differences are those of the second run to the first. Where both evaluations have values by user (their output
/// `user_metrics`) a difference has a 95 % interval and the p-value of a paired t-test, corrected by Holm for
/// all that are shown.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys metrics diff last~1 last
  recsys metrics diff 20261121T07 20261121T09 --metric ndcg@10
  recsys metrics diff last~1 last --all --format csv")]
pub struct DiffArgs {
    /// The run to compare with: its id, the beginning of it, `last`, or `last~N` for the Nth before it
    one: String,

    /// The run that is compared
    other: String,

    #[command(flatten)]
    pick: Pick,

    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// One number in both runs.
#[derive(Debug, Serialize)]
struct Difference {
    step: String,
    model: Option<String>,
    name: String,
    one: Option<f64>,
    other: Option<f64>,
    difference: Option<f64>,
    users: Option<usize>,
    low: Option<f64>,
    high: Option<f64>,
    p_value: Option<f64>,
    same_data: Option<bool>,
}

/// Prints what differs.
///
/// # Errors
/// When there is no such run, or nothing is called as asked for.
pub fn diff(args: &DiffArgs, root: &Path) -> Result<(), CommandError> {
    let (folder, store) = (read::folder(root), store(root));
    let (one, other) = (account_of(&folder, &args.one)?, account_of(&folder, &args.other)?);
    let results = (measured::results(&one, &store), measured::results(&other, &store));
    let (before, after) = (measured::of(&one, &store), measured::of(&other, &store));
    let mut both: Vec<Measured> = after.clone();
    let is_new = |of: &[Measured], row: &Measured| {
        !of.iter().any(|known| known.step == row.step && known.metric == row.metric)
    };
    both.extend(before.iter().filter(|row| is_new(&after, row)).cloned());
    let mut rows: Vec<&Measured> = args.pick.pick(&both)?;
    // Numbers that only one of them has say nothing of what changed.
    let all = rows.len();
    if !args.pick.is_all() {
        rows.retain(|row| !is_new(&after, row) && !is_new(&before, row));
    }
    let lonely = all - rows.len();
    let differences = differences(&rows, &before, &after, &results, &store);
    let changes = changes(&one, &other, &results);
    let mut sheet = sheet(&one, &other, &differences, &changes);
    if lonely > 0 {
        sheet
            .notes
            .push(format!("{lonely} numbers that only one of the runs has are left out: `--all` shows them"));
    }
    say(&sheet.render(args.format, || {
        json!({
            "one": one.id, "other": other.id, "pipelines": [one.pipeline, other.pipeline],
            "changes": changes, "correction": Correction::Named.name(), "metrics": differences,
        })
    }));
    Ok(())
}

type Results = BTreeMap<Digest, StepResult>;

fn differences(
    rows: &[&Measured],
    before: &[Measured],
    after: &[Measured],
    results: &(Results, Results),
    store: &Store,
) -> Vec<Difference> {
    let mut differences = Vec::with_capacity(rows.len());
    for row in rows {
        let find = |of: &[Measured]| {
            of.iter().find(|known| known.step == row.step && known.metric == row.metric).cloned()
        };
        let (one, other) = (find(before), find(after));
        let value = |of: &Option<Measured>| of.as_ref().map(|of| of.value);
        let mut difference = Difference {
            step: row.step.clone(),
            model: row.model.clone(),
            name: row.name.clone(),
            one: value(&one),
            other: value(&other),
            difference: value(&other).zip(value(&one)).map(|(other, one)| other - one),
            users: None,
            low: None,
            high: None,
            p_value: None,
            same_data: None,
        };
        let result = |of: &Option<Measured>, results: &Results| results.get(&of.as_ref()?.key?).cloned();
        if let (Some(one), Some(other)) = (result(&one, &results.0), result(&other, &results.1)) {
            difference.compare(&one, &other, &row.metric, store);
        }
        differences.push(difference);
    }
    let tested: Vec<f64> = differences.iter().filter_map(|difference| difference.p_value).collect();
    let corrected = Correction::Named.apply(&tested);
    let places = differences.iter_mut().filter(|difference| difference.p_value.is_some());
    places.zip(corrected).for_each(|(difference, p_value)| difference.p_value = Some(p_value));
    differences
}

impl Difference {
    /// Fills in what values by user tell.
    fn compare(&mut self, one: &StepResult, other: &StepResult, metric: &str, store: &Store) {
        if kept::is_evaluation(one) && kept::is_evaluation(other) {
            self.same_data = Some(kept::measured_on(one) == kept::measured_on(other));
        }
        let by_user = |result: &StepResult| {
            kept::by_user(store, result, metric).unwrap_or_else(|error| {
                tracing::warn!("runs are not compared user by user: {error}");
                None
            })
        };
        let (Some(one), Some(other)) = (by_user(one), by_user(other)) else { return };
        let paired = other.against(&one);
        let (low, high) = paired.interval.unzip();
        self.users = Some(paired.users);
        (self.low, self.high, self.p_value) = (low, high, Some(paired.p_value));
    }
}

/// What differs in the steps that both runs have, besides what steps before them made.
fn changes(one: &Account, other: &Account, results: &(Results, Results)) -> Vec<String> {
    let mut changes = Vec::new();
    for step in &other.steps {
        let Some(earlier) = one.steps.iter().find(|known| known.step == step.step) else { continue };
        let found =
            (earlier.key.and_then(|key| results.0.get(&key)), step.key.and_then(|key| results.1.get(&key)));
        let (Some(earlier), Some(later)) = found else { continue };
        for change in later.fingerprint.changes_since(&earlier.fingerprint) {
            if !matches!(change, Change::Input { .. } | Change::Outputs) {
                changes.push(format!("{}: {change}", step.step));
            }
        }
    }
    changes
}

fn sheet(one: &Account, other: &Account, differences: &[Difference], changes: &[String]) -> Sheet {
    let is_tested = differences.iter().any(|difference| difference.p_value.is_some());
    let tested = |audience: Audience| if is_tested { audience } else { Audience::Programs };
    let columns = vec![
        Column::words("step"),
        Column::titled("model", "model", Audience::All, false),
        Column::words("metric"),
        Column::titled(&short(&one.id), "one", Audience::All, true),
        Column::titled(&short(&other.id), "other", Audience::All, true),
        Column::numbers("difference"),
        Column::titled(
            "its 95 % interval",
            "",
            if is_tested { Audience::People } else { Audience::Programs },
            true,
        ),
        Column::titled("", "low", Audience::Programs, true),
        Column::titled("", "high", Audience::Programs, true),
        Column::titled("p", "p", tested(Audience::All), true),
        Column::titled("", "users", Audience::Programs, true),
    ];
    let rows = differences.iter().map(|row| {
        let ends = row.low.zip(row.high);
        let interval = ends.map_or_else(String::new, |(low, high)| format!("{low:+.4} to {high:+.4}"));
        let mut p =
            Cell::number(row.p_value, |p| if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") });
        if row.same_data == Some(false) {
            p.text.push_str(" †");
        }
        vec![
            Cell::same(&row.step),
            Cell::same(row.model.clone().unwrap_or_default()),
            Cell::same(&row.name),
            Cell::number(row.one, plain),
            Cell::number(row.other, plain),
            Cell::number(row.difference, |value| format!("{value:+.4}")),
            Cell { text: interval, data: String::new(), interval: None },
            Cell::number(row.low, plain),
            Cell::number(row.high, plain),
            p,
            Cell::number(row.users.map(|users| users as f64), |users| users.to_string()),
        ]
    });
    let mut notes = vec![format!("{} ({}) against {} ({})", other.id, other.pipeline, one.id, one.pipeline)];
    match changes {
        [] => notes.push("no parameter of a step that both have is different".to_owned()),
        some => notes.extend(some.iter().take(20).map(|change| format!("changed  {change}"))),
    }
    if is_tested {
        let n = differences.iter().filter(|difference| difference.p_value.is_some()).count();
        notes.push(format!(
            "interval of each difference by itself · p: paired t-test over users, Holm-corrected for {n} comparisons"
        ));
    } else if differences.iter().any(|difference| difference.same_data.is_some()) {
        notes.push(
            "for intervals and paired tests let evaluations write values by user: give them the output `user_metrics`"
                .to_owned(),
        );
    }
    if differences.iter().any(|difference| difference.same_data == Some(false)) {
        notes.push(
            "† measured on other data or in another way: the difference is not that of the models alone"
                .to_owned(),
        );
    }
    let title = format!("Run {} against {}", other.id, one.id);
    Sheet { title, columns, rows: rows.collect(), notes }
}

/// Day and time of an id.
fn short(id: &str) -> String {
    id.chars().take(15).collect()
}
