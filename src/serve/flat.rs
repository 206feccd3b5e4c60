//! Numbers that lie one after the other, in memory or in a mapped file: read alike.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::sync::Arc;

use bytemuck::AnyBitPattern;
use memmap2::Mmap;

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
