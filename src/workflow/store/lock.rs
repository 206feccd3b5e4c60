//! Locks of the operating system: they end with the process that holds them, however it ends.
//!
//! Three of them: every run holds the store's lock together with others, so that nothing is collected
//! under its feet; a run holds the release of its pipeline alone; a step that runs holds its run key
//! alone, so that two runs never make the same thing at the same time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::Store;
use crate::workflow::files::FilesError;
use crate::workflow::fingerprint::RunKey;

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
    /// Set for a lock whose file goes with it.
    path: Option<PathBuf>,
}

impl Store {
    /// Keeps collection away; nothing while it is at work.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn share(&self) -> Result<Option<Lock>, FilesError> {
        open(&self.folder.join("lock"), File::try_lock_shared)
    }

    /// Keeps every run away; nothing while there is one.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn close(&self) -> Result<Option<Lock>, FilesError> {
        open(&self.folder.join("lock"), File::try_lock)
    }

    /// Holds the release of a pipeline; nothing while another run does.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn lock_release(&self, pipeline: &str) -> Result<Option<Lock>, FilesError> {
        open(&self.release_path(pipeline).with_added_extension("lock"), File::try_lock)
    }

    /// The words that the holder of a release left for those who wait for it.
    pub fn holder(&self, pipeline: &str) -> Option<String> {
        fs::read_to_string(self.release_path(pipeline).with_added_extension("lock")).ok()
    }

    /// Holds a run key; nothing while another process makes its result.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn lock_key(&self, key: &RunKey) -> Result<Option<Lock>, FilesError> {
        let path = self.folder.join("locks").join(key.to_string());
        loop {
            let Some(mut lock) = open(&path, File::try_lock)? else { return Ok(None) };
            // The last holder may have removed the file between opening and locking it.
            let held = lock.file.metadata().map_err(FilesError::new("open", &path))?.ino();
            if fs::metadata(&path).is_ok_and(|found| found.ino() == held) {
                lock.path = Some(path);
                return Ok(Some(lock));
            }
        }
    }
}

impl Lock {
    /// Leaves words for those who wait.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sign(&self, words: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        io::Write::write_all(&mut &self.file, words.as_bytes())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // A file that stays is locked again by the next one who wants it.
            let _ = fs::remove_file(path);
        }
    }
}

fn open(
    path: &Path,
    lock: impl FnOnce(&File) -> Result<(), TryLockError>,
) -> Result<Option<Lock>, FilesError> {
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
    let file = file.map_err(FilesError::new("open", path))?;
    match lock(&file) {
        Ok(()) => Ok(Some(Lock { file, path: None })),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(FilesError::new("lock", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::digest::Digest;

    #[test]
    fn a_key_is_held_by_one_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path());
        store.prepare().unwrap();
        let key = RunKey::new(Digest::of(b"x"), []);
        let lock = store.lock_key(&key).unwrap().unwrap();
        assert!(store.lock_key(&key).unwrap().is_none());
        drop(lock);
        assert!(store.lock_key(&key).unwrap().is_some());
        assert_eq!(fs::read_dir(store.folder().join("locks")).unwrap().count(), 0);
    }

    #[test]
    fn runs_share_the_store_and_collection_has_it_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path());
        store.prepare().unwrap();
        let runs = (store.share().unwrap().unwrap(), store.share().unwrap().unwrap());
        assert!(store.close().unwrap().is_none());
        drop(runs);
        let alone = store.close().unwrap().unwrap();
        assert!(store.share().unwrap().is_none());
        drop(alone);
    }
}
