//! A plan as a tree and as pictures for people, and as Mermaid, DOT and JSON for tools.
//!
//! Everything here takes time linear in the steps and edges of a plan, so that a picture of ten
//! thousand steps is there at once.

mod colors;
mod dot;
mod edges;
mod html;
mod json;
mod layout;
mod mermaid;
mod order;
mod place;
mod svg;
mod text;
mod tree;

pub use dot::dot;
pub use html::html;
pub use json::json;
pub use mermaid::mermaid;
pub use svg::{lineage, svg};
pub use tree::tree;

use super::plan::PlannedStep;

/// What a step would do now, for pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct StepState {
    /// `up to date`, `would run` or `maybe`, which have colours of their own, or another word.
    pub state: String,
    /// Why.
    pub reason: String,
    /// How long it took last time.
    pub seconds: Option<f64>,
}

/// The name of a step, and its kind where that is another word.
fn label(step: &PlannedStep) -> String {
    if step.kind.name == step.name {
        step.name.clone()
    } else {
        format!("{} ({})", step.name, step.kind.name)
    }
}
