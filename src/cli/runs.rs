//! `recsys runs`: what ran, when, and how it went.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Local, Utc};
use clap::{Args, ValueEnum};
use comfy_table::CellAlignment;
use serde_json::json;

use super::CommandError;
use crate::console::{bytes, counts, plain_table, say, seconds};
use crate::workflow::history::account::{Account, StepAccount, StepEnd};
use crate::workflow::history::read::{self, RecordedRun};
use crate::workflow::kind::Usage;

/// Characters of a reason that a table shows.
const REASON: usize = 60;
/// Characters of a fingerprint that tell it from others.
const KEY: usize = 12;

/// List recorded runs, or tell of one.
///
/// A run is recorded when it has something to do: its steps, why each of them ran, how long it took
/// and the numbers that it left.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys runs                        the last 20 runs
  recsys runs last                   the last one, step by step
  recsys runs 20261121T0730          the one whose id begins so
  recsys runs last --format json     everything that is known of it")]
pub struct RunsArgs {
    /// The run to tell of: its id, the beginning of it, or `last`
    run: Option<String>,

    /// List no more than the N newest
    #[arg(long, value_name = "N", default_value_t = 20, conflicts_with = "run")]
    limit: usize,

    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

/// Prints the runs, or one of them.
///
/// # Errors
/// When there is no such run.
pub fn runs(args: &RunsArgs, root: &Path) -> Result<(), CommandError> {
    let folder = read::folder(root);
    if let Some(name) = &args.run {
        let run = read::find(&folder, name).map_err(|error| CommandError::Usage(error.into()))?;
        let account = run.account();
        say(&match args.format {
            Format::Table => tell(&account),
            Format::Json => format!("{:#}", json!(account)),
        });
        return Ok(());
    }
    let accounts: Vec<Account> =
        read::runs(&folder).iter().take(args.limit).map(RecordedRun::account).collect();
    say(&match args.format {
        Format::Table if accounts.is_empty() => "no run is recorded yet".to_owned(),
        Format::Table => list(&accounts),
        Format::Json => {
            // The steps of each run are a question of their own: `recsys runs RUN`.
            let runs = accounts.iter().map(|account| {
                json!({ "id": account.id, "began": account.began, "pipeline": account.pipeline,
                        "ended": account.ended, "tally": account.tally })
            });
            format!("{:#}", runs.collect::<serde_json::Value>())
        }
    });
    Ok(())
}

fn list(accounts: &[Account]) -> String {
    let mut table = plain_table(&["run", "began", "pipeline", "ended", "time", "steps"]);
    for account in accounts {
        let Account { id, began, pipeline, ended, tally, .. } = account;
        table.add_row([id, &local(*began), pipeline, ended.name(), &seconds(tally.elapsed), &counts(tally)]);
    }
    right(&mut table, 4);
    lines(&table) + "\n`recsys runs RUN` tells of one of them, `recsys runs last` of the first of these.\n"
}

fn tell(account: &Account) -> String {
    let Account { id, began, pipeline, ended, tally, steps } = account;
    let mut text = format!(
        "{pipeline}: {} in {}: {}\nrun {id}, began {}\n\n",
        ended.name(),
        seconds(tally.elapsed),
        counts(tally),
        local(*began)
    );
    let mut table = plain_table(&["step", "result", "why", "time", "memory", "fingerprint"]);
    for step in steps {
        let time = step.seconds.and_then(|time| Duration::try_from_secs_f64(time).ok());
        let key = step.key.map_or_else(String::new, |key| key.to_string()[..KEY].to_owned());
        table.add_row([
            step.step.as_str(),
            &result(step),
            &short(&step.reason),
            &time.map(seconds).unwrap_or_default(),
            &memory(step.usage),
            &key,
        ]);
    }
    right(&mut table, 3);
    right(&mut table, 4);
    text.push_str(&lines(&table));
    let mut numbers = plain_table(&["step", "metric", "value"]);
    for step in steps {
        for (metric, value) in &step.metrics {
            numbers.add_row([step.step.as_str(), metric, &format!("{value:.6}")]);
        }
    }
    right(&mut numbers, 2);
    if numbers.row_count() > 0 {
        text.push_str(&format!("\n{}", lines(&numbers)));
    }
    for step in steps {
        for warning in &step.warnings {
            text.push_str(&format!("\n[{}] warning: {warning}\n", step.step));
        }
        if step.ended == StepEnd::Failed {
            let StepAccount { step, reason, .. } = step;
            text.push_str(&format!(
                "\n[{step}] failed: {reason}\n`recsys logs {step} --run {id}` shows its log\n"
            ));
        }
    }
    text
}

fn result(step: &StepAccount) -> String {
    match step.tries {
        0 | 1 => step.ended.name().to_owned(),
        tries => format!("{}, try {tries}", step.ended.name()),
    }
}

/// The first line of a reason, as far as it fits.
fn short(reason: &str) -> String {
    let line = reason.lines().next().unwrap_or_default();
    match line.char_indices().nth(REASON) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

fn local(time: Option<DateTime<Utc>>) -> String {
    time.map(|time| time.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default()
}

fn right(table: &mut comfy_table::Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

/// A table without spaces at the ends of its lines.
fn lines(table: &comfy_table::Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The peak; nothing where it is not known.
fn memory(usage: Option<Usage>) -> String {
    let known = usage.filter(|usage| usage.peak_memory_bytes > 0);
    known.map(|usage| bytes(usage.peak_memory_bytes)).unwrap_or_default()
}
