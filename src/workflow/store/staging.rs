//! The private folders in which the steps of one run write; what a killed run leaves is removed by
//! the next one, which tells the dead from the living by their locks.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use super::Store;
use crate::workflow::files::FilesError;

/// The staging folder of one run, removed when dropped.
#[derive(Debug)]
pub struct Staging {
    folder: TempDir,
    /// Numbers the scratch files.
    next: AtomicU64,
    _lock: File,
}

impl Store {
    /// A staging folder for a run, after removing those of dead runs.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn stage(&self) -> Result<Staging, FilesError> {
        let parent = self.folder.join("staging");
        for entry in fs::read_dir(&parent).into_iter().flatten().flatten() {
            remove_if_dead(&entry.path());
        }
        let folder = tempfile::Builder::new().prefix("run-").tempdir_in(&parent);
        let folder = folder.map_err(FilesError::new("create a folder in", &parent))?;
        let path = folder.path().join("lock");
        let locked = || -> std::io::Result<File> {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path)?;
            file.lock()?;
            Ok(file)
        };
        let _lock = locked().map_err(FilesError::new("create", &path))?;
        Ok(Staging { folder, next: AtomicU64::new(0), _lock })
    }
}

impl Staging {
    /// A path where nothing is yet.
    pub fn scratch(&self) -> PathBuf {
        // No step has a name with a dot at its beginning.
        self.folder.path().join(format!(".{}", self.next.fetch_add(1, Ordering::Relaxed)))
    }

    /// An empty folder for one try of one step.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self, step: &str) -> Result<PathBuf, FilesError> {
        let path = self.folder.path().join(step);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(FilesError::new("empty", &path))?;
        }
        fs::create_dir(&path).map_err(FilesError::new("create", &path))?;
        Ok(path)
    }
}

/// A run makes its folder first and its lock in it next: one without a lock may be that young.
fn remove_if_dead(folder: &Path) {
    let dead = match File::open(folder.join("lock")) {
        Ok(file) => file.try_lock().is_ok(),
        Err(_) => fs::metadata(folder)
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age.as_secs() > 10)),
    };
    if dead {
        // What cannot be removed now, because something still writes there, is tried again next time.
        let _ = fs::remove_dir_all(folder);
    }
}
