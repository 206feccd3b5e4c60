//! A remote cache behind an address: what the runner asks of one, answered by the storage.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::storage::error::Kind;
use crate::storage::transfer::{Download, Upload, download, upload};
use crate::storage::{Address, Condition, Entry, Remote, Settings, Stop, StorageError};
use crate::workflow::remote::{Found, Moved, RemoteError, RemoteStore};
use crate::workflow::values::environment_of_process;

/// Files up to this size are read whole, in one request.
const SMALL: u64 = 8 << 20;

/// A remote cache.
pub struct Far {
    folder: Remote<'static>,
    address: String,
    /// Where uploads in parts note what they have begun.
    notes: PathBuf,
}

impl Far {
    /// The cache at an address; what it takes to reach it is in the environment and in `.env`. Requests
    /// end when `stop` is set.
    ///
    /// # Errors
    /// When it is no address, or the client cannot be set up.
    pub fn open(url: &str, root: &Path, stop: Arc<AtomicBool>) -> Result<Self, RemoteError> {
        let address: Address = url.parse()?;
        let environment = environment_of_process(root);
        let settings = Settings::from_lookup(|name| environment.get(name).cloned());
        // One for the whole process, which needs it to its end.
        let stop: Stop<'static> = Box::leak(Box::new(move || stop.load(Ordering::Relaxed)));
        let folder = Remote::open(&address, &settings, stop)?;
        Ok(Self { folder, address: address.to_string(), notes: root.join("cache/uploads") })
    }

    fn prefix(&self) -> String {
        let key = self.folder.address().key();
        if key.is_empty() || key.ends_with('/') { key } else { key + "/" }
    }
}

impl RemoteStore for Far {
    fn address(&self) -> &str {
        &self.address
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, RemoteError> {
        let read = self.folder.join(name).bytes(SMALL as usize);
        Ok(there(read)?.map(|(bytes, _)| bytes))
    }

    fn download(&self, name: &str, size: u64, to: &Path, moved: Moved<'_>) -> Result<bool, RemoteError> {
        let remote = self.folder.join(name);
        if size <= SMALL {
            let Some((bytes, _)) = there(remote.bytes(SMALL as usize))? else { return Ok(false) };
            fs::write(to, &bytes).map_err(|error| error.to_string())?;
            moved(bytes.len() as u64);
            return Ok(true);
        }
        let Some(found) = remote.find()? else { return Ok(false) };
        let partial = to.with_extension("partial");
        let told = AtomicU64::new(0);
        let tell = more(&told, moved);
        let what = Download { remote: &remote, found: &found, target: to, partial: &partial, tell: &tell };
        Ok(there(download(&what))?.is_some())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RemoteError> {
        self.folder.join(name).put(bytes.to_owned(), &Condition::Always)?;
        Ok(())
    }

    fn upload(&self, name: &str, from: &Path, moved: Moved<'_>) -> Result<(), RemoteError> {
        let remote = self.folder.join(name);
        let told = AtomicU64::new(0);
        let tell = more(&told, moved);
        upload(&Upload { remote: &remote, file: from, blake3: None, notes: &self.notes, tell: &tell })?;
        Ok(())
    }

    fn find(&self, name: &str) -> Result<Option<Found>, RemoteError> {
        let found = self.folder.join(name).find()?;
        Ok(found.map(|found| Found { size: found.size.unwrap_or(0), modified: time(found.modified) }))
    }

    fn list(&self, folder: &str) -> Result<Vec<(String, Found)>, RemoteError> {
        let prefix = self.prefix();
        let entries = self.folder.join(folder).list()?;
        let named = entries.into_iter().filter_map(|Entry { key, size, modified, .. }| {
            let name = key.strip_prefix(&prefix)?.to_owned();
            Some((name, Found { size, modified: time(modified) }))
        });
        Ok(named.collect())
    }

    fn remove(&self, name: &str) -> Result<(), RemoteError> {
        Ok(self.folder.join(name).delete()?)
    }
}

/// Nothing for what is not there.
fn there<T>(got: Result<T, StorageError>) -> Result<Option<T>, RemoteError> {
    match got {
        Err(error) if error.kind == Kind::NotFound => Ok(None),
        got => Ok(Some(got?)),
    }
}

/// Seconds since 1970 as a time; an unknown one is now, so that nothing is taken for old.
fn time(seconds: Option<i64>) -> SystemTime {
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map_or_else(SystemTime::now, |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Totals of a transfer as further bytes.
fn more<'a>(
    told: &'a AtomicU64,
    moved: Moved<'a>,
) -> impl Fn(crate::storage::transfer::Moved) + Send + Sync + 'a {
    move |now| {
        let before = told.fetch_max(now.done, Ordering::Relaxed);
        moved(now.done.saturating_sub(before));
    }
}
