//! Files of this machine as objects, so that whatever works with a server works with a folder.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::error::{Failure, Kind};
use super::{Condition, Content, Entry, Found, Sink, Stop, Storage, Written};

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;

/// Files of this machine.
pub struct Local<'a> {
    stop: Stop<'a>,
}

impl<'a> Local<'a> {
    /// Every file.
    pub fn new(stop: Stop<'a>) -> Self {
        Self { stop }
    }

    fn copy(&self, from: &mut impl Read, sink: Sink<'_>) -> Result<u64, Failure> {
        let mut chunk = vec![0; CHUNK];
        let mut total = 0;
        loop {
            if (self.stop)() {
                return Err(Failure::stopped());
            }
            match from.read(&mut chunk).map_err(Failure::disk("the file cannot be read"))? {
                0 => return Ok(total),
                n => {
                    sink(&chunk[..n])?;
                    total += n as u64;
                }
            }
        }
    }
}

/// What a file's times and size say about it; a file has no better ETag.
fn found(metadata: &fs::Metadata) -> Found {
    let etag = format!("\"{:x}-{:x}.{:x}\"", metadata.size(), metadata.mtime(), metadata.mtime_nsec());
    Found {
        size: Some(metadata.size()),
        etag: Some(etag),
        modified: Some(metadata.mtime()),
        ranges: true,
        ..Found::default()
    }
}

fn failure(error: io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::NotFound => Failure::new(Kind::NotFound, "there is no such file"),
        io::ErrorKind::PermissionDenied => Failure::new(Kind::Denied, error.to_string()),
        _ => Failure::disk("the system refuses")(error),
    }
}

impl Storage for Local<'_> {
    fn head(&self, key: &str) -> Result<Found, Failure> {
        let metadata = fs::metadata(key).map_err(failure)?;
        if metadata.is_file() {
            Ok(found(&metadata))
        } else {
            Err(Failure::new(Kind::NotFound, "it is no file"))
        }
    }

    fn read(
        &self,
        key: &str,
        range: Option<Range<u64>>,
        expected: Option<&Found>,
        sink: Sink<'_>,
    ) -> Result<Found, Failure> {
        let mut file = File::open(key).map_err(failure)?;
        let now = found(&file.metadata().map_err(failure)?);
        if expected.is_some_and(|expected| !expected.agrees_with(&now)) {
            return Err(Failure::new(Kind::Changed, "the file changed"));
        }
        let range = range.unwrap_or(0..now.size.unwrap_or(0));
        file.seek(SeekFrom::Start(range.start)).map_err(failure)?;
        let wanted = range.end.saturating_sub(range.start);
        let copied = self.copy(&mut file.take(wanted), sink)?;
        if copied < wanted {
            return Err(Failure::new(Kind::Changed, "the file became shorter"));
        }
        Ok(now)
    }

    /// The condition is looked at before, not at the moment, of writing, except [`Condition::Absent`].
    fn put(&self, key: &str, content: &Content<'_>, condition: &Condition) -> Result<Written, Failure> {
        let path = Path::new(key);
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(failure)?;
        if let Condition::Matches(etag) = condition
            && self.head(key).ok().and_then(|found| found.etag).as_ref() != Some(etag)
        {
            return Err(Failure::new(Kind::Condition, "the file is another one"));
        }
        let mut part = tempfile::NamedTempFile::new_in(folder).map_err(failure)?;
        match content {
            Content::Bytes(bytes) => part.write_all(bytes).map_err(failure)?,
            Content::File { path, .. } => {
                let mut from = File::open(path).map_err(failure)?;
                self.copy(&mut from, &mut |bytes| part.write_all(bytes).map_err(failure))?;
            }
        }
        part.as_file().sync_all().map_err(failure)?;
        let placed = match condition {
            Condition::Absent => part.persist_noclobber(path),
            _ => part.persist(path),
        };
        placed.map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => Failure::new(Kind::Condition, "there is a file already"),
            _ => failure(error.error),
        })?;
        Ok(Written { etag: self.head(key)?.etag })
    }

    fn list(&self, prefix: &str) -> Result<Vec<Entry>, Failure> {
        let mut entries = Vec::new();
        let mut folders = vec![Path::new(prefix).to_owned()];
        while let Some(folder) = folders.pop() {
            let inside = match fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                inside => inside.map_err(failure)?,
            };
            for entry in inside {
                let path = entry.map_err(failure)?.path();
                // One that goes meanwhile is not there.
                let Ok(metadata) = fs::metadata(&path) else { continue };
                if metadata.is_dir() {
                    folders.push(path);
                } else if metadata.is_file() {
                    let Found { etag, modified, .. } = found(&metadata);
                    let key = path.to_string_lossy().into_owned();
                    entries.push(Entry { key, size: metadata.size(), etag, modified });
                }
            }
        }
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(entries)
    }

    fn delete(&self, key: &str) -> Result<(), Failure> {
        match fs::remove_file(key) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_whole_listed_and_read_in_ranges() {
        let folder = tempfile::tempdir().unwrap();
        let local = Local::new(&|| false);
        let key = folder.path().join("a/b").display().to_string();
        let content = Content::Bytes(b"0123456789".as_slice().into());
        let written = local.put(&key, &content, &Condition::Absent).unwrap();
        assert_eq!(local.put(&key, &content, &Condition::Absent).unwrap_err().kind, Kind::Condition);
        let other = Condition::Matches("\"x\"".to_owned());
        assert_eq!(local.put(&key, &content, &other).unwrap_err().kind, Kind::Condition);
        let mut bytes = Vec::new();
        let found = local
            .read(&key, Some(3..6), None, &mut |piece| {
                bytes.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
        assert_eq!((bytes.as_slice(), found.etag), (b"345".as_slice(), written.etag));
        let prefix = format!("{}/", folder.path().display());
        assert_eq!(local.list(&prefix).unwrap()[0].key, key);
        local.delete(&key).unwrap();
        local.delete(&key).unwrap();
        assert_eq!(local.head(&key).unwrap_err().kind, Kind::NotFound);
    }
}
