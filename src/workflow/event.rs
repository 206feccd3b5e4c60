//! What happened in a run, in the past tense; the runner tells, others show and record it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::fingerprint::Change;
use super::kind::{Progress, Usage};
use super::release::Restored;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Another run of the pipeline is at work; this one waits for it.
    RunWaited {
        /// The name of the other run, when it has told it.
        run: Option<String>,
    },
    /// While waiting: the other run told something.
    RunFollowed {
        /// What happened there.
        told: Box<Event>,
    },
    /// Another step or run makes what this step would make; this one waits for it.
    StepWaited {
        /// Its name.
        step: String,
    },
    /// A run began.
    RunStarted {
        /// Name of the pipeline.
        pipeline: String,
        /// Names of the steps it will look at, in order.
        steps: Vec<String>,
    },
    /// A step's result was in the store.
    StepReused {
        /// Its name.
        step: String,
        /// Why nothing had to run.
        reason: Reused,
        /// Hash of everything that its outputs depend on.
        key: Digest,
        /// The numbers that it left, by name.
        metrics: BTreeMap<String, f64>,
        /// The text that it left for the end of a run.
        summary: Option<String>,
    },
    /// A step's result is in a remote cache; it is being fetched.
    StepFetchBegan {
        /// Its name.
        step: String,
        /// The address of the cache.
        from: String,
        /// How many bytes.
        bytes: u64,
    },
    /// A released file had been changed or deleted, and was put back.
    ArtifactRestored {
        /// The step that made it.
        step: String,
        /// The file.
        path: PathBuf,
        /// What was wrong.
        was: Restored,
    },
    /// A step began.
    StepStarted {
        /// Its name.
        step: String,
        /// Why it had to run.
        reason: Reason,
        /// 1 for the first try.
        attempt: u32,
    },
    /// A step told how far it is.
    StepProgressed {
        /// Its name.
        step: String,
        /// How far.
        progress: Progress,
    },
    /// A step warned of something.
    StepWarned {
        /// Its name.
        step: String,
        /// What of.
        warning: String,
    },
    /// A step ended well and its outputs are released.
    StepFinished {
        /// Its name.
        step: String,
        /// Hash of everything that its outputs depend on.
        key: Digest,
        /// How long it took.
        #[serde(rename = "seconds", with = "as_seconds")]
        elapsed: Duration,
        /// What its processes took, when that is known.
        #[serde(default)]
        usage: Option<Usage>,
        /// Where its outputs are, and their sizes in bytes.
        outputs: Vec<(PathBuf, u64)>,
        /// The numbers that it left, by name.
        metrics: BTreeMap<String, f64>,
        /// A text for the end of the run.
        summary: Option<String>,
    },
    /// A step failed.
    StepFailed {
        /// Its name.
        step: String,
        /// The error, with its help, as plain text.
        error: String,
        /// Whether it will be tried again.
        will_retry: bool,
    },
    /// A step was stopped together with the run.
    StepStopped {
        /// Its name.
        step: String,
    },
    /// A step could not run because one before it failed or the run was stopped.
    StepSkipped {
        /// Its name.
        step: String,
    },
    /// The run ended.
    RunFinished {
        /// How it went.
        tally: Tally,
    },
}

/// Why a step had to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It never ran in this project.
    NeverRun,
    /// The command line said so.
    Forced,
    /// What it depends on changed.
    Changed(Vec<Change>),
    /// Its result was in the store, but not all of its bytes.
    Damaged {
        /// The output that cannot be used.
        output: String,
    },
    /// It was released once, but its result is no longer in the store.
    Evicted,
    /// It is a service.
    Service,
}

/// Why a step did not have to run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reused {
    /// Nothing it depends on changed since the release.
    Unchanged,
    /// Steps before it ran and made the same bytes again.
    CutOff {
        /// Those steps.
        after: Vec<String>,
    },
    /// An earlier result fits: the edit was taken back, or another step or run made the same.
    Restored {
        /// What changed since the release.
        changes: Vec<Change>,
    },
    /// Another machine made it: it is in a remote cache.
    Fetched {
        /// The address of the cache.
        from: String,
    },
    /// It lies before the selected steps and was taken as it is.
    AsReleased,
}

/// How many steps went which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Ran and ended well.
    pub finished: usize,
    /// Were in the store.
    pub reused: usize,
    /// Failed.
    pub failed: usize,
    /// Did not get their turn.
    pub skipped: usize,
    /// Whether the run was stopped from outside.
    pub stopped: bool,
    /// Wall time.
    #[serde(rename = "seconds", with = "as_seconds")]
    pub elapsed: Duration,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NeverRun => f.write_str("never run before"),
            Self::Forced => f.write_str("forced"),
            Self::Changed(changes) => f.write_str(&joined(changes)),
            Self::Damaged { output } => write!(f, "its output `{output}` is missing or damaged in the store"),
            Self::Evicted => f.write_str("its result is no longer in the store"),
            Self::Service => f.write_str("asked for"),
        }
    }
}

impl Reason {
    /// Whether a result that somebody else made would do.
    pub fn may_be_fetched(&self) -> bool {
        !matches!(self, Self::Forced | Self::Service)
    }
}

