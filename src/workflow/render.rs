//! A plan as a tree for people, and as Mermaid, DOT and JSON for tools.

use std::fmt::Write;

use serde_json::json;

use super::plan::{Plan, PlannedStep, Source};

/// The plan as an indented tree: each step under the last of the steps that it waits for.
pub fn tree(plan: &Plan) -> String {
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); plan.steps.len()];
    let mut roots = Vec::new();
    for (position, step) in plan.steps.iter().enumerate() {
        match step.dependencies.iter().max() {
            Some(&parent) => children[parent].push(position),
            None => roots.push(position),
        }
    }
    let mut text = format!("{}\n", plan.name);
    for (index, &root) in roots.iter().enumerate() {
        branch(plan, &children, root, "", index + 1 == roots.len(), &mut text);
    }
    text
}

fn branch(
    plan: &Plan,
    children: &[Vec<usize>],
    position: usize,
    indent: &str,
    last: bool,
    text: &mut String,
) {
    let step = &plan.steps[position];
    let (corner, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{indent}{corner}{}", line(plan, step));
    let indent = format!("{indent}{below}");
    let below = &children[position];
    for (index, &child) in below.iter().enumerate() {
        branch(plan, children, child, &indent, index + 1 == below.len(), text);
    }
}

fn line(plan: &Plan, step: &PlannedStep) -> String {
    let mut line = step.name.clone();
    if step.kind.name != step.name {
        let _ = write!(line, " ({})", step.kind.name);
    }
    let parent = step.dependencies.iter().max();
    // What the parent waits for already needs no second mention.
    let told = parent.map(|&parent| plan.before(parent)).unwrap_or_default();
    let others: Vec<&str> = step
        .dependencies
        .iter()
        .filter(|dependency| !told.contains(dependency))
        .map(|&dependency| plan.steps[dependency].name.as_str())
        .collect();
    let files = step.inputs.iter().filter_map(|input| match &input.source {
        Source::File(path) => Some(path.display().to_string()),
        Source::Step { .. } => None,
    });
    let others: Vec<String> = others.into_iter().map(str::to_owned).chain(files).collect();
    if !others.is_empty() {
        let _ = write!(line, "  ← {}", others.join(", "));
    }
    line
}

/// The plan as a Mermaid flow chart.
pub fn mermaid(plan: &Plan) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for (position, step) in plan.steps.iter().enumerate() {
        let _ = writeln!(text, "  s{position}[\"{}\"]", line_for_graph(step));
    }
    for (writer, reader) in edges(plan) {
        let _ = writeln!(text, "  s{writer} --> s{reader}");
    }
    text
}

/// The plan in the language of Graphviz.
pub fn dot(plan: &Plan) -> String {
    let mut text =
        format!("digraph \"{}\" {{\n  rankdir=LR;\n  node [shape=box, style=rounded];\n", plan.name);
    for (position, step) in plan.steps.iter().enumerate() {
        let _ = writeln!(text, "  s{position} [label=\"{}\"];", line_for_graph(step));
    }
    for (writer, reader) in edges(plan) {
        let _ = writeln!(text, "  s{writer} -> s{reader};");
    }
    text.push_str("}\n");
    text
}

/// The plan as JSON: steps with kinds, parameters, inputs and outputs.
pub fn json(plan: &Plan) -> serde_json::Value {
    let steps: Vec<_> = plan
        .steps
        .iter()
        .map(|step| {
            let inputs: serde_json::Map<String, serde_json::Value> = step
                .inputs
                .iter()
                .map(|input| {
                    let source = match &input.source {
                        Source::Step { step, port } => format!("{}.{port}", plan.steps[*step].name),
                        Source::File(path) => path.display().to_string(),
                    };
                    (input.label(), source.into())
                })
                .collect();
            let outputs: serde_json::Map<String, serde_json::Value> =
                step.outputs.iter().map(|o| (o.port.clone(), o.path.display().to_string().into())).collect();
            let after: Vec<&str> = step.dependencies.iter().map(|&d| plan.steps[d].name.as_str()).collect();
            json!({
                "name": step.name, "kind": step.kind.name, "parameters": step.parameters(),
                "inputs": inputs, "outputs": outputs, "after": after,
            })
        })
        .collect();
    json!({ "name": plan.name, "steps": steps })
}

fn edges(plan: &Plan) -> impl Iterator<Item = (usize, usize)> {
    plan.steps
        .iter()
        .enumerate()
        .flat_map(|(reader, step)| step.dependencies.iter().map(move |&writer| (writer, reader)))
}

fn line_for_graph(step: &PlannedStep) -> String {
    if step.kind.name == step.name {
        step.name.clone()
    } else {
        format!("{} ({})", step.name, step.kind.name)
    }
}
