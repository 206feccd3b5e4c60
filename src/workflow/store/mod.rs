//! `cache/`: artifacts by digest, results by run key.
//!
//! A result is looked up by the fingerprint of its step; it is a hit only when every object that it
//! names is there with the bytes that its digest says. A step writes into a private staging folder;
//! committing hashes and renames its files, then records the result, so that a kill at any moment
//! leaves the old state or the new one. Bytes are flushed to the disk in groups ([`Store::sync`]);
//! what a power cut takes away before that is found missing by size or digest and made again.

pub mod collect;
mod lock;
mod result;
mod staging;
pub mod survey;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use miette::Diagnostic;
use thiserror::Error;

use super::digest::Digest;
use super::digests::{self, Digests};
use super::files::FilesError;
use super::fingerprint::{Fingerprint, RunKey};
use super::kind::Notes;
use super::outside::{self, OutsideError};
use super::plan::PlannedStep;
use super::probe::{self, ProbeError};

pub use lock::{KeyLock, Lock};
pub use result::{Object, StepResult};
pub use staging::{Staging, StepFolder};

/// Changes when the layout of the folder changes; an older folder is then not read.
pub const LAYOUT: &str = "v2";
/// The folders of a store.
const FOLDERS: [&str; 7] = ["objects", "results", "staging", "runs", "releases", "locks", "plans"];
/// Up to so many files are flushed one by one; beyond, the whole file system is.
const FEW: usize = 32;

/// The store of one project.
pub struct Store {
    folder: PathBuf,
    digests: Digests,
    /// Files written since the last [`Store::sync`].
    unsynced: Mutex<Vec<PathBuf>>,
    /// What commands of `fingerprint:` said to this process; each is asked once.
    probed: Mutex<HashMap<String, Digest>>,
    /// What steps read outside of the project, as they told this process; each is asked once.
    outside: Mutex<HashMap<Digest, Option<(String, Digest)>>>,
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
    /// The step wrote something that is not a plain file.
    #[error("the output `{output}` is {found}, not a file")]
    #[diagnostic(
        code(recsys::step::not_a_file),
        help("write one plain file; several files go into an archive, or into outputs of their own")
    )]
    NotAFile {
        /// The output port.
        output: String,
        /// What is there.
        found: &'static str,
    },
    /// The disk refused.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Files(#[from] FilesError),
}

impl Store {
    /// The store in `folder`; nothing is read or written yet.
    pub fn open(folder: &Path) -> Self {
        let folder = folder.join(LAYOUT);
        let digests = Digests::open(&folder);
        Self {
            folder,
            digests,
            unsynced: Mutex::default(),
            probed: Mutex::default(),
            outside: Mutex::default(),
        }
    }

    /// Makes the folders that are missing.
    ///
    /// # Errors
    /// When one cannot be made.
    pub fn prepare(&self) -> Result<(), FilesError> {
        for part in FOLDERS {
            let path = self.folder.join(part);
            if !path.is_dir() {
                fs::create_dir_all(&path).map_err(FilesError::new("create", &path))?;
            }
        }
        Ok(())
    }

    /// The folder of everything.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The digest of what a command of `fingerprint:` says.
    ///
    /// # Errors
    /// When it fails.
    pub fn probed(
        &self,
        command: &str,
        root: &Path,
        environment: &BTreeMap<String, String>,
    ) -> Result<Digest, ProbeError> {
        let words = format!("{command}\0{environment:?}");
        let mut probed = self.probed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(digest) = probed.get(&words) {
            return Ok(*digest);
        }
        let digest = probe::ask(command, root, environment, &|| self.digests.is_stopped())?;
        probed.insert(words, digest);
        Ok(digest)
    }

