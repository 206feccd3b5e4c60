//! Events in an SQLite file of this process.
//!
//! SQLite in WAL mode with `synchronous = FULL`: a committed event survives kill -9 and power loss.
//! One thread owns the connection. While it waits for the disk further requests queue up, and the
//! next commit takes all of them: group commit without a timer. Reads come from memory, where events
//! appear only after their commit; what is older than what was read at the start is read from the file
//! when its user is asked for. The file is locked, because a second writer would make that memory untrue.

mod file;
mod histories;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::{Append, Event, NewEvents, NotStored, Stored, Unreadable, now_ms};
use crate::serve::failure::EventsFault;
use file::{connect, database};
use histories::Histories;

const QUEUE: usize = 4096;
const MAX_GROUP: usize = 1024;

/// What the thread is told.
#[derive(Debug)]
enum Message {
    Append(Append),
    Read(Read),
    Close,
}

/// A user whose older events are asked for.
#[derive(Debug)]
struct Read {
    user_id: i64,
    n: usize,
    found: oneshot::Sender<Result<Vec<Event>, Unreadable>>,
}

/// Durable events, and the newest of each user in memory.
#[derive(Debug)]
pub struct EventStore {
    queue: mpsc::Sender<Message>,
    histories: Arc<Histories>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl EventStore {
    /// Opens or makes the file and reads the newest events: at most `keep` of each user, and no more than
    /// `read_at_start` altogether.
    ///
    /// # Errors
    /// When the file cannot be used or another process uses it.
    pub fn open(path: &Path, keep: usize, read_at_start: usize) -> Result<Self, EventsFault> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .map_err(|cause| EventsFault::Folder { path: path.to_owned(), cause })?;
        }
        let connection = connect(path)?;
        let first = file::first_of_newest(&connection, read_at_start).map_err(database(path))?;
        let histories = Arc::new(Histories::new(keep, first));
        file::read_from(&connection, first, |events| histories.add(events)).map_err(database(path))?;
        let (queue, messages) = mpsc::channel(QUEUE);
        let writer = Writer { connection, histories: Arc::clone(&histories), path: path.to_owned() };
        let writer = thread::Builder::new()
            .name("events".to_owned())
            .spawn(move || writer.run(messages))
            .map_err(|cause| EventsFault::Folder { path: path.to_owned(), cause })?;
        Ok(Self { queue, histories, writer: Mutex::new(Some(writer)) })
    }

    /// Stores listens of one user; returns when they are durable.
    ///
    /// # Errors
    /// When the disk refuses or the store is closed; nothing of the request is stored then.
    pub async fn append(&self, new: NewEvents) -> Result<Stored, NotStored> {
        let (stored, answer) = oneshot::channel();
        let append = Append { new, at_ms: now_ms(), stored };
        self.queue.send(Message::Append(append)).await.map_err(|_| NotStored)?;
        answer.await.map_err(|_| NotStored)?
    }

    /// The last `n` events of a user, newest first.
    ///
    /// # Errors
    /// When they must be read from the file and it cannot be read.
    pub async fn recent(&self, user_id: i64, n: usize) -> Result<Vec<Event>, Unreadable> {
        if let Some(events) = self.at_hand(user_id, n) {
            return Ok(events);
        }
        let (found, answer) = oneshot::channel();
        let read = Message::Read(Read { user_id, n, found });
        self.queue.send(read).await.map_err(|_| Unreadable)?;
        answer.await.map_err(|_| Unreadable)?
    }

    /// The same, if they lie in memory.
    pub fn at_hand(&self, user_id: i64, n: usize) -> Option<Vec<Event>> {
        self.histories.at_hand(user_id, n)
    }

    /// Whether events can be stored.
    pub fn is_open(&self) -> bool {
        !self.queue.is_closed()
    }

    /// Stores what waits, and closes the file.
    pub async fn close(&self) {
        let _ = self.queue.send(Message::Close).await;
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            let joined = tokio::task::spawn_blocking(move || writer.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the thread that writes events ended badly");
            }
        }
    }
}

struct Writer {
    connection: Connection,
    histories: Arc<Histories>,
    path: PathBuf,
}

