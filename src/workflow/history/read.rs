//! The recorded runs of a project, read back: which there are, their events, the logs of their steps.
//!
//! Reading is lenient. A line that cannot be understood, half-written by a run that was killed or of
//! another version, is left out; the rest still tells what happened.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use miette::Diagnostic;
use serde::Deserialize;
use thiserror::Error;

use super::{EVENTS, LOGS};
use crate::workflow::event::Event;
use crate::workflow::fault::did_you_mean;
use crate::workflow::store::LAYOUT;

/// The folder with the records of runs, in the project folder `root`.
pub fn folder(root: &Path) -> PathBuf {
    root.join("cache").join(LAYOUT).join("runs")
}

/// One recorded run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRun {
    /// Its name: when it began, and the number of its process.
    pub id: String,
    folder: PathBuf,
}

/// One event, and when it happened.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Recorded {
    /// When.
    pub time: DateTime<Utc>,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// The recorded runs in `folder`, the newest first; none when nothing ran yet.
pub fn runs(folder: &Path) -> Vec<RecordedRun> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut runs: Vec<RecordedRun> = entries
        .filter_map(|entry| {
            let id = entry.file_name().into_string().ok()?;
            let folder = entry.path();
            folder.join(EVENTS).is_file().then_some(RecordedRun { id, folder })
        })
        .collect();
    runs.sort_by(|a, b| b.id.cmp(&a.id));
    runs
}

/// There is no such run, or there are several.
#[derive(Debug, Error, Diagnostic)]
#[error("{n} runs are called `{name}`; expected one")]
#[diagnostic(code(recsys::history::unknown_run), help("{hint}"))]
pub struct UnknownRun {
    name: String,
    /// How many there are.
    n: usize,
    hint: String,
}

/// The run that `name` means: its id, the beginning of one id, `last`, or `last~N` for the Nth before it.
///
/// # Errors
/// When no run is called so, or the ids of several begin so.
pub fn find(folder: &Path, name: &str) -> Result<RecordedRun, UnknownRun> {
    let runs = runs(folder);
    let found: Vec<&RecordedRun> = match name {
        "last" => runs.iter().take(1).collect(),
        before if let Some(n) = before.strip_prefix("last~").and_then(|n| n.parse().ok()) => {
            runs.iter().skip(n).take(1).collect()
        }
        _ => match runs.iter().find(|run| run.id == name) {
            Some(exact) => vec![exact],
            None => runs.iter().filter(|run| !name.is_empty() && run.id.starts_with(name)).collect(),
        },
    };
    match found.as_slice() {
        [run] => Ok((*run).clone()),
        several => {
            let some = if several.is_empty() { runs.iter().collect() } else { several.to_vec() };
            let ids: Vec<&str> = some.iter().take(3).map(|run| run.id.as_str()).collect();
            let hint = match (several.len(), ids.is_empty()) {
                (0, true) => "nothing ran yet; start with `recsys run`".to_owned(),
                (0, false) => format!("`recsys runs` lists them; the newest: {}", ids.join(", ")),
                _ => format!("write more of the id: {}", ids.join(" or ")),
            };
            Err(UnknownRun { name: name.to_owned(), n: several.len(), hint })
        }
    }
}

impl RecordedRun {
    /// The run with its record in this folder.
    pub fn at(folder: &Path) -> Self {
        let id = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { id, folder: folder.to_owned() }
    }

    /// Its events in order, without progress.
    pub fn events(&self) -> Vec<Recorded> {
        let text = fs::read_to_string(self.folder.join(EVENTS)).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Whether its process is still at work.
    pub fn is_live(&self) -> bool {
        File::open(self.folder.join(EVENTS)).is_ok_and(|file| file.try_lock_shared().is_err())
    }

    /// Where the log of a step is, whether it exists or not.
    pub fn log(&self, step: &str) -> PathBuf {
        self.folder.join(LOGS).join(format!("{step}.jsonl"))
    }

    /// Names of the steps that left a log.
    pub fn logged(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.folder.join(LOGS)).into_iter().flatten().flatten();
        entries
            .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".jsonl")?.to_owned()))
            .collect()
    }
}

/// No run has a log of this step.
#[derive(Debug, Error, Diagnostic)]
#[error("{whose} has no log of a step `{step}`")]
#[diagnostic(code(recsys::history::no_log), help("{hint}"))]
pub struct NoLog {
    step: String,
    whose: String,
    hint: String,
}

/// The newest of `runs` in which the step ran.
///
/// # Errors
/// When it ran in none of them, with the nearest name of a step that did.
pub fn last_with_log<'a>(runs: &'a [RecordedRun], step: &str) -> Result<&'a RecordedRun, NoLog> {
    if let Some(run) = runs.iter().find(|run| run.log(step).is_file()) {
        return Ok(run);
    }
    let logged: BTreeSet<String> = runs.iter().flat_map(RecordedRun::logged).collect();
    let hint = if logged.is_empty() {
        "nothing ran yet; start with `recsys run`".to_owned()
    } else {
        let near = did_you_mean(step, logged.iter().map(String::as_str));
        format!("{near}\na step leaves a log when it runs, not when its result is reused")
    };
    let whose = if let [run] = runs { format!("the run {}", run.id) } else { "the history".to_owned() };
    Err(NoLog { step: step.to_owned(), whose, hint })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::event::{Listener, Reason, Tally};
    use crate::workflow::history::RunRecord;

    fn started(step: &str) -> Event {
        Event::StepStarted { step: step.to_owned(), reason: Reason::NeverRun, attempt: 1 }
    }

    #[test]
    fn a_run_is_live_until_its_record_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let record = RunRecord::new(folder.path());
        record.hear(&started("als"));
        let run = &runs(folder.path())[0];
        assert!(run.is_live() && run.is_live(), "looking must not end it");
        drop(record);
        assert!(!run.is_live());
        assert_eq!(run.events()[0].event, started("als"));
    }

    #[test]
    fn a_half_written_line_hides_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let record = RunRecord::new(folder.path());
        record.hear(&started("als"));
        record.hear(&Event::RunFinished { tally: Tally::default() });
        let path = record.folder().join(EVENTS);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{{\"time\": 7}}\n{text}{}", &text[..30])).unwrap();
        assert_eq!(runs(folder.path())[0].events().len(), 2);
    }

    #[test]
    fn a_run_is_found_by_the_beginning_of_its_id() {
        let folder = tempfile::tempdir().unwrap();
        assert!(find(folder.path(), "last").is_err());
        for id in ["20260101T000000000Z-1", "20260102T000000000Z-1"] {
            fs::create_dir(folder.path().join(id)).unwrap();
            fs::write(folder.path().join(id).join(EVENTS), "").unwrap();
        }
        let id = |name: &str| find(folder.path(), name).map(|run| run.id).map_err(|error| error.to_string());
        assert_eq!(id("20260101").unwrap(), "20260101T000000000Z-1");
        assert_eq!(id("last").unwrap(), "20260102T000000000Z-1");
        assert_eq!(id("last~1").unwrap(), "20260101T000000000Z-1");
        assert!(id("last~2").is_err() && id("last~x").is_err());
        assert_eq!(id("2026").unwrap_err(), "2 runs are called `2026`; expected one");
        assert_eq!(id("2027").unwrap_err(), "0 runs are called `2027`; expected one");
    }
}
