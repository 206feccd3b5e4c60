//! One object or folder, opened: requests are made again as long as that can help, and errors name it.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::address::Place;
use super::error::{Failure, Kind, StorageError};
use super::http::Http;
use super::local::Local;
use super::retry::again;
use super::s3::S3;
use super::{Address, Condition, Content, Entry, Found, Multipart, Settings, Sink, Stop, Storage, Written};

/// An object, or a folder of objects: what callers hold.
///
/// A retried request may have gone well the first time, its answer lost: a conditional put may then find
/// its own object and fail with [`Kind::Condition`]; whoever uses one compares what is there with what it
/// wanted to write.
#[derive(Clone)]
pub struct Remote<'a> {
    storage: Arc<dyn Storage + 'a>,
    address: Address,
    settings: Arc<Settings>,
    stop: Stop<'a>,
}

impl<'a> Remote<'a> {
    /// Opens an address. Nothing is asked yet.
    ///
    /// # Errors
    /// When the client cannot be set up, such as without certificates.
    pub fn open(address: &Address, settings: &Settings, stop: Stop<'a>) -> Result<Self, StorageError> {
        let settings = Arc::new(settings.clone());
        let storage: Arc<dyn Storage + 'a> = match address.place() {
            Place::S3 { bucket, .. } => Arc::new(S3::open(bucket, &settings, stop)),
            Place::Http(_) => {
                Arc::new(Http::open(&settings, stop).map_err(StorageError::new("reach", address))?)
            }
            Place::File(_) => Arc::new(Local::new(stop)),
        };
        Ok(Self { storage, address: address.clone(), settings, stop })
    }

    /// The object under this name in this folder.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        Self { address: self.address.join(name), ..self.clone() }
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How it is reached.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether to give up.
    pub fn stop(&self) -> Stop<'a> {
        self.stop
    }

    /// The storage itself, whose requests are made once.
    pub fn storage(&self) -> &(dyn Storage + 'a) {
        &*self.storage
    }

    /// Uploads in parts, where the place has them.
    pub fn multipart(&self) -> Option<&dyn Multipart> {
        self.storage.multipart()
    }

    /// What is known of the object.
    ///
    /// # Errors
    /// When there is none, or it cannot be asked for.
    pub fn head(&self) -> Result<Found, StorageError> {
        self.try_to("read", || self.storage.head(&self.address.key()))
    }

    /// The same; nothing when there is no such object.
    ///
    /// # Errors
    /// When it cannot be asked for.
    pub fn find(&self) -> Result<Option<Found>, StorageError> {
        match self.head() {
            Err(error) if error.kind == Kind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }

    /// Hands the bytes of a range to `sink`; made once, for `sink` may have taken some when it fails.
    ///
    /// # Errors
    /// See [`Storage::read`].
    pub fn read(
        &self,
        range: Option<Range<u64>>,
        expected: Option<&Found>,
        sink: Sink<'_>,
    ) -> Result<Found, Failure> {
        self.storage.read(&self.address.key(), range, expected, sink)
    }

    /// The whole object, for small ones: its bytes and what is known of it.
    ///
    /// # Errors
    /// When it cannot be read, or has more than `limit` bytes.
    pub fn bytes(&self, limit: usize) -> Result<(Vec<u8>, Found), StorageError> {
        self.try_to("read", || {
            let mut bytes = Vec::new();
            let found = self.read(None, None, &mut |piece| {
                bytes.extend_from_slice(piece);
                let fits = bytes.len() <= limit;
                let refuse = || Failure::new(Kind::Refused, format!("it has more than {limit} bytes"));
                fits.then_some(()).ok_or_else(refuse)
            })?;
            Ok((bytes, found))
        })
    }

    /// Writes bytes as the object.
    ///
    /// # Errors
    /// [`Kind::Condition`] when `condition` does not hold; see above about retries.
    pub fn put(&self, bytes: impl Into<Bytes>, condition: &Condition) -> Result<Written, StorageError> {
        let content = Content::Bytes(bytes.into());
        self.put_content(&content, condition)
    }

    /// Writes bytes or a file as the object, in one request.
    ///
    /// # Errors
    /// As [`Remote::put`].
    pub fn put_content(&self, content: &Content<'_>, condition: &Condition) -> Result<Written, StorageError> {
        self.try_to("write", || self.storage.put(&self.address.key(), content, condition))
    }

    /// Every object in this folder, in the order of their keys. The keys are whole.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub fn list(&self) -> Result<Vec<Entry>, StorageError> {
        let mut prefix = self.address.key();
        if !prefix.is_empty() && !prefix.ends_with('/') {
            prefix.push('/');
        }
        self.try_to("list", || self.storage.list(&prefix))
    }

    /// Removes the object; one that is not there is as good as removed.
    ///
    /// # Errors
    /// When it may not be removed.
    pub fn delete(&self) -> Result<(), StorageError> {
        self.try_to("delete", || self.storage.delete(&self.address.key()))
    }

    /// Makes a request until it goes well or is not worth trying again.
    fn try_to<T>(
        &self,
        action: &'static str,
        request: impl FnMut() -> Result<T, Failure>,
    ) -> Result<T, StorageError> {
        let ended = again(self.settings.attempts, self.stop, request);
        ended.map_err(|failure| self.error(action)(failure))
    }

    /// For `map_err` after trying to `action` this object.
    pub fn error(&self, action: &'static str) -> impl FnOnce(Failure) -> StorageError + use<> {
        let (address, settings) = (self.address.to_string(), Arc::clone(&self.settings));
        move |mut failure| {
            failure.message = settings.without_keys(&failure.message);
            StorageError::new(action, address)(failure)
        }
    }
}