impl Writer {
    fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut open = true;
        while open {
            let Some(first) = messages.blocking_recv() else { break };
            let waiting = std::iter::from_fn(|| messages.try_recv().ok());
            let (mut group, mut reads) = (Vec::new(), Vec::new());
            for message in std::iter::once(first).chain(waiting).take(MAX_GROUP) {
                match message {
                    Message::Append(append) => group.push(append),
                    Message::Read(read) => reads.push(read),
                    Message::Close => open = false,
                }
            }
            // Before the disk is waited for.
            reads.into_iter().for_each(|read| self.read(read));
            self.store(group);
        }
        messages.close();
        let mut rest = Vec::new();
        while let Ok(message) = messages.try_recv() {
            if let Message::Append(append) = message {
                rest.push(append);
            }
        }
        self.store(rest);
        if let Err((_, error)) = self.connection.close() {
            tracing::warn!("closing `{}`: {error}", self.path.display());
        }
    }

    /// Answers with the history of a user and what of it was not read at the start.
    fn read(&self, Read { user_id, n, found }: Read) {
        let room = self.histories.keep().saturating_sub(self.histories.len_of(user_id));
        let older = file::older(&self.connection, user_id, self.histories.first(), room);
        let events = older.map(|older| self.histories.complete(user_id, &older, n)).map_err(|error| {
            tracing::error!("a history cannot be read from `{}`: {error}", self.path.display());
            Unreadable
        });
        // A client that hung up no longer waits for the answer.
        let _ = found.send(events);
    }

    fn store(&mut self, group: Vec<Append>) {
        if group.is_empty() {
            return;
        }
        let result = self.commit(&group).map_err(|error| {
            tracing::error!(
                "{} requests with events were not stored in `{}`: {error}",
                group.len(),
                self.path.display()
            );
            NotStored
        });
        let Ok(results) = result else {
            // A client that hung up no longer waits for the answer.
            group.into_iter().for_each(|append| _ = append.stored.send(Err(NotStored)));
            return;
        };
        let stored = group.iter().zip(&results).filter(|(_, result)| **result == Stored::Now);
        self.histories.add(stored.flat_map(|(Append { new, at_ms, .. }, _)| {
            new.track_ids.iter().map(|&track_id| (new.user_id, Event { track_id, at_ms: *at_ms }))
        }));
        for (append, result) in group.into_iter().zip(results) {
            let _ = append.stored.send(Ok(result));
        }
    }

    /// Writes a group in one transaction, which is rolled back when anything fails. The first event of
    /// a request carries the id of the request; where that is there already, so are the others.
    fn commit(&mut self, group: &[Append]) -> rusqlite::Result<Vec<Stored>> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut results = Vec::with_capacity(group.len());
        {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO events (user_id, track_id, at_ms, event_id) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (user_id, event_id) WHERE event_id IS NOT NULL DO NOTHING",
            )?;
            for Append { new, at_ms, .. } in group {
                let mut event_id = new.event_id.as_deref();
                let mut result = Stored::Now;
                for &track_id in &new.track_ids {
                    if insert.execute((new.user_id, track_id, at_ms, event_id.take()))? == 0 {
                        result = Stored::Before;
                        break;
                    }
                }
                results.push(result);
            }
        }
        transaction.commit()?;
        Ok(results)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: usize = 1000;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    fn tracks(store: &EventStore, user_id: i64, n: usize) -> Vec<i64> {
        store.at_hand(user_id, n).unwrap().iter().map(|event| event.track_id).collect()
    }

    fn new(user_id: i64, track_ids: &[i64]) -> NewEvents {
        NewEvents { user_id, track_ids: track_ids.to_vec(), event_id: None }
    }

    #[test]
    fn events_are_newest_first_and_outlive_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/events.sqlite");
        block_on(async {
            let store = EventStore::open(&path, 3, ALL).unwrap();
            store.append(new(1, &[10, 20])).await.unwrap();
            store.append(new(2, &[5])).await.unwrap();
            store.append(new(1, &[30, i64::MIN])).await.unwrap();
            assert_eq!(tracks(&store, 1, 9), [i64::MIN, 30, 20]);
            store.close().await;
            assert!(!store.is_open());
            assert_eq!(store.append(new(1, &[1])).await, Err(NotStored));

            let store = EventStore::open(&path, 4, ALL).unwrap();
            assert_eq!(tracks(&store, 1, 9), [i64::MIN, 30, 20, 10]);
            assert_eq!(tracks(&store, 1, 2), [i64::MIN, 30]);
            assert_eq!(tracks(&store, 3, 2), [0i64; 0]);
            store.close().await;
        });
    }

    #[test]
    fn an_acknowledged_event_is_in_the_file_without_closing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.sqlite");
        let copy = folder.path().join("copy.sqlite");
        block_on(async {
            let store = EventStore::open(&path, 10, ALL).unwrap();
            store.append(new(7, &[1, 2, 3])).await.unwrap();
            // What a kill -9 at this moment would leave behind.
            fs::copy(&path, &copy).unwrap();
            fs::copy(folder.path().join("events.sqlite-wal"), folder.path().join("copy.sqlite-wal")).unwrap();
            let found = EventStore::open(&copy, 10, ALL).unwrap();
            assert_eq!(tracks(&found, 7, 10), [3, 2, 1]);
        });
    }

    #[test]
    fn a_request_with_an_id_is_stored_once_however_often_it_comes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.sqlite");
        let with_id =
            |user_id, id: &str| NewEvents { event_id: Some(id.to_owned()), ..new(user_id, &[1, 2]) };
        block_on(async {
            let store = EventStore::open(&path, 10, ALL).unwrap();
            let together = tokio::join!(store.append(with_id(7, "a")), store.append(with_id(7, "a")));
            assert_eq!(together, (Ok(Stored::Now), Ok(Stored::Before)));
            assert_eq!(store.append(with_id(7, "b")).await, Ok(Stored::Now));
            assert_eq!(store.append(with_id(8, "a")).await, Ok(Stored::Now), "another user's id is another");
            store.close().await;
            let store = EventStore::open(&path, 10, ALL).unwrap();
            assert_eq!(store.append(with_id(7, "a")).await, Ok(Stored::Before));
            assert_eq!(tracks(&store, 7, 10), [2, 1, 2, 1]);
            store.close().await;
        });
    }

    #[test]
    fn a_file_of_the_first_version_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.sqlite");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(
            "CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL,
                 track_id INTEGER NOT NULL, at_ms INTEGER NOT NULL) STRICT;
             PRAGMA user_version = 1;
             INSERT INTO events (user_id, track_id, at_ms) VALUES (7, 5, 1);",
        )
        .unwrap();
        drop(old);
        block_on(async {
            let store = EventStore::open(&path, 10, ALL).unwrap();
            let again = NewEvents { event_id: Some("a".to_owned()), ..new(7, &[6]) };
            assert_eq!(store.append(again.clone()).await, Ok(Stored::Now));
            assert_eq!(store.append(again).await, Ok(Stored::Before));
            assert_eq!(tracks(&store, 7, 10), [6, 5]);
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_is_read_at_the_start_changes_no_history(
            events in prop::collection::vec((0i64..5, 0i64..50), 0..40), later in 0usize..20,
            read_at_start in 0usize..50, keep in 1usize..12, asked in prop::collection::vec((0i64..6, 1usize..15), 12),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("events.sqlite");
            let newest = |user_id, n: usize| -> Vec<i64> {
                let of_user = events.iter().rev().filter(|(user, _)| *user == user_id);
                of_user.map(|(_, track_id)| *track_id).take(n.min(keep)).collect()
            };
            block_on(async {
                let (before, after) = events.split_at(events.len() - later.min(events.len()));
                let store = EventStore::open(&path, keep, ALL).unwrap();
                for (user_id, track_id) in before {
                    store.append(new(*user_id, &[*track_id])).await.unwrap();
                }
                store.close().await;
                let store = EventStore::open(&path, keep, read_at_start).unwrap();
                for (user_id, track_id) in after {
                    store.append(new(*user_id, &[*track_id])).await.unwrap();
                }
                for (user_id, n) in asked {
                    for _ in 0..2 {
                        let found = store.recent(user_id, n).await.unwrap();
                        let tracks: Vec<i64> = found.iter().map(|event| event.track_id).collect();
                        assert_eq!(tracks, newest(user_id, n), "user {user_id}, {n}");
                    }
                    assert!(store.at_hand(user_id, n).is_some(), "it is read once");
                }
                store.close().await;
            });
        }
    }

    #[test]
    fn a_second_process_and_a_file_of_something_else_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.sqlite");
        let _store = EventStore::open(&path, 10, ALL).unwrap();
        assert!(matches!(EventStore::open(&path, 10, ALL), Err(EventsFault::InUse { .. })));
        let other = folder.path().join("other.sqlite");
        fs::write(&other, "no database at all, but a text of some length").unwrap();
        assert!(matches!(EventStore::open(&other, 10, ALL), Err(EventsFault::Database { .. })));
    }
}
