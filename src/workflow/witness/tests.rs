//! A witness of a small folder, and everything that must make it fall. What a whole run leaves is tried by
//! the integration tests, against the full check.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::confirm::{Confirmed, Purpose, confirm, value_digest};
use super::record::{Reader, Seen, Writer};
use super::stamp::{self, Look, Stamp};
use crate::workflow::digest::Digest;
use crate::workflow::store::Store;

struct Folder {
    root: tempfile::TempDir,
    store: Store,
}

impl Folder {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("pipeline.yaml"), "steps:").unwrap();
        fs::create_dir(root.path().join("out")).unwrap();
        fs::write(root.path().join("out/a"), "a").unwrap();
        fs::write(root.path().join("out/b"), "b").unwrap();
        symlink("a", root.path().join("out/link")).unwrap();
        let store = Store::open(&root.path().join("cache"));
        store.prepare().unwrap();
        drop((
            store.share().unwrap(),
            store.lock_release("p").unwrap(),
            store.lock_release("rival").unwrap(),
        ));
        Self { root, store }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.root.path().join(name)
    }

    /// The record of what is there now.
    fn record(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.number(2);
        writer.bytes(b"p");
        writer.bytes(b"rival");
        writer.bytes(b"pipeline.yaml");
        let real = self.path("pipeline.yaml").canonicalize().unwrap();
        writer.bytes(real.to_str().unwrap().as_bytes());
        writer.number(2);
        for name in ["PATH", "NOT_SET_ANYWHERE"] {
            writer.bytes(name.as_bytes());
            writer.digest(value_digest(name));
        }
        writer.number(1);
        writer.bytes(b"out");
        let seen = |folder, name: &str, look| {
            let path = if folder == 1 { self.path("out").join(name) } else { self.path(name) };
            let found = match look {
                Look::Through => fs::metadata(path),
                Look::Plain => fs::symlink_metadata(path),
            };
            (folder, name.to_owned(), look, found.ok().map(|found| stamp::of(&found)))
        };
        let files: [(u16, String, Look, Option<Stamp>); 6] = [
            seen(0, "pipeline.yaml", Look::Through),
            seen(0, ".env", Look::Through),
            seen(0, "out/a", Look::Plain),
            seen(1, "b", Look::Plain),
            seen(1, "link", Look::Through),
            seen(1, "link", Look::Plain),
        ];
        let seen = files.iter().map(|(folder, name, look, stamp)| Seen {
            folder: *folder,
            name: name.as_bytes(),
            look: *look,
            stamp: stamp.as_ref().map(<[u8; stamp::LENGTH]>::as_slice),
        });
        writer.files(seen.clone().take(3));
        writer.files(seen.skip(3));
        writer.number(2);
        writer.texts(["well done"]);
        writer.texts(["first", "second"]);
        writer.sealed()
    }

    fn confirm(&self, record: &[u8], purpose: Purpose) -> Option<Confirmed> {
        let path = self.path("cache/witness");
        fs::write(&path, record).unwrap();
        confirm(&self.store, &path, self.root.path(), purpose)
    }

    fn holds(&self, record: &[u8]) -> bool {
        self.confirm(record, Purpose::Forecast).is_some()
    }
}

#[test]
fn it_holds_as_long_as_nothing_changes_and_tells_what_it_was_given() {
    let folder = Folder::new();
    let record = folder.record();
    for purpose in [Purpose::Run, Purpose::Forecast] {
        let confirmed = folder.confirm(&record, purpose).unwrap();
        assert_eq!((confirmed.steps, confirmed.summaries()), (2, vec!["well done"]));
        assert_eq!(confirmed.names(), ["first", "second"]);
    }
}

