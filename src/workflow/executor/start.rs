//! How a step begins and how it ends.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::Scope;
use std::time::{Duration, Instant};

use super::schedule::{Job, State};
use super::task::{Outcome, Task, TaskInput};
use super::{Run, RunError};
use crate::workflow::event::{Event, Reused};
use crate::workflow::fingerprint::{Fingerprint, RunKey};
use crate::workflow::kind::Notes;
use crate::workflow::lineage::Ancestor;
use crate::workflow::plan::{PlannedStep, Source};
use crate::workflow::resources::Need;
use crate::workflow::store::{Lookup, StepResult};

/// How often a step looks whether another run has made what it wants.
const KEY_POLL: Duration = Duration::from_millis(100);

impl<'a> Run<'a> {
    /// Starts a step for which threads and memory have been taken.
    pub fn start<'scope>(
        &mut self,
        scope: &'scope Scope<'scope, 'a>,
        position: usize,
        mut job: Job,
        need: Need,
    ) -> Result<(), RunError>
    where
        'a: 'scope,
    {
        let step = &self.plan.steps[position];
        // A file may have changed while the step waited for its turn.
        let present = self.ground().inputs(position, &self.made)?;
        if let Some(present) = present.filter(|present| *present != job.inputs) {
            let labels = present.iter().map(|(label, digest)| (label.as_str(), *digest));
            job.key = RunKey::new(step.definition, labels);
            job.inputs = present;
        }
        // A service makes nothing that could be made twice.
        let held = match step.kind.service {
            true => None,
            false => self.world.store.lock_key(&job.key)?,
        };
        if held.is_none() && !step.kind.service {
            self.tokens.give(need);
            if !job.waited {
                self.tell(Event::StepWaited { step: step.name.clone() });
                job.waited = true;
            }
            self.delayed.push((Instant::now() + KEY_POLL, position, job));
            return Ok(());
        }
        // Somebody may have made it meanwhile.
        if job.reason.may_be_fetched()
            && let Lookup::Hit(result) = self.world.store.lookup(&job.key)
        {
            self.tokens.give(need);
            drop(held);
            self.restore(position, *result, Reused::Restored { changes: Vec::new() });
            return Ok(());
        }
        let staging = self.begin()?;
        let inputs = self.task_inputs(step);
        let lineage = if step.kind.lineage { self.lineage(position) } else { Vec::new() };
        let cancelled = Arc::new(AtomicBool::new(false));
        let task = Task {
            step,
            fingerprint: Fingerprint {
                definition: self.plan.definition(position),
                inputs: job.inputs.clone(),
            },
            inputs,
            lineage,
            reason: job.reason.clone(),
            attempt: job.attempt,
            remote: self.world.remote,
            root: self.world.root,
            store: self.world.store,
            log: self.world.logs.join(format!("{}.jsonl", step.name)),
            listener: self.world.listener,
            cancelled: Arc::clone(&cancelled),
            staging,
            held,
        };
        let sender = self.sender.clone();
        scope.spawn(move || {
            // The loop always outlives its tasks, so somebody is there to receive.
            let _ = sender.send((position, task.run()));
        });
        let deadline = step.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        self.states[position] = State::Running { job, cancelled, deadline, need };
        self.running.insert(position);
        Ok(())
    }

    /// Takes the end of a try.
    pub fn end(&mut self, position: usize, outcome: Outcome) {
        let step = &self.plan.steps[position];
        let state = std::mem::replace(&mut self.states[position], State::Waiting);
        let State::Running { mut job, deadline, need, .. } = state else { return };
        self.tokens.give(need);
        self.running.remove(&position);
        let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        match outcome {
            Outcome::Done(result) => self.finish(position, *result),
            Outcome::Fetched(result) => {
                let from = self.world.remote.map_or("", |remote| remote.address()).to_owned();
                self.restore(position, *result, Reused::Fetched { from });
            }
            Outcome::Served => {
                self.tally.finished += 1;
                self.done(position, State::Ran);
            }
            Outcome::Cancelled if !late => {
                self.tally.skipped += 1;
                self.states[position] = State::Skipped;
                self.tell(Event::StepStopped { step: step.name.clone() });
            }
            outcome => {
                let error = match outcome {
                    Outcome::Failed { error } if !late => error,
                    _ => format!(
                        "stopped after its timeout of {:?}\n  help: raise `timeout:`, or make the step do less",
                        step.timeout.unwrap_or_default()
                    ),
                };
                let wait = step.retries.wait_before(job.attempt).filter(|_| !self.stopping());
                let will_retry = wait.is_some();
                self.tell(Event::StepFailed { step: step.name.clone(), error, will_retry });
                if let Some(wait) = wait {
                    job.attempt += 1;
                    self.delayed.push((Instant::now() + wait, position, job));
                } else {
                    self.tally.failed += 1;
                    self.fail(position);
                }
            }
        }
    }

    /// Releases what a step has made.
    fn finish(&mut self, position: usize, result: StepResult) {
        let step = &self.plan.steps[position];
        let elapsed = Duration::from_secs_f64(result.seconds);
        let key = result.fingerprint.key().whole;
        let Notes { metrics, summary, warnings, usage, .. } = result.notes.clone();
        if !self.keep(position, result) {
            return;
        }
        self.tally.finished += 1;
        for warning in warnings {
            self.tell(Event::StepWarned { step: step.name.clone(), warning });
        }
        let outputs = self.made[position].as_ref();
        let size = |port: &String| outputs.and_then(|made| made.get(port)).map_or(0, |object| object.size);
        self.tell(Event::StepFinished {
            step: step.name.clone(),
            key,
            elapsed,
            usage,
            outputs: step.outputs.iter().map(|output| (output.path.clone(), size(&output.port))).collect(),
            metrics,
            summary,
        });
        self.done(position, State::Ran);
    }

    /// The steps before one, with what is recorded of what they released.
    fn lineage(&self, position: usize) -> Vec<Ancestor> {
        self.plan.lineage(position, |before| {
            let released = self.release.state.steps.get(&self.plan.steps[before].name)?;
            self.world.store.recorded(&released.key)
        })
    }

    /// The files behind the inputs.
    fn task_inputs(&self, step: &PlannedStep) -> Vec<TaskInput> {
        let inputs = step.inputs.iter().map(|input| {
            let (path, shown) = match &input.source {
                Source::File(path) => (self.world.root.join(path), None),
                Source::Step { step: writer, port } => {
                    let output = self.plan.steps[*writer].outputs.iter().find(|output| output.port == *port);
                    let output = output.expect("the plan has checked every edge");
                    self.input_of_step(*writer, output)
                }
            };
            TaskInput {
                label: input.label(),
                port: input.port.clone(),
                name: input.name.clone().unwrap_or_default(),
                path,
                shown,
            }
        });
        inputs.collect()
    }
}
