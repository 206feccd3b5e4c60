//! Collection: what is cheap to make again goes first; never what a release names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::staging::is_dead;
use super::survey::{FoundResult, Survey, entries, is_unfinished};
use super::{LAYOUT, StepResult, Store};
use crate::workflow::digest::Digest;
use crate::workflow::files::FilesError;
use crate::workflow::history::read::RecordedRun;

/// Records of runs that stay when nothing else is said.
pub const KEEP_RUNS: usize = 100;
/// How often the size of the store is looked at without being asked.
const BETWEEN_LOOKS: Duration = Duration::from_secs(24 * 3600);

/// Plans and checkpoints that were kept so long ago go.
const OLD: Duration = Duration::from_secs(30 * 24 * 3600);

/// What to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Results that were not used for so long go.
    pub older_than: Option<Duration>,
    /// When the objects take more bytes than this, results go until they do not.
    pub max_size: Option<u64>,
    /// So many records of runs stay.
    pub keep_runs: usize,
}

/// What is to be removed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Garbage {
    /// Files of results.
    pub results: Vec<PathBuf>,
    /// Objects that no remaining result or release names.
    pub objects: Vec<PathBuf>,
    /// Records of runs.
    pub runs: Vec<PathBuf>,
    /// Stores of other versions, old plans and checkpoints, staging folders of dead runs.
    pub leftovers: Vec<PathBuf>,
    /// What the objects take, in bytes.
    pub bytes: u64,
}

impl Store {
    /// What the policy would remove.
    pub fn garbage(&self, survey: &Survey, policy: &Policy, now: SystemTime) -> Garbage {
        let released: BTreeSet<Digest> = survey
            .releases
            .values()
            .flat_map(|state| state.steps.values())
            .map(|released| released.key.whole)
            .collect();
        let is_released = |found: &FoundResult| released.contains(&found.result.fingerprint.key().whole);
        let (kept, mut loose): (Vec<&FoundResult>, Vec<&FoundResult>) =
            survey.results.iter().partition(|found| is_released(found));
        let useless = survey.unreadable.iter().chain(&survey.unfinished).cloned();
        let mut garbage = Garbage { results: useless.collect(), ..Garbage::default() };
        // Without its record nobody knows what a release needs.
        if !survey.unreadable_releases.is_empty() {
            return Garbage::default();
        }
        if let Some(age) = policy.older_than {
            let old = |found: &&FoundResult| now.duration_since(found.used).is_ok_and(|since| since > age);
            garbage.results.extend(loose.extract_if(.., |found| old(found)).map(|found| found.path.clone()));
        }
        let mut users = Users::new(&survey.objects);
        kept.iter().chain(&loose).for_each(|found| users.add(&found.result));
        let releases = survey.releases.values().flat_map(|state| state.steps.values());
        releases.flat_map(|step| step.outputs.values()).for_each(|file| users.count(file.object.digest));
        loose.sort_by(|a, b| {
            cost_per_byte(&a.result).total_cmp(&cost_per_byte(&b.result)).then(a.used.cmp(&b.used))
        });
        for found in loose {
            if policy.max_size.is_none_or(|limit| users.total <= limit) {
                break;
            }
            garbage.results.push(found.path.clone());
            users.remove(&found.result);
        }
        for (digest, bytes) in survey.objects.iter().filter(|(digest, _)| !users.need(**digest)) {
            garbage.objects.push(self.object_path(*digest));
            garbage.bytes += bytes;
        }
        let surplus = survey.runs.len().saturating_sub(policy.keep_runs);
        let over = |path: &&PathBuf| !RecordedRun::at(path).is_live();
        garbage.runs = survey.runs[..surplus].iter().filter(over).cloned().collect();
        garbage.leftovers = self.leftovers();
        garbage
    }

    /// Removes it; call it only with the store closed ([`Store::close`]).
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn remove(&self, garbage: &Garbage) -> io::Result<()> {
        // Results first: a result without its objects is only a miss, but one that is trusted is not.
        for path in garbage.results.iter().chain(&garbage.objects) {
            remove(path)?;
            // Fails as long as something else is in it.
            let _ = path.parent().map(fs::remove_dir);
        }
        garbage.runs.iter().chain(&garbage.leftovers).try_for_each(|path| remove(path))
    }

