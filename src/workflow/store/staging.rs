//! The private folders in which the steps of one run write; what a killed run leaves is removed by
//! the next one, which tells the dead from the living by their locks.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

use super::Store;
use crate::workflow::files::FilesError;

/// The staging folder of one run, removed when dropped.
#[derive(Debug)]
pub struct Staging {
    folder: TempDir,
    /// Numbers the folders and scratch files.
    next: AtomicU64,
    /// Folders that are empty again. They are used again: file systems are slow to make what was just
    /// removed.
    free: Mutex<Vec<PathBuf>>,
    /// Set when the file system cannot share bytes between files.
    no_reflinks: AtomicBool,
    _lock: File,
}

/// The private folder of one try of one step; what is in it goes when it is dropped.
#[derive(Debug)]
pub struct StepFolder<'a> {
    path: PathBuf,
    staging: &'a Staging,
}

impl Store {
    /// A staging folder for a run, after removing those of dead runs.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn stage(&self) -> Result<Staging, FilesError> {
        let parent = self.folder.join("staging");
        for entry in fs::read_dir(&parent).into_iter().flatten().flatten() {
            if is_dead(&entry.path()) {
                // What cannot be removed now, because something still writes there, is tried again next time.
                let _ = fs::remove_dir_all(entry.path());
            }
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
        let inputs = folder.path().join("inputs");
        fs::create_dir(&inputs).map_err(FilesError::new("create", &inputs))?;
        Ok(Staging {
            folder,
            next: AtomicU64::new(0),
            free: Mutex::default(),
            no_reflinks: AtomicBool::new(false),
            _lock,
        })
    }
}

impl Staging {
    /// An empty folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn folder(&self) -> Result<StepFolder<'_>, FilesError> {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let path = match free {
            Some(path) => path,
            None => {
                let path = self.folder.path().join(self.number());
                fs::create_dir(&path).map_err(FilesError::new("create", &path))?;
                path
            }
        };
        Ok(StepFolder { path, staging: self })
    }

    /// A folder for the links to the inputs of one try of one step; it goes with the staging folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn inputs(&self) -> Result<PathBuf, FilesError> {
        let path = self.folder.path().join("inputs").join(self.number());
        fs::create_dir(&path).map_err(FilesError::new("create", &path))?;
        Ok(path)
    }

    /// A path where an object can be moved away from: a file that shares its bytes where the file
    /// system can do that, else a hard link.
    ///
    /// # Errors
    /// When the object is not there, or the file system can do neither.
    pub fn link(&self, object: &Path) -> io::Result<PathBuf> {
        let path = self.folder.path().join(format!("link-{}", self.number()));
        if !self.no_reflinks.load(Ordering::Relaxed) {
            if reflink_copy::reflink(object, &path).is_ok() {
                return Ok(path);
            }
            self.no_reflinks.store(true, Ordering::Relaxed);
        }
        fs::hard_link(object, &path).map(|()| path)
    }

    fn number(&self) -> String {
        self.next.fetch_add(1, Ordering::Relaxed).to_string()
    }
}

impl StepFolder<'_> {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for StepFolder<'_> {
    fn drop(&mut self) {
        let emptied = fs::read_dir(&self.path).and_then(|entries| {
            for entry in entries {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    fs::remove_dir_all(entry.path())?;
                } else {
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        });
        // One that cannot be emptied is not used again; it goes with the staging folder.
        if emptied.is_ok() {
            let mut free = self.staging.free.lock().unwrap_or_else(PoisonError::into_inner);
            free.push(std::mem::take(&mut self.path));
        }
    }
}

/// Whether the run of a staging folder is gone. A run makes its folder first and its lock in it next: one
/// without a lock may be that young.
pub fn is_dead(folder: &Path) -> bool {
    match File::open(folder.join("lock")) {
        Ok(file) => file.try_lock().is_ok(),
        Err(_) => fs::metadata(folder)
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age.as_secs() > 10)),
    }
}