#[test]
fn any_change_makes_it_fall() {
    type Change = (&'static str, fn(&Path));
    let changes: &[Change] = &[
        ("bytes", |root| fs::write(root.join("out/a"), "c").unwrap()),
        ("bytes behind a link", |root| fs::write(root.join("out/link"), "c").unwrap()),
        ("touched", |root| {
            let file = fs::File::options().write(true).open(root.join("out/b")).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        }),
        ("gone", |root| fs::remove_file(root.join("out/b")).unwrap()),
        ("the folder gone", |root| fs::rename(root.join("out"), root.join("old")).unwrap()),
        ("another folder with the same bytes", |root| {
            fs::rename(root.join("out"), root.join("old")).unwrap();
            fs::create_dir(root.join("out")).unwrap();
            fs::copy(root.join("old/a"), root.join("out/a")).unwrap();
            fs::copy(root.join("old/b"), root.join("out/b")).unwrap();
            symlink("a", root.join("out/link")).unwrap();
        }),
        ("another name for a file", |root| fs::hard_link(root.join("out/b"), root.join("c")).unwrap()),
        ("a link exchanged", |root| {
            fs::remove_file(root.join("out/link")).unwrap();
            symlink("a", root.join("out/link")).unwrap();
        }),
        ("a link that leads elsewhere", |root| {
            fs::remove_file(root.join("out/link")).unwrap();
            symlink("b", root.join("out/link")).unwrap();
        }),
        ("what must not be there", |root| fs::write(root.join(".env"), "A=1").unwrap()),
        ("the pipeline behind a link", |root| {
            fs::create_dir(root.join("moved")).unwrap();
            fs::rename(root.join("pipeline.yaml"), root.join("moved/pipeline.yaml")).unwrap();
            symlink("moved/pipeline.yaml", root.join("pipeline.yaml")).unwrap();
        }),
    ];
    for (what, change) in changes {
        let folder = Folder::new();
        let record = folder.record();
        assert!(folder.holds(&record), "{what}");
        // A change within one tick of the clock need not show.
        std::thread::sleep(Duration::from_millis(20));
        change(folder.root.path());
        assert!(!folder.holds(&record), "{what}");
    }
}

#[test]
fn any_byte_changed_or_cut_off_makes_it_fall() {
    let folder = Folder::new();
    let record = folder.record();
    for position in 0..record.len() {
        let mut bad = record.clone();
        bad[position] ^= 1;
        assert!(!folder.holds(&bad) && !folder.holds(&record[..position]), "{position}");
    }
    assert!(!folder.holds(&[record.as_slice(), b"x"].concat()));
    fs::remove_file(folder.path("cache/witness")).unwrap();
    let path = folder.path("cache/witness");
    assert!(confirm(&folder.store, &path, folder.root.path(), Purpose::Forecast).is_none());
}

/// Sealed, but not what a writer writes: no panic, no answer.
#[test]
fn parts_that_end_too_early_make_it_fall() {
    let folder = Folder::new();
    let record = folder.record();
    let parts = &record[..record.len() - super::record::SEAL];
    // Where the texts begin, everything was looked at.
    let reader = Reader::unsealed(&record).unwrap();
    assert!(reader.left() > 100);
    for length in 0..parts.len() - 40 {
        let sealed = [&parts[..length], Digest::of(&parts[..length]).as_bytes()].concat();
        assert!(!folder.holds(&sealed), "{length}");
    }
}

#[test]
fn an_environment_variable_with_another_value_makes_it_fall() {
    let folder = Folder::new();
    let record = folder.record();
    let there = *value_digest("PATH").unwrap().as_bytes();
    let at = record.windows(32).position(|bytes| bytes == there).unwrap();
    let mut parts = record[..record.len() - super::record::SEAL].to_vec();
    parts[at] ^= 1;
    let seal = Digest::of(&parts);
    assert!(!folder.holds(&[&parts[..], seal.as_bytes()].concat()));
}

#[test]
fn a_run_is_kept_away_by_another_one_and_a_forecast_is_not() {
    let folder = Folder::new();
    let record = folder.record();
    let held = |record: &[u8]| folder.confirm(record, Purpose::Run).is_none() && folder.holds(record);
    for pipeline in ["p", "rival"] {
        let other = folder.store.lock_release(pipeline).unwrap().unwrap();
        assert!(held(&record), "{pipeline}");
        drop(other);
    }
    let collection = folder.store.close().unwrap().unwrap();
    assert!(held(&record));
    drop(collection);
    // Two that find nothing to do are not in each other's way; one that has something to do waits.
    let first = folder.confirm(&record, Purpose::Run).unwrap();
    assert!(folder.confirm(&record, Purpose::Run).is_some());
    assert!(folder.store.lock_release("p").unwrap().is_none());
    drop(first);
    assert!(folder.store.lock_release("p").unwrap().is_some());
}

#[test]
fn a_file_that_changed_a_moment_ago_is_not_settled() {
    let folder = Folder::new();
    let stamp = stamp::of(&fs::metadata(folder.path("out/a")).unwrap());
    let changed = u64::from_le_bytes(*stamp.last_chunk().unwrap());
    let tick = Duration::from_millis(20);
    let after = |milliseconds: u64| {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(changed) + Duration::from_millis(milliseconds)
    };
    assert!(!stamp::is_settled(&stamp, after(0), tick) && !stamp::is_settled(&stamp, after(19), tick));
    assert!(stamp::is_settled(&stamp, after(20), tick));
    // A clock that was set back.
    assert!(!stamp::is_settled(&stamp, after(0) - Duration::from_secs(3600), tick));
    assert!(!stamp::is_settled(&stamp, SystemTime::UNIX_EPOCH - Duration::from_secs(1), tick));
    // A file system that knows whole seconds only.
    let mut coarse = stamp;
    let second = changed / 1_000_000_000 * 1_000_000_000;
    coarse[stamp::LENGTH - 8..].copy_from_slice(&second.to_le_bytes());
    let after =
        |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_nanos(second) + Duration::from_secs(seconds);
    assert!(!stamp::is_settled(&coarse, after(2), tick) && stamp::is_settled(&coarse, after(3), tick));
}

#[test]
fn both_ways_to_look_at_a_file_give_one_stamp() {
    let folder = Folder::new();
    let out = fs::File::open(folder.path("out")).unwrap();
    for look in [Look::Through, Look::Plain] {
        let found = match look {
            Look::Through => fs::metadata(folder.path("out/link")),
            Look::Plain => fs::symlink_metadata(folder.path("out/link")),
        };
        assert_eq!(stamp::look(&out, b"link", look), Ok(Some(stamp::of(&found.unwrap()))));
    }
    assert_eq!(stamp::look(&out, b"none", Look::Plain), Ok(None));
    assert!(stamp::look(&out, b"a/below-a-file", Look::Plain).is_err());
}
