//! The loop: steps whose inputs are ready start while threads are free; what they make is committed
//! and released; what happened is told. Steps are CPU-bound and use threads inside, so there is no
//! async here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::Scope;
use std::time::{Duration, Instant};

use miette::Diagnostic;
use thiserror::Error;

use super::decide::{Decision, Force, decide, input_digests};
use super::event::{Event, Listener, Reason, Reused, Tally};
use super::files::FilesError;
use super::fingerprint::{Digest, Fingerprint};
use super::plan::{Plan, PlannedStep, Source};
use super::release::Release;
use super::store::{StepResult, Store};
use super::task::{Outcome, Task};

/// How often the loop looks at deadlines and at whether the run is being stopped.
const TICK: Duration = Duration::from_millis(50);

/// What to run, and how.
pub struct Options {
    /// Positions of the steps to run.
    pub selected: BTreeSet<usize>,
    /// Steps that run even when their results are in the store.
    pub force: Force,
    /// Threads for steps that run at the same time.
    pub jobs: usize,
    /// After a failure, run what does not depend on it.
    pub keep_going: bool,
}

/// Where a run happens and who hears of it.
pub struct World<'a> {
    /// The project folder.
    pub root: &'a Path,
    /// `cache/`.
    pub store: &'a Store,
    /// Folder for the logs of this run's steps.
    pub logs: &'a Path,
    /// Who is told what happens.
    pub listener: &'a dyn Listener,
    /// Set from outside to stop the run.
    pub stop: &'a AtomicBool,
}

/// Why a run could not go on.
#[derive(Debug, Error, Diagnostic)]
pub enum RunError {
    /// A step before the selected ones has no released output to take.
    #[error("`{reader}` needs `{step}.{port}`, which is not in the store")]
    #[diagnostic(code(recsys::run::not_released), help("run `{step}` first: `recsys run --until {step}`"))]
    NotReleased {
        /// The step that was asked for.
        reader: String,
        /// The step that makes its input.
        step: String,
        /// The output.
        port: String,
    },
    /// The disk refused.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Files(#[from] FilesError),
}

/// Runs the selected steps of a plan.
///
/// # Errors
/// When the run cannot go on at all; a failed step is told as an event and counted in the tally.
pub fn run(plan: &Plan, options: &Options, world: &World<'_>) -> Result<Tally, RunError> {
    let started = Instant::now();
    let stopped = || world.stop.load(Ordering::Relaxed);
    let Some(lock) = world.store.lock(|| world.listener.hear(&Event::RunWaited), stopped)? else {
        return Ok(Tally { stopped: true, skipped: options.selected.len(), ..Tally::default() });
    };
    world.store.clear_staging();
    let release = Release::open(world.root, &plan.name);
    let (sender, receiver) = channel();
    let states = plan.steps.iter().enumerate().map(|(position, _)| {
        if options.selected.contains(&position) { State::Waiting } else { State::Outside }
    });
    let mut run = Run {
        plan,
        options,
        world,
        release,
        lock: Some(lock),
        states: states.collect(),
        made: BTreeMap::new(),
        free: options.jobs.max(1),
        tally: Tally::default(),
        sender,
    };
    run.take_released()?;
    run.tell(Event::RunStarted {
        pipeline: plan.name.clone(),
        steps: options.selected.iter().map(|&position| plan.steps[position].name.clone()).collect(),
    });
    std::thread::scope(|scope| run.work(scope, &receiver))?;
    run.settle()?;
    run.tally.elapsed = started.elapsed();
    run.tell(Event::RunFinished { tally: run.tally });
    Ok(run.tally)
}

struct Run<'a> {
    plan: &'a Plan,
    options: &'a Options,
    world: &'a World<'a>,
    release: Release,
    /// Held until nothing but services is left to run.
    lock: Option<File>,
    states: Vec<State>,
    made: BTreeMap<(usize, String), Digest>,
    free: usize,
    tally: Tally,
    sender: Sender<(usize, Outcome)>,
}

enum State {
    /// Not selected; its released outputs are taken as they are.
    Outside,
    Waiting,
    Running {
        cancelled: Arc<AtomicBool>,
        deadline: Option<Instant>,
        attempt: u32,
        reason: Reason,
        threads: usize,
    },
    Done,
    Failed,
    Skipped,
}

