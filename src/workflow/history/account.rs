//! The story of one run, told from its events: a pure function, so that every ending can be tested.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::read::{Recorded, RecordedRun};
use crate::workflow::digest::Digest;
use crate::workflow::event::{Event, Tally};
use crate::workflow::kind::Usage;

/// What is known of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Account {
    /// Its id.
    pub id: String,
    /// When it began.
    pub began: Option<DateTime<Utc>>,
    /// Name of the pipeline.
    pub pipeline: String,
    /// How it ended.
    pub ended: RunEnd,
    /// How many steps went which way, and how long the run took or takes.
    pub tally: Tally,
    /// Its steps, in the order of the plan.
    pub steps: Vec<StepAccount>,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// It is at work.
    Running,
    /// Every step is done.
    Done,
    /// A step failed.
    Failed,
    /// Somebody stopped it.
    Stopped,
    /// It went away without a word: killed, out of memory, a power cut.
    Died,
}

/// What a run did with one step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepAccount {
    /// Its name.
    pub step: String,
    /// How it ended.
    pub ended: StepEnd,
    /// Why it ran, or why it did not have to; the error when it failed.
    pub reason: String,
    /// How many times it was tried.
    pub tries: u32,
    /// How long it took.
    pub seconds: Option<f64>,
    /// What its processes took.
    pub usage: Option<Usage>,
    /// Hash of everything that its outputs depend on.
    pub key: Option<Digest>,
    /// The numbers that it left.
    pub metrics: BTreeMap<String, f64>,
    /// What it warned of.
    pub warnings: Vec<String>,
}

/// How a step ended in a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepEnd {
    /// Its turn has not come.
    Waiting,
    /// It is at work.
    Running,
    /// It ran and ended well.
    Ran,
    /// Its result was there.
    Reused,
    /// It failed.
    Failed,
    /// It was stopped together with the run.
    Stopped,
    /// It did not get its turn.
    NotRun,
    /// The run died while it was at work.
    Interrupted,
}

impl RunEnd {
    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Died => "died",
        }
    }
}

impl StepEnd {
    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Ran => "ran",
            Self::Reused => "reused",
            Self::Failed => "FAILED",
            Self::Stopped => "stopped",
            Self::NotRun => "not run",
            Self::Interrupted => "interrupted",
        }
    }
}

impl RecordedRun {
    /// Its story so far.
    pub fn account(&self) -> Account {
        // Asked before reading: what is read of a run that is over is all there is.
        let live = self.is_live();
        Account::new(&self.id, &self.events(), live)
    }
}

impl Account {
    /// Tells a run from its events; `live` says whether its process is still at work.
    pub fn new(id: &str, events: &[Recorded], live: bool) -> Self {
        let mut story = Story::default();
        events.iter().for_each(|recorded| story.hear(&recorded.event));
        let began = events.first().map(|recorded| recorded.time);
        let tally = story.tally;
        let ended = match tally {
            Some(tally) if tally.is_stopped() => RunEnd::Stopped,
            Some(tally) if tally.failed > 0 => RunEnd::Failed,
            Some(_) => RunEnd::Done,
            None if live => RunEnd::Running,
            None => RunEnd::Died,
        };
        for step in &mut story.steps {
            step.ended = match (step.ended, ended) {
                (other, RunEnd::Running) => other,
                (StepEnd::Running, RunEnd::Died) => StepEnd::Interrupted,
                // A service ends with its run and leaves no event of its own.
                (StepEnd::Running, _) => StepEnd::Ran,
                (StepEnd::Waiting, _) => StepEnd::NotRun,
                (other, _) => other,
            };
        }
        let tally = tally.unwrap_or_else(|| {
            let last = if live { Some(Utc::now()) } else { events.last().map(|recorded| recorded.time) };
            let elapsed = began.zip(last).and_then(|(began, last)| (last - began).to_std().ok());
            story.count(elapsed.unwrap_or_default())
        });
        Self { id: id.to_owned(), began, pipeline: story.pipeline, ended, tally, steps: story.steps }
    }
}

#[derive(Default)]
struct Story {
    pipeline: String,
    steps: Vec<StepAccount>,
    positions: BTreeMap<String, usize>,
    tally: Option<Tally>,
}

