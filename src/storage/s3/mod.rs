//! S3 and what is compatible with it, by Amazon's own client.
//!
//! The client neither retries nor judges bodies here: both are done in one way for all places
//! ([`retry`](super::retry), [`transfer`](super::transfer)). What is sent carries its MD5, which every server that
//! speaks S3 checks, and the ETag that comes back is held against it; newer checksums are left out because many
//! compatible servers do not know them.

mod client;
mod failure;
mod multipart;

use std::ops::Range;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;

use super::body::drain;
use super::checksum::{Checksum, hex, md5};
use super::error::{Failure, Kind};
use super::runtime::{wait, within};
use super::{Condition, Content, Entry, Found, Multipart, Settings, Sink, Stop, Storage, Written};
use client::Lazy;
use failure::{broken, failure};

/// Where whoever writes an object leaves the BLAKE3 digest of its bytes.
const DIGEST: &str = "blake3";
/// Objects in one page of a listing, as S3 gives them.
const SLOWEST: u64 = 64 << 10;

/// A bucket.
pub struct S3<'a> {
    client: Lazy,
    bucket: String,
    settings: Settings,
    stop: Stop<'a>,
}

impl<'a> S3<'a> {
    /// A bucket; the client is made with the first request.
    pub fn open(bucket: &str, settings: &Settings, stop: Stop<'a>) -> Self {
        let settings = settings.clone();
        Self { client: Lazy::default(), bucket: bucket.to_owned(), settings, stop }
    }

    /// Makes a request with the client, waits for its answer.
    fn ask<T>(&self, request: impl AsyncFnOnce(&Client) -> Result<T, Failure>) -> Result<T, Failure> {
        wait(self.stop, async {
            let client = self.client.get(&self.settings).await?;
            request(client).await
        })
    }

    /// The same for a request that moves few bytes.
    fn ask_briefly<T>(&self, request: impl AsyncFnOnce(&Client) -> Result<T, Failure>) -> Result<T, Failure> {
        self.ask(async |client| within(self.settings.timeout, request(client)).await)
    }

    /// Time for sending so many bytes over a slow line.
    fn time_for(&self, bytes: usize) -> std::time::Duration {
        self.settings.timeout + std::time::Duration::from_secs(bytes as u64 / SLOWEST)
    }

    /// What stands behind an answer to `HEAD`, which has no room for reasons.
    async fn reason(&self, client: &Client, key: &str, seen: Failure) -> Failure {
        match seen.kind {
            Kind::NotFound => {
                let bucket = client.head_bucket().bucket(&self.bucket).send().await;
                match bucket.map_err(failure) {
                    Err(Failure { kind: Kind::NotFound | Kind::NoBucket, .. }) => {
                        Failure::new(Kind::NoBucket, format!("there is no bucket `{}`", self.bucket))
                    }
                    _ => Failure::new(Kind::NotFound, "there is no such object"),
                }
            }
            Kind::Denied | Kind::Refused | Kind::WrongRegion => {
                let range = "bytes=0-0";
                let got = client.get_object().bucket(&self.bucket).key(key).range(range).send().await;
                got.map_err(failure).err().unwrap_or(seen)
            }
            _ => seen,
        }
    }
}

fn found(
    size: Option<u64>,
    etag: Option<&str>,
    modified: Option<&DateTime>,
    own_key: bool,
    blake3: Option<&String>,
) -> Found {
    Found {
        size,
        etag: etag.map(str::to_owned),
        modified: modified.map(DateTime::secs),
        ranges: true,
        checksum: etag.filter(|_| !own_key).and_then(Checksum::of_etag),
        blake3: blake3.cloned(),
    }
}

/// The size of the whole object behind `bytes 0-9/100`.
fn whole_size(content_range: Option<&str>) -> Option<u64> {
    content_range?.rsplit_once('/')?.1.parse().ok()
}

/// Whether the server encrypts with a key of its own, so that ETags tell nothing about the bytes.
macro_rules! own_key {
    ($output:expr) => {
        $output.server_side_encryption().is_some_and(|how| how.as_str() != "AES256")
            || $output.sse_customer_algorithm().is_some()
    };
}
use own_key;

