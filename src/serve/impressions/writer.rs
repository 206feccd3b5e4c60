//! The thread that appends lines to the log.
//!
//! What was written is told to the disk every few seconds, so that a power cut costs no more than those; a kill
//! costs what waits for the thread. A line that was cut short is ended when the file is opened again, and spoils no
//! other. A full file is put aside under a name with the time; nothing is ever deleted.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chrono::Utc;

use crate::serve::service::Impressions as Settings;

/// What the thread is told.
#[derive(Debug)]
pub enum Message {
    /// A line to append, with its end.
    Line(Vec<u8>),
    /// The end.
    Close,
}

/// The file and its thread.
#[derive(Debug)]
pub struct Writer {
    file: BufWriter<File>,
    path: PathBuf,
    /// Bytes in the file and on their way there.
    len: u64,
    max_len: NonZeroU64,
    sync_every: Duration,
    /// When the first line was written that the disk has not been told of.
    unsynced: Option<Instant>,
    /// Bytes in the queue.
    waiting: Arc<AtomicUsize>,
    is_failing: bool,
}

impl Writer {
    /// Opens the file, which is made when it is not there.
    pub fn open(path: &Path, settings: &Settings, waiting: Arc<AtomicUsize>) -> io::Result<Self> {
        let (file, len) = append_to(path)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            len,
            max_len: settings.max_file_bytes,
            sync_every: settings.sync_ms,
            unsynced: None,
            waiting,
            is_failing: false,
        })
    }

    /// Appends what comes until it is told to close.
    pub fn start(self, messages: Receiver<Message>) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name("impressions".to_owned()).spawn(move || self.run(&messages))
    }

    fn run(mut self, messages: &Receiver<Message>) {
        loop {
            let rest = self.unsynced.map(|since| self.sync_every.saturating_sub(since.elapsed()));
            let message = match rest {
                None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(rest) if rest.is_zero() => Err(RecvTimeoutError::Timeout),
                Some(rest) => messages.recv_timeout(rest),
            };
            match message {
                Ok(Message::Line(line)) => {
                    let written = self.append(&line);
                    let waits = self.waiting.fetch_sub(line.len(), Ordering::Relaxed) > line.len();
                    let result = written.and_then(|()| if waits { Ok(()) } else { self.file.flush() });
                    self.tell(result);
                }
                Err(RecvTimeoutError::Timeout) => {
                    let result = self.sync();
                    self.tell(result);
                }
                Ok(Message::Close) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let result = self.sync();
        self.tell(result);
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.len > 0 && self.len + line.len() as u64 > self.max_len.get() {
            self.put_aside()?;
        }
        self.len += line.len() as u64;
        self.unsynced.get_or_insert_with(Instant::now);
        self.file.write_all(line)
    }

    /// Goes on in a new file; the name of the full one sorts before it and behind those of earlier ones.
    fn put_aside(&mut self) -> io::Result<()> {
        self.sync()?;
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let end = self.path.extension().unwrap_or_default().to_string_lossy();
        let time = Utc::now().format("%Y%m%dT%H%M%S%.6fZ");
        let aside = self.path.with_file_name(format!("{name}-{time}.{end}"));
        // Times of one process differ, those of a clock that was set back may not.
        if aside.exists() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, aside.display().to_string()));
        }
        fs::rename(&self.path, aside)?;
        (self.file, self.len) = append_to(&self.path)?;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.unsynced = None;
        self.file.flush()?;
        self.file.get_ref().sync_data()
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

fn append_to(path: &Path) -> io::Result<(BufWriter<File>, u64)> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
    let mut len = file.seek(SeekFrom::End(0))?;
    if len > 0 {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            len += 1;
        }
    }
    Ok((BufWriter::new(file), len))
}
