//! A run of an experiment as MLflow sees it: one run, and nested in it one run a variant, with its parameters, and
//! with the numbers and curves of its steps under `step.name`. Files of what all variants share belong to the outer
//! run, so that none is sent a hundred times. Where an experiment goes by rungs, numbers stand at the rung as at a
//! step of the work, and the curves of each rung are a group of their own; parameters are those of the last rung, and
//! logged in the end, because a parameter cannot change.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Local};
use serde_json::Value as Json;

use super::courier::Outcome;
use super::entry::{Entry, Point, Status, WHOLE};
use super::facts::{self, StepFacts};
use super::log::{Log, now};
use super::names::{self, LONGEST_PARAMETER, LONGEST_TAG};
use super::server::{Credentials, Destination};
use super::whole::{Scene, as_text, mark, run_tags};
use crate::workflow::digest::Digest;
use crate::workflow::event::{Event, Listener, Reused};
use crate::workflow::experiment::{Ended, ExperimentRecord};
use crate::workflow::plan::Plan;
use crate::workflow::store::{StepResult, Store};

/// Variants that share a step up to which each of them gets its files.
const FEW_OWNERS: usize = 3;

/// One variant of an experiment.
#[derive(Debug, Clone)]
pub struct VariantFacts {
    /// Its name.
    pub name: String,
    /// What it changes.
    pub values: BTreeMap<String, Json>,
    /// Its steps: the name of each in the pipeline, and in the experiment.
    pub steps: BTreeMap<String, String>,
}

/// Which experiment.
#[derive(Debug, Clone)]
pub struct ExperimentFacts {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// What is best, for people.
    pub objective: String,
}

/// Listens to a run of an experiment and logs it.
pub struct VariantsLog(Mutex<Inner>);

struct Inner {
    /// Nothing after the run is over.
    log: Option<Log>,
    experiment: ExperimentFacts,
    store: Store,
    rung: usize,
    n_rungs: usize,
    steps: BTreeMap<String, StepFacts>,
    /// For each step of the experiment, the variants that have it and its name there.
    owners: BTreeMap<String, Vec<(String, String)>>,
    /// Variants that have a run, and whether that is over.
    begun: BTreeMap<String, bool>,
    /// The parameters of the steps of each variant, on the last rung that it ran on.
    parameters: BTreeMap<String, BTreeMap<String, String>>,
    /// The last rung that each variant ran on.
    reached: BTreeMap<String, usize>,
    /// Variants of the present rung.
    n_variants: usize,
    /// Wall time of the runs so far, in seconds.
    elapsed: f64,
}

impl VariantsLog {
    /// The log of a run of an experiment that begins now; `id` is the name of its first run in the project.
    pub fn new(
        experiment: ExperimentFacts,
        destination: Destination,
        credentials: Credentials,
        scene: &Scene<'_>,
    ) -> Self {
        let began: DateTime<Local> = Local::now();
        let is_first = mark(scene.root, &destination, &format!("experiment-{}", experiment.name));
        let mut log = Log::new(destination, credentials, scene.root.to_owned(), scene.run.to_owned());
        if is_first {
            log.begin();
        }
        let mut tags = run_tags(&experiment.file, scene.run);
        for (name, value) in
            [("recsys.experiment", &experiment.name), ("recsys.objective", &experiment.objective)]
        {
            tags.insert(name.to_owned(), names::cut(value, LONGEST_TAG));
        }
        log.note([Entry::Run {
            run: WHOLE.to_owned(),
            parent: None,
            name: format!("experiment {} {}", experiment.name, began.format("%Y-%m-%d %H:%M:%S")),
            began: began.timestamp_millis(),
            tags,
        }]);
        log.note(scene.files.iter().filter_map(|path| as_text(scene.root, path)));
        Self(Mutex::new(Inner {
            log: Some(log),
            experiment,
            store: Store::open(&scene.root.join("cache")),
            rung: 0,
            n_rungs: 1,
            steps: BTreeMap::new(),
            owners: BTreeMap::new(),
            begun: BTreeMap::new(),
            parameters: BTreeMap::new(),
            reached: BTreeMap::new(),
            n_variants: 0,
            elapsed: 0.0,
        }))
    }

    /// What follows is about these variants, all of which are merged in `plan`; rungs are counted from 0.
    pub fn on_rung(&self, rung: usize, n_rungs: usize, plan: &Plan, variants: Vec<VariantFacts>) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.rung = rung;
        inner.n_rungs = n_rungs;
        inner.begin_rung(plan, variants);
    }

    /// Tells how each variant ended and which is best, and waits a little for what is left to be sent; nothing when
    /// there was nothing to say.
    pub fn finish(&self, record: Option<&ExperimentRecord>, is_stopped: bool) -> Option<Outcome> {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.conclude(record, is_stopped);
        let log = inner.log.take()?;
        drop(inner);
        let wait = log.destination().settings.wait();
        log.finish(if is_stopped { wait.min(super::courier::WAIT_WHEN_STOPPED) } else { wait })
    }
}