impl Storage for S3<'_> {
    fn head(&self, key: &str) -> Result<Found, Failure> {
        self.ask_briefly(async |client| {
            let head = match client.head_object().bucket(&self.bucket).key(key).send().await {
                Ok(head) => head,
                Err(error) => return Err(self.reason(client, key, failure(error)).await),
            };
            let size = head.content_length().and_then(|size| u64::try_from(size).ok());
            let blake3 = head.metadata().and_then(|metadata| metadata.get(DIGEST));
            Ok(found(size, head.e_tag(), head.last_modified(), own_key!(head), blake3))
        })
    }

    fn read(
        &self,
        key: &str,
        range: Option<Range<u64>>,
        expected: Option<&Found>,
        sink: Sink<'_>,
    ) -> Result<Found, Failure> {
        if range.as_ref().is_some_and(Range::is_empty) {
            return self.head(key);
        }
        self.ask(async |client| {
            let wanted = range.as_ref().map(|range| format!("bytes={}-{}", range.start, range.end - 1));
            let request = client.get_object().bucket(&self.bucket).key(key).set_range(wanted);
            let request = request.set_if_match(expected.and_then(|found| found.etag.clone()));
            let mut got = within(self.settings.timeout, async { request.send().await.map_err(failure) })
                .await
                .map_err(|seen| match seen.kind {
                    Kind::Condition => Failure::new(Kind::Changed, "the object is another one by now"),
                    _ => seen,
                })?;
            let length = got.content_length().and_then(|length| u64::try_from(length).ok());
            let size = match &range {
                Some(_) if got.content_range().is_none() => {
                    return Err(Failure::new(Kind::NoRanges, "the server sends the whole for a range"));
                }
                Some(_) => whole_size(got.content_range()),
                None => length,
            };
            let blake3 = got.metadata().and_then(|metadata| metadata.get(DIGEST));
            let now = found(size, got.e_tag(), got.last_modified(), own_key!(got), blake3);
            if expected.is_some_and(|expected| !expected.agrees_with(&now)) {
                return Err(Failure::new(Kind::Changed, "the object is another one by now"));
            }
            let announced = range.as_ref().map(|range| range.end - range.start).or(length);
            let next = async || got.body.next().await.transpose().map_err(broken);
            drain(announced, self.settings.timeout, sink, next).await?;
            Ok(now)
        })
    }

    fn put(&self, key: &str, content: &Content<'_>, condition: &Condition) -> Result<Written, Failure> {
        let (bytes, digest) = match content {
            Content::Bytes(bytes) => (bytes.clone(), None),
            Content::File { path, blake3 } => {
                let bytes = std::fs::read(path).map_err(Failure::disk(path.display()))?;
                (Bytes::from(bytes), *blake3)
            }
        };
        let sum = md5(&bytes);
        let digest = digest.map_or_else(|| hex(blake3::hash(&bytes).as_bytes()), str::to_owned);
        self.ask(async |client| {
            let limit = self.time_for(bytes.len());
            let request = client
                .put_object()
                .bucket(&self.bucket)
                .key(key)
                .content_md5(BASE64.encode(sum))
                .metadata(DIGEST, digest)
                .body(ByteStream::from(bytes));
            let request = match condition {
                Condition::Always => request,
                Condition::Absent => request.if_none_match("*"),
                Condition::Matches(etag) => request.if_match(etag),
            };
            let send = request.customize().disable_payload_signing();
            let put = within(limit, async { send.send().await.map_err(failure) }).await?;
            if !own_key!(put) {
                same_as_sent(put.e_tag(), &sum)?;
            }
            Ok(Written { etag: put.e_tag().map(str::to_owned) })
        })
    }

    fn list(&self, prefix: &str) -> Result<Vec<Entry>, Failure> {
        self.ask(async |client| {
            let mut entries = Vec::new();
            let mut token: Option<String> = None;
            loop {
                let request = client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
                let request = request.set_continuation_token(token.take());
                let page =
                    within(self.settings.timeout, async { request.send().await.map_err(failure) }).await?;
                entries.extend(page.contents().iter().filter_map(|object| {
                    Some(Entry {
                        key: object.key()?.to_owned(),
                        size: object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                        etag: object.e_tag().map(str::to_owned),
                        modified: object.last_modified().map(DateTime::secs),
                    })
                }));
                token = page.next_continuation_token().map(str::to_owned);
                if token.is_none() || page.is_truncated() == Some(false) {
                    entries.sort_by(|a, b| a.key.cmp(&b.key));
                    return Ok(entries);
                }
            }
        })
    }

    fn delete(&self, key: &str) -> Result<(), Failure> {
        let deleted = self.ask_briefly(async |client| {
            client.delete_object().bucket(&self.bucket).key(key).send().await.map_err(failure)
        });
        match deleted {
            Err(Failure { kind: Kind::NotFound, .. }) => Ok(()),
            deleted => deleted.map(drop),
        }
    }

    fn part_size(&self, key: &str, found: &Found) -> Option<u64> {
        let Some(Checksum::Md5OfParts(_, parts)) = found.checksum else { return None };
        let first = self.ask_briefly(async |client| {
            let request = client.head_object().bucket(&self.bucket).key(key).part_number(1);
            request.send().await.map_err(failure)
        });
        let first = u64::try_from(first.ok()?.content_length()?).ok().filter(|size| *size > 0)?;
        // A server that does not know parts tells the size of the whole.
        (found.size?.div_ceil(first) == parts as u64).then_some(first)
    }

    fn multipart(&self) -> Option<&dyn Multipart> {
        Some(self)
    }
}

/// Whether the ETag, when it is the MD5 that an ETag of S3 is, is that of the bytes that were sent.
fn same_as_sent(etag: Option<&str>, sent: &[u8; 16]) -> Result<(), Failure> {
    match etag.and_then(Checksum::of_etag) {
        Some(Checksum::Md5(stored)) if stored != *sent => {
            let message = format!("the server has md5:{}, sent was md5:{}", hex(&stored), hex(sent));
            Err(Failure::new(Kind::Checksum, message))
        }
        _ => Ok(()),
    }
}
