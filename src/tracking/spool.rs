//! The spool of one run: `cache/tracking/<run>/entries.jsonl`, to which only is appended.
//!
//! As long as the run lives it holds an OS lock on the file, which ends with the process however that ends: a
//! spool without a lock may be sent by whoever wants to. The folder goes when everything in it is sent.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::entry::Entry;

const ENTRIES: &str = "entries.jsonl";
const UNNAMED: &str = ".entries.new";
/// The folder of all spools, in `cache/`.
const FOLDER: &str = "tracking";

/// The folder of all spools of the project in `root`.
pub fn folder(root: &Path) -> PathBuf {
    root.join("cache").join(FOLDER)
}

/// Where it is noted what was logged before, and where.
pub fn known(root: &Path) -> PathBuf {
    folder(root).join("known")
}

/// Whether anything was logged before.
pub fn has_known(root: &Path) -> bool {
    known(root).is_dir()
}

/// The spools that are there, the oldest first.
pub fn all(root: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(root)).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut spools: Vec<PathBuf> = entries.filter(|path| path.join(ENTRIES).is_file()).collect();
    spools.sort();
    spools
}

/// Whether the run of the spool in a folder, or somebody who sends it, is at work.
pub fn is_live(folder: &Path) -> bool {
    File::open(folder.join(ENTRIES)).is_ok_and(|file| file.try_lock_shared().is_err())
}

/// A spool to write to.
pub struct Spool {
    folder: PathBuf,
    file: File,
}

impl Spool {
    /// A new one.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn create(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        // It gets its name when it is locked, so that nobody finds it free before.
        let unnamed = folder.join(UNNAMED);
        let file = OpenOptions::new().create_new(true).append(true).read(true).open(&unnamed)?;
        // Where locks are not supported nobody can send at the same time either: sending asks for the same lock.
        let _ = file.try_lock();
        fs::rename(&unnamed, folder.join(ENTRIES))?;
        Ok(Self { folder: folder.to_owned(), file })
    }

    /// One that is there already and that nobody is at work with; nothing when somebody is.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn take(folder: &Path) -> io::Result<Option<Self>> {
        let mut file = OpenOptions::new().append(true).read(true).open(folder.join(ENTRIES))?;
        if file.try_lock().is_err() {
            return Ok(None);
        }
        // Whoever wrote the last line may have been killed in the middle of it.
        let length = file.seek(SeekFrom::End(0))?;
        let whole = whole_lines(&mut file)?;
        if whole < length {
            file.set_len(whole)?;
        }
        Ok(Some(Self { folder: folder.to_owned(), file }))
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Adds entries in one go.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn append(&mut self, entries: &[Entry]) -> io::Result<()> {
        let mut text = Vec::new();
        for entry in entries {
            serde_json::to_writer(&mut text, entry)?;
            text.push(b'\n');
        }
        self.file.write_all(&text)
    }

    /// Makes what was written safe from a power cut.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Another handle that reads and holds the same lock.
    ///
    /// # Errors
    /// When the system has no handle left.
    pub fn reader(&self) -> io::Result<Reader> {
        Reader::of(&self.folder)
    }
}

fn whole_lines(file: &mut File) -> io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::new(file);
    let (mut whole, mut line) = (0, Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if read == 0 || !line.ends_with(b"\n") {
            return Ok(whole);
        }
        whole += read as u64;
    }
}

/// Reads a spool while it is written.
pub struct Reader {
    path: PathBuf,
}

/// One entry, and where the next one begins.
pub struct Placed {
    /// The entry; nothing where a line cannot be understood.
    pub entry: Option<Entry>,
    /// The offset in bytes after it.
    pub end: u64,
}

impl Reader {
    /// Of the spool in this folder.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(folder: &Path) -> io::Result<Self> {
        let path = folder.join(ENTRIES);
        fs::metadata(&path)?;
        Ok(Self { path })
    }

    /// At most `most` entries from an offset on; lines that are not whole yet are not read.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(&self, from: u64, most: usize) -> io::Result<Vec<Placed>> {
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(from))?;
        let mut reader = BufReader::new(file);
        let (mut found, mut end, mut line) = (Vec::new(), from, Vec::new());
        while found.len() < most {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            if read == 0 || !line.ends_with(b"\n") {
                break;
            }
            end += read as u64;
            found.push(Placed { entry: serde_json::from_slice(&line).ok(), end });
        }
        Ok(found)
    }

    /// Removes the spool: what it held is sent.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remove(&self) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(&self.path);
        // The entries first: a journal alone says that nothing waits.
        fs::remove_file(&self.path)?;
        fs::remove_dir_all(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tracking::entry::{Status, WHOLE};

    fn end(at: i64) -> Entry {
        Entry::End { run: WHOLE.to_owned(), status: Status::Finished, at }
    }

    #[test]
    fn a_spool_is_read_from_any_entry_on_and_half_a_line_is_none() {
        let root = tempfile::tempdir().unwrap();
        let at = folder(root.path()).join("run");
        let mut spool = Spool::create(&at).unwrap();
        spool.append(&[end(1), end(2)]).unwrap();
        let reader = spool.reader().unwrap();
        let found = reader.read(0, 10).unwrap();
        assert_eq!(
            found.iter().map(|placed| placed.entry.clone()).collect::<Vec<_>>(),
            [Some(end(1)), Some(end(2))]
        );
        spool.file.write_all(b"{\"entry\": \"end\"").unwrap();
        assert_eq!(reader.read(found[0].end, 10).unwrap().len(), 1);
        assert_eq!(all(root.path()), [at]);
    }

    #[test]
    fn one_at_a_time_is_at_work_with_it_and_what_was_cut_off_goes() {
        let root = tempfile::tempdir().unwrap();
        let mut spool = Spool::create(root.path().join("run").as_path()).unwrap();
        spool.append(&[end(1)]).unwrap();
        spool.file.write_all(b"{\"entry\": \"en").unwrap();
        let at = spool.folder().to_owned();
        assert!(Spool::take(&at).unwrap().is_none());
        drop(spool);
        let mut again = Spool::take(&at).unwrap().unwrap();
        again.append(&[end(2)]).unwrap();
        let found = again.reader().unwrap().read(0, 10).unwrap();
        assert_eq!(
            found.into_iter().map(|placed| placed.entry).collect::<Vec<_>>(),
            [Some(end(1)), Some(end(2))]
        );
        again.reader().unwrap().remove().unwrap();
        assert!(!at.exists());
    }
}
