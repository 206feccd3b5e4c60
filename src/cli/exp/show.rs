//! `recsys exp list`, `show` and `compare`: what came out of experiments, the best variant first.

use std::path::Path;

use clap::Args;
use serde_json::json;

use super::choice::Choice;
use super::find;
use super::view::View;
use crate::cli::CommandError;
use crate::cli::sheet::{Cell, Column, Format, Sheet};
use crate::cli::workspace::store;
use crate::console::say;
use crate::workflow::experiment::Ended;

/// List the experiments that ran, the newest first.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Show the last results of an experiment, the best variant first.
///
/// Variants are compared with the best one, or with a baseline, user by user: difference with its 95 % interval
/// and the p-value of a paired t-test, corrected for the number of variants. That needs values by user: give the
/// step of the objective the output `user_metrics`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys exp show als
  recsys exp show als --top 5 --sort time
  recsys exp show als --filter 'ndcg@10 > 0.1' --filter factors=64
  recsys exp show als --pareto ndcg@10,coverage_items@10
  recsys exp show als --baseline factors=64,regularization=10.0
  recsys exp show als --by evaluate.als.ndcg@10          with intervals and tests on what was only reported
  recsys exp show configs/experiments/als.yaml --format csv > als.csv
  recsys exp show als --format html > als.html           a page that needs nothing else")]
pub struct ShowArgs {
    /// Its name, or its file
    experiment: String,

    #[command(flatten)]
    choice: Choice,

    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Compare variants of several experiments.
///
/// Settings in which they differ stand beside their metrics and costs. Variants that were measured on other data, or
/// in another way, than what they are compared with are marked.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys exp compare                                     every experiment that ran
  recsys exp compare als bpr --top 10
  recsys exp compare als/factors=64 bpr/factors=64 --format markdown
  recsys exp compare als bpr --by validate.als.ndcg@10 --baseline factors=64")]
pub struct CompareArgs {
    /// Experiments by name or file, or variants as EXPERIMENT/VARIANT [default: all experiments]
    #[arg(value_name = "EXPERIMENT|VARIANT")]
    names: Vec<String>,

    #[command(flatten)]
    choice: Choice,

    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Prints a line for each experiment.
pub fn list(args: &ListArgs, root: &Path) {
    let records = find::all(root);
    if records.is_empty() && args.format == Format::Table {
        say("no experiment has run yet: `recsys exp run FILE`");
        return;
    }
    let columns = ["experiment", "finished", "pipeline"].map(Column::words).into_iter();
    let columns = columns.chain([Column::numbers("variants"), Column::numbers("done")]);
    let columns = columns.chain(["best", "objective"].map(Column::words)).chain([Column::numbers("value")]);
    let rows = records.iter().map(|record| {
        let best = record.best();
        let value = best.and_then(|best| record.objective.value(&best.metrics));
        let done = record.variants.iter().filter(|variant| variant.ended == Ended::Done).count();
        vec![
            Cell::same(&record.name),
            Cell::same(&record.finished),
            Cell::same(record.pipeline.display().to_string()),
            Cell::same(record.variants.len().to_string()),
            Cell::same(done.to_string()),
            Cell::same(best.map_or("", |best| best.name.as_str())),
            Cell::same(record.objective.metric.to_string()),
            Cell::number(value, |value| format!("{value:.4}")),
        ]
    });
    let sheet = Sheet {
        title: "Experiments".to_owned(),
        columns: columns.collect(),
        rows: rows.collect(),
        notes: Vec::new(),
    };
    say(&sheet.render(args.format, || json!(records)));
}

/// Prints the results of one experiment.
///
/// # Errors
/// When there are none, or something that was asked for is unknown.
pub fn show(args: &ShowArgs, root: &Path) -> Result<(), CommandError> {
    let record = find::experiment(&args.experiment, root)?;
    say(&View::of_one(&record).choose(&args.choice, &store(root))?.render(args.format));
    Ok(())
}

/// Prints variants of several experiments beside each other.
///
/// # Errors
/// When a name is unknown.
pub fn compare(args: &CompareArgs, root: &Path) -> Result<(), CommandError> {
    let records = find::all(root);
    let names: Vec<String> = match args.names.is_empty() {
        true => records.iter().map(|record| record.name.clone()).collect(),
        false => args.names.clone(),
    };
    let variants = find::variants(&names, &records)?;
    let of: Vec<&str> = {
        let mut of: Vec<&str> = variants.iter().map(|(record, _)| record.name.as_str()).collect();
        of.dedup();
        of
    };
    let title = format!("Variants of {}", of.join(", "));
    let Some(view) = View::of_several(title, variants) else {
        say("no experiment has run yet: `recsys exp run FILE`");
        return Ok(());
    };
    say(&view.compared(&args.choice, &store(root))?.render(args.format));
    Ok(())
}
