//! A tracing layer that tells on standard error what happens in a running service: faults, releases and,
//! where the service file asks for it, each request.

use std::io::Write;
use std::sync::OnceLock;

use serde_json::{Map, Value, json};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::LogFormat;
use super::step_logs::Fields;
use crate::workflow::history::now;

static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Writes the events of services, once [`tell_of_services`] was called.
pub struct ServiceLog;

/// From now on tells what happens in services, as lines for people or of JSON.
pub fn tell_of_services(format: LogFormat) {
    // The first call decides; a process has one service.
    let _ = FORMAT.set(format);
}

impl<S: Subscriber> Layer<S> for ServiceLog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let (Some(format), metadata) = (FORMAT.get(), event.metadata()) else { return };
        if !metadata.target().starts_with("recsys::") {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let line = match format {
            LogFormat::Json => json_line(metadata.level().as_str(), metadata.target(), fields.0),
            LogFormat::Text => text_line(metadata.level().as_str(), &fields.0),
        };
        // A log that cannot be written must not stop the service that it tells of.
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }
}

fn json_line(level: &str, target: &str, fields: Map<String, Value>) -> String {
    let mut line = json!({ "time": now(), "level": level, "target": target });
    if let Some(line) = line.as_object_mut() {
        line.extend(fields);
    }
    format!("{line}\n")
}

fn text_line(level: &str, fields: &Map<String, Value>) -> String {
    let mut line = format!("{} {level:<5}", now());
    if let Some(Value::String(message)) = fields.get("message") {
        line.push(' ');
        line.push_str(message);
    }
    for (name, value) in fields.iter().filter(|(name, _)| *name != "message") {
        line.push_str(&format!(" {name}={value}"));
    }
    line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_its_time_its_level_and_its_fields() {
        let fields =
            || Map::from_iter([("message".to_owned(), "slow".into()), ("took_us".to_owned(), 7.into())]);
        let line: Value = serde_json::from_str(&json_line("WARN", "recsys::serve", fields())).unwrap();
        assert_eq!(
            (&line["level"], &line["message"], &line["took_us"]),
            (&"WARN".into(), &"slow".into(), &7.into())
        );
        assert!(line["time"].is_string());
        assert!(text_line("WARN", &fields()).ends_with(" WARN  slow took_us=7\n"));
    }

    #[test]
    fn what_a_client_sends_cannot_begin_a_line() {
        let fields = Map::from_iter([("query".to_owned(), "a\nFAKE".into())]);
        for line in [text_line("INFO", &fields), json_line("INFO", "recsys::access", fields)] {
            assert_eq!(line.lines().count(), 1, "{line}");
        }
    }
}
