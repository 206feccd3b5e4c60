//! A plan in the language of Graphviz.

use std::fmt::Write;

use super::label;
use crate::workflow::plan::Plan;

/// The plan in the language of Graphviz.
pub fn dot(plan: &Plan) -> String {
    let name = escaped(&plan.name);
    let mut text = format!("digraph \"{name}\" {{\n  rankdir=LR;\n  node [shape=box, style=rounded];\n");
    for (position, step) in plan.steps.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  s{position} [label=\"{}\"];", escaped(&label(step)));
    }
    for (reader, step) in plan.steps.iter().enumerate() {
        for writer in &step.dependencies {
            let _ = writeln!(text, "  s{writer} -> s{reader};");
        }
    }
    text.push_str("}\n");
    text
}

/// A text inside quotes; a backslash would begin one of Graphviz's own sequences.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace(['\n', '\r'], r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_end_its_quotes() {
        assert_eq!(escaped("a\"\\N\nb"), r#"a\"\\N\nb"#);
    }
}
