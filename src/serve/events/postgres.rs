//! Events in PostgreSQL, so that several processes share the history of a user.
//!
//! One task writes: while a statement waits for the disk of the database further requests queue up, and
//! the next statement takes all of them, as in the SQLite store. Reads go over a connection of their
//! own, so that none waits behind a write. A database that is gone makes requests fail at once and is
//! called again until it is back; nothing is acknowledged that it has not committed.

mod link;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_postgres::Config;

use self::link::Link;
pub use self::link::told;
use super::{Append, Event, Message, NewEvents, NotStored, Stored, Unreadable, now_ms};
use crate::serve::failure::EventsFault;

const QUEUE: usize = 4096;
const MAX_GROUP: usize = 1024;

/// Requests by their number, and with an id each once; events in their order.
const INSERT: &str = "
    WITH requests AS (
        SELECT * FROM UNNEST($1::bigint[], $2::text[]) WITH ORDINALITY AS r (user_id, event_id, request)
    ), fresh AS (
        INSERT INTO recsys_event_ids (user_id, event_id)
        SELECT user_id, event_id FROM requests WHERE event_id IS NOT NULL ORDER BY user_id, event_id
        ON CONFLICT DO NOTHING RETURNING user_id, event_id
    ), stored AS (
        INSERT INTO recsys_events (user_id, track_id, at_ms)
        SELECT requests.user_id, e.track_id, e.at_ms
        FROM UNNEST($3::bigint[], $4::bigint[], $5::bigint[]) WITH ORDINALITY AS e (request, track_id, at_ms, place)
        JOIN requests USING (request)
        LEFT JOIN fresh USING (user_id, event_id)
        WHERE requests.event_id IS NULL OR fresh.event_id IS NOT NULL
        ORDER BY e.place
    )
    SELECT user_id, event_id FROM fresh";

const SELECT: &str = "
    SELECT track_id, at_ms FROM recsys_events WHERE user_id = $1 ORDER BY id DESC LIMIT $2";

