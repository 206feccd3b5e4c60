//! What users were shown: an id in every answer and, where the service file names a file, a line of
//! JSON for each answer.
//!
//! A thread of its own appends the lines, so that no answer waits for a disk; when it falls behind by
//! more than [`QUEUE`] lines, further ones are counted and dropped. A line that a kill cut short is
//! ended when the file is opened again, and spoils no other.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use tokio::sync::mpsc;

use super::blend::{Case, Source};
use super::failure::ServiceError;

/// How many lines may wait for the disk.
pub const QUEUE: usize = 8192;

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

/// Gives answers their ids and keeps what they showed.
#[derive(Debug)]
pub struct Impressions {
    /// Differs between processes.
    process: u64,
    next: AtomicU64,
    dropped: AtomicU64,
    queue: Option<mpsc::Sender<Message>>,
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
            queue: None,
            writer: Mutex::new(None),
        };
        if let Some(path) = path {
            let refused = |cause| ServiceError::Impressions { path: path.to_owned(), cause };
            let file = append_to(path).map_err(refused)?;
            let (queue, messages) = mpsc::channel(QUEUE);
            let writer = Writer { file: BufWriter::new(file), path: path.to_owned(), is_failing: false };
            let thread = thread::Builder::new().name("impressions".to_owned());
            let thread = thread.spawn(move || writer.run(messages)).map_err(refused)?;
            impressions.queue = Some(queue);
            impressions.writer = Mutex::new(Some(thread));
        }
        Ok(impressions)
    }

    /// An id that no other answer of any process has: 32 hexadecimal digits.
    pub fn next_id(&self) -> String {
        format!("{:016x}{:016x}", self.process, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether impressions are kept.
    pub fn is_on(&self) -> bool {
        self.queue.is_some()
    }

    /// Keeps what an answer showed, without waiting.
    pub fn keep(&self, impression: &Impression<'_>) {
        let Some(queue) = &self.queue else { return };
        let Ok(mut line) = serde_json::to_vec(impression) else { return };
        line.push(b'\n');
        if queue.try_send(Message::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many answers there were.
    pub fn given(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// How many answers are not in the log because the disk was slower than they came.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes what waits, and closes the file.
    pub async fn close(&self) {
        let Some(queue) = &self.queue else { return };
        let _ = queue.send(Message::Close).await;
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
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
    is_failing: bool,
}

impl Writer {
    fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        while let Some(Message::Line(line)) = messages.blocking_recv() {
            let mut result = self.file.write_all(&line);
            if messages.is_empty() {
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
