//! A run of a pipeline as MLflow sees it: one run, with the parameters and numbers of all steps under `step.name`,
//! and nested in it one run a step, with its curves, its artifacts and what it reads.
//!
//! A run in which every step is as it was released is not logged, as it leaves no record in the history either;
//! unless nothing of this pipeline was ever logged there. From the first step that starts, fails or is restored
//! on everything is. A step that did not run has the numbers of the result that it was restored from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Local};

use super::courier::Outcome;
use super::entry::{Entry, Point, Status, WHOLE};
use super::facts::{self, StepFacts};
use super::log::{Log, now};
use super::names::{self, LONGEST_TAG};
use super::server::{Credentials, Destination};
use super::whole::{Scene, as_text, mark, run_tags};
use crate::workflow::digest::Digest;
use crate::workflow::event::{Event, Listener, Reused, Tally};
use crate::workflow::kind::Progress;
use crate::workflow::plan::Plan;
use crate::workflow::store::{StepResult, Store};

/// Steps of a pipeline up to which those that nothing was done with have runs of their own.
const FEW_STEPS: usize = 200;
/// Parameters that the run of a whole pipeline has.
const MOST_PARAMETERS: usize = 2000;

/// Listens to a run of a pipeline and logs it.
pub struct PipelineLog(Mutex<Inner>);

struct Inner {
    /// Nothing after the run is over.
    log: Option<Log>,
    /// Nothing of this pipeline was logged there before.
    is_first: bool,
    /// What is known before the run has told its steps.
    early: Option<Vec<Entry>>,
    pipeline: String,
    file: PathBuf,
    files: Vec<PathBuf>,
    root: PathBuf,
    run: String,
    store: Store,
    steps: BTreeMap<String, StepFacts>,
    /// Steps that have a run of their own and whether that is over.
    begun: BTreeMap<String, bool>,
    /// Steps that did not get their turn.
    skipped: BTreeSet<String>,
    /// What steps warned of.
    warnings: BTreeMap<String, Vec<String>>,
    /// What steps have to say at the end.
    summaries: Vec<String>,
    /// Outputs that are too large to be sent.
    left_out: Vec<String>,
}

impl PipelineLog {
    /// The log of a run that begins now.
    pub fn new(plan: &Plan, destination: Destination, credentials: Credentials, scene: Scene<'_>) -> Self {
        let root = scene.root.to_owned();
        let is_first = mark(&root, &destination, &plan.name);
        let mut log = Log::new(destination, credentials, root.clone(), scene.run.to_owned());
        if is_first {
            log.begin();
        }
        Self(Mutex::new(Inner {
            log: Some(log),
            is_first,
            early: Some(Vec::new()),
            pipeline: plan.name.clone(),
            file: plan.path.clone(),
            files: scene.files,
            store: Store::open(&root.join("cache")),
            root,
            run: scene.run.to_owned(),
            steps: facts::of_plan(plan),
            begun: BTreeMap::new(),
            skipped: BTreeSet::new(),
            warnings: BTreeMap::new(),
            summaries: Vec::new(),
            left_out: Vec::new(),
        }))
    }

    /// Waits a little for what is left to be sent; nothing when there was nothing to say.
    pub fn finish(&self, is_stopped: bool) -> Option<Outcome> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner).log.take()?;
        let wait = log.destination().settings.wait();
        log.finish(if is_stopped { wait.min(super::courier::WAIT_WHEN_STOPPED) } else { wait })
    }
}

impl Listener for PipelineLog {
    fn hear(&self, event: &Event) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::StepProgressed { progress, .. } = event
            && progress.measures.is_empty()
        {
            return;
        }
        inner.hear(event);
    }
}

impl Inner {
    fn note(&mut self, mut entries: Vec<Entry>) {
        match (&mut self.early, &mut self.log) {
            (Some(early), _) => early.append(&mut entries),
            (None, Some(log)) => log.note(entries),
            (None, None) => {}
        }
    }

    fn begin(&mut self) {
        if let Some(log) = &mut self.log {
            log.begin();
        }
    }

