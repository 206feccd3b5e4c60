//! How a witness lies on the disk: flat, in the order in which it is checked, sealed with its digest, so
//! that reading it takes no memory beyond its bytes.

use super::stamp::{self, Look, Stamp};
use crate::workflow::digest::Digest;

/// Changes with the layout.
const MAGIC: &[u8; 16] = b"recsys witness 1";
/// Bytes of the digest at the end.
pub const SEAL: usize = 32;

/// What was seen of one file: relative to a folder of the witness, how, and its stamp; no stamp where
/// nothing may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    pub folder: u16,
    pub name: &'a [u8],
    pub look: Look,
    pub stamp: Option<&'a [u8]>,
}

/// Appends the parts of a record.
pub struct Writer(Vec<u8>);

impl Writer {
    pub fn new() -> Self {
        Self(MAGIC.to_vec())
    }

    pub fn number(&mut self, number: usize) {
        let number = u32::try_from(number).expect("a witness has far less than 4 billion parts");
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Many texts under one length, so that a reader can pass over them.
    pub fn texts<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) {
        let mut part = Self(Vec::new());
        texts.into_iter().for_each(|text| part.bytes(text.as_bytes()));
        self.bytes(&part.0);
    }

    pub fn digest(&mut self, digest: Option<Digest>) {
        self.0.push(u8::from(digest.is_some()));
        self.0.extend_from_slice(digest.as_ref().map_or(&[0; 32], |digest| digest.as_bytes()));
    }

    /// Many files under one length.
    pub fn files<'a>(&mut self, files: impl IntoIterator<Item = Seen<'a>>) {
        let mut part = Vec::new();
        for seen in files {
            let length = u16::try_from(seen.name.len()).expect("the file system has taken the path");
            let kind = match (seen.stamp, seen.look) {
                (None, _) => 0,
                (_, Look::Through) => 1,
                (_, Look::Plain) => 2,
            };
            part.push(kind);
            part.extend_from_slice(&seen.folder.to_le_bytes());
            part.extend_from_slice(&length.to_le_bytes());
            part.extend_from_slice(seen.name);
            part.extend_from_slice(seen.stamp.unwrap_or_default());
        }
        self.bytes(&part);
    }

    /// The record.
    pub fn sealed(mut self) -> Vec<u8> {
        let seal = Digest::of(&self.0);
        self.0.extend_from_slice(seal.as_bytes());
        self.0
    }
}

/// Reads the parts in order; nothing where the record ends too early.
#[derive(Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The parts of a whole record of this version.
    pub fn unsealed(record: &'a [u8]) -> Option<Self> {
        let (parts, seal) = record.split_at_checked(record.len().checked_sub(SEAL)?)?;
        let rest = parts.strip_prefix(MAGIC)?;
        (Digest::of(parts).as_bytes() == seal).then_some(Self(rest))
    }

    /// The parts in a piece of a record that was unsealed.
    pub fn within(piece: &'a [u8]) -> Self {
        Self(piece)
    }

    /// Bytes that were not read yet.
    pub fn left(&self) -> usize {
        self.0.len()
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub fn number(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.array()?)).ok()
    }

    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = self.number()?;
        self.take(count)
    }

    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// A part that is read on its own.
    pub fn part(&mut self) -> Option<Self> {
        self.bytes().map(Self)
    }

    pub fn digest(&mut self) -> Option<Option<Digest>> {
        let [there] = self.array()?;
        let digest = Digest::from(blake3::Hash::from_bytes(self.array()?));
        Some((there == 1).then_some(digest))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next file of a part.
    pub fn seen(&mut self) -> Option<Seen<'a>> {
        let [kind] = self.array()?;
        let folder = u16::from_le_bytes(self.array()?);
        let length = u16::from_le_bytes(self.array()?);
        let name = self.take(usize::from(length))?;
        let (look, there) = match kind {
            0 => (Look::Through, false),
            1 => (Look::Through, true),
            2 => (Look::Plain, true),
            _ => return None,
        };
        let stamp = if there { Some(self.take(stamp::LENGTH)?) } else { None };
        Some(Seen { folder, name, look, stamp })
    }
}

/// Whether a file is as it was seen.
pub fn agrees(seen: &Seen<'_>, found: Option<&Stamp>) -> bool {
    seen.stamp == found.map(<[u8; stamp::LENGTH]>::as_slice)
}
