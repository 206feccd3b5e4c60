//! Putting files in their places: by reflink, else as hard links that are read-only, else as copies;
//! always by renaming a finished file, so that a reader sees the old one or the new one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Release, Released, ReleasedFile, Restored, text_of};
use crate::workflow::digest::Digest;
use crate::workflow::files::FilesError;
use crate::workflow::plan::PlannedStep;
use crate::workflow::store::{Staging, StepResult, Store};

impl Release {
    /// Whether every output of a released step is in its place with its bytes.
    pub fn is_intact(&self, store: &Store, step: &PlannedStep, released: &Released) -> bool {
        released.outputs.len() == step.outputs.len()
            && step.outputs.iter().all(|output| {
                released.outputs.get(&output.port).is_some_and(|file| {
                    file.path.as_os_str() == output.path.as_os_str()
                        && store.digests().of_plain_file(&self.root.join(&file.path))
                            == Some(file.object.digest)
                })
            })
    }

    /// Puts the outputs of a step in their places; says which released files had gone or been changed.
    ///
    /// # Errors
    /// When the disk refuses; the record still names the old release then.
    pub fn place(
        &mut self,
        store: &Store,
        staging: &Staging,
        step: &PlannedStep,
        released: Released,
    ) -> Result<Vec<(PathBuf, Restored)>, FilesError> {
        let mut restored = Vec::new();
        let mut links = Vec::new();
        let before = self.state.steps.get(&step.name);
        for (port, file) in &released.outputs {
            let target = self.root.join(&file.path);
            let wanted = file.object.digest;
            let found = store.digests().of_plain_file(&target);
            if found == Some(wanted) {
                continue;
            }
            let old = before.and_then(|before| before.outputs.get(port)).filter(|old| old.path == file.path);
            let old = old.map(|old| old.object.digest);
            if let Some(was) = self.what_was(store, &file.path, found, old, wanted)? {
                restored.push((file.path.clone(), was));
            }
            links.push((link(store, staging, wanted, &target)?, wanted, target));
        }
        // Everything slow is done: a kill between two of these is rare, and the next run completes them.
        for (link, wanted, target) in links {
            put(store, link, wanted, &target)?;
        }
        self.state.claims.extend(released.outputs.values().map(|file| text_of(&file.path).into_owned()));
        self.changed |= self.state.steps.get(&step.name) != Some(&released);
        self.state.steps.insert(step.name.clone(), released);
        Ok(restored)
    }

    /// What is to be told about a file that is about to be replaced.
    fn what_was(
        &self,
        store: &Store,
        path: &Path,
        found: Option<Digest>,
        old: Option<Digest>,
        wanted: Digest,
    ) -> Result<Option<Restored>, FilesError> {
        let target = self.root.join(path);
        let exists = fs::symlink_metadata(&target).is_ok();
        // Other bytes of ours are no tampering: another pipeline writes here too, or a run was killed
        // before it could record what it had put here.
        let of_the_store = found.is_some_and(|found| store.object_path(found).exists());
        let shared = || self.elsewhere(store).claims.contains(text_of(path).as_ref());
        match old {
            None if exists && !of_the_store && !self.is_in_a_manifest(store, path) && !shared() => {
                let why = io::Error::other("somebody has put a file there that no pipeline has made");
                Err(FilesError::new("write", &target)(why))
            }
            None => Ok(None),
            Some(_) if !exists => Ok(Some(Restored::Missing)),
            Some(old) if found == Some(old) => Ok(None),
            Some(_) if of_the_store && shared() => Ok(Some(Restored::Replaced)),
            Some(old) if of_the_store && old != wanted => Ok(None),
            Some(_) => Ok(Some(Restored::Modified)),
        }
    }
}

impl Released {
    /// What is released of a step when this is its result.
    pub fn new(step: &PlannedStep, result: StepResult) -> Self {
        let files = step.outputs.iter().filter_map(|output| {
            let object = result.outputs.get(&output.port)?.clone();
            Some((output.port.clone(), ReleasedFile { path: output.path.clone(), object }))
        });
        Self {
            key: result.fingerprint.key(),
            outputs: files.collect(),
            inputs: result.fingerprint.inputs,
            metrics: result.notes.metrics,
            summary: result.notes.summary,
            seconds: result.seconds,
        }
    }
}

/// A file that can be moved to its place, or nothing where it has to be copied there.
fn link(
    store: &Store,
    staging: &Staging,
    digest: Digest,
    target: &Path,
) -> Result<Option<PathBuf>, FilesError> {
    let folder = target.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(FilesError::new("create", folder))?;
    Ok(staging.link(&store.object_path(digest)).ok())
}

fn put(store: &Store, link: Option<PathBuf>, digest: Digest, target: &Path) -> Result<(), FilesError> {
    // Renaming a hard link over another link of the same file does nothing and leaves it there: it goes
    // with the staging folder.
    let moved = link.is_some_and(|link| fs::rename(link, target).is_ok());
    if !moved {
        copy(&store.object_path(digest), target).map_err(FilesError::new("write", target))?;
    }
    store.digests().note(target, digest);
    Ok(())
}

/// For a place on another file system, where nothing can be linked or moved to.
fn copy(object: &Path, target: &Path) -> io::Result<()> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let part = target.with_file_name(format!(".{name}.part"));
    let copied = || -> io::Result<()> {
        let _ = fs::remove_file(&part);
        fs::copy(object, &part)?;
        fs::File::open(&part)?.sync_all()?;
        fs::rename(&part, target)
    };
    copied().inspect_err(|_| {
        let _ = fs::remove_file(&part);
    })
}