    fn hear(&mut self, event: &Event) {
        match event {
            Event::RunStarted { steps, .. } => self.run_started(steps),
            Event::StepReused { step, reason, key, metrics, summary } => {
                if matches!(reason, Reused::Restored { .. } | Reused::CutOff { .. } | Reused::Fetched { .. })
                {
                    self.begin();
                }
                self.reused(step, reason, *key, metrics);
                self.summaries.extend(summary.clone());
            }
            Event::StepStarted { step, reason, attempt } => {
                self.begin();
                let tags = [("recsys.reason", reason.to_string()), ("recsys.attempt", attempt.to_string())];
                self.step_started(step, &tags);
            }
            Event::StepProgressed { step, progress } => self.progressed(step, progress),
            Event::StepFinished { step, key, elapsed, usage, metrics, summary, .. } => {
                let result = self.result(step, *key);
                let mut measured = vec![("duration_seconds", elapsed.as_secs_f64())];
                if let Some(usage) = usage {
                    measured.push(("cpu_seconds", usage.cpu_seconds));
                    measured.push(("peak_memory_bytes", usage.peak_memory_bytes as f64));
                }
                self.made(step, *key, "ran", metrics, result.as_ref(), &measured);
                self.summaries.extend(summary.clone());
            }
            Event::StepFailed { step, error, will_retry } => {
                self.begin();
                self.step_started(step, &[("recsys.error", error.clone())]);
                if !will_retry {
                    self.step_ended(step, Status::Failed, &[("recsys.result", "failed".to_owned())]);
                }
            }
            Event::StepStopped { step } => {
                self.step_ended(step, Status::Killed, &[("recsys.result", "stopped".to_owned())]);
            }
            Event::StepSkipped { step } => _ = self.skipped.insert(step.clone()),
            Event::StepWarned { step, warning } => {
                let warnings = self.warnings.entry(step.clone()).or_default();
                warnings.push(warning.clone());
                let all = warnings.join("\n");
                self.step_started(step, &[("recsys.warnings", all)]);
            }
            Event::RunFinished { tally } => self.run_finished(tally),
            Event::RunWaited { .. }
            | Event::RunFollowed { .. }
            | Event::StepWaited { .. }
            | Event::StepFetchBegan { .. }
            | Event::ArtifactRestored { .. } => {}
        }
    }

    fn run_started(&mut self, steps: &[String]) {
        let began: DateTime<Local> = Local::now();
        let mut tags = run_tags(&self.file.display().to_string(), &self.run);
        tags.insert("recsys.pipeline".to_owned(), self.pipeline.clone());
        let run = Entry::Run {
            run: WHOLE.to_owned(),
            parent: None,
            name: format!("{} {}", self.pipeline, began.format("%Y-%m-%d %H:%M:%S")),
            began: began.timestamp_millis(),
            tags,
        };
        let mut parameters = BTreeMap::new();
        for (name, facts) in steps.iter().filter_map(|name| Some((name, self.steps.get(name)?))) {
            if parameters.len() >= MOST_PARAMETERS {
                break;
            }
            parameters.extend(facts.parameters(&format!("{name}.")));
        }
        let mut entries = vec![run, Entry::Parameters { run: WHOLE.to_owned(), values: parameters }];
        entries.extend(self.files.iter().filter_map(|path| as_text(&self.root, path)));
        entries.extend(self.early.take().unwrap_or_default());
        self.note(entries);
    }

    fn wants_steps(&self) -> bool {
        self.log.as_ref().is_some_and(|log| log.destination().settings.steps)
    }

    /// What the store has of a step.
    fn result(&self, step: &str, key: Digest) -> Option<StepResult> {
        self.store.recorded(&self.steps.get(step)?.key(key))
    }

    /// A run for the step when it has none, or more that is said of it.
    fn step_started(&mut self, step: &str, said: &[(&str, String)]) {
        let said = said.iter().map(|(name, value)| ((*name).to_owned(), names::cut(value, LONGEST_TAG)));
        if !self.wants_steps() {
            return;
        }
        if self.begun.contains_key(step) {
            return self.note(vec![Entry::Tags { run: step.to_owned(), values: said.collect() }]);
        }
        let Some(facts) = self.steps.get(step) else { return };
        let mut tags = run_tags(&self.file.display().to_string(), &self.run);
        tags.extend(facts.tags(step));
        tags.extend(said);
        let run = step.to_owned();
        let entries = vec![
            Entry::Run {
                run: run.clone(),
                parent: Some(WHOLE.to_owned()),
                name: run.clone(),
                began: now(),
                tags,
            },
            Entry::Parameters { run, values: facts.parameters("") },
        ];
        self.begun.insert(step.to_owned(), false);
        self.note(entries);
    }

    fn step_ended(&mut self, step: &str, status: Status, said: &[(&str, String)]) {
        if self.begun.get(step) != Some(&false) {
            return;
        }
        self.begun.insert(step.to_owned(), true);
        let values =
            said.iter().map(|(name, value)| ((*name).to_owned(), names::cut(value, LONGEST_TAG))).collect();
        let run = step.to_owned();
        self.note(vec![Entry::Tags { run: run.clone(), values }, Entry::End { run, status, at: now() }]);
    }

    fn progressed(&mut self, step: &str, progress: &Progress) {
        if self.begun.get(step) != Some(&false) {
            return;
        }
        let at = now();
        let points = progress
            .measures
            .iter()
            .filter(|(_, value)| value.is_finite())
            .map(|(name, value)| Point { key: names::key(name), value: *value, step: progress.done, at });
        let points: Vec<Point> = points.collect();
        self.note(vec![Entry::Metrics { run: step.to_owned(), points }]);
    }

