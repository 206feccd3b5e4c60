//! `recsys graph`: the picture of a pipeline.

use std::path::Path;

use clap::{Args, ValueEnum};

use miette::Diagnostic;
use thiserror::Error;

use super::project::PipelineArgs;
use super::{CommandError, project_view};
use crate::console::say;
use crate::workflow::render;

/// Show the steps of a pipeline and how they depend on each other.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys graph pipelines/demo.yaml
  recsys graph --format svg > pipeline.svg       for a README; lines that others imply are left out
  recsys graph --format svg --status > now.svg   with what would run, and how long it took
  recsys graph --format html > pipeline.html     a page: point at a step to see all of it
  recsys graph --format dot | dot -Tpdf > pipeline.pdf")]
pub struct GraphArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,

    /// How to draw it
    #[arg(long, value_enum, default_value_t = Format::Tree)]
    format: Format,

    /// Show of each step whether it would run, and how long it took last time
    #[arg(long)]
    status: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// An indented tree
    Tree,
    /// A Mermaid flow chart
    Mermaid,
    /// The language of Graphviz
    Dot,
    /// Steps with parameters, inputs and outputs
    Json,
    /// A picture, light or dark as its reader is
    Svg,
    /// The picture in a page that tells of each step
    Html,
}

#[derive(Debug, Error, Diagnostic)]
#[error("this format cannot show the state of steps")]
#[diagnostic(help("take `--format svg`, `html` or `json`; `recsys status` says it in words"))]
struct NoStates;

/// Prints the graph.
///
/// # Errors
/// When the pipeline is wrong, or its format cannot show what was asked for.
pub fn graph(args: &GraphArgs, root: &Path) -> Result<(), CommandError> {
    if args.status && !matches!(args.format, Format::Svg | Format::Html | Format::Json) {
        return Err(CommandError::usage(NoStates));
    }
    let workspace = args.pipeline.open(root)?;
    let states = if args.status { Some(project_view::states(&workspace)?) } else { None };
    let (plan, states) = (&workspace.plan, states.as_deref());
    say(&match args.format {
        Format::Tree => render::tree(plan),
        Format::Mermaid => render::mermaid(plan),
        Format::Dot => render::dot(plan),
        Format::Json => format!("{:#}", render::json(plan, states)),
        Format::Svg => render::svg(plan, states),
        Format::Html => render::html(plan, states),
    });
    Ok(())
}
