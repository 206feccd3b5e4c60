//! `artifacts/`: what the last run of a pipeline made, by name.
//!
//! The record of a release lies in the store and says of each step what its outputs are and where;
//! `artifacts/manifest.<pipeline>.json` says the same to people and programs. A path is claimed before
//! anything is put there, so that a file which nobody claimed is never replaced.

mod place;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::digest::Digest;
use super::files::{FilesError, read_json, read_record, write_json, write_record};
use super::fingerprint::RunKey;
use super::plan::{Plan, PlannedStep};
use super::store::{Object, Store};

/// What is released, by step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The pipeline file.
    pub file: PathBuf,
    /// The steps that have released something.
    pub steps: BTreeMap<String, Released>,
    /// Paths of the project that belong to the pipeline, whether something is there or not; as text,
    /// which compares much faster than paths do.
    pub claims: HashSet<String>,
}

/// The released outputs of one step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Released {
    /// The name of their result in the store.
    pub key: RunKey,
    /// Digests of the inputs that they were made from.
    pub inputs: BTreeMap<String, Digest>,
    /// Where they are, by port.
    pub outputs: BTreeMap<String, ReleasedFile>,
    /// The numbers that the step left.
    pub metrics: BTreeMap<String, f64>,
    /// The text that the step left for the end of a run.
    pub summary: Option<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// One released file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedFile {
    /// Path in the project folder.
    pub path: PathBuf,
    /// Its bytes.
    pub object: Object,
}

/// The same for people and programs.
#[derive(Serialize, Deserialize)]
struct Manifest {
    pipeline: String,
    steps: BTreeMap<String, Released>,
}

/// What was wrong with a released file before it was put in its place again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Restored {
    /// It was not there.
    Missing,
    /// It held other bytes than those that were released.
    Modified,
    /// Another pipeline had released it with other bytes.
    Replaced,
}

/// Another pipeline has the name.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
#[error("the pipelines `{}` and `{}` are both called `{name}`", file.display(), other.display())]
#[diagnostic(
    code(recsys::release::name_taken),
    help("they would take each other's results for their own: give one of them another `name:`")
)]
pub struct NameTaken {
    name: String,
    file: PathBuf,
    other: PathBuf,
}

/// A step would replace something that no pipeline made.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
#[error("`{step}.{port}` is to be written to `{}`, where {why}", path.display())]
#[diagnostic(
    code(recsys::release::foreign),
    help("move it away, or give the output another path under `outputs:`; nothing was run")
)]
pub struct Foreign {
    step: String,
    port: String,
    path: PathBuf,
    why: String,
}

/// What others say about paths of the project.
struct Elsewhere {
    /// Those that other pipelines claim.
    claims: HashSet<String>,
    /// The bytes that manifests name.
    manifests: HashMap<String, Digest>,
}

/// The release of one pipeline.
pub struct Release {
    root: PathBuf,
    pipeline: String,
    record: PathBuf,
    /// What is released now.
    pub state: State,
    elsewhere: OnceCell<Elsewhere>,
    /// Whether the record on the disk says something else.
    changed: bool,
    /// Whether the manifest says something else than the record.
    unpublished: bool,
}

impl Release {
    /// Opens the release of a pipeline in the project folder `root`; nothing is written.
    pub fn open(root: &Path, store: &Store, pipeline: &str) -> Self {
        let record = store.release_path(pipeline);
        let state: State = read_record(&record).unwrap_or_default();
        Self {
            root: root.to_owned(),
            pipeline: pipeline.to_owned(),
            record,
            state,
            elsewhere: OnceCell::new(),
            changed: false,
            unpublished: false,
        }
    }

