//! What users listened to since the release was made, stored durably before it is acknowledged.
//!
//! One of three stores: an SQLite file of this process, a PostgreSQL that several processes share, or
//! another service of the layout, which is only read. A request with events is stored whole or not at
//! all. It may carry an id: when the same request comes again, because the client did not hear the
//! answer, it is acknowledged again and stored once.

pub mod postgres;
pub mod sqlite;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use super::metrics::{Histogram, Page};
use super::peers::Peer;
use super::peers::tables::EventTable;

pub use postgres::PostgresStore;
pub use sqlite::EventStore;

/// A listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The track.
    pub track_id: i64,
    /// When it was accepted, in milliseconds since 1970.
    pub at_ms: i64,
}

/// Listens of one user that are stored together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvents {
    /// Who listened.
    pub user_id: i64,
    /// The tracks, the last of them the newest.
    pub track_ids: Vec<i64>,
    /// What tells a retry from another request of this user.
    pub event_id: Option<String>,
}

/// What became of a request with events that are durable now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// They were stored.
    Now,
    /// A request with the same id had stored them before.
    Before,
}

/// The store could not make an event durable; why is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event was not stored")]
pub struct NotStored;

/// The store cannot be read at the moment; why is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("events cannot be read")]
pub struct Unreadable;

/// What the writer of a shared store is told.
#[derive(Debug)]
enum Message {
    Append(Append),
    Close,
}

/// Listens that wait to be stored, and who waits for that.
#[derive(Debug)]
struct Append {
    new: NewEvents,
    at_ms: i64,
    stored: oneshot::Sender<Result<Stored, NotStored>>,
}

/// The events of a service, wherever they are kept.
#[derive(Debug)]
pub struct Events {
    store: Store,
    counts: Counts,
}

#[derive(Debug)]
enum Store {
    Sqlite(EventStore),
    Postgres(PostgresStore),
    Peer(Box<Peer>),
    /// No service of this process has to do with events.
    None,
}

#[derive(Debug, Default)]
struct Counts {
    stored: AtomicU64,
    repeated: AtomicU64,
    lost: AtomicU64,
    unknown_accepted: AtomicU64,
    unknown_refused: AtomicU64,
    waiting: AtomicUsize,
    lag: Histogram,
}

impl From<EventStore> for Events {
    fn from(store: EventStore) -> Self {
        Self::new(Store::Sqlite(store))
    }
}

impl From<PostgresStore> for Events {
    fn from(store: PostgresStore) -> Self {
        Self::new(Store::Postgres(store))
    }
}

impl From<Peer> for Events {
    fn from(peer: Peer) -> Self {
        Self::new(Store::Peer(Box::new(peer)))
    }
}

impl Events {
    fn new(store: Store) -> Self {
        Self { store, counts: Counts::default() }
    }

    /// No events, for a process whose services have nothing to do with them.
    pub fn none() -> Self {
        Self::new(Store::None)
    }

    /// Stores listens; returns when they are durable.
    ///
    /// # Errors
    /// When the store refuses; nothing of the request is stored then, or its fate is not known and a
    /// retry with its id settles it.
    pub async fn append(&self, new: NewEvents) -> Result<Stored, NotStored> {
        let (n, begun) = (new.track_ids.len() as u64, Instant::now());
        self.counts.waiting.fetch_add(1, Relaxed);
        let result = match &self.store {
            Store::Sqlite(store) => store.append(new).await,
            Store::Postgres(store) => store.append(new).await,
            // The layout sends events to the service that has them.
            Store::Peer(_) | Store::None => Err(NotStored),
        };
        self.counts.waiting.fetch_sub(1, Relaxed);
        self.counts.lag.observe(begun.elapsed());
        let counter = match result {
            Ok(Stored::Now) => &self.counts.stored,
            Ok(Stored::Before) => &self.counts.repeated,
            Err(NotStored) => &self.counts.lost,
        };
        counter.fetch_add(n, Relaxed);
        result
    }

    /// The last `n` events of a user, newest first, as far back as the service looks.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn recent(&self, user_id: i64, n: usize) -> Result<Vec<Event>, Unreadable> {
        match &self.store {
            Store::Sqlite(store) => store.recent(user_id, n).await,
            Store::Postgres(store) => Box::pin(store.recent(user_id, n)).await,
            Store::Peer(peer) => {
                let path = format!("/lists/history/{user_id}/{n}");
                peer.get::<EventTable>(&path).await.map(EventTable::events).map_err(|_| Unreadable)
            }
            Store::None => Ok(Vec::new()),
        }
    }

    /// The same, when they are at hand.
    pub fn recent_at_once(&self, user_id: i64, n: usize) -> Option<Vec<Event>> {
        match &self.store {
            Store::Sqlite(store) => store.at_hand(user_id, n),
            Store::Postgres(_) | Store::Peer(_) => None,
            Store::None => Some(Vec::new()),
        }
    }

    /// Counts events with tracks that no release knows, and what became of them.
    pub fn unknown(&self, n: usize, accepted: bool) {
        let counter = if accepted { &self.counts.unknown_accepted } else { &self.counts.unknown_refused };
        counter.fetch_add(n as u64, Relaxed);
    }

    /// Whether events can be stored, if they are stored here at all.
    pub fn is_open(&self) -> bool {
        match &self.store {
            Store::Sqlite(store) => store.is_open(),
            Store::Postgres(store) => store.is_open(),
            Store::Peer(_) | Store::None => true,
        }
    }

    /// The service that is asked for events, when they are not kept here.
    pub fn peer(&self) -> Option<&Peer> {
        match &self.store {
            Store::Peer(peer) => Some(peer),
            Store::Sqlite(_) | Store::Postgres(_) | Store::None => None,
        }
    }

    /// Stores what waits, and lets go of the store.
    pub async fn close(&self) {
        match &self.store {
            Store::Sqlite(store) => store.close().await,
            Store::Postgres(store) => store.close().await,
            Store::Peer(_) | Store::None => {}
        }
    }

    /// Writes the metrics.
    pub fn write(&self, page: &mut Page) {
        let Counts { stored, repeated, lost, unknown_accepted, unknown_refused, waiting, lag } = &self.counts;
        page.family("recsys_events_total", "counter", "Events by what became of them.");
        for (result, count) in [("stored", stored), ("stored_before", repeated), ("not_stored", lost)] {
            page.sample(&[("result", result)], count.load(Relaxed));
        }
        let help = "Events with a track that the release does not know, by what became of them.";
        page.family("recsys_events_unknown_tracks_total", "counter", help);
        for (result, count) in [("accepted", unknown_accepted), ("refused", unknown_refused)] {
            page.sample(&[("result", result)], count.load(Relaxed));
        }
        let help = "Requests with events that wait to become durable.";
        page.one("recsys_events_waiting", "gauge", help, waiting.load(Relaxed));
        page.family(
            "recsys_event_lag_seconds",
            "histogram",
            "From the acceptance of events to their being durable.",
        );
        lag.write(page, &[]);
    }
}

/// The time now, in milliseconds since 1970.
fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