/// Durable events in a database.
#[derive(Debug)]
pub struct PostgresStore {
    queue: mpsc::Sender<Message>,
    reads: Arc<Link>,
    writes: Arc<Link>,
    keep: usize,
    timeout: Duration,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl PostgresStore {
    /// Connects to the database and makes its tables where they are missing. A database that cannot be
    /// reached is called again; one that refuses is not.
    ///
    /// # Errors
    /// When the address makes no sense, or the database refuses.
    pub async fn open(url: &str, keep: usize, timeout: Duration) -> Result<Self, EventsFault> {
        let mut config: Config = url.parse().map_err(|_| EventsFault::Url)?;
        config.connect_timeout(timeout).application_name("recsys");
        let writes = Link::open(config.clone(), INSERT, timeout).await?;
        let reads = Link::open(config, SELECT, timeout).await?;
        let (queue, messages) = mpsc::channel(QUEUE);
        let writer = tokio::spawn(write(messages, Arc::clone(&writes), timeout));
        Ok(Self { queue, reads, writes, keep, timeout, writer: Mutex::new(Some(writer)) })
    }

    /// Stores listens of one user; returns when they are durable.
    ///
    /// # Errors
    /// When the database is gone or refuses; whether a statement that was under way was committed is not
    /// known then, and a retry with the same id settles it.
    pub async fn append(&self, new: NewEvents) -> Result<Stored, NotStored> {
        let (stored, answer) = oneshot::channel();
        let append = Append { new, at_ms: now_ms(), stored };
        self.queue.send(Message::Append(append)).await.map_err(|_| NotStored)?;
        answer.await.map_err(|_| NotStored)?
    }

    /// The last `n` events of a user, newest first.
    ///
    /// # Errors
    /// When the database is gone or does not answer in time.
    pub async fn recent(&self, user_id: i64, n: usize) -> Result<Vec<Event>, Unreadable> {
        let link = self.reads.get().ok_or(Unreadable)?;
        let limit = i64::try_from(n.min(self.keep)).unwrap_or(i64::MAX);
        let asked = async { link.client.query(&link.statement, &[&user_id, &limit]).await };
        match tokio::time::timeout(self.timeout, asked).await {
            Ok(Ok(rows)) => {
                Ok(rows.iter().map(|row| Event { track_id: row.get(0), at_ms: row.get(1) }).collect())
            }
            Ok(Err(error)) => {
                tracing::warn!("a history cannot be read: {error}");
                Err(Unreadable)
            }
            Err(_) => {
                self.reads.give_up("a history was not read in time");
                Err(Unreadable)
            }
        }
    }

    /// Whether events can be stored.
    pub fn is_open(&self) -> bool {
        self.writes.get().is_some() && !self.queue.is_closed()
    }

    /// Stores what waits, and lets the database go.
    pub async fn close(&self) {
        let _ = self.queue.send(Message::Close).await;
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer
            && writer.await.is_err()
        {
            tracing::error!("the task that writes events ended badly");
        }
        self.reads.close();
        self.writes.close();
    }
}

/// Stores what comes, group by group, until the end.
async fn write(mut messages: mpsc::Receiver<Message>, link: Arc<Link>, timeout: Duration) {
    let mut open = true;
    while open {
        let Some(first) = messages.recv().await else { break };
        open = store(first, &mut messages, &link, timeout).await;
    }
    messages.close();
    while let Ok(first) = messages.try_recv() {
        store(first, &mut messages, &link, timeout).await;
    }
}

/// Stores a message and what waits behind it; whether more is to come.
async fn store(
    first: Message,
    messages: &mut mpsc::Receiver<Message>,
    link: &Link,
    timeout: Duration,
) -> bool {
    let mut open = true;
    let mut group = Vec::new();
    let waiting = std::iter::from_fn(|| messages.try_recv().ok());
    for message in std::iter::once(first).chain(waiting).take(MAX_GROUP) {
        match message {
            Message::Append(append) => group.push(append),
            Message::Close => open = false,
        }
    }
    if group.is_empty() {
        return open;
    }
    match tokio::time::timeout(timeout, commit(&group, link)).await {
        Ok(Ok(results)) => {
            group.into_iter().zip(results).for_each(|(append, result)| _ = append.stored.send(Ok(result)));
            return open;
        }
        Ok(Err(reason)) => tracing::error!("{} requests with events were not stored: {reason}", group.len()),
        // What the database makes of the statement is not known; the connection must not go on with it.
        Err(_) => link.give_up("events were not stored in time"),
    }
    // A client that hung up no longer waits for the answer.
    group.into_iter().for_each(|append| _ = append.stored.send(Err(NotStored)));
    open
}

/// Why a group was not stored.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the database is gone")]
    Gone,
    #[error("{}", told(.0))]
    Database(#[from] tokio_postgres::Error),
}

/// Writes a group in one statement, which is one transaction.
async fn commit(group: &[Append], link: &Link) -> Result<Vec<Stored>, Refusal> {
    let link = link.get().ok_or(Refusal::Gone)?;
    let mut seen = HashSet::new();
    let repeats = |append: &Append| append.new.event_id.clone().map(|id| (append.new.user_id, id));
    // A retry that is in one group with what it repeats.
    let is_first: Vec<bool> = group.iter().map(|one| repeats(one).is_none_or(|id| seen.insert(id))).collect();
    let firsts = || group.iter().zip(&is_first).filter(|(_, is_first)| **is_first).map(|(append, _)| append);

    let user_ids: Vec<i64> = firsts().map(|append| append.new.user_id).collect();
    let event_ids: Vec<Option<&str>> = firsts().map(|append| append.new.event_id.as_deref()).collect();
    let (mut requests, mut track_ids, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for (request, append) in (1i64..).zip(firsts()) {
        for &track_id in &append.new.track_ids {
            requests.push(request);
            track_ids.push(track_id);
            times.push(append.at_ms);
        }
    }
    let rows =
        link.client.query(&link.statement, &[&user_ids, &event_ids, &requests, &track_ids, &times]).await?;
    let fresh: HashSet<(i64, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let result = |(append, is_first): (&Append, &bool)| match repeats(append) {
        Some(id) if !is_first || !fresh.contains(&id) => Stored::Before,
        _ => Stored::Now,
    };
    Ok(group.iter().zip(&is_first).map(result).collect())
}
