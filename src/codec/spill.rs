//! Fixed-size records in numbered files, for what does not fit into memory at once.
//!
//! Rows are written once into buckets and read back bucket by bucket, within one step and one process;
//! nobody else reads these files, so that they have no header.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::CodecError;
use crate::data::events::Event;
use crate::data::listens::Listen;

/// A record of a fixed number of bytes.
pub trait Record: Sized {
    /// How many bytes one takes.
    const BYTES: usize;
    /// Writes the bytes.
    fn write(&self, writer: &mut impl Write) -> std::io::Result<()>;
    /// Reads them back; `bytes` holds exactly one record.
    fn read(bytes: &[u8]) -> Self;
}

/// The path of a bucket.
fn path_of(folder: &Path, name: &str, bucket: usize) -> PathBuf {
    folder.join(format!("{name}-{bucket}.bin"))
}

/// Buckets that are being written.
pub struct Spill {
    buckets: Vec<(PathBuf, BufWriter<File>)>,
}

impl Spill {
    /// Creates `n_buckets` files in `folder`.
    ///
    /// # Errors
    /// When a file cannot be created.
    pub fn create(folder: &Path, name: &str, n_buckets: usize) -> Result<Self, CodecError> {
        const BUFFER: usize = 1 << 18;
        let open = |bucket| {
            let path = path_of(folder, name, bucket);
            let file = File::create(&path).map_err(CodecError::io("write", &path))?;
            Ok((path, BufWriter::with_capacity(BUFFER, file)))
        };
        Ok(Self { buckets: (0..n_buckets).map(open).collect::<Result<_, CodecError>>()? })
    }

    /// Adds a record to a bucket.
    ///
    /// # Errors
    /// When the disk refuses.
    ///
    /// # Panics
    /// When there is no such bucket.
    pub fn put(&mut self, bucket: usize, record: &impl Record) -> Result<(), CodecError> {
        let (path, writer) = &mut self.buckets[bucket];
        record.write(writer).map_err(CodecError::io("write", path))
    }

    /// Writes what is still in memory.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(self) -> Result<(), CodecError> {
        self.buckets
            .into_iter()
            .try_for_each(|(path, mut writer)| writer.flush().map_err(CodecError::io("write", &path)))
    }
}

/// Writes a whole bucket.
///
/// # Errors
/// When the disk refuses.
pub fn write<R: Record>(folder: &Path, name: &str, bucket: usize, records: &[R]) -> Result<(), CodecError> {
    let path = path_of(folder, name, bucket);
    let write = || {
        let mut writer = BufWriter::with_capacity(1 << 18, File::create(&path)?);
        records.iter().try_for_each(|record| record.write(&mut writer))?;
        writer.flush()
    };
    write().map_err(CodecError::io("write", &path))
}

/// Reads a whole bucket.
///
/// # Errors
/// When the file cannot be read.
pub fn read<R: Record>(folder: &Path, name: &str, bucket: usize) -> Result<Vec<R>, CodecError> {
    let path = path_of(folder, name, bucket);
    let read = || {
        let file = File::open(&path)?;
        let n_records = file.metadata()?.len() as usize / R::BYTES;
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let mut bytes = vec![0; R::BYTES];
        let mut records = Vec::with_capacity(n_records);
        for _ in 0..n_records {
            reader.read_exact(&mut bytes)?;
            records.push(R::read(&bytes));
        }
        Ok(records)
    };
    read().map_err(CodecError::io("read", &path))
}

/// Removes a bucket that is no longer needed.
///
/// # Errors
/// When the system refuses.
pub fn remove(folder: &Path, name: &str, bucket: usize) -> Result<(), CodecError> {
    let path = path_of(folder, name, bucket);
    std::fs::remove_file(&path).map_err(CodecError::io("remove", &path))
}

/// The bytes at `at`.
fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a record has all its bytes")
}

impl Record for Listen {
    const BYTES: usize = 20;

    fn write(&self, writer: &mut impl Write) -> std::io::Result<()> {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.user_id.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.track.to_le_bytes());
        bytes[12..].copy_from_slice(&self.time.to_le_bytes());
        writer.write_all(&bytes)
    }

    fn read(bytes: &[u8]) -> Self {
        Self {
            user_id: i64::from_le_bytes(part(bytes, 0)),
            track: u32::from_le_bytes(part(bytes, 8)),
            time: i64::from_le_bytes(part(bytes, 12)),
        }
    }
}

impl Record for Event {
    const BYTES: usize = 32;

    fn write(&self, writer: &mut impl Write) -> std::io::Result<()> {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.user_id.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.track.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.count.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first.to_le_bytes());
        bytes[24..].copy_from_slice(&self.last.to_le_bytes());
        writer.write_all(&bytes)
    }

    fn read(bytes: &[u8]) -> Self {
        Self {
            user_id: i64::from_le_bytes(part(bytes, 0)),
            track: u32::from_le_bytes(part(bytes, 8)),
            count: u32::from_le_bytes(part(bytes, 12)),
            first: i64::from_le_bytes(part(bytes, 16)),
            last: i64::from_le_bytes(part(bytes, 24)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_from_their_bucket() {
        let folder = tempfile::tempdir().unwrap();
        let listen = |user_id| Listen { user_id, track: u32::MAX, time: i64::MIN };
        let mut spill = Spill::create(folder.path(), "listens", 2).unwrap();
        for (bucket, user) in [(1, -5), (0, 7), (1, 9)] {
            spill.put(bucket, &listen(user)).unwrap();
        }
        spill.finish().unwrap();
        assert_eq!(read::<Listen>(folder.path(), "listens", 0).unwrap(), [listen(7)]);
        assert_eq!(read::<Listen>(folder.path(), "listens", 1).unwrap(), [listen(-5), listen(9)]);

        let events = [Event { user_id: -1, track: 2, count: 3, first: -4, last: 5 }];
        write(folder.path(), "events", 0, &events).unwrap();
        assert_eq!(read::<Event>(folder.path(), "events", 0).unwrap(), events);
        remove(folder.path(), "events", 0).unwrap();
        assert!(read::<Event>(folder.path(), "events", 0).is_err());
    }
}