    fn reused(&mut self, step: &str, reason: &Reused, key: Digest, metrics: &BTreeMap<String, f64>) {
        let untouched = matches!(reason, Reused::Unchanged | Reused::AsReleased);
        let result = self.result(step, key);
        if untouched && (self.steps.len() > FEW_STEPS || matches!(reason, Reused::AsReleased)) {
            let points = facts::final_points(&format!("{step}."), metrics, None, now());
            return self.note(vec![Entry::Metrics { run: WHOLE.to_owned(), points }]);
        }
        self.step_started(step, &[("recsys.reason", reason.to_string())]);
        let taken = result.as_ref().map_or(Vec::new(), |result| vec![("duration_seconds", result.seconds)]);
        if let Some(result) = &result
            && self.wants_steps()
        {
            let points = facts::curve_points("", result, now());
            let made = Entry::Tags {
                run: step.to_owned(),
                values: [("recsys.made".to_owned(), result.finished.clone())].into(),
            };
            self.note(vec![Entry::Metrics { run: step.to_owned(), points }, made]);
        }
        self.made(step, key, "reused", metrics, result.as_ref(), &taken);
    }

    /// The numbers and files of a step that is done, whether it ran or not.
    fn made(
        &mut self,
        step: &str,
        key: Digest,
        ended: &str,
        metrics: &BTreeMap<String, f64>,
        result: Option<&StepResult>,
        measured: &[(&str, f64)],
    ) {
        let at = now();
        let whole = WHOLE.to_owned();
        let mut entries = vec![Entry::Metrics {
            run: whole.clone(),
            points: facts::final_points(&format!("{step}."), metrics, None, at),
        }];
        let facts = self.steps.get(step);
        if let (Some(facts), Some(result)) = (facts, result) {
            let datasets = facts.datasets(result);
            if !datasets.is_empty() {
                entries.push(Entry::Datasets { run: whole.clone(), datasets });
            }
        }
        if let (Some(log), Some(facts), true) = (&self.log, facts, self.begun.get(step) == Some(&false)) {
            let measured = measured.iter().map(|(name, value)| Point {
                key: (*name).to_owned(),
                value: *value,
                step: 0,
                at,
            });
            let points = facts::final_points("", metrics, result, at).into_iter().chain(measured).collect();
            entries.push(Entry::Metrics { run: step.to_owned(), points });
            // What did not run is where it was logged when it did.
            if let Some(result) = result.filter(|_| ended == "ran" || self.is_first) {
                let settings = &log.destination().settings;
                let (artifacts, left_out) = facts.artifacts(step, "", result, settings);
                entries.extend(artifacts);
                self.left_out.extend(left_out.into_iter().map(|name| format!("{step}/{name}")));
            }
        }
        self.note(entries);
        let said = [("recsys.result", ended.to_owned()), ("recsys.fingerprint", key.to_string())];
        self.step_ended(step, Status::Finished, &said);
    }

    fn run_finished(&mut self, tally: &Tally) {
        let at = now();
        let open: Vec<String> =
            self.begun.iter().filter(|(_, over)| !**over).map(|(step, _)| step.clone()).collect();
        for step in open {
            self.step_ended(&step, if tally.stopped { Status::Killed } else { Status::Finished }, &[]);
        }
        let count = |key: &str, n: usize| Point { key: key.to_owned(), value: n as f64, step: 0, at };
        let points = vec![
            Point { key: "duration_seconds".to_owned(), value: tally.elapsed.as_secs_f64(), step: 0, at },
            count("steps.ran", tally.finished),
            count("steps.reused", tally.reused),
            count("steps.failed", tally.failed),
            count("steps.skipped", tally.skipped),
        ];
        let mut values = BTreeMap::new();
        let mut say = |name: &str, value: String| {
            if !value.is_empty() {
                values.insert(name.to_owned(), names::cut(&value, LONGEST_TAG));
            }
        };
        say("recsys.not_run", self.skipped.iter().cloned().collect::<Vec<_>>().join(", "));
        say("recsys.artifacts_left_out", self.left_out.join(", "));
        // What the page of a run shows on top, as Markdown.
        let blocks: Vec<String> =
            self.summaries.iter().map(|text| format!("```\n{}\n```", text.trim_end())).collect();
        say("mlflow.note.content", blocks.join("\n\n"));
        let status = match tally {
            tally if tally.is_stopped() => Status::Killed,
            tally if tally.failed > 0 => Status::Failed,
            _ => Status::Finished,
        };
        let run = WHOLE.to_owned();
        let mut entries = vec![Entry::Metrics { run: run.clone(), points }];
        if !values.is_empty() {
            entries.push(Entry::Tags { run: run.clone(), values });
        }
        entries.push(Entry::End { run, status, at });
        if let Some(log) = &mut self.log {
            log.complete(entries);
        }
    }
}
