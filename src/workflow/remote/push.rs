//! Sending results with their objects to a remote cache: only what is not there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::{Moved, RemoteError, RemoteStore, object, result};
use crate::workflow::digest::Digest;
use crate::workflow::store::{Object, StepResult, Store};

/// A result that was sent so long ago is sent again: by its time it is known to be in use.
const REFRESHED: Duration = Duration::from_secs(24 * 3600);
/// Files that are sent at the same time.
const AT_ONCE: usize = 4;

/// What was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pushed {
    /// Results that were not there.
    pub results: usize,
    /// Objects that were not there.
    pub objects: usize,
    /// Bytes of these objects.
    pub bytes: u64,
    /// Results that were there.
    pub known: usize,
    /// Results that cannot be sent, because the store has lost bytes of theirs.
    pub incomplete: usize,
}

/// Sends results, their objects first.
///
/// # Errors
/// When the far end cannot be reached or refuses; what was sent until then stays of use.
pub fn push(
    remote: &dyn RemoteStore,
    store: &Store,
    found: &[StepResult],
    moved: Moved<'_>,
) -> Result<Pushed, RemoteError> {
    let is_whole = |result: &&StepResult| result.outputs.values().all(|object| store.holds(object));
    let (whole, incomplete): (Vec<_>, Vec<_>) = found.iter().partition(is_whole);
    let objects: BTreeMap<Digest, &Object> = whole
        .iter()
        .flat_map(|result| result.outputs.values())
        .map(|object| (object.digest, object))
        .collect();
    let objects: Vec<&Object> = objects.into_values().collect();
    let pushed = Mutex::new(Pushed { incomplete: incomplete.len(), ..Pushed::default() });
    let count = |add: &dyn Fn(&mut Pushed)| add(&mut pushed.lock().unwrap_or_else(PoisonError::into_inner));
    at_once(&objects, |wanted| {
        let name = object(wanted.digest);
        if remote.find(&name)?.is_some_and(|there| there.size == wanted.size) {
            return Ok(());
        }
        remote.upload(&name, &store.object_path(wanted.digest), moved)?;
        count(&|pushed| {
            pushed.objects += 1;
            pushed.bytes += wanted.size;
        });
        Ok(())
    })?;
    let now = SystemTime::now();
    at_once(&whole, |sent| {
        let name = result(&sent.fingerprint.key());
        let there = remote.find(&name)?;
        let is_young = |time: SystemTime| now.duration_since(time).map_or(true, |age| age < REFRESHED);
        if !there.is_some_and(|there| is_young(there.modified)) {
            let record = sent
                .sealed()
                .map_err(|error| -> RemoteError { std::io::Error::from(error).to_string().into() })?;
            remote.write(&name, &record)?;
        }
        count(&|pushed| match there {
            Some(_) => pushed.known += 1,
            None => pushed.results += 1,
        });
        Ok(())
    })?;
    Ok(pushed.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Does something for each item, several at once; after a failure no further one begins.
pub(super) fn at_once<'a, T: Sync>(
    items: &'a [T],
    act: impl Fn(&'a T) -> Result<(), RemoteError> + Sync,
) -> Result<(), RemoteError> {
    let next = AtomicUsize::new(0);
    let failure = Mutex::new(None);
    let work = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = act(item) {
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                next.store(items.len(), Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| (0..AT_ONCE.min(items.len())).for_each(|_| _ = scope.spawn(work)));
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

impl Store {
    /// The results of what is released, of every pipeline.
    pub fn released_results(&self) -> Vec<StepResult> {
        let survey = self.survey();
        let released = survey.releases.values().flat_map(|state| state.steps.values());
        let wanted: BTreeSet<Digest> = released.map(|released| released.key.whole).collect();
        let results = survey.results.into_iter().map(|found| found.result);
        results.filter(|result| wanted.contains(&result.fingerprint.key().whole)).collect()
    }
}
