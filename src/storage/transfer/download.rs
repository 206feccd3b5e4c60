//! Downloads: into a partial file, in parallel ranges, on from where they broke, verified.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::meter::{Counter, Meter, Tell};
use super::partial::{PartDigest, Partial, move_file};
use super::parts::{Beside, Told, Work, each, lock};
use crate::storage::checksum::{Checksum, Hasher, md5_of_parts};
use crate::storage::error::{Failure, Kind};
use crate::storage::retry::Retry;
use crate::storage::{Found, Remote, Stop, StorageError};

/// Bytes that are read back at once for the checksum of the whole.
const CHUNK: usize = 1 << 20;
/// Parts of an object that was written in parts are fetched as they are, when they are no larger.
const LARGEST_PART: u64 = 64 << 20;
/// Bytes of a disk that stay free.
const RESERVE: u64 = 16 << 20;
/// How often the progress of a stream is told.
const BETWEEN_TELLINGS: Duration = Duration::from_millis(200);

/// What to download, and where to.
pub struct Download<'a> {
    /// The object.
    pub remote: &'a Remote<'a>,
    /// What is known of it.
    pub found: &'a Found,
    /// The file that it becomes.
    pub target: &'a Path,
    /// What it is until then; a later try goes on with it.
    pub partial: &'a Path,
    /// Hears how far it is.
    pub tell: Tell<'a>,
}

/// What was downloaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Downloaded {
    /// Bytes of the object.
    pub size: u64,
    /// Bytes that an earlier try had fetched.
    pub resumed: u64,
    /// The checksums that the bytes were found to have.
    pub verified: Vec<Checksum>,
}

/// Fetches an object. The target is there as a whole, or not at all.
///
/// # Errors
/// What is wrong; the partial file stays for the next try, unless its bytes are.
pub fn download(what: &Download<'_>) -> Result<Downloaded, StorageError> {
    what.fetch().map_err(what.remote.error("download"))
}