    /// Claims the outputs of steps that are about to run.
    ///
    /// # Errors
    /// Each output whose place is taken by something that no pipeline of the project made, or lies
    /// outside of the project folder.
    pub fn claim<'a>(
        &mut self,
        store: &Store,
        steps: impl Iterator<Item = &'a PlannedStep>,
    ) -> Result<(), Vec<Foreign>> {
        let mut foreign = Vec::new();
        let mut released: Option<HashSet<String>> = None;
        for step in steps {
            for output in &step.outputs {
                let own = self.state.steps.get(&step.name).and_then(|step| step.outputs.get(&output.port));
                if own.is_some_and(|file| file.path.as_os_str() == output.path.as_os_str()) {
                    continue;
                }
                let path = text_of(&output.path);
                let released = released.get_or_insert_with(|| self.released_paths());
                if released.contains(path.as_ref()) {
                    continue;
                }
                let refuse = |why: &str| Foreign {
                    step: step.name.clone(),
                    port: output.port.clone(),
                    path: output.path.clone(),
                    why: why.to_owned(),
                };
                let target = self.root.join(&output.path);
                if self.leads_out(&target) {
                    foreign.push(refuse("a symbolic link leads out of the project folder"));
                } else if let Ok(found) = fs::symlink_metadata(&target) {
                    if found.is_dir() {
                        foreign.push(refuse("there is a folder"));
                    } else if !self.elsewhere(store).claims.contains(path.as_ref())
                        && !is_ours(store, &target)
                        && !self.is_in_a_manifest(store, &output.path)
                    {
                        foreign.push(refuse("there is a file that no pipeline of this project has made"));
                    }
                }
                self.changed |= self.state.claims.insert(path.into_owned());
            }
        }
        if foreign.is_empty() { Ok(()) } else { Err(foreign) }
    }

    /// Makes the release that of a pipeline file.
    ///
    /// # Errors
    /// When it is that of another one, which still exists.
    pub fn belong_to(&mut self, file: &Path) -> Result<(), NameTaken> {
        let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        let file = file.strip_prefix(&self.root).unwrap_or(&file);
        if self.state.file == file {
            return Ok(());
        }
        let other = &self.state.file;
        if !other.as_os_str().is_empty() && self.root.join(other).is_file() {
            let (name, other) = (self.pipeline.clone(), other.clone());
            return Err(NameTaken { name, file: file.to_owned(), other });
        }
        self.state.file = file.to_owned();
        self.changed = true;
        Ok(())
    }

    /// The other pipelines of the project that claim one of these paths.
    pub fn rivals<'a>(&self, outputs: impl Iterator<Item = &'a Path>) -> Vec<String> {
        let folder = self.record.parent().unwrap_or(&self.root);
        let mut records = files_in(folder).filter(|path| *path != self.record).peekable();
        if records.peek().is_none() {
            return Vec::new();
        }
        let outputs: Vec<Cow<'_, str>> = outputs.map(text_of).collect();
        let rivals = records.filter_map(|path| {
            let state: State = read_record(&path)?;
            let shared = outputs.iter().any(|output| state.claims.contains(output.as_ref()));
            shared.then(|| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
        });
        rivals.collect()
    }

    fn released_paths(&self) -> HashSet<String> {
        let files = self.state.steps.values().flat_map(|step| step.outputs.values());
        files.map(|file| text_of(&file.path).into_owned()).collect()
    }

    /// Whether the folder of a path, as far as it exists, lies outside of the project.
    fn leads_out(&self, target: &Path) -> bool {
        let root = self.root.canonicalize();
        let folder = target.ancestors().skip(1).find_map(|folder| folder.canonicalize().ok());
        matches!((root, folder), (Ok(root), Some(folder)) if !folder.starts_with(&root))
    }

    /// What the other pipelines of the project say; read when first asked.
    fn elsewhere(&self, store: &Store) -> &Elsewhere {
        self.elsewhere.get_or_init(|| {
            let folder = self.record.parent().unwrap_or(store.folder());
            let records = files_in(folder).filter(|path| *path != self.record);
            let states = records.filter_map(|path| read_record::<State>(&path));
            let manifests = files_in(&self.root.join("artifacts"));
            let manifests = manifests.filter_map(|path| read_json::<Manifest>(&path));
            let steps = manifests.flat_map(|manifest| manifest.steps.into_values());
            let files = steps.flat_map(|step| step.outputs.into_values());
            Elsewhere {
                claims: states.flat_map(|state| state.claims).collect(),
                manifests: files.map(|file| (text_of(&file.path).into_owned(), file.object.digest)).collect(),
            }
        })
    }

    /// Whether a file is what a manifest says: manifests outlive a store that was deleted.
    fn is_in_a_manifest(&self, store: &Store, path: &Path) -> bool {
        let said = self.elsewhere(store).manifests.get(text_of(path).as_ref());
        said.is_some_and(|said| {
            store.digests().digest(&self.root.join(path)).is_ok_and(|found| found == *said)
        })
    }

    /// Forgets steps that the pipeline no longer has, whose files stay, and gives up paths where nothing is
    /// released and nothing is to be written.
    pub fn keep_to(&mut self, plan: &Plan) {
        let outputs = || plan.steps.iter().flat_map(|step| &step.outputs);
        // Looked at when something has changed or there is too much: on a run with nothing to do it would be
        // a good part of the work.
        if self.state.steps.len() > plan.steps.len() || self.changed {
            let names: HashSet<&str> = plan.steps.iter().map(|step| step.name.as_str()).collect();
            let before = self.state.steps.len();
            self.state.steps.retain(|step, _| names.contains(step.as_str()));
            self.changed |= self.state.steps.len() != before;
        }
        if self.state.claims.len() > outputs().count() || self.changed {
            let mut needed = self.released_paths();
            needed.extend(outputs().map(|output| text_of(&output.path).into_owned()));
            let before = self.state.claims.len();
            self.state.claims.retain(|path| needed.contains(path));
            self.changed |= self.state.claims.len() != before;
        }
    }

    /// Writes the record when it has changed.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&mut self) -> Result<(), FilesError> {
        if self.changed {
            write_record(&self.record, &self.state)?;
            self.changed = false;
            self.unpublished = true;
        }
        Ok(())
    }

    /// Where the manifest of a pipeline lies in the project folder.
    pub fn manifest_path(pipeline: &str) -> PathBuf {
        Path::new("artifacts").join(format!("manifest.{pipeline}.json"))
    }

    /// Writes the manifest when the record has changed since, or it has gone.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn publish(&mut self, store: &Store) -> Result<(), FilesError> {
        let path = self.root.join(Self::manifest_path(&self.pipeline));
        if self.unpublished || (!path.exists() && !self.state.steps.is_empty()) {
            let manifest = Manifest { pipeline: self.pipeline.clone(), steps: self.state.steps.clone() };
            write_json(store.folder(), &path, &manifest)?;
            self.unpublished = false;
        }
        Ok(())
    }
}

/// Whether a file holds bytes that a run has put there: one that was killed may not have told of it.
fn is_ours(store: &Store, path: &Path) -> bool {
    store.digests().digest(path).is_ok_and(|digest| store.object_path(digest).exists())
}

/// How a path is written in claims; those of a plan come from text.
pub fn text_of(path: &Path) -> Cow<'_, str> {
    path.to_string_lossy()
}

fn files_in(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    // A name with a dot is that of a file which a killed run had not finished.
    names.filter(|path| path.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b".")))
}
