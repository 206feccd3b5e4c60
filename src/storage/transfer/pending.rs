//! Notes about uploads in parts that have begun, so that the next try goes on with them or takes them back.
//!
//! An upload that nobody completes keeps its parts on the server, unseen and paid for. So it is noted before
//! it begins that one will, and under which id when that is known; the note goes when the upload is complete or
//! aborted. One note an object, under the hash of its address, and a lock beside it that is held while it is worked
//! on: a note whose lock is free belongs to nobody who lives.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::storage::error::Failure;
use crate::storage::runtime::pause;
use crate::storage::{Address, Multipart, Remote, Settings, Stop, StorageError};

/// How long an upload that was broken off waits for whoever goes on with it.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// How far the clocks of this machine and of a server may differ, in seconds.
const CLOCKS_DIFFER: i64 = 15 * 60;

/// An upload that has begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The object that it will be.
    pub address: String,
    /// The server, when it is not Amazon's.
    pub endpoint: Option<String>,
    /// Its id; nothing when the server was asked for one and the answer is not known.
    pub upload: Option<String>,
    /// Bytes of the object.
    pub size: u64,
    /// Bytes of each part but the last.
    pub part_size: u64,
    /// BLAKE3 digest of the object.
    pub blake3: String,
    /// When it was begun, in seconds since 1970.
    pub begun: i64,
}

/// The note about one object, held by whoever works on it.
pub struct Held {
    path: PathBuf,
    _lock: File,
}

impl Held {
    /// Holds the note about `address` in `folder`; waits while another process does.
    ///
    /// # Errors
    /// When the disk refuses or the run is stopped.
    pub fn take(folder: &Path, address: &Address, stop: Stop<'_>) -> Result<Self, Failure> {
        fs::create_dir_all(folder).map_err(Failure::disk(folder.display()))?;
        let name = blake3::hash(address.to_string().as_bytes()).to_hex();
        let path = folder.join(format!("{name}.json"));
        loop {
            if let Some(held) = Self::try_take(&path).map_err(Failure::disk(path.display()))? {
                return Ok(held);
            }
            pause(stop, Duration::from_millis(200));
            if stop() {
                return Err(Failure::stopped());
            }
        }
    }

    fn try_take(path: &Path) -> io::Result<Option<Self>> {
        let lock = path.with_extension("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(lock)?;
        Ok(lock.try_lock().is_ok().then(|| Self { path: path.to_owned(), _lock: lock }))
    }

    /// What is noted; a note that cannot be read is none.
    pub fn note(&self) -> Option<Note> {
        serde_json::from_slice(&fs::read(&self.path).ok()?).ok()
    }

    /// Notes this, on the disk before it returns.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, note: &Note) -> Result<(), Failure> {
        let write = || -> io::Result<()> {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            let mut part = tempfile::NamedTempFile::new_in(folder)?;
            part.write_all(&serde_json::to_vec(note)?)?;
            part.as_file().sync_all()?;
            part.persist(&self.path).map_err(|error| error.error)?;
            File::open(folder)?.sync_all()
        };
        write().map_err(Failure::disk(self.path.display()))
    }

    /// The upload is complete or aborted.
    pub fn forget(&self) {
        // A note that stays leads to an upload that is not there any more, which is as good as none.
        let _ = fs::remove_file(&self.path);
    }

    /// Aborts what is noted and forgets it.
    ///
    /// # Errors
    /// When the server refuses; the note stays then.
    pub fn abort(&self, note: &Note, key: &str, uploads: &dyn Multipart) -> Result<(), Failure> {
        match &note.upload {
            Some(upload) => uploads.abort(key, upload)?,
            None => {
                // The answer with the id was lost: it is the one that was begun since.
                for found in uploads.unfinished(key)? {
                    let since = found.begun.is_none_or(|begun| begun >= note.begun - CLOCKS_DIFFER);
                    if found.key == key && since {
                        uploads.abort(key, &found.upload)?;
                    }
                }
            }
        }
        self.forget();
        Ok(())
    }
}

/// Uploads that were broken off, and that nobody works on.
pub fn abandoned(folder: &Path) -> Vec<Note> {
    held(folder).into_iter().map(|(_, note)| note).collect()
}

/// Aborts uploads that were broken off more than a day ago and that nobody went on with; which ones.
///
/// # Errors
/// When the server refuses.
pub fn sweep(folder: &Path, settings: &Settings, stop: Stop<'_>) -> Result<Vec<Note>, StorageError> {
    let now = i64::try_from(seconds_since_1970()).unwrap_or(i64::MAX);
    let patience = i64::try_from(PATIENCE.as_secs()).unwrap_or(i64::MAX);
    let mut aborted = Vec::new();
    for (held, note) in held(folder) {
        // A note about another server, or one that cannot be read any more, is left to whoever wrote it.
        let Ok(address) = note.address.parse::<Address>() else { continue };
        if note.endpoint != settings.endpoint || now - note.begun < patience {
            continue;
        }
        let remote = Remote::open(&address, settings, stop)?;
        if let Some(uploads) = remote.multipart() {
            held.abort(&note, &address.key(), uploads).map_err(remote.error("tidy up"))?;
            aborted.push(note);
        }
    }
    Ok(aborted)
}

/// Seconds since 1970.
pub fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn held(folder: &Path) -> Vec<(Held, Note)> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let notes = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let held = notes.filter_map(|path| Held::try_take(&path).ok().flatten());
    held.filter_map(|held| held.note().map(|note| (held, note))).collect()
}
