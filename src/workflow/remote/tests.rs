//! Two stores and a remote cache between them, in memory.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::workflow::fingerprint::{Definition, Fingerprint};
use crate::workflow::kind::Notes;
use crate::workflow::store::collect::Policy;
use crate::workflow::store::{Lookup, StepResult, Store};

/// Files in memory.
#[derive(Default)]
struct Memory {
    files: Mutex<BTreeMap<String, (Vec<u8>, SystemTime)>>,
    is_down: AtomicBool,
    asked: AtomicUsize,
}

impl Memory {
    fn ask<T>(
        &self,
        answer: impl FnOnce(&mut BTreeMap<String, (Vec<u8>, SystemTime)>) -> T,
    ) -> Result<T, RemoteError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.is_down.load(Ordering::Relaxed) {
            return Err("nobody there".into());
        }
        Ok(answer(&mut self.files.lock().unwrap()))
    }

    fn names(&self) -> Vec<String> {
        self.files.lock().unwrap().keys().cloned().collect()
    }

    fn age(&self, part: &str, days: u64) {
        let then = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
        let mut files = self.files.lock().unwrap();
        files.iter_mut().filter(|(name, _)| name.contains(part)).for_each(|(_, file)| file.1 = then);
    }

    fn change(&self, part: &str, change: impl Fn(&mut Vec<u8>)) {
        let mut files = self.files.lock().unwrap();
        files.iter_mut().filter(|(name, _)| name.contains(part)).for_each(|(_, file)| change(&mut file.0));
    }
}

impl RemoteStore for Arc<Memory> {
    fn address(&self) -> &str {
        "memory:"
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, RemoteError> {
        self.ask(|files| files.get(name).map(|(bytes, _)| bytes.clone()))
    }

    fn download(&self, name: &str, _size: u64, to: &Path, moved: Moved<'_>) -> Result<bool, RemoteError> {
        let Some(bytes) = self.read(name)? else { return Ok(false) };
        moved(bytes.len() as u64);
        fs::write(to, bytes).unwrap();
        Ok(true)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), RemoteError> {
        self.ask(|files| _ = files.insert(name.to_owned(), (bytes.to_owned(), SystemTime::now())))
    }

    fn upload(&self, name: &str, from: &Path, moved: Moved<'_>) -> Result<(), RemoteError> {
        let bytes = fs::read(from).unwrap();
        moved(bytes.len() as u64);
        self.write(name, &bytes)
    }

    fn find(&self, name: &str) -> Result<Option<Found>, RemoteError> {
        self.ask(|files| {
            files.get(name).map(|(bytes, modified)| Found { size: bytes.len() as u64, modified: *modified })
        })
    }

    fn list(&self, folder: &str) -> Result<Vec<(String, Found)>, RemoteError> {
        let found = |(bytes, modified): &(Vec<u8>, SystemTime)| Found {
            size: bytes.len() as u64,
            modified: *modified,
        };
        self.ask(|files| {
            let inside = files.iter().filter(|(name, _)| name.starts_with(&format!("{folder}/")));
            inside.map(|(name, file)| (name.clone(), found(file))).collect()
        })
    }

    fn remove(&self, name: &str) -> Result<(), RemoteError> {
        self.ask(|files| _ = files.remove(name))
    }
}

fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path());
    store.prepare().unwrap();
    (folder, store)
}

/// What a step of this name makes: `first` and `second`, in so many seconds.
fn made(store: &Store, name: &str, outputs: [&str; 2], seconds: u64) -> StepResult {
    let definition =
        Definition::new("shell", 1, json!({ "command": name }), &BTreeMap::new(), vec![], BTreeMap::new());
    let fingerprint = Fingerprint { definition, inputs: BTreeMap::new() };
    let staging = store.stage().unwrap();
    let folder = staging.folder().unwrap();
    let staged = ["first", "second"].into_iter().zip(outputs).map(|(port, text)| {
        let path = folder.path().join(port);
        fs::write(&path, text).unwrap();
        (port.to_owned(), path)
    });
    let staged = staged.collect();
    let key = store.lock_key(&fingerprint.key()).unwrap().unwrap();
    store.commit(&key, fingerprint, &staged, Notes::default(), Duration::from_secs(seconds)).unwrap()
}

