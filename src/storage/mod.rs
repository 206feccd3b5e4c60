//! Objects far away and near, behind one small trait: S3 and what is compatible with it, HTTP(S), files.
//!
//! | file | what it is |
//! |---|---|
//! | [`address`] | `s3://bucket/key`, `https://…`, `file:…`: parsed, and shown without their secrets |
//! | [`remote`] | one object or folder, opened: what callers hold |
//! | [`s3`], [`http`], [`local`] | the three ways to reach objects |
//! | [`transfer`] | whole files in parallel parts, resumed after a break, verified |
//! | [`check`] | whether a place can be used, and what is missing |
//! | [`error`], [`retry`], [`runtime`], [`settings`] | what goes wrong, what is tried again, where the async code lives, what the environment says |
//!
//! Requests are asynchronous inside; nothing outside of this room sees that: every function blocks, and
//! parallel work is done by threads. The async runtime starts with the first request over the network, so
//! that a run with local files alone pays nothing. Values that are secrets (keys, the query of a presigned
//! URL) are never part of a message: see [`address::Address`] and [`settings::Settings`].

pub mod address;
mod body;
pub mod check;
pub mod checksum;
pub mod error;
mod http;
mod local;
pub mod remote;
mod retry;
mod runtime;
mod s3;
pub mod settings;
pub mod transfer;

use std::ops::Range;
use std::path::Path;

use bytes::Bytes;

use checksum::Checksum;
use error::Failure;

pub use address::Address;
pub use error::StorageError;
pub use remote::Remote;
pub use settings::Settings;

/// Asked often while something is waited for: whether to give up.
pub type Stop<'a> = &'a (dyn Fn() -> bool + Send + Sync);

/// Takes the bytes of an object as they come, in order.
pub type Sink<'a> = &'a mut (dyn FnMut(&[u8]) -> Result<(), Failure> + Send);

/// A place with objects under keys. Each call is one request, made once: whoever calls tries again
/// ([`Remote`] does). Keys are what [`Address`] says: of an object in a bucket, a whole URL, a path.
pub trait Storage: Send + Sync {
    /// What is known of an object.
    ///
    /// # Errors
    /// When there is no such object, or it cannot be asked for.
    fn head(&self, key: &str) -> Result<Found, Failure>;

    /// Hands the bytes of an object, or of a range of it, to `sink`.
    ///
    /// With `expected`, the object must still be that one.
    ///
    /// # Errors
    /// When the object is another one, the connection breaks, or fewer bytes come than were announced;
    /// [`error::Kind::NoRanges`] when the server answers a range with the whole.
    fn read(
        &self,
        key: &str,
        range: Option<Range<u64>>,
        expected: Option<&Found>,
        sink: Sink<'_>,
    ) -> Result<Found, Failure>;

    /// Writes an object as a whole: readers see the old one or the new one. What the server has is held
    /// against the bytes where it tells a checksum.
    ///
    /// # Errors
    /// [`error::Kind::Condition`] when `condition` does not hold.
    fn put(&self, key: &str, content: &Content<'_>, condition: &Condition) -> Result<Written, Failure>;

    /// Every object whose key begins with `prefix`, in the order of the keys.
    ///
    /// # Errors
    /// When the place cannot be listed.
    fn list(&self, prefix: &str) -> Result<Vec<Entry>, Failure>;

    /// Removes an object; one that is not there is as good as removed.
    ///
    /// # Errors
    /// When it may not be removed.
    fn delete(&self, key: &str) -> Result<(), Failure>;

    /// Bytes of each part but the last one of an object that was written in parts, where that can be told.
    fn part_size(&self, _key: &str, _found: &Found) -> Option<u64> {
        None
    }

    /// Uploads in parts, where the place has them.
    fn multipart(&self) -> Option<&dyn Multipart> {
        None
    }
}

/// Uploads in parts: nothing is visible until [`Multipart::complete`].
pub trait Multipart: Send + Sync {
    /// Begins an upload of an object whose bytes have this BLAKE3 digest; its id.
    ///
    /// # Errors
    /// When the place refuses.
    fn begin(&self, key: &str, blake3: Option<&str>) -> Result<String, Failure>;

    /// Sends one part, numbered from 1; its ETag.
    ///
    /// # Errors
    /// When it does not arrive as it was sent.
    fn part(&self, key: &str, upload: &str, number: u32, bytes: Bytes) -> Result<String, Failure>;

    /// The parts that have arrived.
    ///
    /// # Errors
    /// [`error::Kind::NotFound`] when there is no such upload.
    fn parts(&self, key: &str, upload: &str) -> Result<Vec<Part>, Failure>;

    /// Makes the object of its parts; its ETag.
    ///
    /// # Errors
    /// When parts are missing or the place refuses.
    fn complete(&self, key: &str, upload: &str, parts: &[Part]) -> Result<Option<String>, Failure>;

    /// Forgets an upload and its parts; one that is not there is as good as forgotten.
    ///
    /// # Errors
    /// When the place refuses.
    fn abort(&self, key: &str, upload: &str) -> Result<(), Failure>;

    /// Uploads that were begun and neither completed nor aborted, of keys that begin with `prefix`.
    ///
    /// # Errors
    /// When they cannot be listed.
    fn unfinished(&self, prefix: &str) -> Result<Vec<Unfinished>, Failure>;
}

/// What is known of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Bytes; nothing where the server does not tell.
    pub size: Option<u64>,
    /// As the server writes it, quotes included: `"9e107d9d372bb6826bd81d3542a419d6"`.
    pub etag: Option<String>,
    /// When it was last changed, in seconds since 1970.
    pub modified: Option<i64>,
    /// Whether ranges of it can be asked for.
    pub ranges: bool,
    /// What its ETag says about its bytes.
    pub checksum: Option<Checksum>,
    /// The BLAKE3 digest that whoever wrote it has left with it.
    pub blake3: Option<String>,
}

impl Found {
    /// Whether two answers can be about the same bytes, as far as they tell.
    pub fn agrees_with(&self, other: &Self) -> bool {
        fn same<T: PartialEq>(a: Option<&T>, b: Option<&T>) -> bool {
            a.is_none() || b.is_none() || a == b
        }
        same(self.etag.as_ref(), other.etag.as_ref())
            && same(self.size.as_ref(), other.size.as_ref())
            && (self.etag.is_some() || same(self.modified.as_ref(), other.modified.as_ref()))
    }

    /// Whether a later answer would tell that the object has changed.
    pub fn tells_changes(&self) -> bool {
        self.etag.is_some() || self.modified.is_some()
    }
}

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its whole key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// As the server writes it.
    pub etag: Option<String>,
    /// When it was last changed, in seconds since 1970.
    pub modified: Option<i64>,
}

/// What to write.
#[derive(Debug, Clone)]
pub enum Content<'a> {
    /// Bytes in memory.
    Bytes(Bytes),
    /// A file, and the BLAKE3 digest of its bytes where it is known.
    File {
        /// Where it is.
        path: &'a Path,
        /// The digest, in hexadecimal.
        blake3: Option<&'a str>,
    },
}

/// What must be so for an object to be written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    #[default]
    Always,
    /// There is no object under the key.
    Absent,
    /// The object under the key has this ETag.
    Matches(String),
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// As the server writes it.
    pub etag: Option<String>,
}

/// One part of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// As the server writes it.
    pub etag: String,
}

/// An upload that was begun and neither completed nor aborted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// The key of the object that it would have become.
    pub key: String,
    /// Its id.
    pub upload: String,
    /// When it was begun, in seconds since 1970.
    pub begun: Option<i64>,
}
