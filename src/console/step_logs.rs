//! A tracing layer that writes what happens inside a step to the step's log, as JSON lines.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::workflow::history::now;

/// Sends each event to the log of the step whose span it lies in.
pub struct StepLogs;

struct StepLog {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

impl StepLog {
    fn write(&self, line: &Value) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.is_none() {
            let folder = self.path.parent().map(fs::create_dir_all);
            if folder.is_none_or(|created| created.is_ok()) {
                *file = OpenOptions::new().create(true).append(true).open(&self.path).ok();
            }
        }
        if let Some(file) = file.as_mut() {
            // A log that cannot be written must not stop the step that it tells of.
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for StepLogs {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let log = fields.0.get("log").and_then(Value::as_str).map(PathBuf::from);
        if let (Some(span), Some(path)) = (ctx.span(id), log) {
            span.extensions_mut().insert(Arc::new(StepLog { path, file: Mutex::new(None) }));
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let Some(scope) = ctx.event_scope(event) else { return };
        let log = scope.into_iter().find_map(|span| span.extensions().get::<Arc<StepLog>>().cloned());
        let Some(log) = log else { return };
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut line = json!({
            "time": now(),
            "level": event.metadata().level().as_str(),
            "target": event.metadata().target(),
        });
        if let Some(line) = line.as_object_mut() {
            line.extend(fields.0);
        }
        log.write(&line);
    }
}

/// The fields of an event.
#[derive(Default)]
pub(super) struct Fields(pub(super) Map<String, Value>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}