impl Download<'_> {
    fn fetch(&self) -> Result<Downloaded, Failure> {
        let mut tries = 0;
        loop {
            let fetched = match self.found.size {
                Some(0) => self.empty(),
                Some(size) if self.found.ranges => match self.in_parts(size) {
                    Err(Failure { kind: Kind::NoRanges, .. }) => self.as_stream(),
                    fetched => fetched,
                },
                _ => self.as_stream(),
            };
            match fetched {
                // Bytes that were damaged on their way come whole the next time; others never do.
                Err(failure) if failure.kind == Kind::Checksum && tries == 0 => {
                    tracing::warn!("{failure}; fetching all of it once more");
                    tries += 1;
                }
                fetched => return fetched,
            }
        }
    }

    /// The checksums that the bytes must have.
    fn checksums(&self) -> impl Iterator<Item = &Checksum> {
        self.remote.address().checksum().into_iter().chain(&self.found.checksum)
    }

    fn empty(&self) -> Result<Downloaded, Failure> {
        File::create(self.target).map_err(Failure::disk(self.target.display()))?;
        let verified = verdicts(self.hashers())?;
        Ok(Downloaded { size: 0, resumed: 0, verified })
    }

    /// What works out those checksums that take the bytes from the first to the last.
    fn hashers(&self) -> Vec<(Checksum, Hasher)> {
        self.checksums().filter_map(|checksum| Some((checksum.clone(), checksum.hasher()?))).collect()
    }

    fn in_parts(&self, size: u64) -> Result<Downloaded, Failure> {
        let remote = self.remote;
        let settings = remote.settings();
        let of_etag = match &self.found.checksum {
            Some(sum @ Checksum::Md5OfParts(..)) => remote
                .storage()
                .part_size(&remote.address().key(), self.found)
                .filter(|size| *size <= LARGEST_PART)
                .map(|size| (sum.clone(), size)),
            _ => None,
        };
        let part_size = of_etag.as_ref().map_or(settings.part_size * 2, |(_, part_size)| *part_size);
        let digest = if of_etag.is_some() { PartDigest::Md5 } else { PartDigest::Blake3 };
        let on_disk = || Failure::disk(self.partial.display());
        self.check_space(size)?;
        let label = self.label(size);
        let (partial, arrived) =
            Partial::open(self.partial, &label, size, part_size, digest).map_err(on_disk())?;
        let counter = Counter::default();
        let missing: Vec<usize> = (0..arrived.len()).filter(|&part| arrived[part].is_none()).collect();
        let length = |part: usize| {
            let range = partial.range(part);
            range.end - range.start
        };
        let resumed: u64 = (0..arrived.len()).filter(|&part| arrived[part].is_some()).map(length).sum();
        counter.add(resumed);
        let done = Done::new(&arrived);
        let fetch = |part: usize, stop: Stop<'_>| -> Result<(), Failure> {
            let sum = self.part(&partial, part, digest, &counter, stop)?;
            partial.note(part, &sum).map_err(on_disk())?;
            done.note(part, sum);
            Ok(())
        };
        let verified = Mutex::new(Vec::new());
        let follow = |stop: Stop<'_>| -> Result<(), Failure> {
            let sums = self.follow(&partial, &done, stop)?;
            lock(&verified).extend(sums);
            Ok(())
        };
        let follow: Option<Beside<'_>> = if self.hashers().is_empty() { None } else { Some(&follow) };
        let told = Told { counter: &counter, total: Some(size), tell: self.tell };
        let work = Work::new(missing);
        let ended = each(work, settings.concurrency, &told, &fetch, follow, remote.stop());
        let mut verified = verified.into_inner().unwrap_or_else(PoisonError::into_inner);
        let ended = ended.and_then(|()| {
            let Some((expected, _)) = of_etag else { return Ok(()) };
            let sums = done.sums();
            let found = md5_of_parts(sums.iter().filter_map(|sum| sum.first_chunk::<16>()));
            let expected = same(expected, found)?;
            verified.push(expected);
            Ok(())
        });
        match ended {
            Ok(()) => {
                partial.finish(self.target).map_err(Failure::disk(self.target.display()))?;
                Ok(Downloaded { size, resumed, verified })
            }
            Err(failure) => {
                if matches!(failure.kind, Kind::Checksum | Kind::Changed | Kind::NoRanges) {
                    partial.discard();
                }
                Err(failure)
            }
        }
    }

    /// Which object in which state: a partial file of another one is begun anew.
    fn label(&self, size: u64) -> String {
        let Found { etag, modified, .. } = self.found;
        format!("{}\n{size} bytes\n{etag:?}\n{modified:?}", self.remote.address())
    }

    /// Fetches one part, on from where it broke; the digest of its bytes.
    fn part(
        &self,
        partial: &Partial,
        part: usize,
        digest: PartDigest,
        counter: &Counter,
        stop: Stop<'_>,
    ) -> Result<[u8; 32], Failure> {
        let range = partial.range(part);
        let mut retry = Retry::new(self.remote.settings().attempts);
        let mut at = range.start;
        let mut hasher = digest.hasher();
        while at < range.end {
            let before = at;
            let read = self.remote.read(Some(at..range.end), Some(self.found), &mut |bytes| {
                if stop() {
                    return Err(Failure::stopped());
                }
                partial.write(at, bytes).map_err(Failure::disk(self.partial.display()))?;
                hasher.update(bytes);
                at += bytes.len() as u64;
                counter.add(bytes.len() as u64);
                Ok(())
            });
            if let Err(failure) = read {
                if at > before {
                    retry.progressed();
                }
                retry.after(failure, stop)?;
            }
        }
        Ok(hasher.finish().widened())
    }

    /// Reads the parts in order, each as soon as it is there, for the checksums of the whole.
    fn follow(&self, partial: &Partial, done: &Done, stop: Stop<'_>) -> Result<Vec<Checksum>, Failure> {
        let mut hashers = self.hashers();
        let mut chunk = vec![0; CHUNK];
        for part in 0..done.count {
            done.wait_for(part, stop)?;
            let mut range = partial.range(part);
            while range.start < range.end {
                let length = CHUNK.min(usize::try_from(range.end - range.start).unwrap_or(CHUNK));
                let bytes = &mut chunk[..length];
                partial.read(range.start, bytes).map_err(Failure::disk(self.partial.display()))?;
                hashers.iter_mut().for_each(|(_, hasher)| hasher.update(bytes));
                range.start += length as u64;
            }
        }
        verdicts(hashers)
    }

    /// Without ranges: from the first byte to the last, and from the first again after a break.
    fn as_stream(&self) -> Result<Downloaded, Failure> {
        if let Some(size) = self.found.size {
            self.check_space(size)?;
        }
        let on_disk = || Failure::disk(self.partial.display());
        if let Some(folder) = self.partial.parent() {
            fs::create_dir_all(folder).map_err(on_disk())?;
        }
        let stop = self.remote.stop();
        let mut retry = Retry::new(self.remote.settings().attempts);
        loop {
            let mut file = File::create(self.partial).map_err(on_disk())?;
            let mut hashers = self.hashers();
            let (mut size, mut meter, mut told) = (0, Meter::new(0), std::time::Instant::now());
            let read = self.remote.read(None, Some(self.found), &mut |bytes| {
                file.write_all(bytes).map_err(on_disk())?;
                hashers.iter_mut().for_each(|(_, hasher)| hasher.update(bytes));
                size += bytes.len() as u64;
                if told.elapsed() >= BETWEEN_TELLINGS {
                    told = std::time::Instant::now();
                    (self.tell)(meter.read(size, self.found.size));
                }
                Ok(())
            });
            match read {
                Ok(_) => {
                    let verified = verdicts(hashers)?;
                    file.sync_all().map_err(on_disk())?;
                    move_file(self.partial, self.target).map_err(on_disk())?;
                    (self.tell)(meter.read(size, Some(size)));
                    return Ok(Downloaded { size, resumed: 0, verified });
                }
                Err(failure) => retry.after(failure, stop)?,
            }
        }
    }

    /// Whether the disk has room for what is still to come.
    fn check_space(&self, size: u64) -> Result<(), Failure> {
        let folder = self.partial.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(Failure::disk(folder.display()))?;
        // A system that does not say is asked by writing.
        let Ok(disk) = rustix::fs::statvfs(folder) else { return Ok(()) };
        use std::os::unix::fs::MetadataExt;
        let there = fs::metadata(self.partial).map_or(0, |found| found.blocks() * 512);
        let (free, wanted) = (disk.f_bavail * disk.f_frsize, size.saturating_sub(there) + RESERVE);
        if free >= wanted {
            return Ok(());
        }
        let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
        let message = format!(
            "it takes {} MiB more, and the disk of `{}` has {} MiB free",
            mebibytes(wanted),
            folder.display(),
            mebibytes(free)
        );
        Err(Failure::new(Kind::NoSpace, message))
    }
}

