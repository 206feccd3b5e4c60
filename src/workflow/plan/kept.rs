//! Plans kept between runs. A kept plan is used when the same program was given the same words, every
//! file that the plan was made from has the bytes that it had, and every environment variable that was
//! looked at has its value; only digests of values are kept.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Plan, PlanRecord};
use crate::workflow::digest::Digest;
use crate::workflow::files::{FilesError, read_record, write_record};
use crate::workflow::kind::Kind;
use crate::workflow::spec::{Overrides, Spec};
use crate::workflow::values::Scope;

/// A plan and what it was made from.
#[derive(Serialize, Deserialize)]
struct Kept {
    files: Vec<(PathBuf, Digest)>,
    environment: Vec<(String, Option<Digest>)>,
    plan: PlanRecord,
}

/// The name of a kept plan: this program, the project folder, the pipeline and the changes to it.
pub fn key(root: &Path, pipeline: &Path, overrides: &Overrides) -> Digest {
    let program = std::env::current_exe().and_then(fs::metadata);
    let program = program.map(|found| (found.len(), found.ino(), found.mtime(), found.mtime_nsec())).ok();
    let words = (program, root, pipeline, &overrides.configs, &overrides.vars, &overrides.set);
    // What has no such form, a path that is not UTF-8, shares a name: files are compared all the same.
    Digest::of(&postcard::to_allocvec(&words).unwrap_or_default())
}

/// The plan kept at `path`, when everything that it was made from is as it was.
pub fn find(path: &Path, kinds: &'static [Kind], scope: &Scope) -> Option<Plan> {
    let kept: Kept = read_record(path)?;
    let same_file =
        |(path, digest): &(PathBuf, Digest)| digest_of(path).is_some_and(|found| found == *digest);
    let same_value = |(name, digest): &(String, Option<Digest>)| value_digest(scope.env(name)) == *digest;
    let same = kept.files.iter().all(same_file) && kept.environment.iter().all(same_value);
    same.then(|| kept.plan.restore(kinds, |name| scope.env(name)))?
}

/// Keeps a plan at `path`.
///
/// # Errors
/// When the disk refuses.
pub fn keep(path: &Path, spec: &Spec, plan: &Plan) -> Result<(), FilesError> {
    let files = spec.files.iter().map(|path| Some((path.clone(), digest_of(path)?)));
    let Some(files) = files.collect::<Option<Vec<_>>>() else { return Ok(()) };
    let environment = spec.environment_read.iter();
    let environment = environment.map(|(name, value)| (name.clone(), value_digest(value.clone())));
    write_record(path, &Kept { files, environment: environment.collect(), plan: PlanRecord::of(plan) })
}

fn digest_of(path: &Path) -> Option<Digest> {
    Some(Digest::of(&fs::read(path).ok()?))
}

fn value_digest(value: Option<String>) -> Option<Digest> {
    value.map(|value| Digest::of(value.as_bytes()))
}
