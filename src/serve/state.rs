//! What every handler shares: the release, the events, the settings, the counts.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::blend::{Pick, Source};
use super::events::EventStore;
use super::library::Library;
use super::lists::List;
use super::service::Service;

/// The state of a running service; cheap to clone.
#[derive(Debug, Clone)]
pub struct State(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    service: Service,
    library: Library,
    events: EventStore,
    blocked: HashSet<u32>,
    given: [AtomicU64; Source::ALL.len()],
}

impl State {
    /// A service ready to answer.
    pub fn new(service: Service, library: Library, events: EventStore) -> Self {
        let blocked = service.blocked_tracks.iter().filter_map(|&id| library.catalog.item(id)).collect();
        Self(Arc::new(Shared { service, library, events, blocked, given: Default::default() }))
    }

    /// The settings.
    pub fn service(&self) -> &Service {
        &self.0.service
    }

    /// The release.
    pub fn library(&self) -> &Library {
        &self.0.library
    }

    /// The events.
    pub fn events(&self) -> &EventStore {
        &self.0.events
    }

    /// The longest list that may be asked for.
    pub fn max_k(&self) -> usize {
        self.0.service.max_k.get()
    }

    /// Tracks that no answer names.
    pub fn blocked(&self) -> &HashSet<u32> {
        &self.0.blocked
    }

    /// A list without blocked tracks.
    pub fn picks(&self, list: List<'_>, source: Source) -> impl Iterator<Item = Pick> {
        let picks = list.iter().map(move |(item, score)| Pick { item, score, source });
        picks.filter(|pick| !self.0.blocked.contains(&pick.item))
    }

    /// The popular tracks without blocked ones.
    pub fn popular(&self) -> impl Iterator<Item = Pick> {
        let popular = self.0.library.top_popular.iter();
        let picks = popular.map(|&(item, score)| Pick { item, score, source: Source::Default });
        picks.filter(|pick| !self.0.blocked.contains(&pick.item))
    }

    /// Counts an answer to a user.
    pub fn count(&self, source: Source) {
        self.0.given[source as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many answers of each source users were given.
    pub fn given(&self, source: Source) -> u64 {
        self.0.given[source as usize].load(Ordering::Relaxed)
    }
}
