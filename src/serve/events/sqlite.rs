//! Events in an SQLite file of this process.
//!
//! SQLite in WAL mode with `synchronous = FULL`: a committed event survives kill -9 and power loss.
//! One thread owns the connection. While it waits for the disk further requests queue up, and the
//! next commit takes all of them: group commit without a timer. Reads never touch the disk: the
//! newest events of each user lie in memory, and appear there only after their commit. The file is
//! locked, because a second writer would make that memory untrue.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::{Append, Event, Message, NewEvents, NotStored, Stored, now_ms};
use crate::serve::failure::EventsFault;

const FORMAT_VERSION: u32 = 2;
const QUEUE: usize = 4096;
const MAX_GROUP: usize = 1024;
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Durable events, and the newest of each user in memory.
#[derive(Debug)]
pub struct EventStore {
    queue: mpsc::Sender<Message>,
    histories: Arc<Histories>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl EventStore {
    /// Opens or makes the file and reads the newest `keep` events of each user.
    ///
    /// # Errors
    /// When the file cannot be used or another process uses it.
    pub fn open(path: &Path, keep: usize) -> Result<Self, EventsFault> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .map_err(|cause| EventsFault::Folder { path: path.to_owned(), cause })?;
        }
        let connection = connect(path)?;
        let histories = Arc::new(Histories { keep, users: RwLock::default() });
        read_all(&connection, &histories).map_err(database(path))?;
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
    pub fn recent(&self, user_id: i64, n: usize) -> Vec<Event> {
        let users = self.histories.users.read().unwrap_or_else(PoisonError::into_inner);
        users.get(&user_id).map_or_else(Vec::new, |events| events.iter().rev().take(n).copied().collect())
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

#[derive(Debug)]
struct Histories {
    keep: usize,
    users: RwLock<HashMap<i64, VecDeque<Event>>>,
}

impl Histories {
    fn add(&self, events: impl IntoIterator<Item = (i64, Event)>) {
        let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
        for (user_id, event) in events {
            let history = users.entry(user_id).or_default();
            if history.len() == self.keep {
                history.pop_front();
            }
            history.push_back(event);
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
            let mut group = Vec::new();
            for message in std::iter::once(first).chain(waiting).take(MAX_GROUP) {
                match message {
                    Message::Append(append) => group.push(append),
                    Message::Close => open = false,
                }
            }
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

fn connect(path: &Path) -> Result<Connection, EventsFault> {
    let mut connection = Connection::open(path).map_err(database(path))?;
    connection.busy_timeout(LOCK_PATIENCE).map_err(database(path))?;
    let set_up = |connection: &mut Connection| -> rusqlite::Result<u32> {
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version == 0 {
            transaction.execute_batch(
                "CREATE TABLE events (
                     id INTEGER PRIMARY KEY AUTOINCREMENT,
                     user_id INTEGER NOT NULL,
                     track_id INTEGER NOT NULL,
                     at_ms INTEGER NOT NULL
                 ) STRICT",
            )?;
        }
        if version < FORMAT_VERSION {
            // Since version 2 a request may have an id.
            transaction.execute_batch(&format!(
                "ALTER TABLE events ADD COLUMN event_id TEXT;
                 CREATE UNIQUE INDEX event_ids ON events (user_id, event_id) WHERE event_id IS NOT NULL;
                 PRAGMA user_version = {FORMAT_VERSION};"
            ))?;
        }
        transaction.commit()?;
        Ok(version)
    };
    let found = set_up(&mut connection).map_err(database(path))?;
    if found > FORMAT_VERSION {
        return Err(EventsFault::Version { path: path.to_owned(), found, known: FORMAT_VERSION });
    }
    Ok(connection)
}

fn read_all(connection: &Connection, histories: &Histories) -> rusqlite::Result<()> {
    let mut select = connection.prepare("SELECT user_id, track_id, at_ms FROM events ORDER BY id")?;
    let rows =
        select.query_map([], |row| Ok((row.get(0)?, Event { track_id: row.get(1)?, at_ms: row.get(2)? })))?;
    let mut error = Ok(());
    histories.add(rows.map_while(|row| row.map_err(|fault| error = Err(fault)).ok()));
    error
}

fn database(path: &Path) -> impl Fn(rusqlite::Error) -> EventsFault {
    let path = path.to_owned();
    move |cause| match cause.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            EventsFault::InUse { path: path.clone() }
        }
        _ => EventsFault::Database { path: path.clone(), cause },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    fn tracks(store: &EventStore, user_id: i64, n: usize) -> Vec<i64> {
        store.recent(user_id, n).iter().map(|event| event.track_id).collect()
    }

    fn new(user_id: i64, track_ids: &[i64]) -> NewEvents {
        NewEvents { user_id, track_ids: track_ids.to_vec(), event_id: None }
    }

    #[test]
    fn events_are_newest_first_and_outlive_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/events.sqlite");
        block_on(async {
            let store = EventStore::open(&path, 3).unwrap();
            store.append(new(1, &[10, 20])).await.unwrap();
            store.append(new(2, &[5])).await.unwrap();
            store.append(new(1, &[30, i64::MIN])).await.unwrap();
            assert_eq!(tracks(&store, 1, 9), [i64::MIN, 30, 20]);
            store.close().await;
            assert!(!store.is_open());
            assert_eq!(store.append(new(1, &[1])).await, Err(NotStored));

            let store = EventStore::open(&path, 4).unwrap();
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
            let store = EventStore::open(&path, 10).unwrap();
            store.append(new(7, &[1, 2, 3])).await.unwrap();
            // What a kill -9 at this moment would leave behind.
            fs::copy(&path, &copy).unwrap();
            fs::copy(folder.path().join("events.sqlite-wal"), folder.path().join("copy.sqlite-wal")).unwrap();
            let found = EventStore::open(&copy, 10).unwrap();
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
            let store = EventStore::open(&path, 10).unwrap();
            let together = tokio::join!(store.append(with_id(7, "a")), store.append(with_id(7, "a")));
            assert_eq!(together, (Ok(Stored::Now), Ok(Stored::Before)));
            assert_eq!(store.append(with_id(7, "b")).await, Ok(Stored::Now));
            assert_eq!(store.append(with_id(8, "a")).await, Ok(Stored::Now), "another user's id is another");
            store.close().await;
            let store = EventStore::open(&path, 10).unwrap();
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
            let store = EventStore::open(&path, 10).unwrap();
            let again = NewEvents { event_id: Some("a".to_owned()), ..new(7, &[6]) };
            assert_eq!(store.append(again.clone()).await, Ok(Stored::Now));
            assert_eq!(store.append(again).await, Ok(Stored::Before));
            assert_eq!(tracks(&store, 7, 10), [6, 5]);
        });
    }

    #[test]
    fn a_second_process_and_a_file_of_something_else_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.sqlite");
        let _store = EventStore::open(&path, 10).unwrap();
        assert!(matches!(EventStore::open(&path, 10), Err(EventsFault::InUse { .. })));
        let other = folder.path().join("other.sqlite");
        fs::write(&other, "no database at all, but a text of some length").unwrap();
        assert!(matches!(EventStore::open(&other, 10), Err(EventsFault::Database { .. })));
    }
}
