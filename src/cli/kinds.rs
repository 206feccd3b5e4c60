//! `recsys kinds`: the reference of step kinds, derived from the registry.

use clap::Args;
use comfy_table::{ColumnConstraint, ContentArrangement, Table};
use miette::Diagnostic;
use serde_json::Value;
use thiserror::Error;

use super::CommandError;
use crate::console::{plain_table, say};
use crate::steps::KINDS;
use crate::workflow::fault::did_you_mean;
use crate::workflow::kind::{Arity, Kind};
use crate::workflow::parameters::{describe, properties};

/// Columns that a reference takes on the terminal.
const WIDTH: u16 = 110;

/// List the kinds of steps, or explain one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys kinds              every kind in one line
  recsys kinds als          its parameters with ranges and defaults, its ports, an example
  recsys kinds als --json   the same for tools: JSON Schema of the parameters")]
pub struct KindsArgs {
    /// The kind to explain
    kind: Option<String>,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Error, Diagnostic)]
#[error("there is no kind `{name}`")]
#[diagnostic(help("{hint}"))]
struct UnknownKind {
    name: String,
    hint: String,
}

/// The kind with this name.
///
/// # Errors
/// With the nearest name, when there is none.
pub fn find(name: &str) -> Result<&'static Kind, CommandError> {
    KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| {
        let hint = did_you_mean(name, KINDS.iter().map(|kind| kind.name));
        CommandError::usage(UnknownKind { name: name.to_owned(), hint })
    })
}

/// Prints the reference.
///
/// # Errors
/// When there is no such kind.
pub fn kinds(args: &KindsArgs) -> Result<(), CommandError> {
    let shown: Vec<&Kind> = match &args.kind {
        None => KINDS.iter().collect(),
        Some(name) => vec![find(name)?],
    };
    if args.json {
        let kinds: Vec<Value> = shown.iter().map(|kind| json(kind)).collect();
        say(&format!("{:#}", Value::from(kinds)));
    } else if args.kind.is_some() {
        say(&shown.iter().map(|kind| explain(kind)).collect::<String>());
    } else {
        let width = shown.iter().map(|kind| kind.name.len()).max().unwrap_or(0);
        let lines = shown.iter().map(|kind| format!("{:width$}  {}\n", kind.name, kind.summary));
        say(&format!("{}\n`recsys kinds KIND` explains one of them.", lines.collect::<String>()));
    }
    Ok(())
}

/// Everything about one kind, as text.
fn explain(kind: &Kind) -> String {
    let schema = kind.schema();
    let mut text = format!("{}: {}\n", kind.name, kind.summary);
    let mut parameters = table(["parameter", "value", "default", "meaning"]);
    for (name, property) in properties(&schema) {
        let default = property.get("default").map_or_else(|| "required".to_owned(), Value::to_string);
        let meaning =
            property.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ");
        parameters.add_row([name, &describe(property, &schema), &default, &meaning]);
    }
    text.push_str(&section("Parameters", &parameters));
    let mut inputs = table(["input", "takes", "", "meaning"]);
    for port in kind.inputs {
        let arity = match port.arity {
            Arity::One => "required",
            Arity::Optional => "optional",
            Arity::Many => "several, by name",
        };
        inputs.add_row([port.name, &port.accepts.join(" or "), arity, port.about]);
    }
    let mut outputs = table(["output", "is", "default path", "meaning"]);
    for port in kind.outputs {
        let path = if port.on_request {
            "made when a path is given".to_owned()
        } else {
            format!("artifacts/<step>/{}.{}", port.name, port.extension)
        };
        outputs.add_row([port.name, port.data, &path, port.about]);
    }
    if kind.open_ports {
        text.push_str("\nInputs and outputs: any names.\n");
    }
    text.push_str(&section("Inputs", &inputs));
    text.push_str(&section("Outputs", &outputs));
    text.push_str("\nExample, under `steps:`\n\n");
    for line in kind.example.lines() {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

fn json(kind: &Kind) -> Value {
    serde_json::json!({
        "name": kind.name, "version": kind.version, "summary": kind.summary, "example": kind.example,
        "inputs": kind.inputs, "outputs": kind.outputs, "parameters": kind.schema(),
    })
}

fn table(header: [&str; 4]) -> Table {
    let mut table = plain_table(&header);
    table.set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    if let Some(column) = table.column_mut(2) {
        // A path or a default that is cut in two cannot be copied.
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}

fn section(title: &str, table: &Table) -> String {
    if table.row_count() == 0 { String::new() } else { format!("\n{title}\n{table}\n") }
}
