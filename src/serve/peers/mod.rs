//! Other services of the layout, asked over HTTP for what this process does not hold.
//!
//! An answer must not suffer for long because a part of the layout does. A call has a time limit.
//! Failed calls are retried once, as long as retries are a small share of all calls: a service that is
//! in trouble gets no storm on top. After several failures in a row it is left alone for a moment, then
//! one call tries again. Calls that ran out of time are not retried.

pub mod sources;
pub mod tables;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{HeaderValue, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::de::DeserializeOwned;

use super::metrics::{Histogram, Page};
use super::operations::Calls;

/// The longest answer that is read.
const MAX_ANSWER: usize = 16 << 20;
/// How long a connection is kept for the next call.
const KEEP: Duration = Duration::from_secs(30);
/// Retries that may be saved up.
const MAX_SAVED: f64 = 10.0;

/// A service that cannot say at the moment; why is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the service cannot be asked")]
pub struct Unreachable;

/// Another service.
#[derive(Debug)]
pub struct Peer {
    name: &'static str,
    url: String,
    client: Client<HttpConnector, Empty<Bytes>>,
    key: Option<HeaderValue>,
    calls: Calls,
    retries: Budget,
    pause: Pause,
    latency: Histogram,
    failed: AtomicU64,
    skipped: AtomicU64,
    retried: AtomicU64,
}

/// Why one attempt came to nothing.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("it answers with status {0}")]
    Status(StatusCode),
    #[error("{0}")]
    Transport(Box<dyn std::error::Error + Send + Sync>),
    #[error("its answer cannot be read: {0}")]
    Answer(serde_json::Error),
}

impl Failure {
    /// Whether another attempt may help.
    fn may_pass(&self) -> bool {
        match self {
            Self::Status(status) => status.is_server_error(),
            Self::Transport(_) => true,
            Self::Answer(_) => false,
        }
    }
}

impl Peer {
    /// The service at `url` that answers `name`; `key` is shown to it.
    pub fn new(name: &'static str, url: String, calls: &Calls, key: Option<HeaderValue>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(calls.timeout_ms));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEEP)
            .build(connector);
        Self {
            name,
            url,
            client,
            key,
            calls: calls.clone(),
            retries: Budget::new(calls.retry_budget),
            pause: Pause::new(calls),
            latency: Histogram::default(),
            failed: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            retried: AtomicU64::new(0),
        }
    }

    /// What it answers.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Asks for the JSON at a path.
    ///
    /// # Errors
    /// When it is left alone for the moment, or does not answer in time and in order.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Unreachable> {
        if !self.pause.may_call() {
            self.skipped.fetch_add(1, Relaxed);
            return Err(Unreachable);
        }
        self.retries.save();
        let begun = Instant::now();
        // In a box, because every answer has room for this call and few make it.
        let called = tokio::time::timeout(self.calls.timeout_ms, Box::pin(self.attempts(path))).await;
        self.latency.observe(begun.elapsed());
        let reason = match called {
            Ok(Ok(answer)) => {
                if self.pause.succeeded() {
                    tracing::info!("`{}` at {} answers again", self.name, self.url);
                }
                return Ok(answer);
            }
            Ok(Err(failure)) => failure.to_string(),
            Err(_) => format!("no answer in {} ms", self.calls.timeout_ms.as_millis()),
        };
        self.failed.fetch_add(1, Relaxed);
        if self.pause.failed() {
            tracing::error!("`{}` at {} is left alone for a while: {reason}", self.name, self.url);
        }
        Err(Unreachable)
    }

    /// Whether it is asked at all.
    pub fn is_well(&self) -> bool {
        self.pause.until.load(Relaxed) == 0
    }

    async fn attempts<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        match self.attempt(path).await {
            Err(failure) if failure.may_pass() && self.retries.spend() => {
                self.retried.fetch_add(1, Relaxed);
                self.attempt(path).await
            }
            result => result,
        }
    }

    async fn attempt<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let mut request = Request::get(format!("{}{path}", self.url));
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, key);
        }
        let request = request.body(Empty::new()).map_err(|error| Failure::Transport(error.into()))?;
        let response =
            self.client.request(request).await.map_err(|error| Failure::Transport(error.into()))?;
        if response.status() != StatusCode::OK {
            return Err(Failure::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect();
        serde_json::from_slice(&body.await.map_err(Failure::Transport)?.to_bytes()).map_err(Failure::Answer)
    }

    /// Writes how often it was asked; the families are announced before.
    fn sample(&self, page: &mut Page, counts: impl Fn(&Self) -> &AtomicU64) {
        page.sample(&[("service", self.name)], counts(self).load(Relaxed));
    }
}

