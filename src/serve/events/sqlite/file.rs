//! The SQLite file: its form, and what is read from it.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior};

use crate::serve::events::Event;
use crate::serve::failure::EventsFault;

const FORMAT_VERSION: u32 = 3;
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Opens or makes the file, and brings it to the newest form.
pub fn connect(path: &Path) -> Result<Connection, EventsFault> {
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
        if version < 2 {
            // Since version 2 a request may have an id.
            transaction.execute_batch(
                "ALTER TABLE events ADD COLUMN event_id TEXT;
                 CREATE UNIQUE INDEX event_ids ON events (user_id, event_id) WHERE event_id IS NOT NULL;",
            )?;
        }
        if version < FORMAT_VERSION {
            // Since version 3 not all events are read at the start, but some of a user when they are asked for.
            transaction.execute_batch(&format!(
                "CREATE INDEX events_of_user ON events (user_id);
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

/// The id of the oldest of the newest `n` events; 0 when there are no more than those.
pub fn first_of_newest(connection: &Connection, n: usize) -> rusqlite::Result<i64> {
    let skipped = i64::try_from(n).unwrap_or(i64::MAX);
    let query = "SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?1";
    let older: Option<i64> = connection.query_row(query, [skipped], |row| row.get(0)).optional()?;
    Ok(older.map_or(0, |older| older + 1))
}

/// The events from an id on, oldest first, with their users.
pub fn read_from(
    connection: &Connection,
    id: i64,
    take: impl FnOnce(&mut dyn Iterator<Item = (i64, Event)>),
) -> rusqlite::Result<()> {
    let query = "SELECT user_id, track_id, at_ms FROM events WHERE id >= ?1 ORDER BY id";
    let mut select = connection.prepare(query)?;
    let rows = select
        .query_map([id], |row| Ok((row.get(0)?, Event { track_id: row.get(1)?, at_ms: row.get(2)? })))?;
    let mut error = Ok(());
    take(&mut rows.map_while(|row| row.map_err(|fault| error = Err(fault)).ok()));
    error
}

/// The newest `n` events of a user before an id, newest first.
pub fn older(connection: &Connection, user_id: i64, id: i64, n: usize) -> rusqlite::Result<Vec<Event>> {
    let mut select = connection.prepare_cached(
        "SELECT track_id, at_ms FROM events WHERE user_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
    )?;
    let limit = i64::try_from(n).unwrap_or(i64::MAX);
    let rows = select
        .query_map((user_id, id, limit), |row| Ok(Event { track_id: row.get(0)?, at_ms: row.get(1)? }))?;
    rows.collect()
}

/// What became of the file.
pub fn database(path: &Path) -> impl Fn(rusqlite::Error) -> EventsFault {
    let path = path.to_owned();
    move |cause| match cause.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            EventsFault::InUse { path: path.clone() }
        }
        _ => EventsFault::Database { path: path.clone(), cause },
    }
}
