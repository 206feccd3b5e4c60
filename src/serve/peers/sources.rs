//! What an answer to a user is made from, wherever it lies: in this process or in other services.
//!
//! Whatever cannot be had is left out, and the answer says so: without similar tracks there are only
//! offline recommendations, without those popular tracks, without events no history.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use axum::http::HeaderValue;

use super::tables::{ListTable, OwnedList};
use super::{Peer, Unreachable};
use crate::serve::events::Event;
use crate::serve::layout::Resource;
use crate::serve::library::Library;
use crate::serve::lists::List;
use crate::serve::metrics::Page;
use crate::serve::service::{Blending, Online, Service};
use crate::serve::state::State;

const LACKS: [Resource; 3] = [Resource::Offline, Resource::Similar, Resource::Events];

/// The services that this process asks, and what answers had to do without.
#[derive(Debug, Default)]
pub struct Sources {
    offline: Option<Peer>,
    similar: Option<Peer>,
    lacking: [AtomicU64; LACKS.len()],
}

/// What an answer to one user is made from.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Newest first.
    pub history: Vec<Event>,
    /// What could not be had.
    pub degraded: Vec<&'static str>,
    offline: Option<Option<OwnedList>>,
    similar: Option<HashMap<u32, OwnedList>>,
}

impl Sources {
    /// The services of the layout that are not in this process and that it needs.
    pub fn new(service: &Service) -> Self {
        let peer = |resource| peer(service, resource);
        Self { offline: peer(Resource::Offline), similar: peer(Resource::Similar), ..Self::default() }
    }

    /// Whether every service that is needed is asked.
    pub fn are_well(&self) -> bool {
        [&self.offline, &self.similar].into_iter().flatten().all(Peer::is_well)
    }

    /// What final recommendations of a user are made from, when all of it is in this process and no disk has to be
    /// waited for.
    pub fn at_once(&self, state: &State, user_id: i64) -> Option<Gathered> {
        if self.offline.is_some() || self.similar.is_some() {
            return None;
        }
        let history = state.events().recent_at_once(user_id, usize::MAX)?;
        Some(Gathered { history, ..Gathered::default() })
    }

    /// What final recommendations of a user are made from.
    pub async fn gather(
        &self,
        state: &State,
        library: &Library,
        user_id: i64,
        blending: &Blending,
    ) -> Gathered {
        let history = self.with_similar(state, library, user_id, blending);
        let Some(peer) = &self.offline else { return history.await };
        let path = format!("/lists/offline/{user_id}");
        let (mut gathered, offline) = tokio::join!(history, peer.get::<Option<ListTable>>(&path));
        match offline {
            Ok(list) => gathered.offline = Some(list.map(|list| list.known(library))),
            Err(Unreachable) => {
                gathered.offline = Some(None);
                self.lacks(&mut gathered, Resource::Offline);
            }
        }
        gathered
    }

    /// The same for online recommendations.
    pub async fn with_similar(
        &self,
        state: &State,
        library: &Library,
        user_id: i64,
        blending: &Blending,
    ) -> Gathered {
        let mut gathered = Gathered::default();
        match state.events().recent(user_id, usize::MAX).await {
            Ok(history) => gathered.history = history,
            Err(_) => self.lacks(&mut gathered, Resource::Events),
        }
        let Some(peer) = &self.similar else { return gathered };
        if blending.online == Online::FoldIn && library.model.is_some() {
            return gathered;
        }
        let mut starts: Vec<(u32, i64)> = Vec::new();
        for Event { track_id, .. } in &gathered.history {
            let Some(item) = library.catalog.item(*track_id) else { continue };
            if starts.len() < blending.online_events.get() && !starts.contains(&(item, *track_id)) {
                starts.push((item, *track_id));
            }
        }
        if starts.is_empty() {
            gathered.similar = Some(HashMap::new());
            return gathered;
        }
        let ids = starts.iter().map(|(_, track_id)| track_id.to_string()).collect::<Vec<_>>().join(",");
        let lists = peer.get::<Vec<ListTable>>(&format!("/lists/similar?track_id={ids}")).await;
        if lists.is_err() {
            self.lacks(&mut gathered, Resource::Similar);
        }
        let lists = lists.unwrap_or_default().into_iter().map(|list| list.known(library));
        gathered.similar = Some(starts.into_iter().map(|(item, _)| item).zip(lists).collect());
        gathered
    }

    /// Writes the metrics of calls and of answers that lack something.
    pub fn write(&self, events: Option<&Peer>, page: &mut Page) {
        page.family("recsys_degraded_answers_total", "counter", "Answers that lack a source, by source.");
        for (resource, count) in LACKS.iter().zip(&self.lacking) {
            page.sample(&[("lacking", resource.name())], count.load(Relaxed));
        }
        let peers = [self.offline.as_ref(), self.similar.as_ref(), events];
        super::write(&peers.into_iter().flatten().collect::<Vec<_>>(), page);
    }

    fn lacks(&self, gathered: &mut Gathered, resource: Resource) {
        gathered.degraded.push(resource.name());
        if let Some(position) = LACKS.iter().position(|&other| other == resource) {
            self.lacking[position].fetch_add(1, Relaxed);
        }
    }
}

impl Gathered {
    /// The precomputed list of the user.
    pub fn offline<'a>(&'a self, library: &'a Library, user_id: i64) -> Option<List<'a>> {
        match &self.offline {
            None => library.recommendations.list(user_id),
            Some(list) => list.as_ref().map(OwnedList::list),
        }
    }

    /// The tracks similar to one of the history.
    pub fn similar<'a>(&'a self, library: &'a Library, item: u32) -> List<'a> {
        match &self.similar {
            None => library.similar_to(item),
            Some(lists) => lists.get(&item).map(OwnedList::list).unwrap_or_default(),
        }
    }
}

/// The service that a process asks for a resource, if it must ask.
pub fn peer(service: &Service, resource: Resource) -> Option<Peer> {
    let url = service.peer(resource)?;
    let key = service.keys.read_env.as_ref().and_then(|name| std::env::var(name).ok());
    let key = key.and_then(|keys| {
        let first = keys.split(',').map(str::trim).find(|key| !key.is_empty())?;
        let mut key = HeaderValue::try_from(format!("Bearer {first}")).ok()?;
        key.set_sensitive(true);
        Some(key)
    });
    Some(Peer::new(resource.name(), url, &service.calls, key))
}