impl Listener for VariantsLog {
    fn hear(&self, event: &Event) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::StepReused { step, reason, key, metrics, .. } => {
                if !matches!(reason, Reused::Unchanged | Reused::AsReleased) {
                    inner.begin();
                }
                inner.done(step, *key, metrics, true);
            }
            Event::StepStarted { .. } => inner.begin(),
            Event::StepProgressed { step, progress } if !progress.measures.is_empty() => {
                let measures: Vec<(&str, f64)> =
                    progress.measures.iter().map(|(name, value)| (&**name, *value)).collect();
                inner.measured(step, progress.done, &measures);
            }
            Event::StepFinished { step, key, metrics, .. } => inner.done(step, *key, metrics, false),
            Event::StepFailed { step, error, will_retry: false } => {
                inner.begin();
                inner.failed(step, error);
            }
            Event::RunFinished { tally } => inner.elapsed += tally.elapsed.as_secs_f64(),
            _ => {}
        }
    }
}

impl Inner {
    fn note(&mut self, entries: Vec<Entry>) {
        if let Some(log) = &mut self.log {
            log.note(entries);
        }
    }

    fn begin(&mut self) {
        if let Some(log) = &mut self.log {
            log.begin();
        }
    }

    fn begin_rung(&mut self, plan: &Plan, variants: Vec<VariantFacts>) {
        self.steps = facts::of_plan(plan);
        self.owners.clear();
        self.n_variants = variants.len();
        let mut entries = Vec::new();
        for VariantFacts { name, values, steps } in variants {
            let mut parameters = BTreeMap::new();
            for (own, merged) in &steps {
                self.owners.entry(merged.clone()).or_default().push((name.clone(), own.clone()));
                let facts = self.steps.get(merged).map(|facts| facts.parameters(&format!("{own}.")));
                parameters.extend(facts.unwrap_or_default());
            }
            if !self.begun.contains_key(&name) {
                self.begun.insert(name.clone(), false);
                entries.extend(self.start(&name, &values));
            }
            self.reached.insert(name.clone(), self.rung);
            self.parameters.insert(name, parameters);
        }
        self.note(entries);
    }

    /// The run of a variant, with what it changes.
    fn start(&self, variant: &str, values: &BTreeMap<String, Json>) -> [Entry; 2] {
        let tags = [
            ("mlflow.source.name", self.experiment.file.as_str()),
            ("recsys.experiment", &self.experiment.name),
            ("recsys.variant", variant),
        ];
        let run = variant.to_owned();
        let begun = Entry::Run {
            run: run.clone(),
            parent: Some(WHOLE.to_owned()),
            name: names::cut(variant, names::LONGEST_KEY),
            began: now(),
            tags: tags.map(|(name, value)| (name.to_owned(), names::cut(value, LONGEST_TAG))).into(),
        };
        [begun, Entry::Parameters { run, values: as_parameters(values) }]
    }

    /// What the curves of a step are called by: those of each rung apart, because the same work is done anew.
    fn curve_prefix(&self, own: &str) -> String {
        if self.n_rungs == 1 { format!("{own}.") } else { format!("rung{}/{own}.", self.rung + 1) }
    }

    /// The numbers that a step left, at the end of their curves or at the rung.
    fn numbers(
        &self,
        own: &str,
        metrics: &BTreeMap<String, f64>,
        result: Option<&StepResult>,
        at: i64,
    ) -> Vec<Point> {
        let result = result.filter(|_| self.n_rungs == 1);
        let points = facts::final_points(&format!("{own}."), metrics, result, at).into_iter();
        let rung = self.rung as u64;
        points.map(|point| if self.n_rungs == 1 { point } else { Point { step: rung, ..point } }).collect()
    }

    /// A point of curves, for every variant that has the step.
    fn measured(&mut self, step: &str, done: u64, measures: &[(&str, f64)]) {
        let at = now();
        let finite = || measures.iter().filter(|(_, value)| value.is_finite());
        let entries = self.owners.get(step).into_iter().flatten().map(|(variant, own)| {
            let prefix = self.curve_prefix(own);
            let key = |name: &str| names::key(&format!("{prefix}{name}"));
            let points =
                finite().map(|(name, value)| Point { key: key(name), value: *value, step: done, at });
            Entry::Metrics { run: variant.clone(), points: points.collect() }
        });
        let entries = entries.collect();
        self.note(entries);
    }

