//! What a run has to say, on its way to the spool: kept in memory until the run does something, written at once
//! from then on. A disk that refuses ends the tracking of the run, not the run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use chrono::Utc;

use super::courier::{Courier, Outcome};
use super::entry::{Entry, WHOLE};
use super::server::{Credentials, Destination};
use super::spool::{self, Spool};
use super::{names, place};

/// How long the end of a run waits for git.
const GIT: Duration = Duration::from_millis(500);

/// The log of one run of the product.
pub struct Log {
    destination: Destination,
    credentials: Credentials,
    root: PathBuf,
    /// The name of the run in the project.
    run: String,
    state: State,
    commit: Option<Receiver<BTreeMap<String, String>>>,
}

enum State {
    /// Nothing that deserves a record happened yet.
    Waiting(Vec<Entry>),
    /// The spool is there and is being sent.
    Open(Spool, Courier),
    /// The disk refused.
    Broken(String),
}

/// The present time in milliseconds since 1970.
pub fn now() -> i64 {
    Utc::now().timestamp_millis()
}

impl Log {
    /// A log that has nothing to say yet.
    pub fn new(destination: Destination, credentials: Credentials, root: PathBuf, run: String) -> Self {
        let id = format!("{}:{run}", place::host());
        let first = Entry::Destination {
            server: destination.server.to_string(),
            experiment: destination.experiment.clone(),
            id,
        };
        Self { destination, credentials, root, run, state: State::Waiting(vec![first]), commit: None }
    }

    /// Where it goes.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// From now on everything is written.
    pub fn begin(&mut self) {
        let State::Waiting(waiting) = &mut self.state else { return };
        let waiting = std::mem::take(waiting);
        let folder = spool::folder(&self.root).join(&self.run);
        let created = Spool::create(&folder).and_then(|mut spool| {
            spool.append(&waiting)?;
            spool.sync()?;
            Ok(spool)
        });
        self.state = match created {
            Ok(spool) => {
                let courier = Courier::start(&folder, &self.root, self.credentials.clone());
                self.commit = Some(place::commit(&self.root));
                State::Open(spool, courier)
            }
            Err(error) => State::Broken(format!("`{}` cannot be written: {error}", folder.display())),
        };
    }

    /// Adds entries.
    pub fn note(&mut self, entries: impl IntoIterator<Item = Entry>) {
        let mut entries: Vec<Entry> = entries.into_iter().collect();
        let known = self.commit.as_ref().and_then(|commit| commit.try_recv().ok());
        entries.extend(known.and_then(|tags| self.committed(tags)));
        match &mut self.state {
            State::Waiting(waiting) => waiting.append(&mut entries),
            State::Open(spool, courier) => match spool.append(&entries) {
                Ok(()) => courier.wake(),
                Err(error) => self.state = State::Broken(format!("the spool cannot be written: {error}")),
            },
            State::Broken(_) => {}
        }
    }

    fn committed(&mut self, tags: BTreeMap<String, String>) -> Option<Entry> {
        self.commit = None;
        let cut = |(name, value): (String, String)| (name, names::cut(&value, names::LONGEST_TAG));
        (!tags.is_empty())
            .then(|| Entry::Tags { run: WHOLE.to_owned(), values: tags.into_iter().map(cut).collect() })
    }

    /// The last entries, before the run is called ended.
    pub fn complete(&mut self, entries: impl IntoIterator<Item = Entry>) {
        let waited = self.commit.take().and_then(|commit| commit.recv_timeout(GIT).ok());
        let tags = waited.and_then(|tags| self.committed(tags));
        self.note(tags.into_iter().chain(entries));
        if let State::Open(spool, _) = &self.state
            && let Err(error) = spool.sync()
        {
            tracing::warn!("the spool of tracking may not survive a power cut: {error}");
        }
    }

    /// Waits a little for what is left to be sent; nothing when there was nothing to say.
    pub fn finish(self, wait: Duration) -> Option<Outcome> {
        match self.state {
            State::Waiting(_) => None,
            State::Open(_spool, courier) => Some(courier.finish(wait)),
            State::Broken(why) => Some(Outcome { why: Some(why), ..Outcome::default() }),
        }
    }
}
