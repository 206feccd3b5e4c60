//! Small file operations that leave the old state or the new one, whatever happens in between.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

use super::digest::Digest;

/// Bytes of the digest at the end of a record.
const SEAL: usize = 32;

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
    use io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => "check the path; relative paths start at the project folder",
        ErrorKind::PermissionDenied => "check the owner and the permissions of the file and its folder",
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only: run in another folder or remount it",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "the disk is full: free some space and run again; what was finished is kept"
        }
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            "a file stands where a folder is needed: move it away, or choose another path"
        }
        ErrorKind::IsADirectory => {
            "a folder stands where a file is needed: move it away, or choose another path"
        }
        ErrorKind::InvalidFilename => "the name is too long for the file system: choose a shorter one",
        _ => "the reason above is what the operating system said; mend that and run again",
    }
}

/// Writes bytes beside `path` and renames them over it, bytes and folder flushed to the disk.
///
/// # Errors
/// When the disk refuses; the old file is still there then.
pub fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), FilesError> {
    write_through(path.parent().unwrap_or(Path::new(".")), path, bytes)
}

/// The same by way of another folder of the file system, where a file that a kill leaves disturbs
/// nobody; on another file system it is written beside `path` all the same.
///
/// # Errors
/// When the disk refuses; the old file is still there then.
pub fn write_through(scratch: &Path, path: &Path, bytes: &[u8]) -> Result<(), FilesError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let write = || -> io::Result<()> {
        fs::create_dir_all(folder)?;
        // As any file that is created: others may read it as far as the user's mask lets them.
        let mut file =
            tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(scratch)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        sync_folder(folder)
    };
    match write() {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices && scratch != folder => {
            write_durably(path, bytes)
        }
        written => written.map_err(FilesError::new("write", path)),
    }
}

/// Writes bytes beside `path` and renames them over it, without waiting for the disk: for what can be
/// made again and is sealed, so that a power cut leaves it as good as none.
///
/// # Errors
/// When the disk refuses; the old file is still there then.
pub fn write_quickly(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut builder = tempfile::Builder::new();
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = builder.permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Writes JSON as [`write_through`] does.
///
/// # Errors
/// When the disk refuses; the old file is still there then.
pub fn write_json<T: Serialize>(scratch: &Path, path: &Path, value: &T) -> Result<(), FilesError> {
    let text = serde_json::to_vec_pretty(value).map_err(io::Error::from);
    let mut text = text.map_err(FilesError::new("write", path))?;
    text.push(b'\n');
    write_through(scratch, path, &text)
}

/// Reads JSON; a missing, torn or foreign file is as good as none.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Writes a compact record, sealed with its digest, as [`write_durably`] does.
///
/// # Errors
/// When the disk refuses; the old file is still there then.
pub fn write_record<T: Serialize>(path: &Path, value: &T) -> Result<(), FilesError> {
    let bytes = postcard::to_allocvec(value).map_err(io::Error::other);
    let mut bytes = bytes.map_err(FilesError::new("write", path))?;
    let seal = Digest::of(&bytes);
    bytes.extend_from_slice(seal.as_bytes());
    write_durably(path, &bytes)
}

/// Reads a record; a missing, torn, damaged or foreign one is as good as none.
pub fn read_record<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let bytes = fs::read(path).ok()?;
    let (record, seal) = bytes.split_at_checked(bytes.len().checked_sub(SEAL)?)?;
    (Digest::of(record).as_bytes() == seal).then(|| postcard::from_bytes(record).ok())?
}

/// Flushes the names in a folder to the disk, so that a rename survives a power cut.
///
/// # Errors
/// When the disk refuses.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_with_any_byte_changed_or_cut_off_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        write_record(&path, &("text", 7_u64)).unwrap();
        assert_eq!(read_record::<(String, u64)>(&path), Some(("text".to_owned(), 7)));
        let good = fs::read(&path).unwrap();
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert_eq!(read_record::<(String, u64)>(&path), None);
            fs::write(&path, &good[..position]).unwrap();
            assert_eq!(read_record::<(String, u64)>(&path), None);
        }
    }
}
