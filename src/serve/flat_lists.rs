//! Ranked lists, from Parquet once and then mapped as they lie in memory.
//!
//! Reading the lists of a million users from Parquet takes seconds, mapping them takes none. So they are looked
//! for where the step `flat_lists` of a run left them, then where this service left them at an earlier start;
//! only when neither is there are they read, and left for the next start. Wherever a file comes from, it counts
//! only when it was made from the very bytes that are to be served.

use std::fs;
use std::path::Path;

use blake3::Hash;

use super::catalog::Catalog;
use super::failure::ServiceError;
use super::library::mismatch;
use super::lists::{Lists, ListsBuilder};
use super::lists_file::{self, Found};
use super::origin::{self, Origin};
use crate::codec::{CodecError, ranked};

/// Where the lists of a release may lie mapped.
#[derive(Debug, Clone, Copy)]
pub struct FlatLists<'a> {
    /// What a run made.
    pub made: Option<&'a Path>,
    /// What services leave for each other.
    pub cache: Option<&'a Path>,
    /// The bytes that are to be served.
    pub origin: &'a Origin,
}

impl FlatLists<'_> {
    /// The lists of an artifact, read when they lie nowhere.
    ///
    /// # Errors
    /// Whatever `read` returns.
    pub fn lists(
        &self,
        artifact: &str,
        read: impl FnOnce() -> Result<Lists, ServiceError>,
    ) -> Result<Lists, ServiceError> {
        let made_from = self.origin.of_lists(artifact);
        if let Some(folder) = self.made {
            let path = folder.join(format!("{artifact}.lists"));
            match lists_file::open(&path, made_from) {
                Found::Lists(lists) => return Ok(lists),
                Found::Nothing => {}
                Found::Other => {
                    tracing::warn!("`{}` is of other artifacts than those served: not used", path.display());
                }
            }
        }
        let Some(folder) = self.cache else { return read() };
        let name = file_name(artifact, made_from);
        let path = folder.join(&name);
        match lists_file::open(&path, made_from) {
            Found::Lists(lists) => return Ok(lists),
            Found::Nothing => {}
            Found::Other => {
                tracing::warn!("`{}` is damaged or of another version: it is made again", path.display());
            }
        }
        let lists = read()?;
        match lists_file::write(&path, &lists, made_from) {
            Ok(mapped) => {
                remove_others(folder, artifact, &name);
                Ok(mapped)
            }
            Err(error) => {
                tracing::warn!("the lists stay in memory, `{}` cannot be written: {error}", path.display());
                Ok(lists)
            }
        }
    }
}

/// Makes the file that [`FlatLists`] looks for from the lists in `lists`, whose keys are in the column `key` and
/// whose tracks in the column `track` are rows of the table `items`; how many lists there are.
///
/// # Errors
/// When a table cannot be read, they do not fit each other, or the disk refuses.
pub fn make(lists: &Path, key: &str, track: &str, items: &Path, to: &Path) -> Result<usize, ServiceError> {
    let digest = |path: &Path| {
        origin::digest(path).map_err(|cause| ServiceError::Unreadable { path: path.to_owned(), cause })
    };
    let made_from = origin::of_lists([digest(lists)?, digest(items)?]);
    let catalog = catalog(ranked::read_ids(items, "track_id")?, items)?;
    let lists = read(lists, key, track, &catalog)?;
    let written = lists_file::write(to, &lists, made_from).map_err(CodecError::io("write", to));
    Ok(written?.len())
}

/// The tracks of a table of items.
///
/// # Errors
/// When a track has two rows.
pub fn catalog(track_ids: Vec<i64>, items: &Path) -> Result<Catalog, CodecError> {
    Catalog::new(track_ids).map_err(|track_id| CodecError::Value {
        path: items.to_owned(),
        column: "track_id".to_owned(),
        message: format!("track {track_id} occurs twice"),
    })
}

/// Reads ranked lists from Parquet.
///
/// # Errors
/// When the file cannot be read, its lists are not in order, or a track is not in the catalogue.
pub fn read(path: &Path, key: &str, track: &str, catalog: &Catalog) -> Result<Lists, ServiceError> {
    let mut builder = ListsBuilder::with_capacity(ranked::n_rows(path)?);
    ranked::read(path, key, track, |block| builder.push(block, catalog).map_err(mismatch(path)))?;
    builder.finish().map_err(mismatch(path))
}

fn file_name(artifact: &str, made_from: Hash) -> String {
    format!("{artifact}-{}.lists", &made_from.to_hex()[..16])
}

/// Lists of earlier releases; what is still mapped stays on the disk until it is not.
fn remove_others(folder: &Path, artifact: &str, name: &str) {
    for file in fs::read_dir(folder).into_iter().flatten().flatten() {
        let found = file.file_name();
        let found = found.to_string_lossy();
        if found.starts_with(&format!("{artifact}-")) && found.ends_with(".lists") && found != name {
            // It is disposable: the next release tries again.
            let _ = fs::remove_file(file.path());
        }
    }
}