    fn done(&mut self, step: &str, key: Digest, metrics: &BTreeMap<String, f64>, is_reused: bool) {
        let at = now();
        let (Some(owners), Some(facts)) = (self.owners.get(step), self.steps.get(step)) else { return };
        let result = self.store.recorded(&facts.key(key));
        let mut entries = Vec::new();
        for (variant, own) in owners {
            let mut points = self.numbers(own, metrics, result.as_ref(), at);
            if let Some(result) = &result {
                let prefix = self.curve_prefix(own);
                points.extend(facts::curve_points(&prefix, result, at).into_iter().filter(|_| is_reused));
                let key = names::key(&format!("{own}.duration_seconds"));
                points.push(Point { key, value: result.seconds, step: self.rung as u64, at });
            }
            entries.push(Entry::Metrics { run: variant.clone(), points });
        }
        if let (Some(log), Some(result), false) = (&self.log, &result, is_reused) {
            let settings = &log.destination().settings;
            let shared = owners.len() > FEW_OWNERS || (owners.len() == self.n_variants && owners.len() > 1);
            let of_whole = owners.first().map(|(_, own)| (WHOLE, own));
            let of_each = owners.iter().map(|(variant, own)| (variant.as_str(), own));
            let places = of_whole.into_iter().filter(|_| shared).chain(of_each.filter(|_| !shared));
            for (run, own) in places {
                entries.extend(facts.artifacts(run, own, result, settings).0);
            }
        }
        self.note(entries);
    }

    fn failed(&mut self, step: &str, error: &str) {
        let entries = self.owners.get(step).into_iter().flatten().map(|(variant, own)| {
            let error = names::cut(&format!("`{own}`: {error}"), LONGEST_TAG);
            Entry::Tags { run: variant.clone(), values: [("recsys.error".to_owned(), error)].into() }
        });
        let entries = entries.collect();
        self.note(entries);
    }

    fn conclude(&mut self, record: Option<&ExperimentRecord>, is_stopped: bool) {
        let at = now();
        let run = WHOLE.to_owned();
        let mut entries = Vec::new();
        let mut failed = 0;
        for variant in record.map_or(&[][..], |record| &record.variants) {
            let Some(is_over) = self.begun.get_mut(&variant.name) else { continue };
            *is_over = true;
            let status = match variant.ended {
                Ended::Failed => Status::Failed,
                Ended::NotRun => Status::Killed,
                _ => Status::Finished,
            };
            failed += usize::from(status == Status::Failed);
            let run = variant.name.clone();
            let mut values = as_parameters(&variant.values);
            for (name, value) in self.parameters.get(&run).into_iter().flatten() {
                values.entry(name.clone()).or_insert_with(|| value.clone());
            }
            entries.push(Entry::Parameters { run: run.clone(), values });
            // A rung whose results were all in the store did not run, and nobody told of it.
            if self.reached.get(&run) != Some(&variant.rung) {
                let points = facts::final_points("", &variant.metrics, None, at);
                let points = points.into_iter().map(|point| Point { step: variant.rung as u64, ..point });
                entries.push(Entry::Metrics { run: run.clone(), points: points.collect() });
            }
            entries.push(Entry::End { run, status, at });
        }
        for (variant, _) in self.begun.iter().filter(|(_, is_over)| !**is_over) {
            entries.push(Entry::End { run: variant.clone(), status: Status::Killed, at });
        }
        let point = |key: &str, value: f64| Point { key: names::key(key), value, step: 0, at };
        let mut points = vec![
            point("duration_seconds", self.elapsed),
            point("variants", self.begun.len() as f64),
            point("variants.failed", failed as f64),
        ];
        let best = record.and_then(|record| Some((record, record.best()?)));
        if let Some((record, best)) = best {
            let value = record.objective.value(&best.metrics);
            points.extend(value.map(|value| point(&format!("best.{}", record.objective.metric), value)));
            let tag = |run: &str, name: &str, value: &str| Entry::Tags {
                run: run.to_owned(),
                values: [(name.to_owned(), names::cut(value, LONGEST_TAG))].into(),
            };
            entries.push(tag(WHOLE, "recsys.best", &best.name));
            entries.push(tag(&best.name, "recsys.is_best", "true"));
        }
        entries.push(Entry::Metrics { run: run.clone(), points });
        let status = match (is_stopped || record.is_none(), failed > 0 && failed == self.begun.len()) {
            (true, _) => Status::Killed,
            (false, true) => Status::Failed,
            (false, false) => Status::Finished,
        };
        entries.push(Entry::End { run, status, at });
        if let Some(log) = &mut self.log {
            log.complete(entries);
        }
    }
}

/// Values that a variant changes, as parameters.
fn as_parameters(values: &BTreeMap<String, Json>) -> BTreeMap<String, String> {
    names::keyed(values.iter().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (name.clone(), names::cut(&value, LONGEST_PARAMETER))
    }))
}
