//! What lies in the store, and whether it is as it should be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;

use super::result::Unusable;
use super::{StepResult, Store};
use crate::workflow::digest::Digest;
use crate::workflow::digests;
use crate::workflow::files::{FilesError, read_record, write_record};
use crate::workflow::release::{Released, State};

/// Everything that lies in the store.
pub struct Survey {
    /// Objects and their sizes in bytes.
    pub objects: BTreeMap<Digest, u64>,
    /// Results that can be read.
    pub results: Vec<FoundResult>,
    /// Records of results that are damaged.
    pub unreadable: Vec<PathBuf>,
    /// Records of results whose runners were killed, or are at work.
    pub unfinished: Vec<PathBuf>,
    /// What is released, by pipeline.
    pub releases: BTreeMap<String, State>,
    /// Records of releases that are damaged.
    pub unreadable_releases: Vec<PathBuf>,
    /// Folders of runs, the oldest first.
    pub runs: Vec<PathBuf>,
}

/// One result and its file.
pub struct FoundResult {
    /// Where it is recorded.
    pub path: PathBuf,
    /// When it was recorded or last used.
    pub used: SystemTime,
    /// What it says.
    pub result: StepResult,
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "problem", rename_all = "snake_case")]
pub enum Problem {
    /// An object has other bytes than its name says.
    DamagedObject {
        /// Its file.
        path: PathBuf,
    },
    /// A result cannot be read.
    UnreadableResult {
        /// Its file.
        path: PathBuf,
    },
    /// The record of what a pipeline has released cannot be read.
    UnreadableRelease {
        /// Its file.
        path: PathBuf,
    },
    /// A result names an object that is not there.
    MissingObject {
        /// The result's file.
        result: PathBuf,
        /// The output whose bytes are missing.
        output: String,
    },
    /// A released file has bytes that something else made: a run was killed here, or another pipeline has
    /// released it. The next run of the pipeline puts its own there.
    Overwritten {
        /// The pipeline that released it.
        pipeline: String,
        /// The step that made it.
        step: String,
        /// Its path in the project folder.
        path: PathBuf,
    },
    /// A released file is missing or has other bytes.
    ChangedArtifact {
        /// The pipeline that released it.
        pipeline: String,
        /// The step that made it.
        step: String,
        /// Its path in the project folder.
        path: PathBuf,
    },
}

impl Problem {
    /// Whether the next run mends it without anything being lost or made again.
    pub fn is_harmless(&self) -> bool {
        matches!(self, Self::Overwritten { .. })
    }
}

impl Store {
    /// Looks at everything in the store; objects are not read.
    pub fn survey(&self) -> Survey {
        let mut survey = Survey {
            objects: BTreeMap::new(),
            results: Vec::new(),
            unreadable: Vec::new(),
            unfinished: Vec::new(),
            releases: BTreeMap::new(),
            unreadable_releases: Vec::new(),
            runs: entries(&self.runs()),
        };
        for path in entries(&self.folder.join("objects")).iter().flat_map(|folder| entries(folder)) {
            if let (Some(digest), Ok(metadata)) = (named(&path), fs::metadata(&path)) {
                survey.objects.insert(digest, metadata.len());
            }
        }
        for path in entries(&self.folder.join("results")).iter().flat_map(|folder| entries(folder)) {
            let (Ok(metadata), Ok(record)) = (fs::metadata(&path), fs::read(&path)) else { continue };
            match StepResult::unsealed(&record) {
                Ok(result) => {
                    let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                    survey.results.push(FoundResult { path, used, result });
                }
                Err(Unusable::Unfinished) => survey.unfinished.push(path),
                Err(Unusable::Damaged) => survey.unreadable.push(path),
            }
        }
        for path in entries(&self.folder.join("releases")) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            match read_record(&path) {
                Some(state) => _ = survey.releases.insert(name, state),
                None => survey.unreadable_releases.push(path),
            }
        }
        survey
    }

    /// Reads every object and every released file and compares digests, whatever the memo says.
    pub fn verify(&self, root: &Path, survey: &Survey, progress: impl Fn(u64)) -> Vec<Problem> {
        let mut problems: BTreeSet<Problem> = BTreeSet::new();
        problems
            .extend(survey.unreadable.iter().map(|path| Problem::UnreadableResult { path: path.clone() }));
        let releases = survey.unreadable_releases.iter();
        problems.extend(releases.map(|path| Problem::UnreadableRelease { path: path.clone() }));
        let mut good = BTreeSet::new();
        for (&digest, &size) in &survey.objects {
            let path = self.object_path(digest);
            if digests::hash(&path, size).is_ok_and(|found| found == digest) {
                good.insert(digest);
            } else {
                problems.insert(Problem::DamagedObject { path });
            }
            progress(size);
        }
        for FoundResult { path, result, .. } in &survey.results {
            let missing = result.outputs.iter().filter(|(_, object)| !good.contains(&object.digest));
            problems.extend(
                missing.map(|(output, _)| Problem::MissingObject {
                    result: path.clone(),
                    output: output.clone(),
                }),
            );
        }
        for (pipeline, state) in &survey.releases {
            for (step, Released { outputs, .. }) in &state.steps {
                for file in outputs.values() {
                    let path = root.join(&file.path);
                    let found = fs::metadata(&path).ok().and_then(|m| digests::hash(&path, m.len()).ok());
                    let (pipeline, step, path) = (pipeline.clone(), step.clone(), file.path.clone());
                    match found {
                        Some(found) if found == file.object.digest => {}
                        Some(found) if good.contains(&found) => {
                            problems.insert(Problem::Overwritten { pipeline, step, path });
                        }
                        _ => _ = problems.insert(Problem::ChangedArtifact { pipeline, step, path }),
                    }
                }
            }
        }
        problems.into_iter().collect()
    }

    /// Removes what is damaged, and forgets released files of pipelines that are gone; how many. The next
    /// run makes or restores the rest. Call it only with the store closed ([`Store::close`]), since
    /// before the survey.
    ///
    /// # Errors
    /// When a file cannot be removed or written.
    pub fn repair(&self, root: &Path, problems: &[Problem]) -> Result<usize, FilesError> {
        let mut removed = 0;
        for problem in problems {
            let path = match problem {
                Problem::DamagedObject { path }
                | Problem::UnreadableResult { path }
                | Problem::UnreadableRelease { path } => path,
                Problem::MissingObject { result, .. } => result,
                Problem::Overwritten { .. } => continue,
                Problem::ChangedArtifact { pipeline, step, .. } => {
                    let record = self.release_path(pipeline);
                    // That of a pipeline which still exists is restored by its next run.
                    let state =
                        read_record::<State>(&record).filter(|state| !root.join(&state.file).is_file());
                    if let Some(mut state) = state {
                        removed += usize::from(state.steps.remove(step).is_some());
                        write_record(&record, &state)?;
                    }
                    continue;
                }
            };
            if path.exists() {
                fs::remove_file(path).map_err(FilesError::new("remove", path))?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// The digest that a file of the store bears as its name.
fn named(path: &Path) -> Option<Digest> {
    let folder = path.parent()?.file_name()?.to_str()?;
    Digest::from_hex(&format!("{folder}{}", path.file_name()?.to_str()?))
}

/// Whether a file bears the name of one that a killed run had not finished.
pub fn is_unfinished(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// The entries of a folder in the order of their names.
pub fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.retain(|path| !is_unfinished(path));
    entries.sort();
    entries
}