    /// Keeps the store under a size after a run, unless it was looked at within a day or another run is
    /// at work; how many bytes went.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn keep_under(&self, max_size: u64) -> Result<u64, FilesError> {
        let stamp = self.folder.join("collected");
        let looked_at = fs::metadata(&stamp).and_then(|metadata| metadata.modified());
        if looked_at.is_ok_and(|time| time.elapsed().is_ok_and(|age| age < BETWEEN_LOOKS)) {
            return Ok(0);
        }
        let Some(_alone) = self.close()? else { return Ok(0) };
        let policy = Policy { older_than: None, max_size: Some(max_size), keep_runs: KEEP_RUNS };
        let garbage = self.garbage(&self.survey(), &policy, SystemTime::now());
        self.remove(&garbage)
            .and_then(|()| fs::write(&stamp, ""))
            .map_err(FilesError::new("collect", &self.folder))?;
        Ok(garbage.bytes)
    }

    /// A run whose services serve has given up its other locks.
    fn leftovers(&self) -> Vec<PathBuf> {
        let parent = self.folder.parent().unwrap_or(&self.folder);
        let is_layout = |path: &PathBuf| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let digits = name.strip_prefix('v').is_some_and(|n| n.parse::<u32>().is_ok());
            digits && name != LAYOUT && path.is_dir()
        };
        let mut leftovers: Vec<PathBuf> = entries(parent).into_iter().filter(is_layout).collect();
        leftovers.extend(entries(&self.folder.join("staging")).into_iter().filter(|path| is_dead(path)));
        for folder in [self.folder.clone(), self.folder.join("releases"), self.folder.join("plans")] {
            let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
            leftovers.extend(files.filter(|path| is_unfinished(path)));
        }
        let age =
            |path: &PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified()).ok()?.elapsed().ok();
        for folder in ["plans", "checkpoints"] {
            let files = entries(&self.folder.join(folder)).into_iter();
            leftovers.extend(files.filter(|path| age(path).is_some_and(|age| age > OLD)));
        }
        leftovers
    }
}

/// How many results and releases need each object, and what the needed ones take.
pub struct Users<'a> {
    sizes: &'a BTreeMap<Digest, u64>,
    counts: BTreeMap<Digest, usize>,
    /// Bytes of the needed objects.
    pub total: u64,
}

impl<'a> Users<'a> {
    /// Nobody needs these objects, which have these sizes in bytes.
    pub fn new(sizes: &'a BTreeMap<Digest, u64>) -> Self {
        Self { sizes, counts: BTreeMap::new(), total: 0 }
    }

    /// A result needs its objects.
    pub fn add(&mut self, result: &StepResult) {
        digests(result).into_iter().for_each(|digest| self.count(digest));
    }

    /// Something needs an object.
    pub fn count(&mut self, digest: Digest) {
        let count = self.counts.entry(digest).or_default();
        *count += 1;
        if *count == 1 {
            self.total += self.sizes.get(&digest).copied().unwrap_or(0);
        }
    }

    /// A result that was added goes.
    pub fn remove(&mut self, result: &StepResult) {
        for digest in digests(result) {
            if let Some(count) = self.counts.get_mut(&digest) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(&digest);
                    self.total -= self.sizes.get(&digest).copied().unwrap_or(0);
                }
            }
        }
    }

    /// Whether anything needs an object.
    pub fn need(&self, digest: Digest) -> bool {
        self.counts.contains_key(&digest)
    }
}

/// Seconds of work that one byte of a result holds.
pub fn cost_per_byte(result: &StepResult) -> f64 {
    let bytes: u64 = result.outputs.values().map(|object| object.size).sum();
    result.seconds / (bytes.max(1) as f64)
}

fn digests(result: &StepResult) -> BTreeSet<Digest> {
    result.outputs.values().map(|object| object.digest).collect()
}

fn remove(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
