//! What every handler shares: the release, the events, the settings, the counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::blend::Case;
use super::events::Events;
use super::impressions::Impressions;
use super::library::Library;
use super::metrics::Metrics;
use super::process::Process;
use super::service::Service;
use super::variants::{Assigned, Variants};

/// The state of a running service; cheap to clone.
#[derive(Debug, Clone)]
pub struct State(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    service: Service,
    library: ArcSwap<Library>,
    events: Events,
    process: Process,
    impressions: Impressions,
    variants: Variants,
    given: [AtomicU64; Case::ALL.len()],
    taken_up: AtomicU64,
    refused: AtomicU64,
}

impl State {
    /// A service ready to answer.
    pub fn new(
        service: Service,
        library: Library,
        events: impl Into<Events>,
        impressions: Impressions,
    ) -> Self {
        Self::counted(service, library, events, impressions, Arc::default())
    }

    /// The same, with the counters of the fronts that it stands behind.
    pub fn counted(
        service: Service,
        library: Library,
        events: impl Into<Events>,
        impressions: Impressions,
        metrics: Arc<Metrics>,
    ) -> Self {
        let (events, process) = (events.into(), Process::new(&service, metrics));
        let library = ArcSwap::from_pointee(library.blocking(&service.blocked_tracks));
        let variants = Variants::new(&service);
        Self(Arc::new(Shared {
            service,
            library,
            events,
            process,
            impressions,
            variants,
            given: Default::default(),
            taken_up: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }))
    }

    /// The settings.
    pub fn service(&self) -> &Service {
        &self.0.service
    }

    /// The release at this moment: a request takes it once and answers from it to the end, whatever
    /// is published meanwhile.
    pub fn library(&self) -> Arc<Library> {
        self.0.library.load_full()
    }

    /// Answers further requests from another release; the old one goes with the last request on it.
    pub fn publish(&self, library: Library) {
        self.0.library.store(Arc::new(library.blocking(&self.0.service.blocked_tracks)));
        self.0.taken_up.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a release that is not served, because it is broken.
    pub fn refuse(&self) {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// How many releases were taken up since the start, and how many were refused.
    pub fn releases(&self) -> (u64, u64) {
        (self.0.taken_up.load(Ordering::Relaxed), self.0.refused.load(Ordering::Relaxed))
    }

    /// The events.
    pub fn events(&self) -> &Events {
        &self.0.events
    }

    /// Counters of the process, and the services that it asks.
    pub fn process(&self) -> &Process {
        &self.0.process
    }

    /// Ids of answers, and what they showed.
    pub fn impressions(&self) -> &Impressions {
        &self.0.impressions
    }

    /// What the answers of a user are made with.
    pub fn variant(&self, user_id: i64) -> Assigned<'_> {
        self.0.variants.of(user_id)
    }

    /// The longest list that may be asked for.
    pub fn max_k(&self) -> usize {
        self.0.service.max_k.get()
    }

    /// Counts an answer to a user.
    pub fn count(&self, case: Case) {
        self.0.given[case as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many answers of each case users were given.
    pub fn given(&self, case: Case) -> u64 {
        self.0.given[case as usize].load(Ordering::Relaxed)
    }
}
