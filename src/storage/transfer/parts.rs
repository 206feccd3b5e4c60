//! Work on numbered parts by several threads, told of by the thread that waits for them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::Duration;

use super::meter::{Counter, Meter, Tell};
use crate::storage::Stop;
use crate::storage::error::Failure;

/// How often it is told how far it is.
const BETWEEN_TELLINGS: Duration = Duration::from_millis(200);

/// Parts that wait, and what became of the work.
pub struct Work {
    waiting: Mutex<VecDeque<usize>>,
    failed: Mutex<Option<Failure>>,
    over: AtomicBool,
}

impl Work {
    /// These parts, in this order.
    pub fn new(parts: impl IntoIterator<Item = usize>) -> Self {
        Self {
            waiting: Mutex::new(parts.into_iter().collect()),
            failed: Mutex::default(),
            over: AtomicBool::new(false),
        }
    }

    /// Whether a part has failed.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Notes the first failure; the others follow from it.
    pub fn fail(&self, failure: Failure) {
        lock(&self.failed).get_or_insert(failure);
        self.over.store(true, Ordering::Relaxed);
    }

    fn take(&self) -> Option<usize> {
        if self.is_over() { None } else { lock(&self.waiting).pop_front() }
    }

    fn result(self) -> Result<(), Failure> {
        let failed = self.failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.map_or(Ok(()), Err)
    }
}

/// What is counted while parts are worked on, and who hears of it.
pub struct Told<'a> {
    /// Bytes so far.
    pub counter: &'a Counter,
    /// Bytes of everything.
    pub total: Option<u64>,
    /// Hears how far it is.
    pub tell: Tell<'a>,
}

/// What is done beside the parts, on a thread of its own.
pub type Beside<'a> = &'a (dyn Fn(Stop<'_>) -> Result<(), Failure> + Sync);

/// Calls `part` for every part in `work`, from so many threads, and `beside` from one more.
///
/// # Errors
/// The first failure; what was under way then is given up.
pub fn each(
    work: Work,
    threads: usize,
    told: &Told<'_>,
    part: &(dyn Fn(usize, Stop<'_>) -> Result<(), Failure> + Sync),
    beside: Option<Beside<'_>>,
    stop: Stop<'_>,
) -> Result<(), Failure> {
    let enough = || stop() || work.is_over();
    let mut meter = Meter::new(told.counter.total());
    std::thread::scope(|scope| {
        let count = threads.min(lock(&work.waiting).len());
        let mut running = Vec::with_capacity(count + 1);
        for _ in 0..count {
            running.push(spawn(scope, || {
                while let Some(number) = work.take() {
                    if let Err(failure) = part(number, &enough) {
                        work.fail(failure);
                    }
                }
            }));
        }
        if let Some(beside) = beside {
            running.push(spawn(scope, || {
                if let Err(failure) = beside(&enough) {
                    work.fail(failure);
                }
            }));
        }
        while running.iter().any(|thread| !thread.is_finished()) {
            std::thread::park_timeout(BETWEEN_TELLINGS);
            (told.tell)(meter.read(told.counter.total(), told.total));
        }
    });
    (told.tell)(meter.read(told.counter.total(), told.total));
    work.result()
}

/// A thread that wakes the one that waits when it is over.
fn spawn<'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() + Send + 'scope,
) -> std::thread::ScopedJoinHandle<'scope, ()> {
    let waiting = std::thread::current();
    scope.spawn(move || {
        work();
        waiting.unpark();
    })
}

/// A lock whose holder cannot have left it half-way.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::error::Kind;

    fn run(
        work: Work,
        part: &(dyn Fn(usize, Stop<'_>) -> Result<(), Failure> + Sync),
    ) -> Result<(), Failure> {
        let told = Told { counter: &Counter::default(), total: None, tell: &|_| () };
        each(work, 3, &told, part, None, &|| false)
    }

    #[test]
    fn every_part_has_its_turn_and_a_failure_ends_the_rest() {
        let seen = Mutex::new(Vec::new());
        run(Work::new(0..20), &|number, _| {
            lock(&seen).push(number);
            Ok(())
        })
        .unwrap();
        let mut seen = seen.into_inner().unwrap();
        seen.sort_unstable();
        assert_eq!(seen, (0..20).collect::<Vec<_>>());
        let ended = run(Work::new(0..1_000_000), &|number, stop| match number {
            0 => Err(Failure::new(Kind::Denied, "no")),
            _ if stop() => Err(Failure::stopped()),
            _ => Ok(()),
        });
        assert_eq!(ended.unwrap_err().kind, Kind::Denied);
    }
}
