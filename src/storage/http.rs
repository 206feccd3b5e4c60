//! Objects behind `http:` and `https:`.
//!
//! `HEAD` is asked first; where it is refused (a presigned URL is good for one method alone) the first byte is
//! asked for instead. Redirects are followed, from HTTPS never to HTTP. Nothing is compressed on the way: ranges
//! and checksums are about the bytes of the object.

use std::error::Error;
use std::ops::Range;
use std::time::Duration;

use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, IF_MATCH, IF_NONE_MATCH,
    LAST_MODIFIED, RANGE, RETRY_AFTER,
};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect};

use super::body::drain;
use super::checksum::Checksum;
use super::error::{Failure, Kind};
use super::runtime::{wait, within};
use super::{Condition, Content, Entry, Found, Settings, Sink, Stop, Storage, Written};

/// Redirects that are followed, one after the other.
const REDIRECTS: usize = 10;
/// Bytes a second that a line carries at least, for the time that a whole body may take to send.
const SLOWEST: u64 = 64 << 10;

/// Every URL.
pub struct Http<'a> {
    client: Client,
    timeout: Duration,
    stop: Stop<'a>,
}

impl<'a> Http<'a> {
    /// A client.
    ///
    /// # Errors
    /// When it cannot be set up.
    pub fn open(settings: &Settings, stop: Stop<'a>) -> Result<Self, Failure> {
        let policy = redirect::Policy::custom(|attempt| {
            let from_https = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
            if from_https && attempt.url().scheme() == "http" {
                attempt.error("the redirect leaves HTTPS")
            } else if attempt.previous().len() > REDIRECTS {
                attempt.error("too many redirects")
            } else {
                attempt.follow()
            }
        });
        let client = Client::builder()
            .connect_timeout(settings.timeout)
            .redirect(policy)
            .http1_only()
            .user_agent(concat!("recsys/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::new(Kind::Unreachable, root(&error)))?;
        Ok(Self { client, timeout: settings.timeout, stop })
    }

    fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.client.request(method, url).header(ACCEPT_ENCODING, "identity")
    }

    /// Waits for the head of an answer.
    async fn send(&self, request: RequestBuilder, limit: Duration) -> Result<Response, Failure> {
        let sent = async { request.send().await.map_err(failure) };
        let answer = within(limit, sent).await?;
        if answer.status().is_success() { Ok(answer) } else { Err(refused(&answer)) }
    }
}

impl Storage for Http<'_> {
    fn head(&self, key: &str) -> Result<Found, Failure> {
        wait(self.stop, async {
            match self.send(self.request(Method::HEAD, key), self.timeout).await {
                Ok(answer) => {
                    let size = number(answer.headers(), CONTENT_LENGTH);
                    Ok(found(answer.headers(), size))
                }
                Err(Failure { kind: Kind::Denied | Kind::Unsupported | Kind::Refused, .. }) => {
                    let request = self.request(Method::GET, key).header(RANGE, "bytes=0-0");
                    let answer = match self.send(request, self.timeout).await {
                        // There is no first byte: the object is empty.
                        Err(failure) if failure.message.contains("416") => {
                            return Ok(Found { size: Some(0), ..Found::default() });
                        }
                        answer => answer?,
                    };
                    let size = match answer.status() {
                        StatusCode::PARTIAL_CONTENT => whole_size(answer.headers()),
                        _ => number(answer.headers(), CONTENT_LENGTH),
                    };
                    Ok(found(answer.headers(), size))
                }
                Err(failure) => Err(failure),
            }
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
            return Ok(expected.cloned().unwrap_or_default());
        }
        wait(self.stop, async {
            let mut request = self.request(Method::GET, key);
            if let Some(range) = &range {
                request = request.header(RANGE, format!("bytes={}-{}", range.start, range.end - 1));
            }
            // A weak tag says "much the same", which is not enough to go on with, and may not be asked for.
            if let Some(etag) =
                expected.and_then(|found| found.etag.as_deref()).filter(|e| !e.starts_with("W/"))
            {
                request = request.header(IF_MATCH, etag);
            }
            let mut answer = self.send(request, self.timeout).await.map_err(|seen| match seen.kind {
                Kind::Condition => Failure::new(Kind::Changed, "the object is another one by now"),
                _ => seen,
            })?;
            let length = number(answer.headers(), CONTENT_LENGTH);
            let size = match (&range, answer.status()) {
                (Some(range), StatusCode::PARTIAL_CONTENT) => {
                    if begins_at(answer.headers()).is_some_and(|start| start != range.start) {
                        return Err(Failure::new(Kind::NoRanges, "the server sends another range"));
                    }
                    whole_size(answer.headers())
                }
                (Some(_), _) => {
                    return Err(Failure::new(Kind::NoRanges, "the server sends the whole for a range"));
                }
                (None, _) => length,
            };
            let now = found(answer.headers(), size);
            if expected.is_some_and(|expected| !expected.agrees_with(&now)) {
                return Err(Failure::new(Kind::Changed, "the object is another one by now"));
            }
            let announced = range.as_ref().map(|range| range.end - range.start).or(length);
            let next = async || answer.chunk().await.map_err(|error| broken(&error));
            drain(announced, self.timeout, sink, next).await?;
            Ok(now)
        })
    }

    fn put(&self, key: &str, content: &Content<'_>, condition: &Condition) -> Result<Written, Failure> {
        wait(self.stop, async {
            let request = self.request(Method::PUT, key);
            let request = match condition {
                Condition::Always => request,
                Condition::Absent => request.header(IF_NONE_MATCH, "*"),
                Condition::Matches(etag) => request.header(IF_MATCH, etag),
            };
            let (request, size) = match content {
                Content::Bytes(bytes) => (request.body(bytes.clone()), bytes.len() as u64),
                Content::File { path, .. } => {
                    let file = tokio::fs::File::open(path).await.map_err(Failure::disk(path.display()))?;
                    let size = file.metadata().await.map_err(Failure::disk(path.display()))?.len();
                    // With its length, or it would be sent in chunks, which presigned URLs do not take.
                    (request.header(CONTENT_LENGTH, size).body(file), size)
                }
            };
            let limit = self.timeout + Duration::from_secs(size / SLOWEST);
            let answer = self.send(request, limit).await?;
            Ok(Written { etag: text(answer.headers(), ETAG) })
        })
    }

    fn list(&self, _prefix: &str) -> Result<Vec<Entry>, Failure> {
        Err(Failure::new(Kind::Unsupported, "HTTP knows no listings"))
    }

    fn delete(&self, key: &str) -> Result<(), Failure> {
        let deleted =
            wait(self.stop, async { self.send(self.request(Method::DELETE, key), self.timeout).await });
        match deleted {
            Err(Failure { kind: Kind::NotFound, .. }) => Ok(()),
            deleted => deleted.map(drop),
        }
    }
}

fn found(headers: &HeaderMap, size: Option<u64>) -> Found {
    let etag = text(headers, ETAG);
    let modified = text(headers, LAST_MODIFIED);
    let modified = modified.and_then(|date| chrono::DateTime::parse_from_rfc2822(&date).ok());
    // Only S3 promises what its ETag is.
    let is_s3 = headers.contains_key("x-amz-request-id");
    let own_key = text(headers, HeaderName::from_static("x-amz-server-side-encryption"));
    let tells = is_s3 && own_key.is_none_or(|how| how == "AES256");
    Found {
        size,
        checksum: etag.as_deref().filter(|_| tells).and_then(Checksum::of_etag),
        etag,
        modified: modified.map(|date| date.timestamp()),
        // Whether it keeps that promise is seen when a range is asked for.
        ranges: text(headers, HeaderName::from_static("accept-ranges")).is_none_or(|what| what != "none"),
        blake3: text(headers, HeaderName::from_static("x-amz-meta-blake3")),
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn number(headers: &HeaderMap, name: HeaderName) -> Option<u64> {
    text(headers, name)?.trim().parse().ok()
}

/// The first byte of `bytes 10-19/100`.
fn begins_at(headers: &HeaderMap) -> Option<u64> {
    text(headers, CONTENT_RANGE)?.trim_start_matches("bytes").trim().split_once('-')?.0.parse().ok()
}

/// The size of the whole behind `bytes 10-19/100`.
fn whole_size(headers: &HeaderMap) -> Option<u64> {
    text(headers, CONTENT_RANGE)?.rsplit_once('/')?.1.parse().ok()
}

fn refused(answer: &Response) -> Failure {
    let status = answer.status();
    let kind = match status.as_u16() {
        401 | 403 => Kind::Denied,
        404 | 410 => Kind::NotFound,
        405 | 501 => Kind::Unsupported,
        409 | 412 => Kind::Condition,
        408 | 425 | 429 | 500 | 502 | 503 | 504 => Kind::Busy,
        _ => Kind::Refused,
    };
    let retry_after = number(answer.headers(), RETRY_AFTER).map(Duration::from_secs);
    Failure { retry_after, ..Failure::new(kind, format!("the server answers {status}")) }
}

fn failure(error: reqwest::Error) -> Failure {
    let words = root(&error);
    if error.is_timeout() {
        Failure::new(Kind::TimedOut, format!("no answer in time: {words}"))
    } else if error.is_connect() {
        let kind = if words.contains("certificate") { Kind::Refused } else { Kind::Unreachable };
        Failure::new(kind, format!("no connection: {words}"))
    } else if error.is_redirect() || error.is_builder() {
        Failure::new(Kind::Refused, words)
    } else {
        Failure::new(Kind::Broken, format!("the connection broke: {words}"))
    }
}

fn broken(error: &reqwest::Error) -> Failure {
    Failure::new(Kind::Broken, format!("the connection broke: {}", root(error)))
}

/// What lies at the bottom of an error: the layers above it repeat the URL.
fn root(error: &dyn Error) -> String {
    let mut last = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        last = error.to_string();
        next = error.source();
    }
    last
}
