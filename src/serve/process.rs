//! What the whole process has beside its release and its events: counters, and other services to ask.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::metrics::{Metrics, Page};
use super::peers::sources::Sources;
use super::service::Service;

/// Counters of the process, and the services that it asks.
#[derive(Debug)]
pub struct Process {
    /// What the fronts count.
    pub metrics: Arc<Metrics>,
    /// Where answers come from.
    pub sources: Sources,
    filled: AtomicU64,
}

impl Process {
    /// The process of a service; `metrics` are those of its fronts.
    pub fn new(service: &Service, metrics: Arc<Metrics>) -> Self {
        Self { metrics, sources: Sources::new(service), filled: AtomicU64::new(0) }
    }

    /// Counts an answer to a user that popular tracks had to fill up.
    pub fn filled(&self) {
        self.filled.fetch_add(1, Relaxed);
    }

    /// Writes the metrics that no one else writes.
    pub fn write(&self, page: &mut Page) {
        let help = "Answers to users with something to go by that popular tracks had to fill up.";
        page.one("recsys_filled_answers_total", "counter", help, self.filled.load(Relaxed));
    }
}