impl Tally {
    /// Whether the run was stopped before it had done its work; a service that was stopped has done it.
    pub fn is_stopped(&self) -> bool {
        self.stopped && self.failed + self.skipped > 0
    }
}

/// A time as a number of seconds.
mod as_seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(time.as_secs_f64())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl std::fmt::Display for Reused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unchanged => f.write_str("unchanged"),
            Self::CutOff { after } => {
                write!(f, "unchanged: {} made the same bytes again", after.join(" and "))
            }
            Self::Restored { changes } if changes.is_empty() => f.write_str("an earlier result fits"),
            Self::Restored { changes } => write!(f, "an earlier result fits: {}", joined(changes)),
            Self::Fetched { from } => write!(f, "made elsewhere: in {from}"),
            Self::AsReleased => f.write_str("as released"),
        }
    }
}

fn joined(changes: &[Change]) -> String {
    changes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Somebody who wants to know what happens; called from several threads.
pub trait Listener: Send + Sync {
    /// Takes one event.
    fn hear(&self, event: &Event);
}

/// One that somebody else keeps a hold of.
impl<L: Listener> Listener for std::sync::Arc<L> {
    fn hear(&self, event: &Event) {
        self.as_ref().hear(event);
    }
}

/// Several listeners, told in order.
impl Listener for Vec<Box<dyn Listener>> {
    fn hear(&self, event: &Event) {
        for listener in self {
            listener.hear(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::workflow::release::Restored;

    fn key() -> Digest {
        Digest::of(b"a fingerprint")
    }

    fn one_of_each() -> Vec<Event> {
        let step = || "als".to_owned();
        let metrics: BTreeMap<String, f64> = [("ndcg@10".to_owned(), 0.1492)].into();
        let changes = vec![
            Change::Kind { old: "a".to_owned(), new: "b".to_owned() },
            Change::KindVersion { old: 1, new: 2 },
            Change::Parameter { name: "factors".to_owned(), old: json!(64), new: json!(null) },
            Change::Input { input: "train".to_owned() },
            Change::Environment { name: "SEED".to_owned() },
            Change::Outputs,
            Change::Lineage { step: "als".to_owned() },
        ];
        let reasons = [
            Reason::NeverRun,
            Reason::Forced,
            Reason::Changed(changes),
            Reason::Damaged { output: "model".to_owned() },
            Reason::Evicted,
            Reason::Service,
        ];
        let mut events: Vec<Event> = reasons
            .into_iter()
            .map(|reason| Event::StepStarted { step: step(), reason, attempt: 2 })
            .collect();
        let restored = Reused::Restored { changes: vec![Change::Outputs] };
        let cut_off = Reused::CutOff { after: vec!["split".to_owned()] };
        let fetched = Reused::Fetched { from: "s3://team/cache".to_owned() };
        for reason in [Reused::Unchanged, cut_off, restored, fetched, Reused::AsReleased] {
            let summary = Some("a text".to_owned());
            events.push(Event::StepReused {
                step: step(),
                reason,
                key: key(),
                metrics: metrics.clone(),
                summary,
            });
        }
        for was in [Restored::Missing, Restored::Modified] {
            events.push(Event::ArtifactRestored { step: step(), path: "artifacts/a".into(), was });
        }
        let measures = vec![("loss".into(), 0.25)];
        let progress =
            Progress { done: 3, total: Some(15), unit: "iterations".into(), note: String::new(), measures };
        let tally = Tally { finished: 3, elapsed: Duration::from_millis(12_345), ..Tally::default() };
        events.extend([
            Event::RunWaited { run: Some("20261121T070000000Z-1".to_owned()) },
            Event::RunFollowed { told: Box::new(Event::StepSkipped { step: step() }) },
            Event::StepWaited { step: step() },
            Event::StepFetchBegan { step: step(), from: "s3://team/cache".to_owned(), bytes: 1 << 40 },
            Event::StepStopped { step: step() },
            Event::RunStarted { pipeline: "music".to_owned(), steps: vec![step()] },
            Event::StepProgressed { step: step(), progress },
            Event::StepWarned { step: step(), warning: "few rows".to_owned() },
            Event::StepFinished {
                step: step(),
                key: key(),
                elapsed: Duration::from_millis(420),
                usage: Some(Usage { peak_memory_bytes: 1 << 40, cpu_seconds: 0.75 }),
                outputs: vec![("artifacts/als/model.npz".into(), 812)],
                metrics,
                summary: None,
            },
            Event::StepFailed { step: step(), error: "no\nhelp".to_owned(), will_retry: true },
            Event::StepSkipped { step: step() },
            Event::RunFinished { tally },
        ]);
        events
    }

    #[test]
    fn every_event_comes_back_from_its_json() {
        for event in one_of_each() {
            let text = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event, "{text}");
        }
    }

    #[test]
    fn times_are_seconds() {
        let tally = Tally { elapsed: Duration::from_millis(1500), ..Tally::default() };
        let json: Value = serde_json::to_value(Event::RunFinished { tally }).unwrap();
        assert_eq!(json["tally"]["seconds"], 1.5);
        let negative = json!({ "event": "run_finished", "tally": { "finished": 0, "reused": 0, "failed": 0,
            "skipped": 0, "stopped": false, "seconds": -1.0 } });
        assert!(serde_json::from_value::<Event>(negative).is_err());
    }
}
