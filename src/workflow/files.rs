//! Small file operations that leave the old state or the new one, whatever happens in between.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

/// The runner could not read or write one of its files.
#[derive(Debug, Error, Diagnostic)]
#[error("cannot {action} `{}`", path.display())]
#[diagnostic(code(recsys::files), help("{}", help(source)))]
pub struct FilesError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl FilesError {
    /// For `map_err` after a system call on `path`.
    pub fn new(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { action, path, source }
    }
}

fn help(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound => "check the path; relative paths start at the project folder",
        io::ErrorKind::PermissionDenied => "check the owner and the permissions of the file and its folder",
        io::ErrorKind::ReadOnlyFilesystem => {
            "the file system is read-only: run in another folder or remount it"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full: free some space and run again; what was finished is kept"
        }
        _ => "see the message of the operating system above",
    }
}

/// Writes JSON beside `path` and renames it over, bytes and folder flushed to the disk.
///
/// # Errors
/// When the disk refuses; the old file is still there then.
pub fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), FilesError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        serde_json::to_writer_pretty(&mut file, value)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        sync_folder(folder)
    };
    write().map_err(FilesError::new("write", path))
}

/// Reads JSON; a missing, torn or foreign file is as good as none.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Flushes the names in a folder to the disk, so that a rename survives a power cut.
///
/// # Errors
/// When the disk refuses.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
