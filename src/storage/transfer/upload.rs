//! Uploads: only what changed, in parallel parts, on from where they broke, verified; what cannot be completed
//! is taken back.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

use bytes::Bytes;

use super::meter::{Counter, Moved, Tell};
use super::parts::{Told, Work, each, lock};
use super::pending::{Held, Note, seconds_since_1970};
use crate::storage::checksum::{Checksum, md5, md5_of_parts};
use crate::storage::error::{Failure, Kind};
use crate::storage::retry::again;
use crate::storage::{Condition, Content, Found, Multipart, Part, Remote, Stop, StorageError};

/// Parts that S3 takes.
const MOST_PARTS: u64 = 10_000;
/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;

/// A part that the server has, and the MD5 of its bytes.
type Sent = (Part, [u8; 16]);

/// What to upload, and where to.
pub struct Upload<'a> {
    /// The object that it becomes.
    pub remote: &'a Remote<'a>,
    /// The file.
    pub file: &'a Path,
    /// BLAKE3 digest of its bytes in hexadecimal, where it is known.
    pub blake3: Option<&'a str>,
    /// Folder of notes about what has begun.
    pub notes: &'a Path,
    /// Hears how far it is.
    pub tell: Tell<'a>,
}

/// What was uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// Bytes of the object.
    pub size: u64,
    /// Bytes that were sent now; fewer than all when the object was there, or some of its parts.
    pub sent: u64,
    /// BLAKE3 digest of its bytes.
    pub blake3: String,
    /// As the server writes it.
    pub etag: Option<String>,
}

/// Makes the object what the file is, when it is not yet.
///
/// # Errors
/// What is wrong. An upload in parts stays for the next try when the connection is to blame or the run is
/// stopped, else it is taken back.
pub fn upload(what: &Upload<'_>) -> Result<Uploaded, StorageError> {
    what.send().map_err(what.remote.error("upload"))
}

