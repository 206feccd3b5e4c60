//! Digests of files, each file hashed once: a memo of size, modification time and inode spares the next time.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::files::{FilesError, read_json, write_json};
use super::fingerprint::Digest;

/// A file changed so shortly before it was hashed could change again without a new time stamp.
const RACY: Duration = Duration::from_millis(50);

/// What is known about files, by path.
pub struct Digests {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: BTreeMap<PathBuf, Known>,
    changed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    stamp: Stamp,
    digest: Digest,
}

/// What the file system says about a file; equal stamps are taken for equal bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    size: u64,
    modified_ns: i128,
    device: u64,
    inode: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            size: metadata.size(),
            modified_ns: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

impl Digests {
    /// Opens the memo in `folder`; a damaged one counts as empty.
    pub fn open(folder: &Path) -> Self {
        let path = folder.join("digests.json");
        let known = read_json(&path).unwrap_or_default();
        Self { path, state: Mutex::new(State { known, changed: false }) }
    }

    /// The digest of the bytes of a file, from the memo when the file looks unchanged.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn digest(&self, path: &Path) -> Result<Digest, FilesError> {
        let metadata = fs::metadata(path).map_err(FilesError::new("read", path))?;
        let stamp = Stamp::of(&metadata);
        if let Some(digest) = self.remembered(path, stamp) {
            return Ok(digest);
        }
        let digest = hash(path).map_err(FilesError::new("read", path))?;
        let age = metadata.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
        if age.is_some_and(|age| age > RACY) {
            self.remember(path, stamp, &digest);
        }
        Ok(digest)
    }

    /// Notes the digest of a file that nobody else writes.
    pub fn note(&self, path: &Path, digest: &Digest) {
        if let Ok(metadata) = fs::metadata(path) {
            self.remember(path, Stamp::of(&metadata), digest);
        }
    }

    /// Writes the memo when it has changed, without what no longer exists.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self) -> Result<(), FilesError> {
        let mut state = self.lock();
        if state.changed {
            state.known.retain(|path, _| path.exists());
            write_json(&self.path, &state.known)?;
            state.changed = false;
        }
        Ok(())
    }

    fn remembered(&self, path: &Path, stamp: Stamp) -> Option<Digest> {
        self.lock().known.get(path).filter(|known| known.stamp == stamp).map(|known| known.digest.clone())
    }

    fn remember(&self, path: &Path, stamp: Stamp, digest: &Digest) {
        let known = Known { stamp, digest: digest.clone() };
        let mut state = self.lock();
        if state.known.get(path) != Some(&known) {
            state.known.insert(path.to_owned(), known);
            state.changed = true;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hashes a file on all cores, memory-mapped when it is large.
fn hash(path: &Path) -> std::io::Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_mmap_rayon(path)?;
    Ok(Digest::new(hasher.finalize()))
}
