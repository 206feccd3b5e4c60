//! `recsys metrics`: what a run measured, and what changed between two runs.

mod diff;
mod measured;

use std::collections::BTreeSet;
use std::path::Path;

use clap::{Args, Subcommand};
use miette::Diagnostic;
use serde_json::json;
use thiserror::Error;

use super::CommandError;
use super::sheet::{Audience, Cell, Column, Format, Sheet};
use super::workspace::store;
use crate::console::say;
use crate::workflow::history::account::Account;
use crate::workflow::history::read::{self, RecordedRun};
use measured::{Measured, Pick};

/// Show what a run measured, or what changed between two runs.
///
/// Numbers are those that the steps of the run left. Of evaluations the headline metrics are shown, with 95 %
/// intervals where the evaluation is still in the store.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  recsys metrics                                    of the last run that measured something
  recsys metrics last~1                             of the run before the last
  recsys metrics 20261121T07 --all --format csv     everything
  recsys metrics --metric ndcg@10 --metric loss
  recsys metrics diff last~1 last                   what changed, with intervals and paired tests"
)]
pub struct MetricsArgs {
    #[command(subcommand)]
    command: Option<MetricsCommand>,

    /// The run: its id, the beginning of it, `last`, or `last~N` for the Nth before it [default: the last that
    /// measured something]
    run: Option<String>,

    #[command(flatten)]
    pick: Pick,

    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Subcommand)]
enum MetricsCommand {
    /// Compare two runs, metric by metric
    Diff(diff::DiffArgs),
}

#[derive(Debug, Error, Diagnostic)]
enum MetricsError {
    #[error("no run is recorded that measured something")]
    #[diagnostic(help("a run leaves numbers when a step like `evaluate` is part of it: `recsys run`"))]
    Nothing,
    #[error("the run {run} left no numbers")]
    #[diagnostic(help(
        "`recsys runs {run}` tells what it did; `recsys metrics` shows the last run that measured something"
    ))]
    OfRun { run: String },
}

/// Prints the numbers.
///
/// # Errors
/// When there is no such run, or it measured nothing.
pub fn metrics(args: &MetricsArgs, root: &Path) -> Result<(), CommandError> {
    if let Some(MetricsCommand::Diff(args)) = &args.command {
        return diff::diff(args, root);
    }
    let folder = read::folder(root);
    let account = match &args.run {
        Some(name) => account_of(&folder, name)?,
        None => read::runs(&folder)
            .iter()
            .map(RecordedRun::account)
            .find(has_metrics)
            .ok_or_else(|| CommandError::usage(MetricsError::Nothing))?,
    };
    if !has_metrics(&account) {
        return Err(CommandError::usage(MetricsError::OfRun { run: account.id }));
    }
    let measured = measured::of(&account, &store(root));
    let rows = args.pick.pick(&measured)?;
    let began = account.began.map(|began| began.to_rfc3339()).unwrap_or_default();
    say(&sheet(&account, &rows).render(
        args.format,
        || json!({ "run": account.id, "pipeline": account.pipeline, "began": began, "metrics": rows }),
    ));
    Ok(())
}

/// The story of a run by its name.
fn account_of(folder: &Path, name: &str) -> Result<Account, CommandError> {
    Ok(read::find(folder, name).map_err(CommandError::usage)?.account())
}

fn has_metrics(account: &Account) -> bool {
    account.steps.iter().any(|step| !step.metrics.is_empty())
}

fn sheet(account: &Account, rows: &[&Measured]) -> Sheet {
    let models: BTreeSet<&Option<String>> = rows.iter().map(|row| &row.model).collect();
    let audience = if models.len() > 1 || rows.iter().any(|row| row.model.is_some()) {
        Audience::All
    } else {
        Audience::Programs
    };
    let columns = vec![
        Column::words("step"),
        Column::titled("model", "model", audience, false),
        Column::words("metric"),
        Column::numbers("value"),
        Column::titled("95 % interval", "", Audience::People, true),
        Column::titled("", "low", Audience::Programs, true),
        Column::titled("", "high", Audience::Programs, true),
    ];
    let mut before: Option<(&str, Option<&String>)> = None;
    let cells = rows.iter().map(|row| {
        // People see a step and a model once.
        let is_new = before.is_none_or(|(step, _)| step != row.step);
        let is_new_model = is_new || before.is_none_or(|(_, model)| model != row.model.as_ref());
        before = Some((&row.step, row.model.as_ref()));
        let model = row.model.clone().unwrap_or_default();
        let shown = |text: &str, is_new: bool| Cell {
            text: if is_new { text.to_owned() } else { String::new() },
            data: text.to_owned(),
            interval: None,
        };
        let ends = row.interval;
        let interval = Cell {
            text: ends.map_or_else(String::new, |[low, high]| format!("{low:.4}–{high:.4}")),
            data: String::new(),
            interval: None,
        };
        vec![
            shown(&row.step, is_new),
            shown(&model, is_new_model),
            Cell::same(&row.name),
            Cell::number(Some(row.value), plain),
            interval,
            Cell::number(ends.map(|ends| ends[0]), plain),
            Cell::number(ends.map(|ends| ends[1]), plain),
        ]
    });
    let rows = cells.collect();
    let title = format!("{}: run {}, {}", account.pipeline, account.id, account.ended.name());
    let note = format!("{title} · `--all` shows every number, `--metric` some");
    Sheet { title, columns, rows, notes: vec![note] }
}

/// A number as people read it: four places, more for what is small, none for what is counted.
fn plain(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() >= 10.0 {
        return format!("{value}");
    }
    if value != 0.0 && value.abs() < 0.001 { format!("{value:.3e}") } else { format!("{value:.4}") }
}
