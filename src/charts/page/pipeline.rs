//! What made the numbers: the steps with their durations, their parameters and fingerprints.

use serde_json::Value as Json;

use super::Section;
use super::facts::{Facts, Step};
use crate::charts::markup::{Table, bar, details, escaped, name, words};
use crate::charts::numbers::{bytes, seconds};

pub fn section(facts: &Facts) -> Option<Section> {
    if facts.steps.is_empty() {
        return None;
    }
    let total: f64 = facts.steps.iter().filter_map(|step| step.seconds).sum();
    let longest = facts.steps.iter().filter_map(|step| step.seconds).fold(f64::MIN_POSITIVE, f64::max);
    let mut body = format!(
        "<div class=\"graph\" role=\"region\" aria-label=\"The steps and how they depend on each other\" tabindex=\"0\">{}</div>\n",
        facts.graph
    );
    let mut table = Table::new(format!("Steps: {} in all, one after the other", seconds(total)))
        .class("wide bars")
        .text("step")
        .text("kind")
        .number("memory")
        .number("outputs")
        .number("time")
        .text("");
    for step in &facts.steps {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        table.row([
            name(&step.name),
            escaped(&step.kind),
            or_none(step.memory.filter(|&memory| memory > 0).map(bytes)),
            or_none(step.bytes.map(bytes)),
            or_none(step.seconds.map(seconds)),
            step.seconds.map_or_else(String::new, |seconds| bar(seconds / longest)),
        ]);
    }
    body.push_str(&table.html());
    for step in facts.steps.iter().filter(|step| !step.warnings.is_empty()) {
        for warning in &step.warnings {
            body.push_str(&format!("<p class=\"warning\">{}: {}</p>\n", name(&step.name), words(warning)));
        }
    }
    body.push_str(
        "<p class=\"quiet\">Times are of the runs that made the results; a result that was reused keeps the time that it took \
         when it was made.</p>\n",
    );
    Some(Section { id: "pipeline", title: "The pipeline", body })
}

pub fn parameters(facts: &Facts) -> Option<Section> {
    if facts.steps.is_empty() {
        return None;
    }
    let mut body = String::from(
        "<p>Every parameter after defaults, and the fingerprint of each result: the hash of everything that it depends on. \
         Equal fingerprints are equal results.</p>\n",
    );
    for step in &facts.steps {
        let version = format!("{} version {}", step.kind, step.version);
        let fingerprint = step.fingerprint.as_deref().unwrap_or("not recorded");
        let content = format!(
            "<p class=\"more\">fingerprint <code>{}</code></p>\n{}",
            escaped(fingerprint),
            values(step)
        );
        body.push_str(&details(&format!("{} – {version}", step.name), &content));
    }
    Some(Section { id: "parameters", title: "Parameters and fingerprints", body })
}

/// Parameters by name; what is inside of maps by its path.
fn values(step: &Step) -> String {
    let mut lines = Vec::new();
    flatten("", &step.parameters, &mut lines);
    if lines.is_empty() {
        return "<p class=\"more\">No parameters.</p>\n".to_owned();
    }
    format!("<pre>{}</pre>\n", escaped_lines(&lines))
}

fn escaped_lines(lines: &[String]) -> String {
    lines
        .iter()
        .map(|line| line.split('\n').map(escaped).collect::<Vec<_>>().join("\n"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn flatten(path: &str, value: &Json, lines: &mut Vec<String>) {
    match value {
        Json::Object(map) if !map.is_empty() => {
            for (key, inner) in map {
                let inner_path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                flatten(&inner_path, inner, lines);
            }
        }
        Json::Null if path.is_empty() => {}
        Json::Object(_) if path.is_empty() => {}
        // What stands for a path is shown as it is written in a pipeline file.
        Json::String(text) => {
            lines.push(format!("{path}: {}", text.replace('\u{27e6}', "{{ ").replace('\u{27e7}', " }}")));
        }
        other => lines.push(format!("{path}: {other}")),
    }
}
