//! Is everything as the witness says? The quickest question of the product: a no-op run is this and the
//! start of the process.

use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};

use super::record::{Reader, agrees};
use super::stamp;
use crate::workflow::digest::Digest;
use crate::workflow::store::{Lock, Store};

/// What is asked for: a run keeps others away while it looks, a forecast disturbs nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Nothing is to be done now, and nobody else is at it.
    Run,
    /// Nothing would be done.
    Forecast,
}

/// Everything is as it was when there was nothing to do.
pub struct Confirmed {
    /// How many steps are up to date.
    pub steps: usize,
    record: Vec<u8>,
    /// Where the texts begin in the record.
    texts: usize,
    /// Held as long as a run would.
    _locks: Vec<Lock>,
}

impl Confirmed {
    /// What the steps have to say at the end of a run.
    pub fn summaries(&self) -> Vec<&str> {
        self.texts(0)
    }

    /// The names of the steps in their order.
    pub fn names(&self) -> Vec<&str> {
        self.texts(1)
    }

    fn texts(&self, part: usize) -> Vec<&str> {
        let mut reader = Reader::within(&self.record[self.texts..]);
        let mut texts = (0..=part).filter_map(|_| reader.part()).last().unwrap_or(Reader::within(&[]));
        std::iter::from_fn(|| texts.text()).collect()
    }
}

/// Looks at everything that a witness names; nothing when there is no witness, or anything differs, or
/// another run is at work.
pub fn confirm(store: &Store, path: &Path, root: &Path, purpose: Purpose) -> Option<Confirmed> {
    let record = fs::read(path).ok()?;
    let mut reader = Reader::unsealed(&record)?;
    let mut locks = Vec::new();
    let pipelines = reader.number()?;
    if purpose == Purpose::Run {
        // As a run does: nobody collects the store, nobody writes to the places of the pipeline.
        locks.push(store.join()?);
    }
    for _ in 0..pipelines {
        let pipeline = reader.text()?;
        if purpose == Purpose::Run {
            locks.push(store.join_release(pipeline)?);
        }
    }
    let pipeline = PathBuf::from(std::ffi::OsString::from_vec(reader.bytes()?.to_vec()));
    let real = fs::canonicalize(root.join(pipeline)).ok()?;
    if real.as_os_str().as_bytes() != reader.bytes()? {
        return None;
    }
    for _ in 0..reader.number()? {
        let name = reader.text()?;
        if reader.digest()? != value_digest(name) {
            return None;
        }
    }
    let base = open(CWD, root.as_os_str().as_bytes())?;
    let mut folders = vec![base];
    for _ in 0..reader.number()? {
        let folder = open(folders[0].as_fd(), reader.bytes()?)?;
        folders.push(folder);
    }
    let (first, second) = (reader.part()?, reader.part()?);
    let same = if second.is_empty() {
        all_agree(first, &folders)
    } else {
        std::thread::scope(|scope| {
            let other = scope.spawn(|| all_agree(second, &folders));
            // Both are waited for, whatever the first one says.
            all_agree(first, &folders) & other.join().unwrap_or(false)
        })
    };
    if !same {
        return None;
    }
    let steps = reader.number()?;
    let texts = record.len() - reader.left() - super::record::SEAL;
    Some(Confirmed { steps, texts, record, _locks: locks })
}

/// The digest of an environment variable of the process; nothing when it is not set.
pub fn value_digest(name: &str) -> Option<Digest> {
    std::env::var_os(name).map(|value| Digest::of(value.as_bytes()))
}

fn open(base: BorrowedFd<'_>, folder: &[u8]) -> Option<OwnedFd> {
    openat(base, folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()
}

fn all_agree(mut files: Reader<'_>, folders: &[OwnedFd]) -> bool {
    while !files.is_empty() {
        let Some(seen) = files.seen() else { return false };
        let Some(folder) = folders.get(usize::from(seen.folder)) else { return false };
        match stamp::look(folder, seen.name, seen.look) {
            Ok(found) if agrees(&seen, found.as_ref()) => {}
            _ => return false,
        }
    }
    true
}