fn on(_: u64) {}

/// Fetches a result into a store of its own, and looks it up there.
fn fetched(from: &ReadThrough, result: &StepResult) -> Result<Lookup, FetchError> {
    let (_folder, store) = store();
    let key = result.fingerprint.key();
    let staging = store.stage().unwrap();
    let held = store.lock_key(&key).unwrap().unwrap();
    if let Some(found) = from.record(&key)? {
        from.take(&found, &store, &held, staging.folder().unwrap().path(), &on)?;
    }
    Ok(store.lookup(&key))
}

fn reading(memory: &Arc<Memory>) -> ReadThrough {
    ReadThrough::new(Box::new(Arc::clone(memory)))
}

#[test]
fn what_one_store_made_another_has_after_a_push() {
    let (memory, (_folder, ours)) = (Arc::new(Memory::default()), store());
    let results = [made(&ours, "a", ["one", "two"], 1), made(&ours, "b", ["two", "three"], 1)];
    let pushed = push(&memory, &ours, &results, &on).unwrap();
    assert_eq!(pushed, Pushed { results: 2, objects: 3, bytes: 11, known: 0, incomplete: 0 });
    let again = push(&memory, &ours, &results, &on).unwrap();
    assert_eq!(again, Pushed { known: 2, ..Pushed::default() });
    for result in results {
        assert_eq!(fetched(&reading(&memory), &result).unwrap(), Lookup::Hit(Box::new(result)));
    }
    let unknown = made(&ours, "c", ["one", "two"], 1);
    assert_eq!(fetched(&reading(&memory), &unknown).unwrap(), Lookup::Unknown);
}

#[test]
fn bytes_that_are_not_what_their_name_says_are_not_taken() {
    let (_folder, ours) = store();
    let result = made(&ours, "a", ["one", "two"], 1);
    let key = result.fingerprint.key().whole.to_string();
    let object = result.outputs["second"].digest.folder_and_file().1;
    let refused = |part: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let memory = Arc::new(Memory::default());
        push(&memory, &ours, std::slice::from_ref(&result), &on).unwrap();
        memory.change(part, change);
        fetched(&reading(&memory), &result).unwrap_err().to_string()
    };
    let flip = |bytes: &mut Vec<u8>| *bytes.last_mut().unwrap() ^= 1;
    assert!(refused(&object, &flip).contains("does not have the bytes that its name says"));
    assert!(refused(&object, &|bytes| bytes.truncate(1)).contains("does not have the bytes"));
    assert!(refused(&key, &flip).contains("is damaged"));
    // The whole record of another step under this name.
    let other = made(&ours, "b", ["one", "two"], 1).sealed().unwrap();
    assert!(refused(&key, &|bytes| bytes.clone_from(&other)).contains("is damaged"));
}

#[test]
fn a_result_whose_objects_are_gone_is_made_or_sent_again() {
    let (memory, (_folder, ours)) = (Arc::new(Memory::default()), store());
    let result = made(&ours, "a", ["one", "two"], 1);
    push(&memory, &ours, std::slice::from_ref(&result), &on).unwrap();
    let name = object(result.outputs["first"].digest);
    (&memory as &dyn RemoteStore).remove(&name).unwrap();
    let error = fetched(&reading(&memory), &result).unwrap_err().to_string();
    assert!(error.contains("lacks the bytes of its output `first`"), "{error}");
    let pushed = push(&memory, &ours, std::slice::from_ref(&result), &on).unwrap();
    assert_eq!((pushed.objects, pushed.known), (1, 1));
    assert_eq!(fetched(&reading(&memory), &result).unwrap(), Lookup::Hit(Box::new(result)));
}

