//! A plan as an indented tree: each step under the last of the steps that it waits for.

use std::fmt::Write;

use super::edges::direct;
use super::label;
use crate::workflow::plan::{Plan, Source};

/// Levels of indentation; what lies deeper starts again at the left, under the name of its parent.
/// Without it a chain of ten thousand steps would be a hundred megabytes of spaces.
const DEEPEST: usize = 40;

/// The plan as an indented tree.
pub fn tree(plan: &Plan) -> String {
    let direct = direct(plan);
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); plan.steps.len()];
    let mut roots = Vec::new();
    for (position, parents) in direct.iter().enumerate() {
        match parents.last() {
            Some(&parent) => children[parent].push(position),
            None => roots.push(position),
        }
    }
    let mut drawing = Drawing { plan, direct, children, later: Vec::new(), text: format!("{}\n", plan.name) };
    drawing.branches(&roots, "", 0);
    let mut next = 0;
    while next < drawing.later.len() {
        let parent = drawing.later[next];
        next += 1;
        drawing.line("", "", &plan.steps[parent].name);
        let below = drawing.children[parent].clone();
        drawing.branches(&below, "", 0);
    }
    drawing.text
}

struct Drawing<'a> {
    plan: &'a Plan,
    direct: Vec<Vec<usize>>,
    children: Vec<Vec<usize>>,
    /// Steps whose children are drawn further below.
    later: Vec<usize>,
    text: String,
}

impl Drawing<'_> {
    fn branches(&mut self, steps: &[usize], indent: &str, depth: usize) {
        for (index, &step) in steps.iter().enumerate() {
            let last = index + 1 == steps.len();
            let (corner, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            let about = self.about(step);
            self.line(indent, corner, &about);
            let indent = format!("{indent}{below}");
            let children = std::mem::take(&mut self.children[step]);
            if depth < DEEPEST || children.is_empty() {
                self.branches(&children, &indent, depth + 1);
            } else {
                self.line(&indent, "└─ ", "… further below");
                self.later.push(step);
            }
            self.children[step] = children;
        }
    }

    fn line(&mut self, indent: &str, corner: &str, text: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{indent}{corner}{text}");
    }

    /// The step, and what it waits for beside the step that it stands under.
    fn about(&self, position: usize) -> String {
        let step = &self.plan.steps[position];
        let parents = &self.direct[position];
        let others = parents.iter().rev().skip(1).rev().map(|&other| self.plan.steps[other].name.clone());
        let files = step.inputs.iter().filter_map(|input| match &input.source {
            Source::File(path) => Some(path.display().to_string()),
            Source::Step { .. } => None,
        });
        let others: Vec<String> = others.chain(files).collect();
        let arrow = if others.is_empty() { "" } else { "  ← " };
        format!("{}{arrow}{}", label(step), others.join(", "))
    }
}
