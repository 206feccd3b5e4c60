//! Which bytes a release is made of, and whether one run made them.
//!
//! The manifest that a run leaves in `artifacts/` names the digest of every artifact and of the inputs it
//! was made from. Artifacts that one manifest names belong together when the files are those it names and
//! were made from one catalogue of tracks. Files that no manifest names are taken as they are.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use blake3::{Hash, Hasher};
use serde::Deserialize;

use super::failure::ServiceError;
use super::service::Artifacts;

/// The bytes behind a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    digests: Vec<(&'static str, Hash)>,
    /// What manifests say of these bytes.
    pub told: Told,
}

/// What manifests say of some files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The last run of this pipeline made them all.
    OneRun {
        /// Its name.
        pipeline: String,
    },
    /// A manifest names these files with other bytes: a run is under way, or they were changed since.
    Other {
        /// The manifest.
        manifest: PathBuf,
    },
    /// No manifest names them all.
    Nothing,
}

impl Origin {
    /// Hashes the artifacts and looks for a manifest that names them.
    ///
    /// # Errors
    /// When a file cannot be read, or two of them were made from different runs.
    pub fn of(artifacts: &Artifacts) -> Result<Self, ServiceError> {
        let files = artifacts.files();
        let hash = |&(name, path): &(&'static str, &Path)| {
            let digest = digest(path);
            let digest = digest.map_err(|cause| ServiceError::Unreadable { path: path.to_owned(), cause })?;
            Ok((name, digest))
        };
        let digests = files.iter().map(hash).collect::<Result<Vec<_>, ServiceError>>()?;
        let mut told = Told::Nothing;
        for (root, path) in manifests(&artifacts.recommendations) {
            let Some(manifest) = Manifest::read(&path) else { continue };
            let entries: Option<Vec<Entry<'_>>> =
                files.iter().map(|(_, path)| manifest.entry(path.strip_prefix(&root).ok()?)).collect();
            let Some(entries) = entries else { continue };
            if digests
                .iter()
                .zip(&entries)
                .all(|((_, digest), entry)| entry.digest == digest.to_hex().as_str())
            {
                check(&digests, &entries, &path)?;
                told = Told::OneRun { pipeline: manifest.pipeline };
                break;
            }
            told = Told::Other { manifest: path };
        }
        Ok(Self { digests, told })
    }

    /// Whether the bytes are the same, whoever says what about them.
    pub fn same_bytes(&self, other: &Self) -> bool {
        self.digests == other.digests
    }

    /// A digest of what the lists of an artifact are made from: its bytes, and those of the items table.
    pub fn of_lists(&self, artifact: &str) -> Hash {
        let parts = self.digests.iter().filter(|(name, _)| [artifact, "items"].contains(name));
        of_lists(parts.map(|(_, digest)| *digest))
    }
}

/// A digest of the digests of some lists and of the items table that they were made with.
pub fn of_lists(parts: impl IntoIterator<Item = Hash>) -> Hash {
    let mut hasher = Hasher::new();
    parts.into_iter().for_each(|digest| _ = hasher.update(digest.as_bytes()));
    hasher.finalize()
}

/// What is seen of some files without reading them: another file in a place, or other bytes, look different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look(Vec<Option<[u64; 5]>>);

impl Look {
    /// How the artifacts and the manifests about them look now.
    pub fn at(artifacts: &Artifacts) -> Self {
        let manifests = manifests(&artifacts.recommendations).into_iter().map(|(_, path)| path);
        let files = artifacts.files().into_iter().map(|(_, path)| path.to_owned());
        let look = |found: Metadata| {
            let time = [found.mtime().cast_unsigned(), found.mtime_nsec().cast_unsigned()];
            [found.dev(), found.ino(), found.size(), time[0], time[1]]
        };
        Self(files.chain(manifests).map(|path| fs::metadata(path).ok().map(look)).collect())
    }
}

#[derive(Deserialize)]
struct Manifest {
    pipeline: String,
    steps: BTreeMap<String, ManifestStep>,
}

#[derive(Deserialize)]
struct ManifestStep {
    inputs: BTreeMap<String, String>,
    outputs: BTreeMap<String, ManifestFile>,
}

#[derive(Deserialize)]
struct ManifestFile {
    path: PathBuf,
    object: ManifestObject,
}

#[derive(Deserialize)]
struct ManifestObject {
    digest: String,
}

/// What a manifest says of one artifact.
struct Entry<'a> {
    digest: &'a str,
    inputs: &'a BTreeMap<String, String>,
}

impl Manifest {
    /// `None` when it cannot be read or has another form: then it tells nothing.
    fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    fn entry(&self, path: &Path) -> Option<Entry<'_>> {
        self.steps.values().find_map(|step| {
            let file = step.outputs.values().find(|file| file.path == path)?;
            Some(Entry { digest: &file.object.digest, inputs: &step.inputs })
        })
    }
}

/// Whether what was made from an artifact that is served was made from that very one.
fn check(
    digests: &[(&'static str, Hash)],
    entries: &[Entry<'_>],
    manifest: &Path,
) -> Result<(), ServiceError> {
    for (port, served) in digests.iter().filter(|(name, _)| ["items", "model"].contains(name)) {
        for ((artifact, _), entry) in digests.iter().zip(entries) {
            if entry.inputs.get(*port).is_some_and(|made_from| *made_from != served.to_hex().as_str()) {
                return Err(ServiceError::Mixed { artifact, port, manifest: manifest.to_owned() });
            }
        }
    }
    Ok(())
}

/// The manifests of the project that a file lies in, with the folder of the project.
fn manifests(path: &Path) -> Vec<(PathBuf, PathBuf)> {
    let mut found = Vec::new();
    for root in path.ancestors().skip(1) {
        let files = fs::read_dir(root.join("artifacts")).into_iter().flatten().flatten();
        for file in files.map(|file| file.path()) {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with("manifest.") && name.ends_with(".json") {
                found.push((root.to_owned(), file));
            }
        }
    }
    found.sort();
    found
}

/// The digest of a file.
///
/// # Errors
/// When it cannot be read.
pub fn digest(path: &Path) -> io::Result<Hash> {
    Ok(Hasher::new().update_mmap_rayon(path)?.finalize())
}