    /// What a step reads outside of the project, and the state that it is in.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn outside(&self, step: &PlannedStep, root: &Path) -> Result<Option<(String, Digest)>, OutsideError> {
        let mut told = self.outside.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outside) = told.get(&step.definition) {
            return Ok(outside.clone());
        }
        let outside = outside::ask(step, root, &|| self.digests.is_stopped())?;
        told.insert(step.definition, outside.clone());
        Ok(outside)
    }

    /// Where steps keep what has to outlast them.
    pub fn lasting(&self) -> PathBuf {
        self.folder.join("lasting")
    }

    /// Gives up hashing files and asking commands when `stop` is set.
    pub fn stop_on(&self, stop: Arc<AtomicBool>) {
        self.digests.stop_on(stop);
    }

    /// Digests of files inside and outside of the store.
    pub fn digests(&self) -> &Digests {
        &self.digests
    }

    /// The folder of the records of runs.
    pub fn runs(&self) -> PathBuf {
        self.folder.join("runs")
    }

    /// Where the record of a release lies.
    pub fn release_path(&self, pipeline: &str) -> PathBuf {
        self.folder.join("releases").join(pipeline)
    }

    /// Where a plan is kept that was made before.
    pub fn plan_path(&self, key: Digest) -> PathBuf {
        self.folder.join("plans").join(key.to_string())
    }

    /// The result recorded under a key, when all of its bytes are there.
    pub fn lookup(&self, key: &RunKey) -> Lookup {
        let Some(result) = self.recorded(key) else { return Lookup::Unknown };
        match result.outputs.iter().find(|(_, object)| !self.holds(object)) {
            Some((output, _)) => Lookup::Damaged { output: output.clone() },
            None => Lookup::Hit(Box::new(result)),
        }
    }

    /// Notes that a result was of use, for collection by age.
    pub fn used(&self, key: &RunKey) {
        let touched = File::options().write(true).open(self.result_path(key));
        // A store that cannot be written to is not collected either.
        let _ = touched.and_then(|file| file.set_modified(SystemTime::now()));
    }

    /// The result recorded under a key, whether its bytes are there or not.
    pub fn recorded(&self, key: &RunKey) -> Option<StepResult> {
        StepResult::unsealed(&fs::read(self.result_path(key)).ok()?).ok()
    }

    /// The results with these keys, as far as they are recorded; found by the names of their files, for those who
    /// only know the whole key.
    pub fn recorded_as(&self, keys: &BTreeSet<Digest>) -> BTreeMap<Digest, StepResult> {
        let folders = survey::entries(&self.folder.join("results"));
        let files = folders.iter().flat_map(|folder| survey::entries(folder));
        let named = files.filter_map(|path| {
            let key = Digest::from_hex(path.file_name()?.to_str()?.split_once('.')?.1)?;
            keys.contains(&key).then_some((key, path))
        });
        named
            .filter_map(|(key, path)| Some((key, StepResult::unsealed(&fs::read(path).ok()?).ok()?)))
            .collect()
    }

    /// The definitions of which there is any result.
    pub fn definitions(&self) -> HashSet<Digest> {
        let folders = survey::entries(&self.folder.join("results"));
        let files = folders.iter().flat_map(|folder| survey::entries(folder));
        files.filter_map(|path| definition_of(&path)).collect()
    }

    /// Whether the store has these bytes.
    pub fn holds(&self, object: &Object) -> bool {
        self.digests.digest(&self.object_path(object.digest)).is_ok_and(|found| found == object.digest)
    }

    /// Takes the staged outputs of a step into the store and records its result under the key that is
    /// held.
    ///
    /// # Errors
    /// When an output is missing or the disk refuses; nothing is recorded then.
    pub fn commit(
        &self,
        key: &KeyLock,
        fingerprint: Fingerprint,
        staged: &BTreeMap<String, PathBuf>,
        notes: Notes,
        elapsed: Duration,
    ) -> Result<StepResult, CommitError> {
        for (output, path) in staged {
            check_is_file(output, path)?;
        }
        let mut outputs = BTreeMap::new();
        for (output, path) in staged {
            outputs.insert(output.clone(), self.take(path)?);
        }
        let result = StepResult::new(fingerprint, outputs, notes, elapsed.as_secs_f64());
        self.record(key, &result)?;
        Ok(result)
    }

    /// Takes a private file into the store: it is made read-only and moved.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn take(&self, path: &Path) -> Result<Object, FilesError> {
        let object = measure(path)?;
        self.place(path, &object)?;
        Ok(object)
    }

    /// Takes a private file that has to have these bytes; false when it has others, and is not taken.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn take_exactly(&self, path: &Path, wanted: &Object) -> Result<bool, FilesError> {
        let is_right = measure(path)? == *wanted;
        if is_right {
            self.place(path, wanted)?;
        }
        Ok(is_right)
    }

    fn place(&self, path: &Path, object: &Object) -> Result<(), FilesError> {
        let target = self.object_path(object.digest);
        if !self.holds(object) {
            let folder = target.parent().expect("an object lies in a folder of the store");
            let place = || -> io::Result<()> {
                fs::create_dir_all(folder)?;
                fs::rename(path, &target)
            };
            place().map_err(FilesError::new("write", &target))?;
            self.digests.note(&target, object.digest);
            self.written(target);
        }
        Ok(())
    }

    /// Records a result whose objects are in the store.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn record(&self, key: &KeyLock, result: &StepResult) -> Result<(), FilesError> {
        key.record(result)?;
        self.written(key.path().to_owned());
        Ok(())
    }

    /// Takes back an object that was lost from a file that still has its bytes.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn adopt(&self, path: &Path, object: &Object) -> Result<(), FilesError> {
        let target = self.object_path(object.digest);
        let folder = target.parent().expect("an object lies in a folder of the store");
        let copy = || -> io::Result<()> {
            fs::create_dir_all(folder)?;
            let part = tempfile::NamedTempFile::new_in(folder)?;
            let size = fs::copy(path, part.path())?;
            fs::set_permissions(part.path(), fs::Permissions::from_mode(0o444))?;
            if digests::hash(part.path(), size)? != object.digest {
                return Err(io::Error::other("it changes while it is copied"));
            }
            part.persist(&target).map(drop).map_err(|error| error.error)
        };
        copy().map_err(FilesError::new("write", &target))?;
        self.digests.note(&target, object.digest);
        self.written(target);
        Ok(())
    }

    /// Flushes what was written since the last time to the disk, then the memo of digests.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&self) -> Result<(), FilesError> {
        let paths = std::mem::take(&mut *self.unsynced.lock().unwrap_or_else(PoisonError::into_inner));
        let flush = || -> io::Result<()> {
            if paths.len() > FEW {
                return Ok(rustix::fs::syncfs(File::open(&self.folder)?)?);
            }
            for path in &paths {
                File::open(path)?.sync_all()?;
                File::open(path.parent().unwrap_or(path))?.sync_all()?;
            }
            Ok(())
        };
        flush().map_err(FilesError::new("flush", &self.folder))?;
        // Without the memo files are read once more.
        if let Err(error) = self.digests.save() {
            tracing::warn!("digests of files are not remembered: {error}");
        }
        Ok(())
    }

    /// Where the bytes of a digest lie.
    pub fn object_path(&self, digest: Digest) -> PathBuf {
        let (folder, file) = digest.folder_and_file();
        self.folder.join("objects").join(folder).join(file)
    }

    /// Where a step with this key may keep what a later try continues from, until its result is there.
    pub fn checkpoint_path(&self, key: &RunKey) -> PathBuf {
        self.folder.join("checkpoints").join(key.whole.to_string())
    }

    fn result_path(&self, key: &RunKey) -> PathBuf {
        let (folder, file) = key.definition.folder_and_file();
        self.folder.join("results").join(folder).join(format!("{file}.{}", key.whole))
    }

    fn written(&self, path: PathBuf) {
        self.unsynced.lock().unwrap_or_else(PoisonError::into_inner).push(path);
    }
}

