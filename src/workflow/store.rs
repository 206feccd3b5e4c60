//! `cache/`: artifacts by digest, results by run key.
//!
//! A result is looked up by the fingerprint of its step; it is a hit only when every object that it
//! names is there with the bytes that its digest says. A step writes into a private staging folder;
//! committing flushes, hashes and renames its files, then records the result, so that a kill at any
//! moment leaves the old state or the new one.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use thiserror::Error;

use super::digests::Digests;
use super::files::{FilesError, read_json, sync_folder, write_json};
use super::fingerprint::{Digest, Fingerprint, RunKey};
use super::kind::Notes;

/// Changes when the layout of the folder changes; an older folder is then not read.
pub(super) const LAYOUT: &str = "v1";

/// How often a waiting run looks whether the project is free.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// The store of one project.
pub struct Store {
    folder: PathBuf,
    digests: Digests,
}

/// What a step made, as recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    /// What it depends on.
    pub fingerprint: Fingerprint,
    /// Its outputs by port.
    pub outputs: BTreeMap<String, Object>,
    /// Metrics, summary and warnings.
    pub notes: Notes,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// The bytes of one artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Hash of the bytes.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
}

/// What a lookup found.
#[derive(Debug, Clone, PartialEq)]
pub enum Lookup {
    /// The result, every byte of it there.
    Hit(Box<StepResult>),
    /// No such result.
    Unknown,
    /// There was one, but an object is gone or damaged.
    Damaged {
        /// The output whose bytes cannot be used.
        output: String,
    },
}

/// Why the outputs of a step cannot be kept.
#[derive(Debug, Error, Diagnostic)]
pub enum CommitError {
    /// The step did not write one of its outputs.
    #[error("the step ended without writing its output `{output}`")]
    #[diagnostic(code(recsys::step::missing_output), help("write the file {} — in a command that is `{{{{ outputs.{output} }}}}`", path.display()))]
    Missing {
        /// The output port.
        output: String,
        /// Where it was expected.
        path: PathBuf,
    },
    /// The disk refused.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Files(#[from] FilesError),
}

impl Store {
    /// Opens `folder`, making it where needed.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(folder: &Path) -> Result<Self, FilesError> {
        let folder = folder.join(LAYOUT);
        for part in ["objects", "results", "staging", "runs"] {
            let path = folder.join(part);
            if !path.is_dir() {
                fs::create_dir_all(&path).map_err(FilesError::new("create", &path))?;
            }
        }
        let digests = Digests::open(&folder);
        Ok(Self { folder, digests })
    }

    /// Digests of files outside of the store.
    pub fn digests(&self) -> &Digests {
        &self.digests
    }

    /// The folder of the records of runs.
    pub fn runs(&self) -> PathBuf {
        self.folder.join("runs")
    }

    /// The result recorded under a key, when all of its bytes are there.
    pub fn lookup(&self, key: &RunKey) -> Lookup {
        let Some(result) = read_json::<StepResult>(&self.result_path(key)) else { return Lookup::Unknown };
        for (output, object) in &result.outputs {
            if !self.holds(object) {
                return Lookup::Damaged { output: output.clone() };
            }
        }
        Lookup::Hit(Box::new(result))
    }

    /// Whether the store has these bytes; a damaged object is removed.
    pub fn holds(&self, object: &Object) -> bool {
        let path = self.object_path(&object.digest);
        match self.digests.digest(&path) {
            Ok(found) if found == object.digest => true,
            Ok(_) => {
                tracing::warn!(
                    "the object {} in the store is damaged and is removed",
                    object.digest.as_str()
                );
                // Failing to remove it is harmless: it will be found damaged again.
                let _ = fs::remove_file(&path);
                false
            }
            Err(_) => false,
        }
    }

    /// A private folder for one step, removed when dropped.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn stage(&self, step: &str) -> Result<TempDir, FilesError> {
        let folder = self.folder.join("staging");
        tempfile::Builder::new()
            .prefix(&format!("{step}-"))
            .tempdir_in(&folder)
            .map_err(FilesError::new("create a folder in", &folder))
    }

    /// Removes what killed runs left in the staging folder; call it only with the lock held.
    pub fn clear_staging(&self) {
        let entries = fs::read_dir(self.folder.join("staging")).into_iter().flatten().flatten();
        for entry in entries {
            // What cannot be removed now is tried again by the next run.
            let _ = fs::remove_dir_all(entry.path());
        }
    }

    /// Takes the staged outputs of a step into the store and records its result.
    ///
    /// # Errors
    /// When an output is missing or the disk refuses; nothing is recorded then.
    pub fn commit(
        &self,
        fingerprint: Fingerprint,
        staged: &BTreeMap<String, PathBuf>,
        notes: Notes,
        elapsed: Duration,
    ) -> Result<StepResult, CommitError> {
        let mut outputs = BTreeMap::new();
        for (output, path) in staged {
            if !path.is_file() {
                return Err(CommitError::Missing { output: output.clone(), path: path.clone() });
            }
            outputs.insert(output.clone(), self.take(path)?);
        }
        let key = fingerprint.key();
        let result = StepResult { fingerprint, outputs, notes, seconds: elapsed.as_secs_f64() };
        write_json(&self.result_path(&key), &result)?;
        Ok(result)
    }

    /// Where the bytes of a digest lie.
    pub fn object_path(&self, digest: &Digest) -> PathBuf {
        let (prefix, rest) = digest.as_str().split_at_checked(2).unwrap_or(("damaged", "damaged"));
        self.folder.join("objects").join(prefix).join(rest)
    }

    /// Waits until no other run is at work in this project; dropping the file lets the next one in.
    /// Nothing when the wait was `stopped`.
    ///
    /// # Errors
    /// When the lock file cannot be opened.
    pub fn lock(
        &self,
        waiting: impl FnOnce(),
        stopped: impl Fn() -> bool,
    ) -> Result<Option<File>, FilesError> {
        let path = self.folder.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(FilesError::new("open", &path))?;
        if file.try_lock().is_err() {
            waiting();
            while file.try_lock().is_err() {
                if stopped() {
                    return Ok(None);
                }
                std::thread::sleep(LOCK_POLL);
            }
        }
        Ok(Some(file))
    }

    fn take(&self, path: &Path) -> Result<Object, FilesError> {
        let file = File::open(path).map_err(FilesError::new("read", path))?;
        file.sync_all().map_err(FilesError::new("write", path))?;
        let size = file.metadata().map_err(FilesError::new("read", path))?.len();
        let digest = self.digests.digest(path)?;
        let object = Object { digest, size };
        let target = self.object_path(&object.digest);
        if !self.holds(&object) {
            let folder = target.parent().expect("an object lies in a folder of the store");
            let place = || {
                fs::create_dir_all(folder)?;
                fs::set_permissions(path, fs::Permissions::from_mode(0o444))?;
                fs::rename(path, &target)?;
                sync_folder(folder)
            };
            place().map_err(FilesError::new("write", &target))?;
            self.digests.note(&target, &object.digest);
        }
        Ok(object)
    }

    fn result_path(&self, key: &RunKey) -> PathBuf {
        let (prefix, rest) = key.as_str().split_at(2);
        self.folder.join("results").join(prefix).join(format!("{rest}.json"))
    }
}
