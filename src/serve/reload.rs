//! A new release takes the place of the old one while requests are answered.
//!
//! A thread looks at the artifacts every few seconds. When they have changed, have been left alone for one
//! more look and belong together, it reads them beside the running release and puts the new one in its
//! place at once: requests in flight finish on the release that they began with. A release that cannot be
//! read, or whose parts do not fit, is refused: the old one stays, and the log and a counter say so.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::failure::ServiceError;
use super::library::Library;
use super::memory;
use super::origin::{Look, Origin, Told};
use super::state::State;

/// Looks for new releases until it is dropped.
#[derive(Debug)]
pub struct Watch(#[expect(dead_code, reason = "its end is what the thread waits for")] mpsc::Sender<()>);

impl Watch {
    /// Starts the thread that looks every `period`.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub fn start(state: State, period: Duration) -> std::io::Result<Self> {
        let (alive, stopped) = mpsc::channel();
        let mut watcher = Watcher::new(state);
        thread::Builder::new().name("reload".to_owned()).spawn(move || {
            while stopped.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                watcher.look();
            }
        })?;
        Ok(Self(alive))
    }
}

/// What is known of the files so far.
#[derive(Debug)]
pub struct Watcher {
    state: State,
    /// The look that was last acted on.
    settled: Look,
    /// The look before this one.
    previous: Look,
}

impl Watcher {
    /// Takes the release that is served for the one that lies there: what has changed since it was read is
    /// seen at the first look.
    pub fn new(state: State) -> Self {
        let settled = state.library().look.clone();
        Self { state, previous: settled.clone(), settled }
    }

    /// Takes up a new release if there is one.
    pub fn look(&mut self) {
        let artifacts = &self.state.service().artifacts;
        let look = Look::at(artifacts);
        let changing = look != self.previous;
        self.previous = look.clone();
        if changing || look == self.settled {
            return;
        }
        let begin = Instant::now();
        let read = self.read(&look);
        // Whatever was read, it is of no use when the files have changed meanwhile.
        if Look::at(artifacts) != look {
            return;
        }
        self.settled = look;
        match read {
            Ok(Some(library)) => {
                let (n_users, n_tracks) = (library.recommendations.len(), library.catalog.len());
                let seconds = begin.elapsed().as_secs_f64();
                self.state.publish(library);
                memory::give_back();
                tracing::info!(
                    "a new release is served: {n_users} users, {n_tracks} tracks, read in {seconds:.1} s"
                );
            }
            Ok(None) => {}
            Err(error) => {
                self.state.refuse();
                tracing::error!("a new release is refused, the old one is served on: {error}");
            }
        }
    }

    /// The new release; nothing when there is none yet.
    fn read(&self, look: &Look) -> Result<Option<Library>, ServiceError> {
        let service = self.state.service();
        service.artifacts.check()?;
        let origin = Origin::of(&service.artifacts)?;
        if origin.same_bytes(&self.state.library().origin) {
            return Ok(None);
        }
        if let Told::Other { manifest } = &origin.told {
            tracing::info!(
                "the artifacts are not those of `{}`: the old release is served until a run has ended",
                manifest.display()
            );
            return Ok(None);
        }
        Library::read(service, origin, look.clone()).map(Some)
    }
}
