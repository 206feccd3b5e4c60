//! Lists as a file that is mapped into memory: what reading a large Parquet file took is done once.
//!
//! ```text
//! magic and version, 8 bytes · a number that shows the byte order · lists n · rows r
//! digest of what the lists were made from, 32 bytes
//! keys n × i64, rising · starts n × u64 · ends n × u64 · items r × u32 · scores r × f32
//! digest of all bytes before it, 32 bytes
//! ```
//!
//! A file counts only when it was made from the very bytes that are to be served and its own digest holds;
//! any other is made again. It is disposable: without a place to write to, the lists stay in memory.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use blake3::{Hash, Hasher};
use bytemuck::{NoUninit, cast_slice};
use memmap2::Mmap;

use super::flat::{Flat, map};
use super::lists::Lists;

const MAGIC: [u8; 8] = *b"recsysL1";
const BYTE_ORDER: u64 = 0x0102_0304_0506_0708;
const HEADER: usize = 64;
const DIGEST: usize = blake3::OUT_LEN;

/// Writes lists made from what `made_from` is the digest of and maps them; the file appears as a whole or
/// not at all.
///
/// # Errors
/// When the disk refuses.
pub fn write(path: &Path, lists: &Lists, made_from: Hash) -> io::Result<Lists> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut unfinished = tempfile::NamedTempFile::new_in(folder)?;
    let mut writer = Digesting { file: BufWriter::new(unfinished.as_file_mut()), hasher: Hasher::new() };
    writer.write(&MAGIC)?;
    writer.write(&[BYTE_ORDER, lists.keys.len() as u64, lists.items.len() as u64])?;
    writer.write(made_from.as_bytes())?;
    writer.write(&lists.keys)?;
    writer.write(&lists.starts)?;
    writer.write(&lists.ends)?;
    writer.write(&lists.items)?;
    writer.write(&lists.scores)?;
    let digest = writer.hasher.finalize();
    writer.file.write_all(digest.as_bytes())?;
    writer.file.flush()?;
    drop(writer);
    // Its digest tells whether all of it has reached the disk, so nothing waits for that.
    let file = Arc::new(map(&unfinished.persist(path)?)?);
    parse(&file, made_from).ok_or_else(|| io::Error::other("the file is not what was written"))
}

/// What lies in the place of a file of lists.
#[derive(Debug)]
pub enum Found {
    /// The lists, mapped.
    Lists(Lists),
    /// No file.
    Nothing,
    /// A file that is damaged, of another version, or of lists made from something else.
    Other,
}

/// Maps lists made from what `made_from` is the digest of.
pub fn open(path: &Path, made_from: Hash) -> Found {
    let Ok(file) = File::open(path) else { return Found::Nothing };
    let lists = map(&file).ok().map(Arc::new).and_then(|file| {
        let lists = parse(&file, made_from)?;
        holds(&file).then_some(lists)
    });
    lists.map_or(Found::Other, Found::Lists)
}

fn parse(file: &Arc<Mmap>, made_from: Hash) -> Option<Lists> {
    let content = file.get(..file.len().checked_sub(DIGEST)?)?;
    let number = |at: usize| Some(u64::from_ne_bytes(file.get(at..at + 8)?.try_into().ok()?));
    if file.get(..8)? != MAGIC || number(8)? != BYTE_ORDER || file.get(32..HEADER)? != made_from.as_bytes() {
        return None;
    }
    let (n_lists, n_rows) = (usize::try_from(number(16)?).ok()?, usize::try_from(number(24)?).ok()?);
    let [keys, starts, ends] = [0, 1, 2].map(|column| HEADER + 8 * column * n_lists);
    let items = HEADER.checked_add(n_lists.checked_mul(24)?)?;
    let scores = items.checked_add(n_rows.checked_mul(4)?)?;
    if scores.checked_add(n_rows.checked_mul(4)?)? != content.len() {
        return None;
    }
    Some(Lists {
        keys: Flat::mapped(file, keys, n_lists)?,
        starts: Flat::mapped(file, starts, n_lists)?,
        ends: Flat::mapped(file, ends, n_lists)?,
        items: Flat::mapped(file, items, n_rows)?,
        scores: Flat::mapped(file, scores, n_rows)?,
    })
}

/// Whether the last bytes of a file are the digest of those before.
fn holds(file: &[u8]) -> bool {
    file.split_last_chunk::<DIGEST>()
        .is_some_and(|(content, digest)| Hasher::new().update_rayon(content).finalize().as_bytes() == digest)
}

struct Digesting<W> {
    file: W,
    hasher: Hasher,
}

impl<W: Write> Digesting<W> {
    fn write<T: NoUninit>(&mut self, values: &[T]) -> io::Result<()> {
        let bytes = cast_slice(values);
        self.hasher.update_rayon(bytes);
        self.file.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::ranked::RankedBlock;
    use crate::serve::catalog::Catalog;
    use crate::serve::lists::ListsBuilder;

    fn lists() -> Lists {
        let catalog = Catalog::new(vec![10, 20, 30]).unwrap();
        let mut builder = ListsBuilder::default();
        let block = RankedBlock {
            keys: &[9, 9, 4],
            tracks: &[10, 30, 20],
            scores: &[0.5, 0.25, 1.0],
            ranks: &[1, 2, 1],
        };
        builder.push(block, &catalog).unwrap();
        builder.finish().unwrap()
    }

    #[test]
    fn lists_survive_the_disk_and_any_changed_byte_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/lists");
        let made_from = blake3::hash(b"release");
        assert!(matches!(open(&path, made_from), Found::Nothing));
        write(&path, &lists(), made_from).unwrap();
        let Found::Lists(mapped) = open(&path, made_from) else { panic!("it was written") };
        let list = |lists: &Lists, key| lists.list(key).map(|list| list.iter().collect::<Vec<_>>());
        for key in [4, 9, 5] {
            assert_eq!(list(&mapped, key), list(&lists(), key));
        }
        assert!(matches!(open(&path, blake3::hash(b"another release")), Found::Other));

        let whole = fs::read(&path).unwrap();
        for position in 0..whole.len() {
            let mut changed = whole.clone();
            changed[position] ^= 1;
            fs::write(&path, changed).unwrap();
            assert!(matches!(open(&path, made_from), Found::Other), "byte {position}");
        }
        for len in [0, 7, 31, 63, 64, whole.len() - 1] {
            fs::write(&path, &whole[..len]).unwrap();
            assert!(matches!(open(&path, made_from), Found::Other), "{len} bytes");
        }
        // The old file may go while it is in use.
        fs::remove_file(&path).unwrap();
        write(&path, &lists(), made_from).unwrap();
        let Found::Lists(mapped) = open(&path, made_from) else { panic!("it was written") };
        fs::remove_file(&path).unwrap();
        assert_eq!(list(&mapped, 9), Some(vec![(0, 0.5), (2, 0.25)]));
    }
}
