//! Digests of files, each file hashed once: a memo of what the file system says about a file spares
//! the next time.
//!
//! The memo goes by inode, so that the hard links between store, release and staging share an entry.
//! Size, modification time and change time must all be as they were: the last one cannot be set back,
//! so that bytes which were exchanged under an old time stamp are noticed.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::files::{FilesError, read_record, write_record};

/// A file changed so shortly before it is hashed could change again without a new time stamp: the
/// clock of file systems ticks no slower than this.
pub const TICK: Duration = Duration::from_millis(20);
/// Files up to this size are read at once.
const SMALL: u64 = 1 << 17;
/// How much of a large file is in memory while it is hashed.
const CHUNK: usize = 1 << 22;
/// Entries beyond which the memo forgets files that were not looked at for a while.
const ENTRIES: usize = 200_000;

/// What is known about files.
pub struct Digests {
    path: PathBuf,
    state: OnceLock<Mutex<State>>,
    stop: OnceLock<Arc<AtomicBool>>,
}

#[derive(Default)]
struct State {
    known: HashMap<Inode, Known>,
    changed: bool,
}

/// What a name on a file system leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Inode {
    device: u64,
    number: u64,
}

/// Equal stamps of an inode are taken for equal bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    stamp: Stamp,
    digest: Digest,
    /// The day on which it was last noted, since 1970.
    day: u32,
}

impl Digests {
    /// The memo in `folder`, read when first asked; a damaged one counts as empty.
    pub fn open(folder: &Path) -> Self {
        Self { path: folder.join("digests"), state: OnceLock::new(), stop: OnceLock::new() }
    }

    /// Gives up hashing when `stop` is set; the first one that is given counts.
    pub fn stop_on(&self, stop: Arc<AtomicBool>) {
        let _ = self.stop.set(stop);
    }

    /// Whether it is set.
    pub fn is_stopped(&self) -> bool {
        self.stop.get().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// The digest of the bytes of a file, from the memo when the file looks unchanged.
    ///
    /// # Errors
    /// When the file cannot be read, or is written to again and again.
    pub fn digest(&self, path: &Path) -> Result<Digest, FilesError> {
        self.digest_of(path).map_err(FilesError::new("read", path))
    }

    /// The digest of a file that looks unchanged; nothing is read.
    pub fn remembered(&self, path: &Path) -> Option<Digest> {
        self.known(&fs::metadata(path).ok()?)
    }

    /// The digest of a plain file that can be read; a link, a folder or nothing is as good as none.
    pub fn of_plain_file(&self, path: &Path) -> Option<Digest> {
        let metadata = fs::symlink_metadata(path).ok().filter(Metadata::is_file)?;
        self.known(&metadata).or_else(|| self.digest(path).ok())
    }

    fn digest_of(&self, path: &Path) -> io::Result<Digest> {
        for _ in 0..3 {
            let before = fs::metadata(path)?;
            if let Some(digest) = self.known(&before) {
                return Ok(digest);
            }
            // Nothing for a clock that was set back, or that of another machine: then it is not remembered.
            let age = SystemTime::now().duration_since(changed(&before)).ok();
            if let Some(young) = age.and_then(|age| TICK.checked_sub(age)) {
                std::thread::sleep(young);
            }
            let before = fs::metadata(path)?;
            let digest = hash_until(path, before.len(), &|| self.is_stopped())?;
            let after = fs::metadata(path)?;
            if (inode(&after), stamp(&after)) == (inode(&before), stamp(&before)) {
                let settled = SystemTime::now().duration_since(changed(&after)).is_ok_and(|age| age >= TICK);
                if settled {
                    self.remember(&after, digest);
                }
                return Ok(digest);
            }
        }
        Err(io::Error::other("it changes while it is read"))
    }

    /// Notes the digest of a file that nobody else writes.
    pub fn note(&self, path: &Path, digest: Digest) {
        if let Ok(metadata) = fs::metadata(path) {
            self.remember(&metadata, digest);
        }
    }

    /// Writes the memo when it has changed.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self) -> Result<(), FilesError> {
        let mut state = self.lock();
        if state.changed {
            if state.known.len() > ENTRIES {
                let oldest = today().saturating_sub(30);
                state.known.retain(|_, known| known.day >= oldest);
            }
            let entries: Vec<(&Inode, &Known)> = state.known.iter().collect();
            write_record(&self.path, &entries)?;
            state.changed = false;
        }
        Ok(())
    }

    /// The digest of a file of which the file system says this, when that was said of it before.
    pub fn known(&self, metadata: &Metadata) -> Option<Digest> {
        let stamp = stamp(metadata);
        self.lock().known.get(&inode(metadata)).filter(|known| known.stamp == stamp).map(|known| known.digest)
    }

    fn remember(&self, metadata: &Metadata, digest: Digest) {
        let known = Known { stamp: stamp(metadata), digest, day: today() };
        let mut state = self.lock();
        if state.known.get(&inode(metadata)) != Some(&known) {
            state.known.insert(inode(metadata), known);
            state.changed = true;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.state.get_or_init(|| {
            let entries: Vec<(Inode, Known)> = read_record(&self.path).unwrap_or_default();
            Mutex::new(State { known: entries.into_iter().collect(), changed: false })
        });
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a file and hashes it, on all cores when it is large. Not memory-mapped: a file that is cut
/// short meanwhile must be an error, not the end of the process.
///
/// # Errors
/// When it cannot be read.
pub fn hash(path: &Path, size: u64) -> io::Result<Digest> {
    hash_until(path, size, &|| false)
}

fn hash_until(path: &Path, size: u64, stopped: &dyn Fn() -> bool) -> io::Result<Digest> {
    if size <= SMALL {
        return Ok(Digest::of(&fs::read(path)?));
    }
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let mut filled = 0;
        while filled < CHUNK {
            match file.read(&mut chunk[filled..])? {
                0 => break,
                n => filled += n,
            }
        }
        hasher.update_rayon(&chunk[..filled]);
        if stopped() {
            return Err(io::Error::other("the run was stopped"));
        }
        if filled < CHUNK {
            return Ok(hasher.finalize().into());
        }
    }
}

fn inode(metadata: &Metadata) -> Inode {
    Inode { device: metadata.dev(), number: metadata.ino() }
}

fn stamp(metadata: &Metadata) -> Stamp {
    Stamp {
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    }
}

fn changed(metadata: &Metadata) -> SystemTime {
    let seconds = u64::try_from(metadata.ctime()).unwrap_or(0);
    let nanoseconds = u32::try_from(metadata.ctime_nsec()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds)
}

fn today() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs() / 86_400).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_exchanged_under_its_old_time_stamp_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let digests = Digests::open(folder.path());
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        let before = digests.digest(&path).unwrap();
        assert_eq!(digests.remembered(&path), Some(before));
        fs::write(&path, "two").unwrap();
        File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
        assert_ne!(digests.digest(&path).unwrap(), before);
    }

    #[test]
    fn a_file_that_was_just_written_is_remembered_and_saved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, vec![7; 3 << 17]).unwrap();
        let digests = Digests::open(folder.path());
        let digest = digests.digest(&path).unwrap();
        assert_eq!(digest, Digest::of(&vec![7; 3 << 17]));
        digests.save().unwrap();
        assert_eq!(Digests::open(folder.path()).remembered(&path), Some(digest));
    }
}
