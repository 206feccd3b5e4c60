//! Whether a place can be used for what a project does there, tried out: one small object is written, read in
//! ranges, listed and removed, an upload in parts is begun and taken back.

use std::time::SystemTime;

use bytes::Bytes;

use super::error::{Failure, Kind};
use super::transfer::pending::seconds_since_1970;
use super::{Condition, Multipart, Remote, StorageError};

/// One thing that was tried.
#[derive(Debug)]
pub struct Finding {
    /// What, in the infinitive.
    pub what: &'static str,
    /// How it went.
    pub outcome: Outcome,
}

/// How something that was tried went.
#[derive(Debug)]
pub enum Outcome {
    /// It works; a word about it.
    Works(String),
    /// The server cannot do it, and most work does not need it; what does.
    Lacks(String),
    /// It does not work.
    Fails(StorageError),
}

/// Uploads that were begun so long ago, in seconds, are nobody's any more.
const ABANDONED: i64 = 24 * 3600;
/// The bytes of the object that is written.
const BYTES: &[u8] = b"recsys storage check: this object can be deleted\n";
/// S3 takes no smaller part, except as the last one.
const PART: usize = 5 << 20;

/// Tries out a folder: what was tried in which order, ending where nothing more can be learned.
pub fn check(folder: &Remote<'_>) -> Vec<Finding> {
    if folder.address().is_remote() && folder.multipart().is_none() {
        return check_object(folder);
    }
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let name = format!(".recsys-check-{}-{}", since.as_nanos(), std::process::id());
    let inside = folder.join(&name);
    let object = inside.join("object");
    let mut findings = Findings(Vec::new());
    let listed = findings.note("list", inside.list(), |_| String::new());
    if !listed && findings.is_hopeless() {
        return findings.0;
    }
    if findings.note("put", object.put(BYTES, &Condition::Always), |_| String::new()) {
        let read = object.bytes(1 << 20).and_then(|(bytes, _)| {
            let wrong = || object.error("read")(Failure::new(Kind::Checksum, "it is not what was written"));
            (bytes == BYTES).then_some(()).ok_or_else(wrong)
        });
        findings.note("get", read, |()| String::new());
        findings.ranges(&object);
        findings.conditions(&object);
        if listed {
            let listed = inside.list().and_then(|entries| {
                let missing =
                    || inside.error("list")(Failure::new(Kind::NotFound, "what was written is not listed"));
                entries
                    .iter()
                    .any(|entry| entry.key == object.address().key())
                    .then_some(())
                    .ok_or_else(missing)
            });
            findings.note("list what was put", listed, |()| String::new());
        }
        findings.note("delete", object.delete(), |()| String::new());
    }
    if let Some(uploads) = object.multipart() {
        findings.multipart(&object, uploads);
    }
    findings.0
}

/// A URL can be read, perhaps.
fn check_object(object: &Remote<'_>) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    let found = object.head();
    let size = found.as_ref().ok().and_then(|found| found.size);
    let told = |found: super::Found| match found.size {
        Some(size) => format!(
            "{size} bytes, {}",
            if found.tells_changes() { "tells changes" } else { "does not tell changes" }
        ),
        None => "the server does not tell the size".to_owned(),
    };
    if findings.note("head", found, told) && size.is_some_and(|size| size > 0) {
        findings.ranges(object);
    }
    findings.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn note<T>(
        &mut self,
        what: &'static str,
        tried: Result<T, StorageError>,
        told: impl FnOnce(T) -> String,
    ) -> bool {
        let works = tried.is_ok();
        let outcome = match tried {
            Ok(value) => Outcome::Works(told(value)),
            Err(error) => Outcome::Fails(error),
        };
        self.0.push(Finding { what, outcome });
        works
    }

    /// Whether the last failure would be that of everything else.
    fn is_hopeless(&self) -> bool {
        matches!(
            self.0.last(),
            Some(Finding { outcome: Outcome::Fails(error), .. }) if !matches!(error.kind, Kind::Denied | Kind::Unsupported)
        )
    }

    fn ranges(&mut self, object: &Remote<'_>) {
        let mut bytes = Vec::new();
        let read = object.read(Some(0..1), None, &mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        });
        let outcome = match read {
            Ok(_) => Outcome::Works(String::new()),
            Err(Failure { kind: Kind::NoRanges, .. }) => {
                Outcome::Lacks("downloads come in one stream and begin anew after a break".to_owned())
            }
            Err(failure) => Outcome::Fails(object.error("read a range of")(failure)),
        };
        self.0.push(Finding { what: "get ranges", outcome });
    }

    /// The object is there: to write it only if it is absent must be refused.
    fn conditions(&mut self, object: &Remote<'_>) {
        let outcome = match object.put(BYTES, &Condition::Absent) {
            Err(error) if error.kind == Kind::Condition => Outcome::Works(String::new()),
            Ok(_) => Outcome::Lacks("a cache that several machines share needs them".to_owned()),
            Err(error) if error.kind == Kind::Unsupported => {
                Outcome::Lacks("a cache that several machines share needs them".to_owned())
            }
            Err(error) => Outcome::Fails(error),
        };
        self.0.push(Finding { what: "put on conditions", outcome });
    }

    fn multipart(&mut self, object: &Remote<'_>, uploads: &dyn Multipart) {
        let key = object.address().key();
        let begun = uploads.begin(&key, None);
        let Ok(upload) = &begun else {
            self.note("upload in parts", begun.map_err(object.error("upload")), |_| String::new());
            return;
        };
        let part = uploads.part(&key, upload, 1, Bytes::from(vec![0; PART]));
        if self.note("upload in parts", part.map_err(object.error("upload")), |_| String::new()) {
            let outcome = match uploads.parts(&key, upload) {
                Ok(_) => Outcome::Works(String::new()),
                Err(_) => Outcome::Lacks("an upload that was broken off begins anew".to_owned()),
            };
            self.0.push(Finding { what: "list parts", outcome });
        }
        let aborted = uploads.abort(&key, upload);
        self.note("take an upload back", aborted.map_err(object.error("upload")), |()| String::new());
    }
}

/// Uploads under a folder that were begun more than a day ago and never completed, aborted when `abort` says so;
/// how many there are.
///
/// # Errors
/// When they cannot be listed or aborted.
pub fn unfinished(folder: &Remote<'_>, abort: bool) -> Result<usize, StorageError> {
    let Some(uploads) = folder.multipart() else { return Ok(0) };
    let now = i64::try_from(seconds_since_1970()).unwrap_or(i64::MAX);
    let mut found = uploads.unfinished(&folder.address().key()).map_err(folder.error("list"))?;
    found.retain(|upload| upload.begun.is_none_or(|begun| now - begun > ABANDONED));
    if abort {
        for upload in &found {
            uploads.abort(&upload.key, &upload.upload).map_err(folder.error("tidy up"))?;
        }
    }
    Ok(found.len())
}