impl<'a> Run<'a> {
    fn work<'scope>(
        &mut self,
        scope: &'scope Scope<'scope, 'a>,
        receiver: &Receiver<(usize, Outcome)>,
    ) -> Result<(), RunError>
    where
        'a: 'scope,
    {
        let mut broken: Option<RunError> = None;
        loop {
            if broken.is_none() {
                broken = self.start_ready(scope).err();
            }
            if broken.is_some() {
                self.cancel_running();
            }
            if !self.states.iter().any(|state| matches!(state, State::Running { .. })) {
                return broken.map_or(Ok(()), Err);
            }
            match receiver.recv_timeout(TICK) {
                Ok((position, outcome)) => {
                    let finished = self.finish(scope, position, outcome);
                    broken = broken.or(finished.err());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return broken.map_or(Ok(()), Err),
            }
            self.check_clock();
        }
    }

    /// Decides every step whose inputs are known, again and again until nothing more can start.
    fn start_ready<'scope>(&mut self, scope: &'scope Scope<'scope, 'a>) -> Result<(), RunError>
    where
        'a: 'scope,
    {
        for position in 0..self.plan.steps.len() {
            if !matches!(self.states[position], State::Waiting) {
                continue;
            }
            let step = &self.plan.steps[position];
            if self.stopping()
                || step
                    .dependencies
                    .iter()
                    .any(|&step| matches!(self.states[step], State::Failed | State::Skipped))
            {
                self.states[position] = State::Skipped;
                self.tally.skipped += 1;
                self.tell(Event::StepSkipped { step: step.name.clone() });
                continue;
            }
            let ready = step
                .dependencies
                .iter()
                .all(|&step| matches!(self.states[step], State::Done | State::Outside));
            // A service waits for everything else: it serves what the run has made.
            let last = !step.kind.service || self.everything_else_is_over(position);
            if !ready || !last {
                continue;
            }
            let made = |step: usize, port: &str| self.made.get(&(step, port.to_owned())).cloned();
            let inputs = input_digests(self.plan, position, self.world.store, self.world.root, made)?;
            let inputs = inputs.expect("every step before a ready one has made its outputs");
            match decide(
                self.plan,
                position,
                inputs,
                self.world.store,
                &self.release.manifest,
                &self.options.force,
            ) {
                Decision::Reuse(result, reason) => {
                    self.tell(Event::StepReused {
                        step: step.name.clone(),
                        reason,
                        summary: result.notes.summary.clone(),
                    });
                    self.keep(position, &result)?;
                    self.tally.reused += 1;
                }
                Decision::Run(fingerprint, reason) => {
                    let threads = step.threads.unwrap_or(1).min(self.options.jobs.max(1));
                    if threads <= self.free {
                        if step.kind.service {
                            // Others may run, and release, while this one serves.
                            self.settle()?;
                            self.lock = None;
                        }
                        self.free -= threads;
                        self.start(scope, position, fingerprint, reason, 1, threads);
                    }
                }
            }
        }
        Ok(())
    }

    fn start<'scope>(
        &mut self,
        scope: &'scope Scope<'scope, 'a>,
        position: usize,
        fingerprint: Fingerprint,
        reason: Reason,
        attempt: u32,
        threads: usize,
    ) where
        'a: 'scope,
    {
        let step = &self.plan.steps[position];
        self.tell(Event::StepStarted { step: step.name.clone(), reason: reason.clone(), attempt });
        let cancelled = Arc::new(AtomicBool::new(false));
        let task = Task {
            step,
            fingerprint,
            inputs: self.input_paths(step),
            root: self.world.root,
            store: self.world.store,
            log: self.world.logs.join(format!("{}.jsonl", step.name)),
            listener: self.world.listener,
            cancelled: Arc::clone(&cancelled),
        };
        let sender = self.sender.clone();
        scope.spawn(move || {
            // The loop always outlives its tasks, so somebody is there to receive.
            let _ = sender.send((position, task.run()));
        });
        let deadline = step.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.states[position] = State::Running { cancelled, deadline, attempt, reason, threads };
    }

    fn finish<'scope>(
        &mut self,
        scope: &'scope Scope<'scope, 'a>,
        position: usize,
        outcome: Outcome,
    ) -> Result<(), RunError>
    where
        'a: 'scope,
    {
        let step = &self.plan.steps[position];
        let State::Running { deadline, attempt, reason, threads, .. } =
            std::mem::replace(&mut self.states[position], State::Failed)
        else {
            return Ok(());
        };
        self.free += threads;
        match outcome {
            Outcome::Done(result) => {
                self.keep(position, &result)?;
                self.release.save()?;
                self.tally.finished += 1;
                for warning in &result.notes.warnings {
                    self.tell(Event::StepWarned { step: step.name.clone(), warning: warning.clone() });
                }
                self.tell(Event::StepFinished {
                    step: step.name.clone(),
                    elapsed: Duration::from_secs_f64(result.seconds),
                    outputs: self.released_outputs(position, &result),
                    summary: result.notes.summary.clone(),
                });
            }
            Outcome::Served => {
                self.states[position] = State::Done;
                self.tally.finished += 1;
            }
            Outcome::Failed { mut error, fingerprint } => {
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    let timeout = step.timeout.unwrap_or_default();
                    error = format!(
                        "stopped after its timeout of {timeout:?}\n  help: raise `timeout:`, or make the step do less"
                    );
                }
                let will_retry = attempt <= step.retries.times && !self.stopping();
                self.tell(Event::StepFailed { step: step.name.clone(), error, will_retry });
                if will_retry {
                    self.free -= threads;
                    self.start(scope, position, fingerprint, reason, attempt + 1, threads);
                } else {
                    self.tally.failed += 1;
                }
            }
        }
        Ok(())
    }

    /// Releases a result and makes its digests known to the steps after it.
    fn keep(&mut self, position: usize, result: &StepResult) -> Result<(), RunError> {
        let step = &self.plan.steps[position];
        let paths: BTreeMap<String, PathBuf> =
            step.outputs.iter().map(|output| (output.port.clone(), output.path.clone())).collect();
        let restored = self.release.place(self.world.store, &step.name, &paths, result)?;
        for (path, was) in restored {
            self.tell(Event::ArtifactRestored { step: step.name.clone(), path, was });
        }
        for (port, object) in &result.outputs {
            self.made.insert((position, port.clone()), object.digest.clone());
        }
        self.states[position] = State::Done;
        Ok(())
    }

    /// Takes what the selected steps need from steps outside of the selection, as it was released.
    fn take_released(&mut self) -> Result<(), RunError> {
        let mut wanted: BTreeMap<usize, &PlannedStep> = BTreeMap::new();
        for &position in &self.options.selected {
            let reader = &self.plan.steps[position];
            for input in &reader.inputs {
                let Source::Step { step, port } = &input.source else { continue };
                if !matches!(self.states[*step], State::Outside) {
                    continue;
                }
                let name = &self.plan.steps[*step].name;
                let released = self.release.manifest.steps.get(name);
                let object =
                    released.and_then(|released| released.outputs.get(port)).map(|file| &file.object);
                if !object.is_some_and(|object| self.world.store.holds(object)) {
                    return Err(RunError::NotReleased {
                        reader: reader.name.clone(),
                        step: name.clone(),
                        port: port.clone(),
                    });
                }
                wanted.insert(*step, &self.plan.steps[*step]);
            }
        }
        for (position, step) in wanted {
            let Some(released) = self.release.manifest.steps.get(&step.name).cloned() else { continue };
            let outputs = released.outputs.into_iter().map(|(port, file)| (port, file.object));
            let outputs = outputs.filter(|(_, object)| self.world.store.holds(object)).collect();
            let result = StepResult {
                fingerprint: released.fingerprint,
                outputs,
                notes: super::kind::Notes::default(),
                seconds: 0.0,
            };
            self.keep(position, &result)?;
            self.states[position] = State::Outside;
            self.tell(Event::StepReused {
                step: step.name.clone(),
                reason: Reused::AsReleased,
                summary: None,
            });
        }
        Ok(())
    }

    /// Writes down what is released and what is known of files.
    fn settle(&mut self) -> Result<(), RunError> {
        let plan = self.plan;
        self.release.retain(|name| plan.steps.iter().any(|step| step.name == name));
        self.release.save()?;
        self.world.store.digests().save()?;
        Ok(())
    }

    fn input_paths(&self, step: &PlannedStep) -> BTreeMap<String, Vec<(String, PathBuf)>> {
        let mut paths: BTreeMap<String, Vec<(String, PathBuf)>> = BTreeMap::new();
        for input in &step.inputs {
            let path = match &input.source {
                Source::File(path) => self.world.root.join(path),
                Source::Step { step, port } => {
                    let output = self.plan.steps[*step].outputs.iter().find(|output| output.port == *port);
                    self.world.root.join(&output.expect("the plan has checked every edge").path)
                }
            };
            paths.entry(input.port.clone()).or_default().push((input.name.clone().unwrap_or_default(), path));
        }
        paths
    }

    fn released_outputs(&self, position: usize, result: &StepResult) -> Vec<(PathBuf, u64)> {
        let outputs = self.plan.steps[position].outputs.iter();
        outputs
            .map(|output| {
                (output.path.clone(), result.outputs.get(&output.port).map_or(0, |object| object.size))
            })
            .collect()
    }

    fn everything_else_is_over(&self, position: usize) -> bool {
        self.states.iter().enumerate().all(|(other, state)| {
            other == position
                || self.plan.steps[other].kind.service
                || !matches!(state, State::Waiting | State::Running { .. })
        })
    }

    fn stopping(&mut self) -> bool {
        let stopped = self.world.stop.load(Ordering::Relaxed);
        self.tally.stopped |= stopped;
        stopped || (!self.options.keep_going && self.tally.failed > 0)
    }

    fn check_clock(&mut self) {
        if self.stopping() {
            self.cancel_running();
        }
        for state in &self.states {
            if let State::Running { cancelled, deadline: Some(deadline), .. } = state
                && Instant::now() >= *deadline
            {
                cancelled.store(true, Ordering::Relaxed);
            }
        }
    }

    fn cancel_running(&self) {
        for state in &self.states {
            if let State::Running { cancelled, .. } = state {
                cancelled.store(true, Ordering::Relaxed);
            }
        }
    }

    fn tell(&self, event: Event) {
        self.world.listener.hear(&event);
    }
}
