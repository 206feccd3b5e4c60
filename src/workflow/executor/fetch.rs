//! Before a step runs: its result may be in a remote cache.

use std::sync::atomic::{AtomicU64, Ordering};

use super::task::{Task, describe};
use crate::workflow::event::Event;
use crate::workflow::kind::Progress;
use crate::workflow::remote::{FetchError, ReadThrough};
use crate::workflow::store::{KeyLock, StepResult};

impl Task<'_> {
    /// The result of the step, taken into the store; nothing when the step has to run.
    pub fn fetch(&self) -> Option<StepResult> {
        let remote = self.remote.filter(|_| self.attempt == 1 && self.reason.may_be_fetched())?;
        let fetched = self.fetch_from(remote, self.held.as_ref()?);
        fetched.unwrap_or_else(|error| {
            // A run that is being stopped has nothing to warn of.
            if !self.cancelled.load(Ordering::Relaxed) {
                let (step, warning) = (self.step.name.clone(), describe(&error));
                self.listener.hear(&Event::StepWarned { step, warning });
            }
            None
        })
    }

    fn fetch_from(&self, remote: &ReadThrough, held: &KeyLock) -> Result<Option<StepResult>, FetchError> {
        let Some(result) = remote.record(&self.fingerprint.key())? else { return Ok(None) };
        let lacking = result.outputs.values().filter(|object| !self.store.holds(object));
        let bytes: u64 = lacking.map(|object| object.size).sum();
        let step = || self.step.name.clone();
        let from = remote.address().to_owned();
        self.listener.hear(&Event::StepFetchBegan { step: step(), from, bytes });
        let done = AtomicU64::new(0);
        let moved = |more| {
            let done = done.fetch_add(more, Ordering::Relaxed) + more;
            let progress = Progress {
                done,
                total: Some(bytes),
                unit: "bytes".into(),
                note: String::new(),
                measures: Vec::new(),
            };
            self.listener.hear(&Event::StepProgressed { step: step(), progress });
        };
        let folder = self.staging.folder()?;
        remote.take(&result, self.store, held, folder.path(), &moved)?;
        Ok(Some(result))
    }
}
