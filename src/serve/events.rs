//! What users listened to since the release was made, stored durably before it is acknowledged.
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
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::failure::EventsFault;

const FORMAT_VERSION: u32 = 1;
const QUEUE: usize = 4096;
const MAX_GROUP: usize = 1024;
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// A listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The track.
    pub track_id: i64,
    /// When it was accepted, in milliseconds since 1970.
    pub at_ms: i64,
}

/// The store could not make an event durable; why is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the event was not stored")]
pub struct NotStored;

/// Durable events, and the newest of each user in memory.
#[derive(Debug)]
pub struct EventStore {
    queue: mpsc::Sender<Message>,
    histories: Arc<Histories>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
enum Message {
    Append(Append),
    Close,
}

#[derive(Debug)]
struct Append {
    user_id: i64,
    track_ids: Vec<i64>,
    at_ms: i64,
    stored: oneshot::Sender<Result<(), NotStored>>,
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

    /// Stores listens of one user, the last of them the newest; returns when they are durable.
    ///
    /// # Errors
    /// When the disk refuses or the store is closed; nothing of the request is stored then.
    pub async fn append(&self, user_id: i64, track_ids: Vec<i64>) -> Result<(), NotStored> {
        let (stored, answer) = oneshot::channel();
        let append = Append { user_id, track_ids, at_ms: now_ms(), stored };
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
        if result.is_ok() {
            self.histories.add(group.iter().flat_map(|append| {
                append
                    .track_ids
                    .iter()
                    .map(|&track_id| (append.user_id, Event { track_id, at_ms: append.at_ms }))
            }));
        }
        for append in group {
            // A client that hung up no longer waits for the answer.
            let _ = append.stored.send(result);
        }
    }

    /// Writes a group in one transaction, which is rolled back when anything fails.
    fn commit(&mut self, group: &[Append]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction
                .prepare_cached("INSERT INTO events (user_id, track_id, at_ms) VALUES (?1, ?2, ?3)")?;
            for append in group {
                for &track_id in &append.track_ids {
                    insert.execute((append.user_id, track_id, append.at_ms))?;
                }
            }
        }
        transaction.commit()
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
        if version <= FORMAT_VERSION {
            transaction.execute_batch(&format!(
                "CREATE TABLE IF NOT EXISTS events (
                     id INTEGER PRIMARY KEY AUTOINCREMENT,
                     user_id INTEGER NOT NULL,
                     track_id INTEGER NOT NULL,
                     at_ms INTEGER NOT NULL
                 ) STRICT;
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

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
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

    #[test]
    fn events_are_newest_first_and_outlive_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/events.sqlite");
        block_on(async {
            let store = EventStore::open(&path, 3).unwrap();
            store.append(1, vec![10, 20]).await.unwrap();
            store.append(2, vec![5]).await.unwrap();
            store.append(1, vec![30, i64::MIN]).await.unwrap();
            assert_eq!(tracks(&store, 1, 9), [i64::MIN, 30, 20]);
            store.close().await;
            assert!(!store.is_open());
            assert_eq!(store.append(1, vec![1]).await, Err(NotStored));

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
            store.append(7, vec![1, 2, 3]).await.unwrap();
            // What a kill -9 at this moment would leave behind.
            fs::copy(&path, &copy).unwrap();
            fs::copy(folder.path().join("events.sqlite-wal"), folder.path().join("copy.sqlite-wal")).unwrap();
            let found = EventStore::open(&copy, 10).unwrap();
            assert_eq!(tracks(&found, 7, 10), [3, 2, 1]);
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
