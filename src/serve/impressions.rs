//! What users were shown and what they did then: an id in every answer and, where the service file names
//! a file, a line of JSON for each answer and each request with events; [`crate::codec::feedback`] reads it.
//!
//! A thread of its own appends the lines, so that no answer waits for a disk; when it falls behind by
//! more than [`MAX_WAITING`] bytes, further lines are counted and dropped. The store of events stays the
//! truth about events: this log may lack the last seconds before a power cut.

mod writer;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::blend::{Case, Source};
use super::failure::ServiceError;
use super::ids::{Id, Ids};
use super::service;
use writer::{Message, Writer};

/// How many bytes of lines may wait for the disk.
pub const MAX_WAITING: usize = 16 << 20;

/// One answer.
#[derive(Debug, Serialize)]
pub struct Impression<'a> {
    /// The id in the answer.
    pub impression_id: &'a str,
    /// When it was given, in UTC with milliseconds.
    pub at: String,
    /// Whom it was for; null for answers that are the same for everyone.
    pub user_id: Option<i64>,
    /// The track that similar ones were asked for.
    pub track_id: Option<i64>,
    /// The variant of the user, when the service has variants.
    pub variant: Option<&'a str>,
    /// What the answer was made of.
    pub source: Case,
    /// What was shown, best first.
    pub items: Vec<Shown>,
}

/// A track of an answer.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// The track.
    pub track_id: i64,
    /// The list that it comes from.
    pub source: Source,
}

/// What a user listened to.
#[derive(Debug, Serialize)]
struct Listened<'a> {
    at: String,
    user_id: i64,
    listened: &'a [i64],
}

/// Gives answers their ids and keeps what they showed.
#[derive(Debug)]
pub struct Impressions {
    ids: Ids,
    dropped: AtomicU64,
    log: Option<Log>,
}

#[derive(Debug)]
struct Log {
    queue: mpsc::Sender<Message>,
    /// Bytes in the queue.
    waiting: Arc<AtomicUsize>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Impressions {
    /// Ids alone.
    pub fn off() -> Self {
        Self { ids: Ids::new(), dropped: AtomicU64::new(0), log: None }
    }

    /// Ids and, where the settings name a file, a log, which is made when it is not there.
    ///
    /// # Errors
    /// When the file cannot be opened for appending.
    pub fn open(settings: &service::Impressions) -> Result<Self, ServiceError> {
        let Some(path) = &settings.path else { return Ok(Self::off()) };
        let refused = |cause| ServiceError::Impressions { path: path.clone(), cause };
        let (queue, messages) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let writer = Writer::open(path, settings, Arc::clone(&waiting)).map_err(refused)?;
        let writer = Mutex::new(Some(writer.start(messages).map_err(refused)?));
        Ok(Self { log: Some(Log { queue, waiting, writer }), ..Self::off() })
    }

    /// An id that no other answer of any process has.
    pub fn next_id(&self) -> Id {
        self.ids.make()
    }

    /// Whether impressions are kept.
    pub fn is_on(&self) -> bool {
        self.log.is_some()
    }

    /// Keeps what an answer showed, without waiting.
    pub fn keep(&self, impression: &Impression<'_>) {
        self.write(impression);
    }

    /// Keeps what a user listened to, without waiting.
    pub fn listened(&self, user_id: i64, track_ids: &[i64]) {
        if self.is_on() {
            self.write(&Listened { at: now(), user_id, listened: track_ids });
        }
    }

    fn write(&self, line: &impl Serialize) {
        let Some(log) = &self.log else { return };
        let Ok(mut line) = serde_json::to_vec(line) else { return };
        line.push(b'\n');
        let len = line.len();
        let before = log.waiting.fetch_add(len, Ordering::Relaxed);
        if before + len > MAX_WAITING || log.queue.send(Message::Line(line)).is_err() {
            log.waiting.fetch_sub(len, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many answers there were.
    pub fn given(&self) -> u64 {
        self.ids.made()
    }

    /// How many lines are not in the log because the disk was slower than they came.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes what waits, and closes the file.
    pub async fn close(&self) {
        let Some(log) = &self.log else { return };
        let _ = log.queue.send(Message::Close);
        let writer = log.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            let joined = tokio::task::spawn_blocking(move || writer.join()).await;
            if !matches!(joined, Ok(Ok(()))) {
                tracing::error!("the thread that writes impressions ended badly");
            }
        }
    }
}

/// The time now, as impressions have it.
pub fn now() -> String {
    DateTime::<Utc>::from(std::time::SystemTime::now()).to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;
    use std::num::NonZeroU64;
    use std::path::Path;

    use super::*;
    use crate::serve::ids;

    fn settings(path: &Path) -> service::Impressions {
        service::Impressions { path: Some(path.to_owned()), ..service::Impressions::default() }
    }

    fn keep(impressions: &Impressions) -> String {
        let impression_id = ids::text(&impressions.next_id()).to_owned();
        impressions.keep(&Impression {
            impression_id: &impression_id,
            at: now(),
            user_id: Some(7),
            track_id: None,
            variant: Some("a"),
            source: Case::Default,
            items: vec![Shown { track_id: 100, source: Source::Popular }],
        });
        impression_id
    }

    #[test]
    fn a_line_cut_short_spoils_no_other_and_ids_differ_between_processes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/impressions.jsonl");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut ids = Vec::new();
        for _ in 0..2 {
            let impressions = Impressions::open(&settings(&path)).unwrap();
            ids.extend([keep(&impressions), keep(&impressions)]);
            runtime.block_on(impressions.close());
            let mut file = OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(b"{\"impression_id\":\"ab").unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        assert_eq!(lines.iter().map(|line| line["impression_id"].as_str().unwrap()).collect::<Vec<_>>(), ids);
        assert_eq!(lines[0]["items"], serde_json::json!([{"track_id": 100, "source": "popular"}]));
        assert_eq!(text.lines().count(), 6);
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 4);
    }

    #[test]
    fn a_full_file_is_put_aside_and_no_line_is_lost_or_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("impressions.jsonl");
        let max_file_bytes = NonZeroU64::new(1000).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut ids = Vec::new();
        for _ in 0..2 {
            let settings = service::Impressions { max_file_bytes, ..settings(&path) };
            let impressions = Impressions::open(&settings).unwrap();
            ids.extend((0..20).map(|_| keep(&impressions)));
            runtime.block_on(impressions.close());
        }
        let mut files: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        assert!(files.len() > 5, "{files:?}");
        assert_eq!(files.last(), Some(&path), "the name of the newest sorts last");
        let mut found = Vec::new();
        for file in &files {
            let text = fs::read_to_string(file).unwrap();
            assert!(text.len() <= 1000, "{} bytes", text.len());
            let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
            found.extend(lines.map(|line| line["impression_id"].as_str().unwrap().to_owned()));
        }
        assert_eq!(found, ids, "in the order of the names");
    }

    #[test]
    fn a_log_that_cannot_be_opened_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = Impressions::open(&settings(folder.path())).unwrap_err().to_string();
        assert!(refusal.starts_with("cannot append impressions to"), "{refusal}");
    }
}
