//! Locks of the operating system: they end with the process that holds them, however it ends.
//!
//! Every run holds the store's lock together with others, so that nothing is collected
//! under its feet; a run holds the release of its pipeline alone, and those of pipelines that
//! write to the same paths; a step that runs holds the file of its
//! result alone, so that two runs never make the same thing at the same time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::{StepResult, Store};
use crate::workflow::files::FilesError;
use crate::workflow::fingerprint::RunKey;

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock(File);

/// A run key that is held until it is dropped: its result is in the making.
#[derive(Debug)]
pub struct KeyLock {
    lock: Lock,
    path: PathBuf,
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
        open(&self.folder.join("locks").join(pipeline), File::try_lock)
    }

    /// The right to claim paths; nothing while another run is about to.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn lock_claims(&self) -> Result<Option<Lock>, FilesError> {
        open(&self.folder.join("claims"), File::try_lock)
    }

    /// As [`Store::share`], without writing anything: nothing where there is no store either.
    pub fn join(&self) -> Option<Lock> {
        join(&self.folder.join("lock"))
    }

    /// Keeps runs away from a release; others may do the same. Nothing is written.
    pub fn join_release(&self, pipeline: &str) -> Option<Lock> {
        join(&self.folder.join("locks").join(pipeline))
    }

    /// The words that the holder of a release left for those who wait for it.
    pub fn holder(&self, pipeline: &str) -> Option<String> {
        fs::read_to_string(self.folder.join("locks").join(pipeline)).ok()
    }

    /// Holds a run key; nothing while another process makes its result.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn lock_key(&self, key: &RunKey) -> Result<Option<KeyLock>, FilesError> {
        let path = self.result_path(key);
        let folder = path.parent().expect("a result lies in a folder of the store");
        loop {
            fs::create_dir_all(folder).map_err(FilesError::new("create", folder))?;
            let Some(lock) = open(&path, File::try_lock)? else { return Ok(None) };
            // The last holder may have removed the file between opening and locking it.
            let held = lock.0.metadata().map_err(FilesError::new("open", &path))?.ino();
            if fs::metadata(&path).is_ok_and(|found| found.ino() == held) {
                return Ok(Some(KeyLock { lock, path }));
            }
        }
    }
}

impl KeyLock {
    /// The file of the result.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the result; one that is cut short by a kill is as good as none.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn record(&self, result: &StepResult) -> Result<(), FilesError> {
        let text = result.sealed().map_err(io::Error::from);
        let text = text.map_err(FilesError::new("write", &self.path))?;
        self.lock.write(&text).map_err(FilesError::new("write", &self.path))
    }
}

impl Drop for KeyLock {
    fn drop(&mut self) {
        // Nothing was made: nothing tells of it.
        if self.lock.0.metadata().is_ok_and(|metadata| metadata.len() == 0) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Lock {
    /// Leaves words for those who wait.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sign(&self, words: &str) -> io::Result<()> {
        self.write(words.as_bytes())
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.0.set_len(0)?;
        self.0.write_all_at(bytes, 0)
    }
}

fn join(path: &Path) -> Option<Lock> {
    let file = File::open(path).ok()?;
    file.try_lock_shared().ok()?;
    Some(Lock(file))
}

fn open(
    path: &Path,
    lock: impl FnOnce(&File) -> Result<(), TryLockError>,
) -> Result<Option<Lock>, FilesError> {
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path);
    let file = file.map_err(FilesError::new("open", path))?;
    match lock(&file) {
        Ok(()) => Ok(Some(Lock(file))),
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
        assert!(store.definitions().is_empty());
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
