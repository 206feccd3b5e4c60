//! The thread that sends a spool while the run goes on, and what it says when the run ends.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::delivery::{Delivery, Stalled};
use super::http::Trouble;
use super::server::Credentials;
use super::spool::Reader;

/// News are collected for so long before they are sent: one request for many.
const LINGER: Duration = Duration::from_millis(500);
/// The wait after the first failure; each later one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The same while somebody looks on.
const LONGEST_WAIT_OF_A_PERSON: Duration = Duration::from_secs(5);

/// How long the end of a run that was stopped waits at most.
pub const WAIT_WHEN_STOPPED: Duration = Duration::from_secs(1);

/// What became of a spool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Where the run is shown.
    pub link: Option<String>,
    /// Entries that are not sent.
    pub left: usize,
    /// Why not.
    pub why: Option<String>,
    /// What the server refused for good.
    pub refused: Vec<String>,
}

/// What the run tells its courier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    /// There may be something to send.
    Written,
    /// There will be nothing more.
    Over,
}

/// A thread that sends a spool.
pub struct Courier {
    folder: PathBuf,
    news: watch::Sender<News>,
    done: Receiver<Outcome>,
    /// The last trouble, for a run that ends before the next try.
    trouble: Arc<Mutex<Option<String>>>,
}

impl Courier {
    /// Starts to send the spool in a folder.
    pub fn start(folder: &Path, root: &Path, credentials: Credentials) -> Self {
        let (news, hear) = watch::channel(News::Written);
        let (tell, done) = channel();
        let trouble = Arc::new(Mutex::new(None));
        let job = Job {
            folder: folder.to_owned(),
            root: root.to_owned(),
            credentials,
            hear,
            trouble: Arc::clone(&trouble),
        };
        let started = std::thread::Builder::new().name("tracking".to_owned()).spawn(move || job.run(&tell));
        if let Err(error) = started {
            *trouble.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(format!("no thread could be started: {error}"));
        }
        Self { folder: folder.to_owned(), news, done, trouble }
    }

    /// There is something to send.
    pub fn wake(&self) {
        self.news.send_replace(News::Written);
    }

    /// The run is over: waits a little for what is left to be sent.
    pub fn finish(self, wait: Duration) -> Outcome {
        self.news.send_replace(News::Over);
        match self.done.recv_timeout(wait) {
            Ok(outcome) => outcome,
            Err(end) => {
                let known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let late = match end {
                    RecvTimeoutError::Timeout => {
                        format!("it has not taken everything within {} s", wait.as_secs_f64())
                    }
                    RecvTimeoutError::Disconnected => "the thread that sends has ended".to_owned(),
                };
                Outcome { left: left(&self.folder), why: Some(known.unwrap_or(late)), ..Outcome::default() }
            }
        }
    }
}

/// Entries of a spool that are not sent.
pub fn left(folder: &Path) -> usize {
    let sent = super::journal::sent(folder);
    Reader::of(folder).and_then(|reader| reader.read(sent, usize::MAX)).map_or(0, |entries| entries.len())
}