/// The digests of parts, as they become known.
struct Done {
    count: usize,
    sums: Mutex<Vec<Option<[u8; 32]>>>,
    came: Condvar,
}

impl Done {
    fn new(arrived: &[Option<[u8; 32]>]) -> Self {
        Self { count: arrived.len(), sums: Mutex::new(arrived.to_vec()), came: Condvar::new() }
    }

    fn note(&self, part: usize, sum: [u8; 32]) {
        lock(&self.sums)[part] = Some(sum);
        self.came.notify_all();
    }

    fn wait_for(&self, part: usize, stop: Stop<'_>) -> Result<(), Failure> {
        let mut sums = lock(&self.sums);
        while sums[part].is_none() {
            if stop() {
                return Err(Failure::stopped());
            }
            let waited = self.came.wait_timeout(sums, BETWEEN_TELLINGS);
            sums = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    fn sums(&self) -> Vec<[u8; 32]> {
        lock(&self.sums).iter().map(|sum| sum.unwrap_or_default()).collect()
    }
}

/// Holds what was worked out against what was expected.
fn verdicts(hashers: Vec<(Checksum, Hasher)>) -> Result<Vec<Checksum>, Failure> {
    hashers.into_iter().map(|(expected, hasher)| same(expected, hasher.finish())).collect()
}

fn same(expected: Checksum, found: Checksum) -> Result<Checksum, Failure> {
    if expected == found {
        return Ok(found);
    }
    Err(Failure::new(Kind::Checksum, format!("its bytes have {found}, expected was {expected}")))
}
