//! `recsys exp list` and `show`: what came out of experiments, the best variant first.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use clap::{Args, ValueEnum};
use comfy_table::CellAlignment;
use miette::Diagnostic;
use serde_json::{Value as Json, json};
use thiserror::Error;

use crate::cli::CommandError;
use crate::cli::workspace::store;
use crate::console::{bytes, plain_table, say, seconds};
use crate::workflow::experiment::{Ended, ExperimentRecord, VariantRecord};
use crate::workflow::fault::did_you_mean;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// For documents
    Markdown,
    /// For spreadsheets
    Csv,
    /// For programs
    Json,
}

/// List the experiments that ran.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Show the last results of an experiment, the best variant first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys exp show als
  recsys exp show als --top 5
  recsys exp show configs/experiments/als.yaml --format csv > als.csv")]
pub struct ShowArgs {
    /// Its name, or its file
    experiment: String,

    /// Show no more than the N best variants
    #[arg(long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
    top: usize,

    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Error, Diagnostic)]
#[error("no results of an experiment `{name}`")]
#[diagnostic(help("{help}"))]
struct NoResults {
    name: String,
    help: String,
}

/// Prints a line for each experiment.
pub fn list(args: &ListArgs, root: &Path) {
    let records = ExperimentRecord::all(&ExperimentRecord::folder(store(root).folder()));
    if records.is_empty() && args.format != Format::Json {
        say("no experiment has run yet: `recsys exp run FILE`");
        return;
    }
    let header = ["experiment", "finished", "variants", "best", "objective"].map(str::to_owned).to_vec();
    let rows = records.iter().map(|record| {
        let best = record.best();
        let value = best.and_then(|best| record.objective.value(&best.metrics));
        vec![
            record.name.clone(),
            record.finished.clone(),
            record.variants.len().to_string(),
            best.map_or_else(String::new, |best| best.name.clone()),
            value.map_or_else(String::new, |value| format!("{} {value:.4}", record.objective.metric)),
        ]
    });
    say(&written(&header, &rows.collect::<Vec<_>>(), args.format, json!(records)));
}

/// Prints the results of one experiment.
///
/// # Errors
/// When there are none.
pub fn show(args: &ShowArgs, root: &Path) -> Result<(), CommandError> {
    let record = find(&args.experiment, root)?;
    say(&render(&record, args.format, args.top));
    Ok(())
}

/// The last results of an experiment, by its name or its file.
///
/// # Errors
/// When there are none.
pub fn find(experiment: &str, root: &Path) -> Result<ExperimentRecord, CommandError> {
    let mut records = ExperimentRecord::all(&ExperimentRecord::folder(store(root).folder()));
    let path = Path::new(experiment);
    let found = records.iter().position(|record| record.name == experiment || record.path == path);
    found.map(|position| records.swap_remove(position)).ok_or_else(|| {
        let names = records.iter().map(|record| record.name.as_str());
        let help = match records.len() {
            0 => "run it first: `recsys exp run FILE`".to_owned(),
            _ => did_you_mean(experiment, names),
        };
        CommandError::usage(NoResults { name: experiment.to_owned(), help })
    })
}

/// The variants, the best `top` of them, with the values in which they differ.
pub fn render(record: &ExperimentRecord, format: Format, top: usize) -> String {
    let names = metrics(record);
    let paths: BTreeSet<&String> = record.variants.iter().flat_map(|variant| variant.values.keys()).collect();
    let is_data = format == Format::Csv;
    let mut header = vec![if is_data { "state" } else { "" }.to_owned()];
    header.extend(paths.iter().map(ToString::to_string));
    header.push(names[0].clone());
    let is_compared = record.variants.iter().any(|variant| variant.against_best.is_some());
    if is_compared {
        header.extend(["difference", "p"].map(str::to_owned));
    }
    header.extend(names[1..].iter().cloned());
    header.extend(
        if is_data { ["seconds", "peak_memory_bytes"] } else { ["time", "memory"] }.map(str::to_owned),
    );
    let order = record.ranking();
    let best = record.best().map(|best| best.name.as_str());
    let row = |&position: &usize| {
        let variant = &record.variants[position];
        let mut row = vec![mark(record, variant, best).to_owned()];
        row.extend(paths.iter().map(|path| variant.values.get(*path).map_or_else(String::new, plain)));
        let written = |value: f64| if is_data { value.to_string() } else { format!("{value:.4}") };
        let metric = |name| variant.metrics.get(name).copied().map_or_else(String::new, written);
        row.push(metric(&names[0]));
        if is_compared {
            let versus = variant.against_best;
            row.push(versus.map_or_else(String::new, |versus| written(versus.difference)));
            row.push(versus.map_or_else(String::new, |versus| p_value(versus.p_value, is_data)));
        }
        row.extend(names[1..].iter().map(metric));
        let memory = variant.peak_memory_bytes;
        if is_data {
            row.push(variant.seconds.to_string());
            row.push(memory.map_or_else(String::new, |bytes| bytes.to_string()));
        } else {
            row.push(seconds(Duration::from_secs_f64(variant.seconds.max(0.0))));
            row.push(memory.map_or_else(String::new, bytes));
        }
        row
    };
    let rows: Vec<Vec<String>> = order.iter().take(top).map(row).collect();
    let mut text = written(&header, &rows, format, json!(record));
    if format == Format::Table {
        text.push_str(&remarks(record, order.len().saturating_sub(top)));
    }
    text
}

