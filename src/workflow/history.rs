//! The record of each run that did something: its events and the logs of its steps.
//!
//! `cache/v2/runs/<run>/events.jsonl` has one event a line, `logs/<step>.jsonl` beside it is the log
//! of a step. A run that found nothing to do leaves no record. As long as a run lives it holds an OS
//! lock on its `events.jsonl`, which ends with the process however that ends: a record without its
//! last event and without a lock is that of a run that died.

pub mod account;
mod follow;
pub mod read;

pub use follow::Follower;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::event::{Event, Listener};

/// The name of the file with the events, in the folder of a run.
const EVENTS: &str = "events.jsonl";
/// The name of the folder with the logs; apart from the events, so that a step may have any name.
const LOGS: &str = "logs";

/// Writes the events of one run; the folder is made when the first step starts.
pub struct RunRecord {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Events before the first step started, not written as text as long as they may not be needed.
    waiting: Vec<(DateTime<Utc>, Event)>,
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

    /// The name of the run.
    pub fn name(&self) -> String {
        self.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The folder of the logs of its steps, `<step>.jsonl` each.
    pub fn logs(&self) -> PathBuf {
        self.folder.join(LOGS)
    }
}

/// The present moment as it stands in logs.
pub fn now() -> String {
    written(Utc::now())
}

fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// An event as one line of JSON with the present time, its line end included.
pub fn line(event: &Event) -> String {
    line_at(Utc::now(), event)
}

fn line_at(time: DateTime<Utc>, event: &Event) -> String {
    let mut line = serde_json::to_string(&Line { time: written(time), event })
        .expect("an event is plain data with paths that came from text, which always has a JSON form");
    line.push('\n');
    line
}

impl Listener for RunRecord {
    fn hear(&self, event: &Event) {
        if matches!(event, Event::StepProgressed { .. } | Event::RunFollowed { .. }) {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        if state.file.is_none() {
            state.waiting.push((Utc::now(), event.clone()));
            if !matches!(event, Event::StepStarted { .. } | Event::StepFetchBegan { .. }) {
                return;
            }
            match create(&self.folder) {
                Ok(file) => state.file = Some(file),
                Err(error) => {
                    tracing::warn!("the run is not recorded in `{}`: {error}", self.folder.display());
                    return;
                }
            }
            for (time, event) in std::mem::take(&mut state.waiting) {
                text.push_str(&line_at(time, &event));
            }
        } else {
            text = line(event);
        }
        if let Some(file) = &mut state.file
            && let Err(error) = file.write_all(text.as_bytes())
        {
            tracing::warn!("an event of the run is not recorded: {error}");
        }
    }
}

fn create(folder: &Path) -> std::io::Result<File> {
    fs::create_dir_all(folder)?;
    let file = File::create(folder.join(EVENTS))?;
    // Where locks are not supported, a run at work reads as one that died: a wrong word, no harm.
    let _ = file.lock();
    Ok(file)
}