impl Story {
    fn hear(&mut self, event: &Event) {
        match event {
            Event::RunStarted { pipeline, steps } => {
                pipeline.clone_into(&mut self.pipeline);
                steps.iter().for_each(|step| _ = self.step(step));
            }
            Event::StepReused { step, reason, key, metrics, .. } => {
                let step = self.step(step);
                step.ended = StepEnd::Reused;
                step.reason = reason.to_string();
                step.key = Some(*key);
                step.metrics.clone_from(metrics);
            }
            Event::StepStarted { step, reason, attempt } => {
                let step = self.step(step);
                step.ended = StepEnd::Running;
                step.reason = reason.to_string();
                step.tries = *attempt;
            }
            Event::StepWarned { step, warning } => self.step(step).warnings.push(warning.clone()),
            Event::StepFinished { step, key, elapsed, usage, metrics, .. } => {
                let step = self.step(step);
                step.ended = StepEnd::Ran;
                step.seconds = Some(elapsed.as_secs_f64());
                step.usage = *usage;
                step.key = Some(*key);
                step.metrics.clone_from(metrics);
            }
            Event::StepFailed { step, error, will_retry: false } => {
                let step = self.step(step);
                step.ended = StepEnd::Failed;
                step.reason.clone_from(error);
            }
            Event::StepStopped { step } => self.step(step).ended = StepEnd::Stopped,
            Event::StepSkipped { step } => self.step(step).ended = StepEnd::NotRun,
            Event::RunFinished { tally } => self.tally = Some(*tally),
            Event::StepFailed { will_retry: true, .. }
            | Event::RunWaited { .. }
            | Event::RunFollowed { .. }
            | Event::StepWaited { .. }
            | Event::StepFetchBegan { .. }
            | Event::ArtifactRestored { .. }
            | Event::StepProgressed { .. } => {}
        }
    }

    fn step(&mut self, name: &str) -> &mut StepAccount {
        let position = *self.positions.entry(name.to_owned()).or_insert(self.steps.len());
        if position == self.steps.len() {
            self.steps.push(StepAccount {
                step: name.to_owned(),
                ended: StepEnd::Waiting,
                reason: String::new(),
                tries: 0,
                seconds: None,
                usage: None,
                key: None,
                metrics: BTreeMap::new(),
                warnings: Vec::new(),
            });
        }
        &mut self.steps[position]
    }

    /// The tally of a run that has not told its own.
    fn count(&self, elapsed: Duration) -> Tally {
        let n = |end: StepEnd| self.steps.iter().filter(|step| step.ended == end).count();
        Tally {
            finished: n(StepEnd::Ran),
            reused: n(StepEnd::Reused),
            failed: n(StepEnd::Failed),
            skipped: n(StepEnd::NotRun),
            stopped: false,
            elapsed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::event::Reason;

    fn at(second: i64, event: Event) -> Recorded {
        Recorded { time: DateTime::from_timestamp(second, 0).unwrap(), event }
    }

    fn begun() -> Vec<Recorded> {
        let step = |name: &str| name.to_owned();
        vec![
            at(
                10,
                Event::RunStarted { pipeline: "music".to_owned(), steps: vec![step("als"), step("rank")] },
            ),
            at(11, Event::StepStarted { step: step("als"), reason: Reason::Forced, attempt: 1 }),
        ]
    }

    #[test]
    fn a_run_without_an_end_is_at_work_or_died() {
        let account = Account::new("id", &begun(), true);
        assert_eq!((account.ended, account.steps[0].ended), (RunEnd::Running, StepEnd::Running));
        assert_eq!(account.steps[1].ended, StepEnd::Waiting);
        let account = Account::new("id", &begun(), false);
        assert_eq!((account.ended, account.steps[0].ended), (RunEnd::Died, StepEnd::Interrupted));
        assert_eq!(account.steps[1].ended, StepEnd::NotRun);
        assert_eq!(account.tally.elapsed, Duration::from_secs(1));
        assert_eq!(account.tally.skipped, 1);
    }

    #[test]
    fn a_run_is_stopped_only_when_something_was_left_to_do() {
        let end = |skipped, failed, stopped| {
            let tally = Tally { skipped, failed, stopped, ..Tally::default() };
            let mut events = begun();
            events.push(at(12, Event::RunFinished { tally }));
            Account::new("id", &events, false).ended
        };
        assert_eq!(end(1, 0, true), RunEnd::Stopped);
        assert_eq!(end(0, 0, true), RunEnd::Done, "a service that was stopped has done its work");
        assert_eq!(end(1, 1, false), RunEnd::Failed);
        assert_eq!(end(0, 0, false), RunEnd::Done);
    }

    #[test]
    fn a_failure_says_why_and_how_often_it_was_tried() {
        let mut events = begun();
        let failed =
            |will_retry| Event::StepFailed { step: "als".to_owned(), error: "no".to_owned(), will_retry };
        events.push(at(12, failed(true)));
        events
            .push(at(13, Event::StepStarted { step: "als".to_owned(), reason: Reason::Forced, attempt: 2 }));
        events.push(at(14, failed(false)));
        let step = Account::new("id", &events, false).steps.remove(0);
        assert_eq!((step.ended, step.reason.as_str(), step.tries), (StepEnd::Failed, "no", 2));
    }
}
