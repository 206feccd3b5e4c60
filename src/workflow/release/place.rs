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
                    file.path == output.path
                        && found_at(store, &self.root.join(&file.path)) == Some(file.object.digest)
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
        let before = self.state.steps.get(&step.name);
        for (port, file) in &released.outputs {
            let target = self.root.join(&file.path);
            let wanted = file.object.digest;
            let old = before.and_then(|before| before.outputs.get(port)).filter(|old| old.path == file.path);
            let found = found_at(store, &target);
            if found != Some(wanted) {
                put(store, staging, wanted, &target)?;
                let old = old.map(|old| &old.object);
                match (found, old) {
                    (None, Some(_)) => restored.push((file.path.clone(), Restored::Missing)),
                    (Some(found), Some(old)) if found != old.digest => {
                        // Other bytes of ours are no tampering: another pipeline writes here too, or
                        // a run was killed before it could record what it had put here.
                        let ours = old.digest != wanted
                            || self.claims_of_others(store).contains(text_of(&file.path).as_ref());
                        if !(ours && store.object_path(found).exists()) {
                            restored.push((file.path.clone(), Restored::Modified));
                        }
                    }
                    _ => {}
                }
            }
        }
        self.state.claims.extend(released.outputs.values().map(|file| text_of(&file.path).into_owned()));
        self.changed |= self.state.steps.get(&step.name) != Some(&released);
        self.state.steps.insert(step.name.clone(), released);
        Ok(restored)
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

/// The digest of the plain file at `path`; a link or a folder is as good as nothing.
fn found_at(store: &Store, path: &Path) -> Option<Digest> {
    let metadata = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?;
    store.digests().digest_with(path, &metadata).ok()
}

fn put(store: &Store, staging: &Staging, digest: Digest, target: &Path) -> Result<(), FilesError> {
    let object = store.object_path(digest);
    let folder = target.parent().unwrap_or(Path::new("."));
    let place = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let finished = staging.scratch();
        let linked = reflink_copy::reflink(&object, &finished).or_else(|_| fs::hard_link(&object, &finished));
        if linked.and_then(|()| fs::rename(&finished, target)).is_err() {
            let _ = fs::remove_file(&finished);
            return copy(&object, target);
        }
        // Renaming a hard link over another link of the same file does nothing and leaves it there.
        let _ = fs::remove_file(&finished);
        Ok(())
    };
    place().map_err(FilesError::new("write", target))?;
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