struct Job {
    folder: PathBuf,
    root: PathBuf,
    credentials: Credentials,
    hear: watch::Receiver<News>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Job {
    fn run(self, tell: &Sender<Outcome>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let outcome = match runtime {
            Ok(runtime) => runtime.block_on(self.send()),
            Err(error) => {
                Outcome { left: left(&self.folder), why: Some(error.to_string()), ..Outcome::default() }
            }
        };
        // Nobody listens any more when the wait was over before.
        let _ = tell.send(outcome);
    }

    async fn send(mut self) -> Outcome {
        let mut delivery = match Delivery::open(&self.folder, &self.root, self.credentials.clone()) {
            Ok(delivery) => delivery,
            Err(stalled) => return self.stalled(None, &stalled),
        };
        let mut failures: u32 = 0;
        loop {
            let over = *self.hear.borrow_and_update() == News::Over;
            let sent = match delivery.pass().await {
                Ok(()) if over => delivery.close().await,
                other => other,
            };
            match sent {
                Ok(()) if over => {
                    let refused = delivery.refused().to_vec();
                    return Outcome { link: delivery.link(), refused, ..Outcome::default() };
                }
                Ok(()) => {
                    failures = 0;
                    self.note(None);
                    if self.hear.changed().await.is_err() {
                        return self
                            .stalled(Some(&delivery), &Stalled::Spool("the run went away".to_owned()));
                    }
                    if *self.hear.borrow() != News::Over {
                        self.pause(LINGER).await;
                    }
                }
                Err(stalled) => {
                    failures += 1;
                    self.note(Some(stalled.to_string()));
                    let nobody = matches!(stalled, Stalled::Server(Trouble::Later { nobody: true, .. }));
                    let hopeless = matches!(stalled, Stalled::Spool(_)) || (nobody && failures > 1);
                    if over && hopeless {
                        return self.stalled(Some(&delivery), &stalled);
                    }
                    self.pause(wait(failures, &stalled)).await;
                }
            }
        }
    }

    /// Waits, but no longer than until the run is over. After that every wait is a whole one.
    async fn pause(&mut self, time: Duration) {
        if *self.hear.borrow() == News::Over {
            return tokio::time::sleep(time).await;
        }
        let over = self.hear.wait_for(|news| *news == News::Over);
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            _ = over => {}
        }
    }

    fn note(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    fn stalled(&self, delivery: Option<&Delivery>, stalled: &Stalled) -> Outcome {
        Outcome {
            link: delivery.and_then(Delivery::link),
            left: left(&self.folder),
            why: Some(stalled.to_string()),
            refused: delivery.map(|delivery| delivery.refused().to_vec()).unwrap_or_default(),
        }
    }
}

/// How long to wait before the next try: twice as long each time, or what the server says.
pub fn wait(failures: u32, stalled: &Stalled) -> Duration {
    if let Stalled::Server(Trouble::Later { after: Some(after), .. }) = stalled {
        return *after;
    }
    FIRST_WAIT.saturating_mul(1 << (failures.saturating_sub(1)).min(16)).min(LONGEST_WAIT)
}

/// Sends a spool of a run that is over, here and now, trying a few times.
pub fn deliver(folder: &Path, root: &Path, credentials: Credentials, tries: u32) -> Outcome {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return Outcome { left: left(folder), why: Some(error.to_string()), ..Outcome::default() };
        }
    };
    runtime.block_on(async {
        let mut delivery = match Delivery::open(folder, root, credentials) {
            Ok(delivery) => delivery,
            Err(stalled) => {
                return Outcome { left: left(folder), why: Some(stalled.to_string()), ..Outcome::default() };
            }
        };
        let mut failures = 0;
        loop {
            let sent = match delivery.pass().await {
                Ok(()) => delivery.close().await,
                other => other,
            };
            let (link, refused) = (delivery.link(), delivery.refused().to_vec());
            let Err(stalled) = sent else { return Outcome { link, refused, ..Outcome::default() } };
            failures += 1;
            if failures >= tries {
                return Outcome { link, refused, left: left(folder), why: Some(stalled.to_string()) };
            }
            tokio::time::sleep(wait(failures, &stalled).min(LONGEST_WAIT_OF_A_PERSON)).await;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_limit_unless_the_server_says_how_long() {
        let down = Stalled::Server(Trouble::later("no"));
        assert_eq!([1, 2, 3].map(|n| wait(n, &down).as_millis()), [250, 500, 1000]);
        assert_eq!(wait(60, &down), LONGEST_WAIT);
        let after = Some(Duration::from_secs(7));
        let told = Stalled::Server(Trouble::Later { why: String::new(), after, nobody: false });
        assert_eq!(wait(1, &told).as_secs(), 7);
    }
}