/// Writes the metrics of several peers.
pub fn write(peers: &[&Peer], page: &mut Page) {
    if peers.is_empty() {
        return;
    }
    page.family("recsys_call_duration_seconds", "histogram", "Calls to other services, retries included.");
    peers.iter().for_each(|peer| peer.latency.write(page, &[("service", peer.name)]));
    page.family("recsys_calls_failed_total", "counter", "Calls to other services without an answer.");
    peers.iter().for_each(|peer| peer.sample(page, |peer| &peer.failed));
    page.family("recsys_calls_retried_total", "counter", "Calls to other services that were made twice.");
    peers.iter().for_each(|peer| peer.sample(page, |peer| &peer.retried));
    page.family("recsys_calls_skipped_total", "counter", "Calls not made because the service is left alone.");
    peers.iter().for_each(|peer| peer.sample(page, |peer| &peer.skipped));
}

/// Retries that may be made: a share of the calls, and some saved up.
#[derive(Debug)]
struct Budget {
    share: f64,
    /// Thousandths of a retry.
    saved: AtomicU32,
}

impl Budget {
    fn new(share: f64) -> Self {
        Self { share, saved: AtomicU32::new((share * MAX_SAVED * 1e3) as u32) }
    }

    fn save(&self) {
        let most = (MAX_SAVED * 1e3) as u32;
        let add = (self.share * 1e3) as u32;
        let _ = self.saved.fetch_update(Relaxed, Relaxed, |saved| Some((saved + add).min(most)));
    }

    fn spend(&self) -> bool {
        self.saved.fetch_update(Relaxed, Relaxed, |saved| saved.checked_sub(1000)).is_ok()
    }
}

/// When a service that fails is left alone.
#[derive(Debug)]
struct Pause {
    most_failures: u32,
    length: Duration,
    begun: Instant,
    failures: AtomicU32,
    /// In milliseconds since `begun`; 0 when there is none.
    until: AtomicU64,
}

impl Pause {
    fn new(calls: &Calls) -> Self {
        Self {
            most_failures: u32::try_from(calls.failures_until_pause.get()).unwrap_or(u32::MAX),
            length: calls.pause_ms,
            begun: Instant::now(),
            failures: AtomicU32::new(0),
            until: AtomicU64::new(0),
        }
    }

    /// During a pause no call; after it one, and the others wait for what becomes of it.
    fn may_call(&self) -> bool {
        let until = self.until.load(Relaxed);
        if until == 0 {
            return true;
        }
        let now = self.now();
        now >= until && self.until.compare_exchange(until, self.end_from(now), Relaxed, Relaxed).is_ok()
    }

    /// Whether this ends a pause.
    fn succeeded(&self) -> bool {
        self.failures.store(0, Relaxed);
        self.until.swap(0, Relaxed) != 0
    }

    /// Whether this begins a pause.
    fn failed(&self) -> bool {
        let failures = self.failures.fetch_add(1, Relaxed).saturating_add(1);
        failures >= self.most_failures && self.until.swap(self.end_from(self.now()), Relaxed) == 0
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn end_from(&self, now: u64) -> u64 {
        now + u64::try_from(self.length.as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_share_of_the_calls() {
        let budget = Budget::new(0.1);
        let retries = |calls: usize| (0..calls).filter(|_| (budget.save(), budget.spend()).1).count();
        assert_eq!(retries(10), 2, "one that was saved up, one for ten calls");
        assert_eq!(retries(1000), 100);
        let none = Budget::new(0.0);
        none.save();
        assert!(!none.spend());
    }

    #[test]
    fn a_service_that_fails_is_left_alone_and_tried_by_one_call() {
        let calls = Calls { pause_ms: Duration::from_secs(3600), ..Calls::default() };
        let pause = Pause::new(&calls);
        let failures: Vec<bool> = (0..6).map(|_| pause.failed()).collect();
        assert_eq!(failures, [false, false, false, false, true, false], "the fifth begins the pause");
        assert!(!pause.may_call());
        pause.until.store(1, Relaxed);
        while pause.now() < 1 {
            std::hint::spin_loop();
        }
        assert_eq!([pause.may_call(), pause.may_call()], [true, false]);
        assert!(pause.succeeded());
        assert!(pause.may_call() && pause.may_call());
        assert!(!pause.failed(), "one failure is none in a row");
    }
}