fn p_value(p: f64, is_data: bool) -> String {
    match p {
        p if is_data => p.to_string(),
        p if p < 0.001 => "< 0.001".to_owned(),
        p => format!("{p:.3}"),
    }
}

/// The objective, then what constraints and report name.
fn metrics(record: &ExperimentRecord) -> Vec<String> {
    let mut names = vec![record.objective.metric.to_string()];
    let others = record.constraints.iter().map(|constraint| &constraint.metric).chain(&record.report);
    for name in others.map(ToString::to_string) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn mark(record: &ExperimentRecord, variant: &VariantRecord, best: Option<&str>) -> &'static str {
    match variant.ended {
        Ended::Failed => "failed",
        Ended::NotRun => "not run",
        Ended::Done if best == Some(variant.name.as_str()) => "★",
        Ended::Done if record.objective.value(&variant.metrics).is_none() => "no value",
        Ended::Done if !record.may_be_chosen(variant) => "breaks a constraint",
        Ended::Done => "",
    }
}

fn remarks(record: &ExperimentRecord, hidden: usize) -> String {
    let mut text = String::from("\n");
    if hidden > 0 {
        let _ = writeln!(text, "{hidden} more: `recsys exp show {}`", record.name);
    }
    match record.best() {
        Some(best) => {
            let _ = writeln!(text, "★ best by `{}`: {}", record.objective.metric, best.name);
            let equals: Vec<&str> = record
                .variants
                .iter()
                .filter(|variant| variant.against_best.is_some_and(|versus| versus.p_value > 0.05))
                .map(|variant| variant.name.as_str())
                .collect();
            if let [first, rest @ ..] = equals.as_slice() {
                let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
                let _ = writeln!(text, "not certainly worse (p > 0.05): {first}{more}");
            }
            if record.variants.iter().any(|variant| variant.against_best.is_some()) {
                text.push_str("difference to the best · p: paired t-test over users, Holm-corrected\n");
            }
        }
        None => text.push_str("no variant can be chosen\n"),
    }
    for variant in record.variants.iter().filter(|variant| variant.error.is_some()).take(5) {
        let error = variant.error.as_deref().unwrap_or_default();
        let _ = writeln!(text, "{} failed: {}", variant.name, error.lines().next().unwrap_or_default());
    }
    text
}

fn written(header: &[String], rows: &[Vec<String>], format: Format, whole: Json) -> String {
    match format {
        Format::Json => format!("{whole:#}\n"),
        Format::Csv => {
            let mut text = csv_line(header);
            rows.iter().for_each(|row| text.push_str(&csv_line(row)));
            text
        }
        Format::Markdown => {
            let line = |cells: &[String]| {
                let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
                format!("| {} |\n", cells.join(" | "))
            };
            let mut text = line(header) + &format!("|{}\n", "---|".repeat(header.len()));
            rows.iter().for_each(|row| text.push_str(&line(row)));
            text
        }
        Format::Table => {
            let header: Vec<&str> = header.iter().map(String::as_str).collect();
            let mut table = plain_table(&header);
            rows.iter().for_each(|row| {
                table.add_row(row);
            });
            for column in table.column_iter_mut().skip(1) {
                column.set_cell_alignment(CellAlignment::Right);
            }
            format!("{table}\n")
        }
    }
}

/// A line as RFC 4180 has it.
fn csv_line(cells: &[String]) -> String {
    let quoted = cells.iter().map(|cell| {
        if cell.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.clone()
        }
    });
    quoted.collect::<Vec<_>>().join(",") + "\n"
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
