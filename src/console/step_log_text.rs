//! A line of a step's log as people read it.

use chrono::{DateTime, Local};
use serde_json::{Map, Value};

/// Fields that have their own places.
const PLACED: [&str; 4] = ["time", "level", "target", "message"];
/// Fields of a line that tells of progress.
const PROGRESS: [&str; 4] = ["done", "total", "unit", "note"];

/// One line of JSON as text: what a command printed as it is, everything else with its time.
pub fn log_line(line: &str) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str(line) else { return line.to_owned() };
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    if fields.contains_key("stream") {
        return text("message").to_owned();
    }
    let time = DateTime::parse_from_rfc3339(text("time")).map_or_else(
        |_| text("time").to_owned(),
        |time| time.with_timezone(&Local).format("%H:%M:%S").to_string(),
    );
    if text("message") == "progress" && fields.contains_key("done") {
        return format!("{time} {}", progress(&fields));
    }
    let more: String = fields
        .iter()
        .filter(|(name, _)| !PLACED.contains(&name.as_str()))
        .map(|(name, value)| format!(" {name}={}", plain(value)))
        .collect();
    format!("{time} {:5} {}{more}", text("level"), text("message"))
}

/// `  120/500 iterations  loss 0.0389`
fn progress(fields: &Map<String, Value>) -> String {
    let [done, total, unit, note] = PROGRESS.map(|name| fields.get(name).map(plain).unwrap_or_default());
    let of = if total.is_empty() { String::new() } else { format!("/{total}") };
    let note = if note.is_empty() { note } else { format!("  {note}") };
    format!("  {done}{of} {unit}{note}")
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line without its time, which is in the zone of whoever reads.
    fn told(line: &str) -> String {
        log_line(line)[9..].to_owned()
    }

    #[test]
    fn lines_are_told_by_what_they_are() {
        let time = r#""time":"2026-11-21T12:03:55.120Z""#;
        assert_eq!(
            log_line(&format!(r#"{{{time},"level":"INFO","stream":"stdout","message":"  as it is"}}"#)),
            "  as it is"
        );
        let line = format!(r#"{{{time},"level":"WARN","target":"recsys","message":"few rows","n":3}}"#);
        assert_eq!(told(&line), "WARN  few rows n=3");
        let line = format!(
            r#"{{{time},"level":"INFO","message":"progress","done":3,"total":15,"unit":"iterations","note":"loss 0.1"}}"#
        );
        assert_eq!(told(&line), "  3/15 iterations  loss 0.1");
        let line =
            format!(r#"{{{time},"level":"INFO","message":"progress","done":3,"unit":"rows","note":""}}"#);
        assert_eq!(told(&line), "  3 rows");
        assert_eq!(log_line("half a li"), "half a li");
    }
}
