//! The order of things: what is ready is decided, what has to run waits for its turn, what ended
//! frees those who waited for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::Scope;
use std::time::{Duration, Instant};

use miette::Diagnostic;

use super::task::{Outcome, describe};
use super::{Run, RunError};
use crate::workflow::decide::{Decision, Inputs};
use crate::workflow::event::{Event, Reason};
use crate::workflow::fingerprint::RunKey;
use crate::workflow::resources::Need;

/// How often the loop looks at deadlines and at whether the run is being stopped.
const TICK: Duration = Duration::from_millis(50);

/// Where a selected step is.
pub enum State {
    Waiting,
    Running {
        job: Job,
        cancelled: Arc<AtomicBool>,
        deadline: Option<Instant>,
        need: Need,
    },
    /// It ran and ended well.
    Ran,
    /// It did not have to run.
    Reused,
    Failed,
    Skipped,
}

/// A step that has to run.
#[derive(Clone)]
pub struct Job {
    pub key: RunKey,
    pub inputs: Inputs,
    pub reason: Reason,
    /// 1 for the first try.
    pub attempt: u32,
    /// Whether it waited for another run that makes the same.
    pub waited: bool,
}

impl<'a> Run<'a> {
    /// Everything, from the first decision to the last step.
    pub fn work<'scope>(
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
                broken = self.advance(scope).err();
            }
            if broken.is_some() {
                self.cancel_running();
            }
            let idle = self.running.is_empty();
            let nothing_left = self.queue.is_empty()
                && self.delayed.is_empty()
                && (self.ready.is_empty() || self.stopping());
            if idle && (broken.is_some() || nothing_left) {
                self.skip_the_rest();
                return broken.map_or(Ok(()), Err);
            }
            if idle && !self.ready.is_empty() {
                continue;
            }
            let next = self.delayed.iter().map(|(time, ..)| time.saturating_duration_since(Instant::now()));
            match receiver.recv_timeout(next.min().map_or(TICK, |next| next.min(TICK))) {
                Ok((position, outcome)) => self.end(position, outcome),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            self.check_clock();
        }
    }

    /// Decides what is ready and starts what has its turn.
    fn advance<'scope>(&mut self, scope: &'scope Scope<'scope, 'a>) -> Result<(), RunError>
    where
        'a: 'scope,
    {
        if self.stopping() {
            self.queue.clear();
            self.delayed.clear();
            return Ok(());
        }
        while let Some(position) = self.ready.pop_first() {
            self.decide(position);
            if self.stopping() {
                self.queue.clear();
                return Ok(());
            }
        }
        let now = Instant::now();
        for (_, position, job) in self.delayed.extract_if(.., |(time, ..)| *time <= now) {
            self.queue.insert(position, job);
        }
        let over = self.running.is_empty() && self.queue.is_empty() && self.delayed.is_empty();
        if over && !self.services.is_empty() && self.tally.failed == 0 {
            self.let_services_start()?;
        }
        let waiting: Vec<usize> = self.queue.keys().copied().collect();
        for position in waiting {
            if self.tokens.exhausted() {
                break;
            }
            let need = self.tokens.need(&self.plan.steps[position]);
            if self.tokens.take(need)
                && let Some(job) = self.queue.remove(&position)
                && let Err(error) = self.start(scope, position, job, need)
            {
                self.tokens.give(need);
                self.broken(position, &error);
            }
        }
        Ok(())
    }

    fn decide(&mut self, position: usize) {
        let step = &self.plan.steps[position];
        if step.kind.service {
            self.services.insert(position);
            return;
        }
        let inputs = match self.ground().inputs(position, &self.made) {
            Ok(inputs) => inputs.expect("every step before a ready one has made its outputs"),
            // It was stopped while it looked at them.
            Err(_) if self.world.stop.load(Ordering::Relaxed) => return,
            Err(error) => {
                self.broken(position, &error);
                return;
            }
        };
        match self.ground().decide(position, &inputs, &self.release) {
            Decision::Unchanged => self.reuse_unchanged(position),
            Decision::Restore(result, reason) => self.restore(position, *result, reason),
            Decision::Run(key, reason) => {
                self.queue.insert(position, Job { key, inputs, reason, attempt: 1, waited: false });
            }
        }
    }

    /// A step that fails outside of its own code.
    pub fn broken(&mut self, position: usize, error: &dyn Diagnostic) {
        let step = self.plan.steps[position].name.clone();
        self.tell(Event::StepFailed { step, error: describe(error), will_retry: false });
        self.tally.failed += 1;
        self.fail(position);
    }

    /// Others may run, and release, while services serve.
    fn let_services_start(&mut self) -> Result<(), RunError> {
        self.settle()?;
        self.locks.clear();
        for position in std::mem::take(&mut self.services) {
            let inputs = self.ground().inputs(position, &self.made)?.unwrap_or_default();
            let labels = inputs.iter().map(|(label, digest)| (label.as_str(), *digest));
            let key = RunKey::new(self.plan.steps[position].definition, labels);
            let job = Job { key, inputs, reason: Reason::Service, attempt: 1, waited: false };
            self.queue.insert(position, job);
        }
        Ok(())
    }

    /// Frees those who waited for a step.
    pub fn done(&mut self, position: usize, state: State) {
        self.states[position] = state;
        for reader in std::mem::take(&mut self.readers[position]) {
            self.missing[reader] -= 1;
            if self.missing[reader] == 0 && matches!(self.states[reader], State::Waiting) {
                self.ready.insert(reader);
            }
        }
    }

    /// Skips everything that depends on a failed step.
    pub fn fail(&mut self, position: usize) {
        self.states[position] = State::Failed;
        let mut next = std::mem::take(&mut self.readers[position]);
        while let Some(position) = next.pop() {
            if matches!(self.states[position], State::Waiting) {
                self.skip(position);
                next.append(&mut self.readers[position]);
            }
        }
    }

    fn skip(&mut self, position: usize) {
        self.states[position] = State::Skipped;
        self.tally.skipped += 1;
        self.tell(Event::StepSkipped { step: self.plan.steps[position].name.clone() });
    }

    fn skip_the_rest(&mut self) {
        for &position in &self.options.selected {
            if matches!(self.states[position], State::Waiting) {
                self.skip(position);
            }
        }
    }

    fn check_clock(&mut self) {
        self.stopping();
        if self.tally.stopped {
            self.cancel_running();
        }
        for &position in &self.running {
            if let State::Running { cancelled, deadline: Some(deadline), .. } = &self.states[position]
                && Instant::now() >= *deadline
            {
                cancelled.store(true, Ordering::Relaxed);
            }
        }
    }

    fn cancel_running(&self) {
        for &position in &self.running {
            if let State::Running { cancelled, .. } = &self.states[position] {
                cancelled.store(true, Ordering::Relaxed);
            }
        }
    }
}