impl Upload<'_> {
    fn send(&self) -> Result<Uploaded, Failure> {
        let size = fs::metadata(self.file).map_err(Failure::disk(self.file.display()))?.len();
        let blake3 = match self.blake3 {
            Some(digest) => digest.to_owned(),
            None => self.digest(self.file)?,
        };
        let there = self.find()?;
        let held = Held::take(self.notes, self.remote.address(), self.remote.stop())?;
        let uploads = self.remote.multipart();
        if let (Some(note), Some(uploads)) = (held.note(), uploads)
            && (note.blake3 != blake3
                || note.size != size
                || note.endpoint != self.remote.settings().endpoint)
        {
            held.abort(&note, &self.key(), uploads)?;
        }
        if let Some(found) = there.filter(|found| found.size == Some(size))
            && self.is_the_same(&found, size, &blake3)?
        {
            if let (Some(note), Some(uploads)) = (held.note(), uploads) {
                held.abort(&note, &self.key(), uploads)?;
            }
            return Ok(Uploaded { size, sent: 0, blake3, etag: found.etag });
        }
        let (sent, etag) = match uploads {
            Some(uploads) if size > self.remote.settings().part_size => {
                self.in_parts(uploads, &held, size, &blake3)?
            }
            _ => {
                (self.tell)(Moved { done: 0, total: Some(size), rate: 0.0 });
                let content = Content::File { path: self.file, blake3: Some(&blake3) };
                let put = || self.remote.storage().put(&self.key(), &content, &Condition::Always);
                let written = again(self.remote.settings().attempts, self.remote.stop(), put)?;
                (size, written.etag)
            }
        };
        self.verify(size)?;
        (self.tell)(Moved { done: size, total: Some(size), rate: 0.0 });
        Ok(Uploaded { size, sent, blake3, etag })
    }

    fn key(&self) -> String {
        self.remote.address().key()
    }

    /// What is there; a server that does not let us look lets us write perhaps.
    fn find(&self) -> Result<Option<Found>, Failure> {
        let head = || self.remote.storage().head(&self.key());
        match again(self.remote.settings().attempts, self.remote.stop(), head) {
            Ok(found) => Ok(Some(found)),
            Err(Failure { kind: Kind::NotFound | Kind::Denied | Kind::Unsupported, .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Whether an object of the same size has the same bytes, as far as can be told without fetching it.
    fn is_the_same(&self, found: &Found, size: u64, blake3: &str) -> Result<bool, Failure> {
        if let Some(there) = &found.blake3 {
            return Ok(there == blake3);
        }
        if !self.remote.address().is_remote() {
            return Ok(self.digest(Path::new(&self.key()))? == blake3);
        }
        let part_size = match &found.checksum {
            Some(Checksum::Md5(_)) => size.max(1),
            Some(Checksum::Md5OfParts(..)) => self.part_size(size),
            _ => return Ok(false),
        };
        let file = File::open(self.file).map_err(Failure::disk(self.file.display()))?;
        let mut sums = Vec::new();
        if let Some(Checksum::Md5(there)) = &found.checksum {
            let mut hasher = Checksum::Md5(*there).hasher();
            self.each_chunk(self.file, |chunk| hasher.iter_mut().for_each(|hasher| hasher.update(chunk)))?;
            return Ok(hasher.map(|hasher| hasher.finish()) == found.checksum);
        }
        for start in (0..size).step_by(usize::try_from(part_size).unwrap_or(usize::MAX)) {
            sums.push(md5(&self.part_of(&file, start, part_size, size)?));
        }
        Ok(Some(md5_of_parts(&sums)) == found.checksum)
    }

    /// The same file is always cut in the same way.
    fn part_size(&self, size: u64) -> u64 {
        let least = size.div_ceil(MOST_PARTS).div_ceil(1 << 20) << 20;
        self.remote.settings().part_size.max(least)
    }

    /// Goes on with what was begun, or begins; bytes that were sent, and the ETag.
    fn in_parts(
        &self,
        uploads: &dyn Multipart,
        held: &Held,
        size: u64,
        blake3: &str,
    ) -> Result<(u64, Option<String>), Failure> {
        let key = self.key();
        let mut lost = 0;
        loop {
            let (note, is_new) = self.begin(uploads, held, size, blake3)?;
            let upload = note.upload.clone().unwrap_or_default();
            let arrived = if is_new { Ok(Vec::new()) } else { self.arrived(uploads, &upload) };
            let ended = arrived.and_then(|arrived| self.send_parts(uploads, &note, &upload, &arrived));
            match ended {
                Ok(ended) => {
                    held.forget();
                    return Ok(ended);
                }
                // Somebody aborted it, or the server has tidied up.
                Err(Failure { kind: Kind::NotFound, .. }) if lost == 0 => {
                    lost += 1;
                    held.forget();
                }
                Err(failure) => {
                    let goes_on = failure.kind == Kind::Stopped || failure.kind.is_about_the_connection();
                    if !goes_on && let Err(error) = held.abort(&note, &key, uploads) {
                        tracing::warn!("the upload that was begun is not taken back yet: {error}");
                    }
                    return Err(failure);
                }
            }
        }
    }

    /// The parts that the server has; one that cannot tell has none, and takes them once more.
    fn arrived(&self, uploads: &dyn Multipart, upload: &str) -> Result<Vec<Part>, Failure> {
        let (settings, stop) = (self.remote.settings(), self.remote.stop());
        match again(settings.attempts, stop, || uploads.parts(&self.key(), upload)) {
            Err(Failure { kind: Kind::Garbled | Kind::Unsupported | Kind::Denied, .. }) => Ok(Vec::new()),
            arrived => arrived,
        }
    }

    /// The note about the upload, with its id, and whether it was begun just now.
    fn begin(
        &self,
        uploads: &dyn Multipart,
        held: &Held,
        size: u64,
        blake3: &str,
    ) -> Result<(Note, bool), Failure> {
        let (settings, stop) = (self.remote.settings(), self.remote.stop());
        match held.note() {
            Some(note) if note.upload.is_some() => return Ok((note, false)),
            Some(note) => held.abort(&note, &self.key(), uploads)?,
            None => {}
        }
        let mut note = Note {
            address: self.remote.address().to_string(),
            endpoint: settings.endpoint.clone(),
            upload: None,
            size,
            part_size: self.part_size(size),
            blake3: blake3.to_owned(),
            begun: i64::try_from(seconds_since_1970()).unwrap_or(i64::MAX),
        };
        held.write(&note)?;
        let begun = again(settings.attempts, stop, || uploads.begin(&self.key(), Some(blake3)));
        match begun {
            Ok(upload) => note.upload = Some(upload),
            Err(failure) => {
                if !failure.kind.is_transient() && failure.kind != Kind::Stopped {
                    held.forget();
                }
                return Err(failure);
            }
        }
        held.write(&note)?;
        Ok((note, true))
    }

    fn send_parts(
        &self,
        uploads: &dyn Multipart,
        note: &Note,
        upload: &str,
        arrived: &[Part],
    ) -> Result<(u64, Option<String>), Failure> {
        let Note { size, part_size, .. } = *note;
        let (settings, stop, key) = (self.remote.settings(), self.remote.stop(), self.key());
        let count = usize::try_from(size.div_ceil(part_size)).unwrap_or(usize::MAX);
        let file = File::open(self.file).map_err(Failure::disk(self.file.display()))?;
        let sent: Mutex<Vec<Option<Sent>>> = Mutex::new(vec![None; count]);
        let (counter, new) = (Counter::default(), Counter::default());
        let part = |index: usize, stop: Stop<'_>| -> Result<(), Failure> {
            let bytes = self.part_of(&file, index as u64 * part_size, part_size, size)?;
            let (length, sum) = (bytes.len() as u64, md5(&bytes));
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let there = arrived.iter().find(|part| {
                let same = Checksum::of_etag(&part.etag) == Some(Checksum::Md5(sum));
                part.number == number && part.size == length && same
            });
            let etag = match there {
                Some(part) => part.etag.clone(),
                None => {
                    let etag =
                        again(settings.attempts, stop, || uploads.part(&key, upload, number, bytes.clone()))?;
                    new.add(length);
                    etag
                }
            };
            counter.add(length);
            lock(&sent)[index] = Some((Part { number, size: length, etag }, sum));
            Ok(())
        };
        let told = Told { counter: &counter, total: Some(size), tell: self.tell };
        each(Work::new(0..count), settings.concurrency, &told, &part, None, stop)?;
        let sent = std::mem::take(&mut *lock(&sent));
        let (parts, sums): (Vec<Part>, Vec<[u8; 16]>) = sent.into_iter().flatten().unzip();
        let etag = self.complete(uploads, upload, &parts)?;
        // Comparable where it is what an ETag of S3 is; whether it is, is asked in the end.
        if let (Some(stored), Some(Checksum::Md5OfParts(..))) =
            (&etag, etag.as_deref().and_then(Checksum::of_etag))
        {
            let all_md5 = parts
                .iter()
                .zip(&sums)
                .all(|(part, sum)| Checksum::of_etag(&part.etag) == Some(Checksum::Md5(*sum)));
            let expected = md5_of_parts(&sums);
            if all_md5 && Checksum::of_etag(stored).as_ref() != Some(&expected) {
                return Err(Failure::new(
                    Kind::Checksum,
                    format!("the server has {stored}, expected was {expected}"),
                ));
            }
        }
        Ok((new.total(), etag))
    }

    /// Completes; an answer that was lost may have been good.
    fn complete(
        &self,
        uploads: &dyn Multipart,
        upload: &str,
        parts: &[Part],
    ) -> Result<Option<String>, Failure> {
        let (settings, key) = (self.remote.settings(), self.key());
        let mut tries = 0;
        again(settings.attempts, self.remote.stop(), || {
            tries += 1;
            match uploads.complete(&key, upload, parts) {
                Err(Failure { kind: Kind::NotFound, .. }) if tries > 1 => {
                    Ok(self.remote.storage().head(&key)?.etag)
                }
                completed => completed,
            }
        })
    }

    /// Whether the object is there in its size, where the server lets us look.
    fn verify(&self, size: u64) -> Result<(), Failure> {
        match self.find()? {
            Some(Found { size: Some(there), .. }) if there != size => {
                Err(Failure::new(Kind::Checksum, format!("the server has {there} bytes of {size}")))
            }
            _ => Ok(()),
        }
    }

    fn part_of(&self, file: &File, start: u64, part_size: u64, size: u64) -> Result<Bytes, Failure> {
        let length = usize::try_from(part_size.min(size - start)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length];
        file.read_exact_at(&mut bytes, start).map_err(Failure::disk(self.file.display()))?;
        Ok(bytes.into())
    }

    fn digest(&self, path: &Path) -> Result<String, Failure> {
        let mut hasher = blake3::Hasher::new();
        self.each_chunk(path, |chunk| {
            hasher.update(chunk);
        })?;
        Ok(hasher.finalize().to_hex().to_string())
    }

    fn each_chunk(&self, path: &Path, mut take: impl FnMut(&[u8])) -> Result<(), Failure> {
        let mut file = File::open(path).map_err(Failure::disk(path.display()))?;
        let mut chunk = vec![0; CHUNK];
        loop {
            if (self.remote.stop())() {
                return Err(Failure::stopped());
            }
            match file.read(&mut chunk).map_err(Failure::disk(path.display()))? {
                0 => return Ok(()),
                n => take(&chunk[..n]),
            }
        }
    }
}
