//! The record of each run that did something: its events and the logs of its steps.
//!
//! `cache/v1/runs/<run>/events.jsonl` has one event a line, `<step>.jsonl` beside it the log of a
//! step. A run that found nothing to do leaves no record.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chrono::{SecondsFormat, Utc};
use serde::Serialize;

use super::event::{Event, Listener};

/// Writes the events of one run; the folder is made when the first step starts.
pub struct RunRecord {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Events before the first step started.
    waiting: Vec<String>,
    file: Option<File>,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    #[serde(flatten)]
    event: &'a Event,
}

impl RunRecord {
    /// A record in a folder of its own under `runs`, named by the time.
    pub fn new(runs: &Path) -> Self {
        let name = format!("{}-{}", Utc::now().format("%Y%m%dT%H%M%S%3fZ"), std::process::id());
        Self { folder: runs.join(name), state: Mutex::default() }
    }

    /// The folder of the run, whether it exists yet or not.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// The present moment as it stands in logs.
pub fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl Listener for RunRecord {
    fn hear(&self, event: &Event) {
        if matches!(event, Event::StepProgressed { .. }) {
            return;
        }
        let Ok(mut line) = serde_json::to_string(&Line { time: now(), event }) else { return };
        line.push('\n');
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.file.is_none() {
            state.waiting.push(line);
            if !matches!(event, Event::StepStarted { .. }) {
                return;
            }
            let created = fs::create_dir_all(&self.folder)
                .and_then(|()| File::create(self.folder.join("events.jsonl")));
            match created {
                Ok(file) => state.file = Some(file),
                Err(error) => {
                    tracing::warn!("the run is not recorded in `{}`: {error}", self.folder.display());
                    return;
                }
            }
            line = state.waiting.concat();
        }
        if let Some(file) = &mut state.file
            && let Err(error) = file.write_all(line.as_bytes())
        {
            tracing::warn!("an event of the run is not recorded: {error}");
        }
    }
}
