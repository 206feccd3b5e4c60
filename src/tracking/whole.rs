//! What every logged run has as a whole: where it happens, who runs it, the files that say what is run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::entry::{ArtifactFile, Entry, WHOLE};
use super::names::{self, LONGEST_TAG};
use super::place;
use super::server::Destination;
use crate::workflow::digest::Digest;

/// Bytes of a pipeline file that is sent along.
const LARGEST_FILE: u64 = 1 << 20;

/// Where a run happens, for its log.
pub struct Scene<'a> {
    /// The project folder.
    pub root: &'a Path,
    /// The name of the run in the project.
    pub run: &'a str,
    /// Files that say what is run: the pipeline, configurations.
    pub files: Vec<PathBuf>,
}

/// What is said of every run: of what, where, by whom.
pub fn run_tags(file: &str, run: &str) -> BTreeMap<String, String> {
    let tags = [
        ("mlflow.source.name", file.to_owned()),
        ("mlflow.source.type", "LOCAL".to_owned()),
        ("recsys.run", run.to_owned()),
        ("recsys.host", place::host()),
        ("recsys.version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let user = place::user().map(|user| ("mlflow.user", user));
    let all = tags.into_iter().chain(user);
    all.map(|(name, value)| (name.to_owned(), names::cut(&value, LONGEST_TAG))).collect()
}

/// A small file of the project as an artifact of the whole run.
pub fn as_text(root: &Path, path: &Path) -> Option<Entry> {
    let whole = root.join(path);
    let is_small = std::fs::metadata(&whole).is_ok_and(|file| file.is_file() && file.len() <= LARGEST_FILE);
    let text = std::fs::read_to_string(&whole).ok().filter(|_| is_small)?;
    let name = names::key(&format!("pipeline/{}", path.file_name()?.to_string_lossy()));
    Some(Entry::Artifact { run: WHOLE.to_owned(), name, file: ArtifactFile::Text(text) })
}

/// Whether nothing of this pipeline was logged there before; from now on something was.
pub fn mark(root: &Path, destination: &Destination, pipeline: &str) -> bool {
    let known = super::spool::known(root);
    let name = format!("{}\n{}\n{pipeline}", destination.server, destination.experiment);
    let path = known.join(&Digest::of(name.as_bytes()).to_string()[..32]);
    if path.exists() {
        return false;
    }
    // Where it cannot be written the spool cannot be either, and that is told.
    std::fs::create_dir_all(&known).and_then(|()| std::fs::write(path, name)).is_ok()
}
