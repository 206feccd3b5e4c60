//! Numbers that lie one after the other, in memory or in a mapped file: read alike.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::sync::Arc;

use bytemuck::{AnyBitPattern, NoUninit};
#[cfg(target_os = "linux")]
use memmap2::Advice;
use memmap2::{Mmap, MmapMut};

const LARGE_PAGE: usize = 2 << 20;

/// A slice of numbers.
pub enum Flat<T> {
    /// In memory.
    Owned(Vec<T>),
    /// Bytes of a file, which begin where a `T` may begin and hold a whole number of them.
    Mapped(Arc<Mmap>, Range<usize>),
}

impl<T: AnyBitPattern> Flat<T> {
    /// `len` numbers from byte `start` of a file on; `None` when it is shorter or they would not be aligned.
    pub fn mapped(file: &Arc<Mmap>, start: usize, len: usize) -> Option<Self> {
        let end = start.checked_add(len.checked_mul(size_of::<T>())?)?;
        bytemuck::try_cast_slice::<u8, T>(file.get(start..end)?).ok()?;
        Some(Self::Mapped(Arc::clone(file), start..end))
    }
}

impl<T: AnyBitPattern + NoUninit> Flat<T> {
    /// The same numbers in pages of 2 MB where the system has such and there are enough numbers: what is
    /// looked up here and there in millions of them waits for the table of small pages more than for memory.
    pub fn in_large_pages(values: Vec<T>) -> Self {
        let bytes: &[u8] = bytemuck::cast_slice(&values);
        if bytes.len() < LARGE_PAGE {
            return Self::Owned(values);
        }
        let moved = MmapMut::map_anon(bytes.len()).and_then(|mut pages| {
            #[cfg(target_os = "linux")]
            pages.advise(Advice::HugePage)?;
            pages.copy_from_slice(bytes);
            pages.make_read_only()
        });
        match moved {
            Ok(pages) => Self::Mapped(Arc::new(pages), 0..bytes.len()),
            Err(_) => Self::Owned(values),
        }
    }
}

impl<T: AnyBitPattern> Deref for Flat<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Owned(values) => values,
            Self::Mapped(file, bytes) => bytemuck::cast_slice(&file[bytes.clone()]),
        }
    }
}

impl<T> Default for Flat<T> {
    fn default() -> Self {
        Self::Owned(Vec::new())
    }
}

impl<T: AnyBitPattern> fmt::Debug for Flat<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if matches!(self, Self::Owned(_)) { "memory" } else { "a file" };
        write!(f, "{} numbers in {place}", self.len())
    }
}

/// Maps a whole file for reading.
///
/// # Errors
/// When the system refuses.
pub fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the bytes of a map must not change while it is borrowed. These files are written under another
    // name, renamed when they are whole, and never opened for writing again; to delete or replace one leaves
    // the bytes of the old file where they are until the last map of it goes. Whoever truncates one in place
    // against this ends the process with SIGBUS: it reads no wrong bytes.
    unsafe { Mmap::map(file) }
}
