//! `recsys graph`: the picture of a pipeline.

use std::path::Path;

use clap::{Args, ValueEnum};

use super::CommandError;
use super::project::PipelineArgs;
use crate::console::say;
use crate::workflow::render;

/// Show the steps of a pipeline and how they depend on each other.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys graph pipelines/demo.yaml
  recsys graph --format svg > pipeline.svg       for a README; lines that others imply are left out
  recsys graph --format html > pipeline.html     a page: point at a step to see all of it
  recsys graph --format dot | dot -Tpdf > pipeline.pdf")]
pub struct GraphArgs {
    #[command(flatten)]
    pipeline: PipelineArgs,

    /// How to draw it
    #[arg(long, value_enum, default_value_t = Format::Tree)]
    format: Format,
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

/// Prints the graph.
///
/// # Errors
/// When the pipeline is wrong.
pub fn graph(args: &GraphArgs, root: &Path) -> Result<(), CommandError> {
    let (_, plan) = args.pipeline.plan(root)?;
    say(&match args.format {
        Format::Tree => render::tree(&plan),
        Format::Mermaid => render::mermaid(&plan),
        Format::Dot => render::dot(&plan),
        Format::Json => format!("{:#}", render::json(&plan)),
        Format::Svg => render::svg(&plan, None),
        Format::Html => render::html(&plan, None),
    });
    Ok(())
}
