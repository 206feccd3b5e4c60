//! Objects on real servers (SeaweedFS and moto), as the storage room sees them:
//! 1. put, head, get, ranges, list, conditions, delete;
//! 2. files in parts: what comes back is what went, by checksum; what is there is not sent again;
//! 3. a broken-off upload is gone on with, or taken back when the file is another one;
//! 4. wrong keys, buckets and objects are told apart, each with what to do;
//! 5. `recsys storage check` finds a good place good and says what is missing in a bad one.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use recsys::storage::checksum::{Checksum, hex, md5};
use recsys::storage::error::Kind;
use recsys::storage::transfer::{self, Downloaded, Uploaded, pending};
use recsys::storage::{Condition, Found, Remote, StorageError};
use tempfile::TempDir;

use crate::project::{Call, Project};
use crate::s3_servers::{self, Bucket, KEY, SECRET, buckets, seaweedfs};

/// Bytes that no part of is like another.
pub fn noise(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

/// A folder with files to send and to fetch.
pub struct Files(TempDir);

impl Files {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn with(&self, name: &str, bytes: &[u8]) -> PathBuf {
        std::fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    pub fn download(&self, remote: &Remote<'_>, found: &Found) -> Result<Downloaded, StorageError> {
        transfer::download(&transfer::Download {
            remote,
            found,
            target: &self.path("fetched"),
            partial: &self.path("partial"),
            tell: &|_| (),
        })
    }

    pub fn upload(&self, remote: &Remote<'_>, file: &Path) -> Result<Uploaded, StorageError> {
        let notes = self.path("notes");
        transfer::upload(&transfer::Upload { remote, file, blake3: None, notes: &notes, tell: &|_| () })
    }

    pub fn fetched(&self) -> Vec<u8> {
        std::fs::read(self.path("fetched")).unwrap()
    }
}

/// Uploads that were begun and not ended.
pub fn unfinished(bucket: &Bucket) -> usize {
    bucket.remote("").multipart().unwrap().unfinished("").unwrap().len()
}

#[test]
fn objects_are_put_read_listed_and_deleted() {
    for bucket in buckets() {
        let object = bucket.remote("folder/a b+c.bin");
        assert_eq!(object.find().unwrap(), None);
        object.put(&b"0123456789"[..], &Condition::Absent).unwrap();
        let found = object.head().unwrap();
        assert_eq!(
            (found.size, found.blake3),
            (Some(10), Some(blake3::hash(b"0123456789").to_hex().to_string()))
        );
        assert_eq!(found.checksum, Some(Checksum::Md5(md5(b"0123456789"))), "{}", bucket.server());
        assert!(found.modified.is_some());
        let mut part = Vec::new();
        object
            .read(Some(3..6), None, &mut |bytes| {
                part.extend_from_slice(bytes);
                Ok(())
            })
            .unwrap();
        assert_eq!(part, b"345");
        assert_eq!(object.bytes(100).unwrap().0, b"0123456789");
        assert_eq!(object.bytes(9).unwrap_err().kind, Kind::Refused);
        for index in 0..7 {
            bucket.remote(&format!("list/{index}")).put(&b"x"[..], &Condition::Always).unwrap();
        }
        bucket.remote("listed").put(&b"x"[..], &Condition::Always).unwrap();
        let keys: Vec<String> =
            bucket.remote("list").list().unwrap().into_iter().map(|entry| entry.key).collect();
        assert_eq!(keys, (0..7).map(|index| format!("list/{index}")).collect::<Vec<_>>());
        object.delete().unwrap();
        object.delete().unwrap();
        assert_eq!(object.find().unwrap(), None);
    }
}

#[test]
fn of_two_who_write_on_a_condition_one_is_refused() {
    for bucket in buckets() {
        let object = bucket.remote("claim");
        object.put(&b"one"[..], &Condition::Absent).unwrap();
        let refused = object.put(&b"two"[..], &Condition::Absent).unwrap_err();
        assert_eq!(refused.kind, Kind::Condition, "{}: {refused}", bucket.server());
        let etag = object.head().unwrap().etag.unwrap();
        object.put(&b"three"[..], &Condition::Matches(etag.clone())).unwrap();
        let refused = object.put(&b"four"[..], &Condition::Matches(etag)).unwrap_err();
        assert_eq!(refused.kind, Kind::Condition, "{}: {refused}", bucket.server());
        assert_eq!(object.bytes(100).unwrap().0, b"three");
    }
}

#[test]
fn a_large_file_goes_in_parts_and_comes_back_verified() {
    for bucket in buckets() {
        let (files, bytes) = (Files::new(), noise((17 << 20) + 12_345));
        let file = files.with("large", &bytes);
        let object = bucket.remote("large");
        let sent = files.upload(&object, &file).unwrap();
        assert_eq!((sent.size, sent.sent), (bytes.len() as u64, bytes.len() as u64));
        let found = object.head().unwrap();
        assert!(matches!(found.checksum, Some(Checksum::Md5OfParts(_, 4))), "{}: {found:?}", bucket.server());
        let fetched = files.download(&object, &found).unwrap();
        assert_eq!(fetched.size, bytes.len() as u64);
        assert_eq!(fetched.verified, found.checksum.into_iter().collect::<Vec<_>>(), "{}", bucket.server());
        assert!(files.fetched() == bytes);
        assert!(!files.path("partial").exists());
        assert_eq!(files.upload(&object, &file).unwrap().sent, 0, "it is there already");
        assert_eq!(unfinished(&bucket), 0);
    }
}

#[test]
fn an_object_that_somebody_else_wrote_is_not_sent_again_when_it_is_the_same() {
    for bucket in buckets() {
        let (files, bytes) = (Files::new(), noise(11 << 20));
        let file = files.with("large", &bytes);
        let object = bucket.remote("large");
        // Without the digest that our own uploads leave.
        let uploads = object.multipart().unwrap();
        let id = uploads.begin("large", None).unwrap();
        let parts: Vec<_> = bytes
            .chunks(5 << 20)
            .enumerate()
            .map(|(index, part)| {
                let number = index as u32 + 1;
                let etag = uploads.part("large", &id, number, part.to_vec().into()).unwrap();
                recsys::storage::Part { number, size: part.len() as u64, etag }
            })
            .collect();
        uploads.complete("large", &id, &parts).unwrap();
        assert_eq!(object.head().unwrap().blake3, None);
        assert_eq!(files.upload(&object, &file).unwrap().sent, 0, "{}", bucket.server());
        let changed = files.with("large", &[&bytes[1..], b"!"].concat());
        assert_eq!(files.upload(&object, &changed).unwrap().sent, 11 << 20);
    }
}

#[test]
fn pinned_bytes_are_held_against_their_checksum() {
    let Some(bucket) = seaweedfs() else { return };
    let (files, bytes) = (Files::new(), noise(11 << 20));
    bucket.remote("x").put(bytes.clone(), &Condition::Always).unwrap();
    let digest = blake3::hash(&bytes).to_hex();
    let open =
        |pin: &str| s3_servers::remote(&format!("{}#{pin}", bucket.address("x")), &bucket.settings(&[]));
    let good = open(&format!("blake3={digest}"));
    let fetched = files.download(&good, &good.head().unwrap()).unwrap();
    let verified: Vec<String> = fetched.verified.iter().map(ToString::to_string).collect();
    assert_eq!(verified, [format!("blake3:{digest}"), format!("md5:{}", hex(&md5(&bytes)))]);
    let bad = open(&format!("sha256={}", "0".repeat(64)));
    std::fs::remove_file(files.path("fetched")).unwrap();
    let refused = files.download(&bad, &bad.head().unwrap()).unwrap_err();
    assert_eq!(refused.kind, Kind::Checksum);
    assert!(refused.to_string().contains(&format!("expected was sha256:{}", "0".repeat(64))), "{refused}");
    assert!(!files.path("fetched").exists() && !files.path("partial").exists());
}

#[test]
fn an_upload_that_was_broken_off_is_gone_on_with_or_taken_back() {
    for bucket in buckets() {
        let (files, bytes) = (Files::new(), noise(22 << 20));
        let file = files.with("large", &bytes);
        let object = bucket.remote("broken/large");
        let key = object.address().key();
        let begin = |blake3: &str| {
            let uploads = object.multipart().unwrap();
            let id = uploads.begin(&key, Some(blake3)).unwrap();
            for number in [1, 3] {
                let start = (number - 1) * (5 << 20);
                let part = bytes[start..start + (5 << 20)].to_vec();
                uploads.part(&key, &id, number as u32, part.into()).unwrap();
            }
            let held = pending::Held::take(&files.path("notes"), object.address(), &|| false).unwrap();
            held.write(&pending::Note {
                address: object.address().to_string(),
                endpoint: Some(bucket.endpoint().to_owned()),
                upload: Some(id),
                size: bytes.len() as u64,
                part_size: 5 << 20,
                blake3: blake3.to_owned(),
                begun: pending::seconds_since_1970() as i64,
            })
            .unwrap();
        };
        begin(&blake3::hash(&bytes).to_hex());
        assert_eq!(unfinished(&bucket), 1, "{}", bucket.server());
        assert_eq!(pending::abandoned(&files.path("notes")).len(), 1);
        // moto does not tell in the way of S3 which parts it has.
        let had = if bucket.server() == "moto" { 0 } else { 10 };
        assert_eq!(
            files.upload(&object, &file).unwrap().sent,
            (22 - had) << 20,
            "two of the parts were there"
        );
        assert!(object.bytes(bytes.len()).unwrap().0 == bytes);
        assert_eq!(unfinished(&bucket), 0);
        assert_eq!(pending::abandoned(&files.path("notes")), []);
        begin(&blake3::hash(b"another file").to_hex());
        let other = files.with("large", &noise(6 << 20));
        assert_eq!(files.upload(&object, &other).unwrap().sent, 6 << 20);
        assert_eq!(unfinished(&bucket), 0, "{}", bucket.server());
    }
}

#[test]
fn wrong_keys_buckets_and_objects_are_told_apart() {
    let Some(bucket) = seaweedfs() else { return };
    bucket.remote("x").put(&b"x"[..], &Condition::Always).unwrap();
    let kind = |address: &str, changes: &[(&str, &str)]| {
        let error = s3_servers::remote(address, &bucket.settings(changes)).head().unwrap_err();
        let told = format!("{error} {}", error.help().unwrap());
        assert!(!told.contains(SECRET) && !told.contains("wrong-secret"), "{told}");
        error.kind
    };
    let object = bucket.address("x");
    assert_eq!(kind(&bucket.address("y"), &[]), Kind::NotFound);
    assert_eq!(kind("s3://no-such-bucket-here/x", &[]), Kind::NoBucket);
    assert_eq!(kind(&object, &[("AWS_SECRET_ACCESS_KEY", "wrong-secret")]), Kind::WrongSecret);
    assert_eq!(kind(&object, &[("AWS_ACCESS_KEY_ID", "AKNOBODY")]), Kind::UnknownKey);
    let nobody = [("S3_ENDPOINT_URL", "http://127.0.0.1:9"), ("RECSYS_STORAGE_ATTEMPTS", "1")];
    assert_eq!(kind(&object, &nobody), Kind::Unreachable);
}

fn check(bucket: &Bucket, address: &str, secret: &str) -> Call {
    let project = Project::new();
    let mut command = project.command(&["storage", "check", address]);
    command.envs([
        ("S3_ENDPOINT_URL", bucket.endpoint()),
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", secret),
    ]);
    Call::of(command.output().unwrap())
}

#[test]
fn a_check_tells_what_works_and_what_is_missing() {
    for bucket in buckets() {
        let good = check(&bucket, &bucket.address("some/folder"), SECRET);
        assert_eq!(good.code, 0, "{}: {}{}", bucket.server(), good.stdout, good.stderr);
        for what in [
            "list",
            "put",
            "get",
            "get ranges",
            "put on conditions",
            "list what was put",
            "delete",
            "upload in parts",
            "take an upload back",
        ] {
            assert!(good.stdout.contains(&format!("  ok     {what}")), "{what}: {}", good.stdout);
        }
        assert_eq!(bucket.remote("").list().unwrap(), [], "nothing stays");
        assert_eq!(unfinished(&bucket), 0);
        let missing = check(&bucket, "s3://no-such-bucket-here", SECRET);
        assert_eq!(missing.code, 1, "{}", missing.stdout);
        missing.says("FAILS list").says("check the name of the bucket");
    }
    let Some(bucket) = seaweedfs() else { return };
    let wrong = check(&bucket, &bucket.address(""), "wrong-secret");
    assert_eq!(wrong.code, 1);
    wrong.says("AWS_SECRET_ACCESS_KEY does not belong to AWS_ACCESS_KEY_ID");
    let nothing = Project::new();
    let call = nothing.call(&["storage", "check"]);
    assert_eq!(call.code, 2);
    call.says("S3_BUCKET_NAME is empty");
}
