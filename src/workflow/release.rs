//! `artifacts/`: what the last run made, by name, with a manifest that says what it is.
//!
//! Files appear by reflink, else as hard links that are read-only, else as copies; always under a
//! temporary name that is renamed, so that a reader sees the old file or the new one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{FilesError, read_json, write_json};
use super::fingerprint::{Digest, Fingerprint};
use super::store::{Object, StepResult, Store};

/// What is released, by step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Name of the pipeline.
    pub pipeline: String,
    /// The steps that have released something.
    pub steps: BTreeMap<String, Released>,
}

/// The released outputs of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Released {
    /// What they depend on.
    pub fingerprint: Fingerprint,
    /// Where they are, by port.
    pub outputs: BTreeMap<String, ReleasedFile>,
}

/// One released file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedFile {
    /// Path in the project folder.
    pub path: PathBuf,
    /// Its bytes.
    #[serde(flatten)]
    pub object: Object,
}

/// What was wrong with a released file before it was put in its place again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Restored {
    /// It was not there.
    Missing,
    /// It held other bytes than those that were released.
    Modified,
}

/// The release folder of one pipeline.
pub struct Release {
    root: PathBuf,
    path: PathBuf,
    /// What is released now.
    pub manifest: Manifest,
    saved: Manifest,
}

impl Release {
    /// Opens the release of a pipeline in the project folder `root`.
    pub fn open(root: &Path, pipeline: &str) -> Self {
        // A name may hold anything; a file name must not lead out of the folder.
        let safe = |c: char| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
        let name: String = pipeline.chars().map(safe).collect();
        let path = root.join("artifacts").join(format!("manifest.{name}.json"));
        let saved: Manifest = read_json(&path).unwrap_or_default();
        let manifest = Manifest { pipeline: pipeline.to_owned(), steps: saved.steps.clone() };
        Self { root: root.to_owned(), path, manifest, saved }
    }

    /// Puts the outputs of a result in their places; says which released files had gone or been changed.
    ///
    /// # Errors
    /// When the disk refuses; the manifest still names the old release then.
    pub fn place(
        &mut self,
        store: &Store,
        step: &str,
        paths: &BTreeMap<String, PathBuf>,
        result: &StepResult,
    ) -> Result<Vec<(PathBuf, Restored)>, FilesError> {
        let mut restored = Vec::new();
        let mut outputs = BTreeMap::new();
        let before = self.manifest.steps.get(step);
        for (port, object) in &result.outputs {
            let Some(path) = paths.get(port) else { continue };
            let released =
                before.and_then(|before| before.outputs.get(port)).filter(|file| file.path == *path);
            let target = self.root.join(path);
            let found = found_at(store, &target);
            if found.as_ref() != Some(&object.digest) {
                put(store, &object.digest, &target)?;
            }
            match (&found, released) {
                (None, Some(_)) => restored.push((path.clone(), Restored::Missing)),
                (Some(found), Some(released))
                    if *found != released.object.digest
                        && *found != object.digest
                        && !self.released_elsewhere(path, found) =>
                {
                    restored.push((path.clone(), Restored::Modified));
                }
                _ => {}
            }
            outputs.insert(port.clone(), ReleasedFile { path: path.clone(), object: object.clone() });
        }
        let released = Released { fingerprint: result.fingerprint.clone(), outputs };
        self.manifest.steps.insert(step.to_owned(), released);
        Ok(restored)
    }

    /// Whether another pipeline of the project released this file with these bytes.
    fn released_elsewhere(&self, path: &Path, digest: &Digest) -> bool {
        let folder = self.path.parent().map(fs::read_dir);
        let entries = folder.into_iter().flatten().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|other| *other != self.path).any(|other| {
            let manifest: Option<Manifest> = read_json(&other);
            let files = manifest.iter().flat_map(|m| m.steps.values()).flat_map(|step| step.outputs.values());
            files.into_iter().any(|file| file.path == path && file.object.digest == *digest)
        })
    }

    /// Forgets steps that the pipeline no longer has; their files stay.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.manifest.steps.retain(|step, _| keep(step));
    }

    /// Writes the manifest when it has changed.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&mut self) -> Result<(), FilesError> {
        if self.manifest != self.saved {
            write_json(&self.path, &self.manifest)?;
            self.saved = self.manifest.clone();
        }
        Ok(())
    }
}

/// The digest of the file at `path`, without reading it when it is the store's own file.
fn found_at(store: &Store, path: &Path) -> Option<Digest> {
    store.digests().digest(path).ok()
}

fn put(store: &Store, digest: &Digest, target: &Path) -> Result<(), FilesError> {
    let object = store.object_path(digest);
    let folder = target.parent().unwrap_or(Path::new("."));
    let place = || -> std::io::Result<()> {
        fs::create_dir_all(folder)?;
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let temporary = folder.join(format!(".{name}.{}", std::process::id()));
        // A leftover of a killed run under the same process number.
        let _ = fs::remove_file(&temporary);
        let copied = reflink_copy::reflink(&object, &temporary)
            .or_else(|_| fs::hard_link(&object, &temporary))
            .or_else(|_| fs::copy(&object, &temporary).map(|_| ()));
        copied.and_then(|()| fs::rename(&temporary, target)).inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })?;
        // Renaming a hard link over another link of the same file does nothing and leaves it there.
        if fs::metadata(&temporary)
            .is_ok_and(|left| fs::metadata(target).is_ok_and(|t| t.ino() == left.ino()))
        {
            fs::remove_file(&temporary)?;
        }
        Ok(())
    };
    place().map_err(FilesError::new("write", target))?;
    store.digests().note(target, digest);
    Ok(())
}
