//! A file that is being downloaded: its bytes, and behind them a journal of the parts that have arrived.
//!
//! # Format
//!
//! ```text
//! [0, size)    the bytes of the object, parts in their places
//! size         "recsys part 1\n", length of the label (u32, little endian), the label, digest of both
//! then         33 bytes a part: 1 and the digest of its bytes, or zeros
//! ```
//!
//! The label says which object, in which state and in parts of which size. Whoever opens the file again
//! counts a part as arrived only when its bytes have their digest: after a power cut the journal may be on the disk
//! and the bytes not. When everything has arrived the journal is cut off and the file is renamed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::storage::checksum::{Checksum, Hasher, md5};

const MAGIC: &[u8] = b"recsys part 1\n";
/// Bytes of the journal for one part.
const SLOT: u64 = 33;

/// How the bytes of a part are held against the journal, and what its digest is good for besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartDigest {
    /// MD5: together they are the ETag of the object.
    Md5,
    /// BLAKE3, which is quicker.
    Blake3,
}

impl PartDigest {
    /// The digest of bytes in memory, filled up with zeros.
    pub fn of(self, bytes: &[u8]) -> [u8; 32] {
        match self {
            Self::Md5 => Checksum::Md5(md5(bytes)).widened(),
            Self::Blake3 => *blake3::hash(bytes).as_bytes(),
        }
    }

    /// What works it out piece by piece.
    pub fn hasher(self) -> Hasher {
        match self {
            Self::Md5 => Hasher::Md5(Default::default()),
            Self::Blake3 => Hasher::Blake3(Box::default()),
        }
    }
}

/// A file that is being filled.
pub struct Partial {
    file: File,
    path: PathBuf,
    size: u64,
    part_size: u64,
    slots: u64,
}

impl Partial {
    /// Opens the file at `path`, or begins it anew when it is not of the object that `label` describes. The
    /// parts that have arrived have their digests.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn open(
        path: &Path,
        label: &str,
        size: u64,
        part_size: u64,
        digest: PartDigest,
    ) -> io::Result<(Self, Vec<Option<[u8; 32]>>)> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
        let count = usize::try_from(size.div_ceil(part_size)).map_err(io::Error::other)?;
        let header = header(label, part_size);
        let slots = size + header.len() as u64;
        let partial = Self { file, path: path.to_owned(), size, part_size, slots };
        let end = slots + SLOT * count as u64;
        let mut found = vec![0; header.len()];
        let is_same = partial.file.metadata()?.len() == end
            && partial.file.read_exact_at(&mut found, size).is_ok()
            && found == header;
        if !is_same {
            partial.file.set_len(0)?;
            partial.file.set_len(end)?;
            partial.file.write_all_at(&header, size)?;
            return Ok((partial, vec![None; count]));
        }
        let arrived = (0..count).map(|part| partial.arrived(part, digest)).collect::<io::Result<_>>()?;
        Ok((partial, arrived))
    }

    /// The digest of a part that has arrived.
    fn arrived(&self, part: usize, digest: PartDigest) -> io::Result<Option<[u8; 32]>> {
        let mut slot = [0; SLOT as usize];
        self.file.read_exact_at(&mut slot, self.slots + SLOT * part as u64)?;
        if slot[0] != 1 {
            return Ok(None);
        }
        let range = self.range(part);
        let mut bytes = vec![0; usize::try_from(range.end - range.start).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, range.start)?;
        let found = digest.of(&bytes);
        Ok((found[..] == slot[1..]).then_some(found))
    }

    /// The bytes of a part.
    pub fn range(&self, part: usize) -> Range<u64> {
        let start = part as u64 * self.part_size;
        start..(start + self.part_size).min(self.size)
    }

    /// Writes bytes to their place.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, at)
    }

    /// Reads bytes back.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn read(&self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(bytes, at)
    }

    /// Notes that all bytes of a part have been written.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn note(&self, part: usize, digest: &[u8; 32]) -> io::Result<()> {
        let mut slot = [1; SLOT as usize];
        slot[1..].copy_from_slice(digest);
        self.file.write_all_at(&slot, self.slots + SLOT * part as u64)
    }

    /// Makes the file what it was for, at `target`, flushed to the disk.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(self, target: &Path) -> io::Result<()> {
        self.file.set_len(self.size)?;
        self.file.sync_all()?;
        move_file(&self.path, target)
    }

    /// Removes the file: nothing in it can be trusted.
    pub fn discard(self) {
        // One that stays is of no use, and is found not to be what it should.
        let _ = self.file.set_len(0);
        let _ = fs::remove_file(&self.path);
    }
}

/// Renames a file, by way of a copy where the two places are on different file systems.
///
/// # Errors
/// When the disk refuses.
pub fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            fs::copy(from, to)?;
            File::open(to)?.sync_all()?;
            fs::remove_file(from)
        }
        moved => moved,
    }
}

fn header(label: &str, part_size: u64) -> Vec<u8> {
    let label = format!("{label}\nparts of {part_size} bytes");
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&u32::try_from(label.len()).unwrap_or(u32::MAX).to_le_bytes());
    header.extend_from_slice(label.as_bytes());
    let seal = blake3::hash(&header);
    header.extend_from_slice(seal.as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_arrived_is_found_again_and_what_was_damaged_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/partial");
        let open = |label: &str| Partial::open(&path, label, 25, 10, PartDigest::Blake3).unwrap();
        let (partial, arrived) = open("a");
        assert_eq!(arrived, [None, None, None]);
        assert_eq!(partial.range(2), 20..25);
        for part in [0, 2] {
            let bytes = vec![7 + part as u8; partial.range(part).count()];
            partial.write(partial.range(part).start, &bytes).unwrap();
            partial.note(part, &PartDigest::Blake3.of(&bytes)).unwrap();
        }
        drop(partial);
        assert_eq!(open("a").1.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
        open("a").0.write(3, b"x").unwrap();
        assert_eq!(open("a").1.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true]);
        let target = folder.path().join("whole");
        let (partial, _) = open("a");
        partial.finish(&target).unwrap();
        assert_eq!(fs::read(&target).unwrap().len(), 25);
        assert!(!path.exists());
        let (partial, _) = open("a");
        partial.note(0, &PartDigest::Blake3.of(&[0; 10])).unwrap();
        drop(partial);
        assert_eq!(open("another state").1, [None, None, None]);
    }
}