#[test]
fn a_cache_that_cannot_be_reached_is_asked_once() {
    let (memory, (_folder, ours)) = (Arc::new(Memory::default()), store());
    let result = made(&ours, "a", ["one", "two"], 1);
    memory.is_down.store(true, Ordering::Relaxed);
    let from = reading(&memory);
    let error = fetched(&from, &result).unwrap_err().to_string();
    assert_eq!(error, "memory: cannot be read: nobody there");
    assert_eq!(fetched(&from, &result).unwrap(), Lookup::Unknown);
    assert_eq!(memory.asked.load(Ordering::Relaxed), 1);
    assert!(push(&memory, &ours, &[result], &on).is_err());
}

#[test]
fn what_the_store_has_lost_is_not_sent() {
    let (memory, (_folder, ours)) = (Arc::new(Memory::default()), store());
    let results = [made(&ours, "a", ["one", "two"], 1), made(&ours, "b", ["three", "four"], 1)];
    fs::remove_file(ours.object_path(results[0].outputs["first"].digest)).unwrap();
    let pushed = push(&memory, &ours, &results, &on).unwrap();
    assert_eq!((pushed.results, pushed.incomplete), (1, 1));
    assert_eq!(fetched(&reading(&memory), &results[0]).unwrap(), Lookup::Unknown);
}

#[test]
fn collection_removes_what_is_old_then_what_is_cheap_and_never_what_is_young() {
    let policy = |older_than: Option<u64>, max_size| Policy {
        older_than: older_than.map(|days| Duration::from_secs(days * 24 * 3600)),
        max_size,
        keep_runs: 0,
    };
    let (memory, (_folder, ours)) = (Arc::new(Memory::default()), store());
    let results = [
        made(&ours, "old", ["11111", "shared"], 9),
        made(&ours, "cheap", ["22222", "shared"], 1),
        made(&ours, "dear", ["33333", "shared"], 5),
    ];
    push(&memory, &ours, &results, &on).unwrap();
    let all = memory.names();
    let named = |result: &StepResult| result.fingerprint.key().whole.to_string();
    memory.age(&named(&results[0]), 60);
    // Nobody has finished sending within a day: objects of today stay.
    let collected = collect(&memory, &policy(Some(30), None), true).unwrap();
    assert_eq!((collected.results, collected.objects), (1, 0));
    memory.age("objects", 60);
    let collected = collect(&memory, &policy(Some(30), None), true).unwrap();
    assert_eq!(collected, Collected { results: 1, objects: 1, bytes: 5, kept_bytes: 16 });
    assert_eq!(memory.names(), all, "a dry run removes nothing");
    assert_eq!(collect(&memory, &policy(Some(30), None), false).unwrap(), collected);
    assert_eq!(fetched(&reading(&memory), &results[0]).unwrap(), Lookup::Unknown);
    let collected = collect(&memory, &policy(None, Some(11)), false).unwrap();
    assert_eq!(collected, Collected { results: 1, objects: 1, bytes: 5, kept_bytes: 11 });
    assert_eq!(fetched(&reading(&memory), &results[1]).unwrap(), Lookup::Unknown);
    assert!(matches!(fetched(&reading(&memory), &results[2]).unwrap(), Lookup::Hit(_)));
    assert_eq!(collect(&memory, &policy(None, Some(0)), false).unwrap().results, 1);
    assert!(memory.names().is_empty());
}

#[test]
fn what_is_in_use_stays_young() {
    let (memory, (_folder, ours)) = (Arc::new(Memory::default()), store());
    let result = made(&ours, "a", ["one", "two"], 1);
    push(&memory, &ours, std::slice::from_ref(&result), &on).unwrap();
    memory.age("results", 60);
    push(&memory, &ours, std::slice::from_ref(&result), &on).unwrap();
    let policy = Policy { older_than: Some(Duration::from_secs(24 * 3600)), max_size: None, keep_runs: 0 };
    assert_eq!(collect(&memory, &policy, false).unwrap().results, 0);
}
