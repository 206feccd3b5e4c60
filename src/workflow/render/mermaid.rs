//! A plan as a Mermaid flow chart, which many READMEs draw by themselves.

use std::fmt::Write;

use super::label;
use crate::workflow::plan::Plan;

/// The plan as a Mermaid flow chart.
pub fn mermaid(plan: &Plan) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for (position, step) in plan.steps.iter().enumerate() {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  s{position}[\"{}\"]", escaped(&label(step)));
    }
    for (reader, step) in plan.steps.iter().enumerate() {
        for writer in &step.dependencies {
            let _ = writeln!(text, "  s{writer} --> s{reader}");
        }
    }
    text
}

/// Everything that means something inside a quoted label, as Mermaid's `#number;`.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || "\"#<>&;`\\".contains(c) {
            let _ = write!(safe, "#{};", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_end_its_quotes() {
        assert_eq!(escaped(r#"a"b#1 <i> (x)"#), "a#34;b#35;1 #60;i#62; (x)");
    }
}
