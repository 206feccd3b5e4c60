//! Keeping what steps make: results go to their places, digests to the steps after them, records to
//! the disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::schedule::State;
use super::{Run, RunError};
use crate::workflow::digests::TICK;
use crate::workflow::event::{Event, Reused};
use crate::workflow::files::write_quickly;
use crate::workflow::plan::PlannedOutput;
use crate::workflow::release::{Released, ReleasedFile};
use crate::workflow::store::{Staging, StepResult};
use crate::workflow::witness::{Purpose, Scene, confirm, take};

/// Saving takes no more than this part of the time.
const SHARE: u32 = 20;
/// What is finished is safe from a power cut after this time, when saving is quick.
const BETWEEN_SAVES: Duration = Duration::from_secs(1);

/// When to save: a kill loses nothing that was committed, a power cut no more than the last seconds.
pub struct Saver {
    next: Instant,
}

impl Saver {
    /// Saves for the first time after a while.
    pub fn new() -> Self {
        Self { next: Instant::now() + BETWEEN_SAVES }
    }

    fn is_due(&self) -> bool {
        Instant::now() >= self.next
    }

    fn saved(&mut self, began: Instant) {
        self.next = Instant::now() + BETWEEN_SAVES.max(began.elapsed() * SHARE);
    }
}

impl Run<'_> {
    /// What has to be there before anything is written: a staging folder, the claims, a word for those
    /// who wait.
    pub fn begin(&mut self) -> Result<Arc<Staging>, RunError> {
        if let Some(staging) = &self.staging {
            return Ok(Arc::clone(staging));
        }
        let staging = Arc::new(self.world.store.stage()?);
        self.staging = Some(Arc::clone(&staging));
        if let Some(lock) = self.locks.first() {
            // Without the word another run waits all the same.
            let _ = lock.sign(self.world.run);
        }
        Ok(staging)
    }

    /// A step whose released outputs are in their places.
    pub fn reuse_unchanged(&mut self, position: usize) {
        let step = &self.plan.steps[position];
        let ran = |&&dependency: &&usize| matches!(self.states[dependency], State::Ran);
        let after: Vec<String> =
            step.dependencies.iter().filter(ran).map(|&step| self.plan.steps[step].name.clone()).collect();
        let reason = if after.is_empty() { Reused::Unchanged } else { Reused::CutOff { after } };
        self.reused(position, reason);
    }

    /// A step before the selected ones.
    pub fn reuse_released(&mut self, position: usize) {
        self.tell_reused(position, Reused::AsReleased);
    }

    fn reused(&mut self, position: usize, reason: Reused) {
        self.tell_reused(position, reason);
        self.tally.reused += 1;
        self.done(position, State::Reused);
    }

    fn tell_reused(&mut self, position: usize, reason: Reused) {
        let step = &self.plan.steps[position];
        let Some(released) = self.release.state.steps.get(&step.name) else { return };
        self.made[position] = Some(released.objects());
        self.tell(Event::StepReused {
            step: step.name.clone(),
            summary: released.summary.clone().filter(|_| reason != Reused::AsReleased),
            reason,
            key: released.key.whole,
            metrics: released.metrics.clone(),
        });
    }

    /// A step whose result is in the store.
    pub fn restore(&mut self, position: usize, result: StepResult, reason: Reused) {
        self.world.store.used(&result.fingerprint.key());
        if self.keep(position, result) {
            self.reused(position, reason);
        }
    }

    /// Releases a result and makes its digests known to the steps after it; whether that went well.
    pub fn keep(&mut self, position: usize, result: StepResult) -> bool {
        let placed = self.place(position, result).and_then(|()| self.save_now_and_then());
        if let Err(error) = &placed {
            self.broken(position, error);
        }
        placed.is_ok()
    }

    fn place(&mut self, position: usize, result: StepResult) -> Result<(), RunError> {
        let staging = self.begin()?;
        let step = &self.plan.steps[position];
        let outputs = result.outputs.clone();
        let released = Released::new(step, result);
        let restored = self.release.place(self.world.store, &staging, step, released)?;
        for (path, was) in restored {
            self.tell(Event::ArtifactRestored { step: step.name.clone(), path, was });
        }
        self.made[position] = Some(outputs);
        Ok(())
    }

    fn save_now_and_then(&mut self) -> Result<(), RunError> {
        if self.saver.is_due() {
            let began = Instant::now();
            self.world.store.sync()?;
            self.release.save()?;
            self.saver.saved(began);
        }
        Ok(())
    }

    /// Writes down what is released and what is known of files.
    pub fn settle(&mut self) -> Result<(), RunError> {
        self.release.keep_to(self.plan);
        self.world.store.sync()?;
        self.release.save()?;
        self.release.publish(self.world.store)?;
        Ok(())
    }

    /// Leaves a witness for the next run when nothing is left to do. Nothing was written by a run that
    /// had nothing to do, and so it stays while there is a witness that holds.
    pub fn leave_witness(&self) {
        let Some(place) = &self.options.witness else { return };
        let (store, root, tally) = (self.world.store, self.world.root, &self.tally);
        if tally.is_stopped() || tally.finished + tally.reused < self.options.selected.len() {
            return;
        }
        if self.staging.is_some() {
            // A file that was just written is no witness yet.
            std::thread::sleep(TICK + TICK / 4);
        } else if confirm(store, &place.path, root, Purpose::Forecast).is_some() {
            return;
        }
        let scene =
            Scene { plan: self.plan, selected: &self.options.selected, release: &self.release, store, root };
        // Without a witness the next run looks at everything.
        if let Some(witness) = take(place, &scene)
            && let Err(error) = write_quickly(&place.path, &witness)
        {
            tracing::debug!("no witness is left: {error}");
        }
    }

    /// Whether the store has the bytes of a released file, after taking them back from the release
    /// where the store has lost them.
    pub fn heal(&self, file: &ReleasedFile) -> bool {
        let store = self.world.store;
        if store.holds(&file.object) {
            return true;
        }
        let path = self.world.root.join(&file.path);
        store.digests().of_plain_file(&path) == Some(file.object.digest)
            && store.adopt(&path, &file.object).is_ok()
    }

    /// The file behind an output of a step that is done: the released one, as long as it is in its place
    /// (no other run writes there, and the reader's end is checked), else the store's own and the name that
    /// it has to be shown under.
    pub fn input_of_step(&self, writer: usize, output: &PlannedOutput) -> (PathBuf, Option<String>) {
        let step = &self.plan.steps[writer];
        let object = self.made[writer].as_ref().and_then(|made| made.get(&output.port));
        let object = object.expect("a step starts when every step before it has made its outputs");
        let path = self.world.root.join(&output.path);
        if self.world.store.digests().of_plain_file(&path) == Some(object.digest) {
            return (path, None);
        }
        let released =
            self.release.state.steps.get(&step.name).and_then(|step| step.outputs.get(&output.port));
        if let Some(file) = released.filter(|file| file.object == *object) {
            self.heal(file);
        }
        let name = output.path.file_name().map(|name| name.to_string_lossy().into_owned());
        (self.world.store.object_path(object.digest), name)
    }
}
