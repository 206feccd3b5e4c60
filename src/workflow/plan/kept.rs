//! Plans kept between runs. A kept plan is used when the same program was given the same words, every
//! file that the plan was made from has the bytes that it had, and every environment variable that was
//! looked at has its value; only digests of values are kept.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::{Plan, PlanRecord};
use crate::workflow::digest::Digest;
use crate::workflow::files::{FilesError, read_record, write_record};
use crate::workflow::kind::Kind;
use crate::workflow::spec::{Overrides, Spec};
use crate::workflow::values::{EVERY_NAME, Scope};

/// A plan and what it was made from: files, environment, plan.
type Kept = (Vec<(PathBuf, Digest)>, Vec<(String, Option<Digest>)>, PlanRecord);

/// The name of a kept plan: this program, the project folder, the pipeline and the changes to it.
pub fn key(root: &Path, pipeline: &Path, overrides: &Overrides) -> Digest {
    let program = std::env::current_exe().and_then(fs::metadata);
    let program = program.map(|found| (found.len(), found.ino(), found.mtime(), found.mtime_nsec())).ok();
    let mut hasher = blake3::Hasher::new();
    let mut word = |word: &[u8]| {
        hasher.update(&(word.len() as u64).to_le_bytes());
        hasher.update(word);
    };
    word(format!("{program:?}").as_bytes());
    let configs = overrides.configs.iter().map(PathBuf::as_path);
    for path in [root, pipeline].into_iter().chain(configs) {
        word(path.as_os_str().as_bytes());
    }
    word(b"--");
    for change in
        overrides.vars.iter().map(|var| ("var", var)).chain(overrides.set.iter().map(|set| ("set", set)))
    {
        word(change.0.as_bytes());
        word(change.1.as_bytes());
    }
    hasher.finalize().into()
}

/// The plan kept at `path` and what it was made from, when all of that is as it was.
pub fn find(path: &Path, kinds: &'static [Kind], scope: &Scope) -> Option<(Plan, Origin)> {
    let (files, environment, plan): Kept = read_record(path)?;
    let same_file =
        |(path, digest): &(PathBuf, Digest)| digest_of(path).is_some_and(|found| found == *digest);
    let same_value = |(name, digest): &(String, Option<Digest>)| value_digest(scope.env(name)) == *digest;
    let same = files.iter().all(same_file) && environment.iter().all(same_value);
    let plan = same.then(|| plan.restore(kinds, |name| scope.env(name)))??;
    Some((plan, Origin { files, environment }))
}

/// What a plan was made from, noted when it is made: a file that is edited later, while a run goes on,
/// is another one.
#[derive(Clone)]
pub struct Origin {
    files: Vec<(PathBuf, Digest)>,
    environment: Vec<(String, Option<Digest>)>,
}

impl Origin {
    /// Of a plan that was just made; nothing when a file is not what was read.
    pub fn of(spec: &Spec) -> Option<Self> {
        let files = spec.files.iter().map(|path| {
            let found = digest_of(path)?;
            spec.sources.has(found).then(|| (path.clone(), found))
        });
        let environment = spec.environment_read.iter();
        let environment = environment.map(|(name, value)| (name.clone(), value_digest(value.clone())));
        Some(Self { files: files.collect::<Option<_>>()?, environment: environment.collect() })
    }

    /// The files, each with the digest of its bytes.
    pub fn files(&self) -> &[(PathBuf, Digest)] {
        &self.files
    }

    /// The environment variables that were looked at; nothing when all of them were, those that may yet
    /// be set included.
    pub fn variables(&self) -> Option<impl Iterator<Item = &str>> {
        let names = self.environment.iter().map(|(name, _)| name.as_str());
        names.clone().all(|name| name != EVERY_NAME).then_some(names)
    }

    /// Whether every environment variable that was looked at has its value still.
    pub fn has_its_values(&self, root: &Path) -> bool {
        let scope = Scope::from_environment(root);
        self.environment.iter().all(|(name, digest)| value_digest(scope.env(name)) == *digest)
    }
}

/// Keeps a plan at `path`.
///
/// # Errors
/// When the disk refuses.
pub fn keep(path: &Path, origin: &Origin, plan: &Plan) -> Result<(), FilesError> {
    let Origin { files, environment } = origin;
    write_record(path, &(files, environment, PlanRecord::of(plan)))
}

fn digest_of(path: &Path) -> Option<Digest> {
    Some(Digest::of(&fs::read(path).ok()?))
}

fn value_digest(value: Option<String>) -> Option<Digest> {
    value.map(|value| Digest::of(value.as_bytes()))
}