/// Makes a private file read-only and hashes it.
fn measure(path: &Path) -> Result<Object, FilesError> {
    let measure = || -> io::Result<Object> {
        own(path)?;
        let size = fs::metadata(path)?.len();
        Ok(Object { digest: digests::hash(path, size)?, size })
    };
    measure().map_err(FilesError::new("read", path))
}

/// Makes a file read-only and nobody else's: one that has other names, a hard link to somebody's data,
/// becomes a copy.
fn own(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.nlink() > 1 {
        let copy = path.with_added_extension("own");
        fs::copy(path, &copy)?;
        fs::rename(&copy, path)?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o444))
}

/// The definition that the name of a result's file tells.
fn definition_of(path: &Path) -> Option<Digest> {
    let folder = path.parent()?.file_name()?.to_str()?;
    let (rest, _) = path.file_name()?.to_str()?.split_once('.')?;
    Digest::from_hex(&format!("{folder}{rest}"))
}

fn check_is_file(output: &str, path: &Path) -> Result<(), CommitError> {
    match fs::symlink_metadata(path).map(|metadata| metadata.file_type()) {
        Ok(kind) if kind.is_file() => Ok(()),
        Ok(kind) => {
            let found = match kind {
                kind if kind.is_dir() => "a folder",
                kind if kind.is_symlink() => "a symbolic link",
                _ => "a special file",
            };
            Err(CommitError::NotAFile { output: output.to_owned(), found })
        }
        Err(_) => Err(CommitError::Missing { output: output.to_owned(), path: path.to_owned() }),
    }
}
