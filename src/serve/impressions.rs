//! What users were shown and what they did then: an id in every answer and, where the service file names
//! a file, a line of JSON for each answer and each request with events; [`crate::codec::feedback`] reads it.
//!
//! A thread of its own appends the lines, so that no answer waits for a disk; when it falls behind by
//! more than [`MAX_WAITING`] bytes, further lines are counted and dropped. A line that a kill cut short
//! is ended when the file is opened again, and spoils no other. The store of events stays the truth
//! about events: this log may lack the last ones before a power cut.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::blend::{Case, Source};
use super::failure::ServiceError;

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
    /// Differs between processes.
    process: u64,
    next: AtomicU64,
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

#[derive(Debug)]
enum Message {
    Line(Vec<u8>),
    Close,
}

impl Impressions {
    /// Ids alone, or ids and a log at `path`, which is made when it is not there.
    ///
    /// # Errors
    /// When the file cannot be opened for appending.
    pub fn open(path: Option<&Path>) -> Result<Self, ServiceError> {
        let mut impressions = Self {
            process: RandomState::new().hash_one(std::process::id()),
            next: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            log: None,
        };
        if let Some(path) = path {
            let refused = |cause| ServiceError::Impressions { path: path.to_owned(), cause };
            let file = append_to(path).map_err(refused)?;
            let (queue, messages) = mpsc::channel();
            let waiting = Arc::new(AtomicUsize::new(0));
            let writer = Writer {
                file: BufWriter::new(file),
                path: path.to_owned(),
                waiting: Arc::clone(&waiting),
                is_failing: false,
            };
            let thread = thread::Builder::new().name("impressions".to_owned());
            let thread = thread.spawn(move || writer.run(&messages)).map_err(refused)?;
            impressions.log = Some(Log { queue, waiting, writer: Mutex::new(Some(thread)) });
        }
        Ok(impressions)
    }

    /// An id that no other answer of any process has: 32 hexadecimal digits.
    pub fn next_id(&self) -> String {
        format!("{:016x}{:016x}", self.process, self.next.fetch_add(1, Ordering::Relaxed))
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
        self.next.load(Ordering::Relaxed)
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

struct Writer {
    file: BufWriter<File>,
    path: PathBuf,
    waiting: Arc<AtomicUsize>,
    is_failing: bool,
}

impl Writer {
    fn run(mut self, messages: &mpsc::Receiver<Message>) {
        while let Ok(Message::Line(line)) = messages.recv() {
            let mut result = self.file.write_all(&line);
            if self.waiting.fetch_sub(line.len(), Ordering::Relaxed) == line.len() {
                result = result.and_then(|()| self.file.flush());
            }
            self.tell(result);
        }
        let result = self.file.flush().and_then(|()| self.file.get_ref().sync_data());
        self.tell(result);
    }

    /// Says once that the disk refuses, and once that it no longer does.
    fn tell(&mut self, result: io::Result<()>) {
        match result {
            Err(error) if !self.is_failing => {
                tracing::error!("impressions are lost, `{}` cannot be written: {error}", self.path.display());
                self.is_failing = true;
            }
            Ok(()) if self.is_failing => {
                tracing::warn!("impressions are written to `{}` again", self.path.display());
                self.is_failing = false;
            }
            _ => {}
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
    if file.seek(SeekFrom::End(0))? > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(impressions: &Impressions) -> String {
        let impression_id = impressions.next_id();
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
            let impressions = Impressions::open(Some(&path)).unwrap();
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
    fn a_log_that_cannot_be_opened_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = Impressions::open(Some(folder.path())).unwrap_err().to_string();
        assert!(refusal.starts_with("cannot append impressions to"), "{refusal}");
    }
}
