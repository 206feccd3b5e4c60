//! A connection to the database that comes back by itself.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Notify;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Connection, NoTls, Socket, Statement, tls::NoTlsStream};

use crate::serve::failure::EventsFault;

const FORMAT_VERSION: i32 = 1;
const FIRST_REST: Duration = Duration::from_millis(50);
const LONGEST_REST: Duration = Duration::from_secs(2);

/// Makes the tables, once for all processes that start together: the lock is let go with the transaction.
const TABLES: &str = "
    BEGIN;
    SELECT pg_advisory_xact_lock(7305809155590352);
    CREATE TABLE IF NOT EXISTS recsys_format (version INTEGER NOT NULL);
    INSERT INTO recsys_format SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM recsys_format);
    CREATE TABLE IF NOT EXISTS recsys_events (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        user_id BIGINT NOT NULL,
        track_id BIGINT NOT NULL,
        at_ms BIGINT NOT NULL
    );
    CREATE INDEX IF NOT EXISTS recsys_events_of_user ON recsys_events (user_id, id DESC);
    CREATE TABLE IF NOT EXISTS recsys_event_ids (
        user_id BIGINT NOT NULL,
        event_id TEXT NOT NULL,
        PRIMARY KEY (user_id, event_id)
    );
    COMMIT";

/// An acknowledged event must survive a power cut, whatever the database does for others.
const DURABLE: &str = "
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// A connection, or none at the moment.
#[derive(Debug)]
pub struct Link {
    linked: ArcSwapOption<Linked>,
    give_up: Notify,
    close: Notify,
}

/// A connection with its statement.
#[derive(Debug)]
pub struct Linked {
    /// What sends statements.
    pub client: Client,
    /// What this link is for.
    pub statement: Statement,
}

type Line = Connection<Socket, NoTlsStream>;

impl Link {
    /// Connects, and keeps connecting whenever the connection is lost.
    ///
    /// # Errors
    /// When the database refuses for good.
    pub async fn open(
        config: Config,
        sql: &'static str,
        timeout: Duration,
    ) -> Result<Arc<Self>, EventsFault> {
        let link =
            Arc::new(Self { linked: ArcSwapOption::empty(), give_up: Notify::new(), close: Notify::new() });
        let first = match connect(&config, sql, timeout).await {
            Ok(first) => Some(first),
            Err(EventsFault::Postgres { cause }) if may_pass(&cause) => {
                tracing::error!("the database of events cannot be reached yet: {}", told(&cause));
                None
            }
            Err(EventsFault::Silent) => {
                tracing::error!("the database of events does not answer yet");
                None
            }
            Err(fault) => return Err(fault),
        };
        tokio::spawn(Arc::clone(&link).keep(config, sql, timeout, first));
        Ok(link)
    }

    /// The connection, when there is one.
    pub fn get(&self) -> Option<Arc<Linked>> {
        self.linked.load_full()
    }

    /// Lets the connection go and makes another.
    pub fn give_up(&self, reason: &str) {
        tracing::error!("{reason}: the connection to the database is given up");
        self.linked.store(None);
        self.give_up.notify_one();
    }

    /// Lets the connection go for good.
    pub fn close(&self) {
        self.linked.store(None);
        self.close.notify_one();
    }

    async fn keep(
        self: Arc<Self>,
        config: Config,
        sql: &'static str,
        timeout: Duration,
        first: Option<(Linked, tokio::task::JoinHandle<()>)>,
    ) {
        let mut next = first;
        let mut rest = FIRST_REST;
        loop {
            if let Some((linked, mut line)) = next.take() {
                self.linked.store(Some(Arc::new(linked)));
                rest = FIRST_REST;
                tokio::select! {
                    _ = &mut line => tracing::error!("the connection to the database of events is lost"),
                    () = self.give_up.notified() => line.abort(),
                    () = self.close.notified() => return line.abort(),
                }
                self.linked.store(None);
            }
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                () = self.close.notified() => return,
            }
            rest = (rest * 2).min(LONGEST_REST);
            match connect(&config, sql, timeout).await {
                Ok(linked) => {
                    tracing::info!("the database of events is back");
                    next = Some(linked);
                }
                Err(fault) => tracing::debug!("the database of events is not back: {fault}"),
            }
        }
    }
}

/// Connects, makes the tables where they are missing, and prepares the statement.
async fn connect(
    config: &Config,
    sql: &str,
    timeout: Duration,
) -> Result<(Linked, tokio::task::JoinHandle<()>), EventsFault> {
    let postgres = |cause| EventsFault::Postgres { cause };
    let (client, line): (Client, Line) = config.connect(NoTls).await.map_err(postgres)?;
    let line = tokio::spawn(async move {
        // Why it ended is told by the statements that it takes with it.
        let _ = line.await;
    });
    let prepared = tokio::time::timeout(timeout, async {
        let has_tables = "SELECT to_regclass('recsys_event_ids') IS NOT NULL";
        if !client.query_one(has_tables, &[]).await.map_err(postgres)?.get::<_, bool>(0) {
            client.batch_execute(TABLES).await.map_err(postgres)?;
        }
        let found =
            client.query_one("SELECT version FROM recsys_format", &[]).await.map_err(postgres)?.get(0);
        if found > FORMAT_VERSION {
            return Err(EventsFault::Tables { found, known: FORMAT_VERSION });
        }
        client.batch_execute(DURABLE).await.map_err(postgres)?;
        client.prepare(sql).await.map_err(postgres)
    })
    .await;
    match prepared {
        Ok(Ok(statement)) => Ok((Linked { client, statement }, line)),
        Ok(Err(fault)) => {
            line.abort();
            Err(fault)
        }
        Err(_) => {
            line.abort();
            Err(EventsFault::Silent)
        }
    }
}

/// Whether the database may be back by itself: it cannot be reached, starts, stops or is full.
fn may_pass(error: &tokio_postgres::Error) -> bool {
    let passing = [
        SqlState::CANNOT_CONNECT_NOW,
        SqlState::ADMIN_SHUTDOWN,
        SqlState::CRASH_SHUTDOWN,
        SqlState::TOO_MANY_CONNECTIONS,
    ];
    error.code().is_none_or(|code| passing.contains(code))
}

/// What the database said, which the error's own text leaves to its source.
pub fn told(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
