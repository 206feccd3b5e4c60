//! What keeps a service well under load and among enemies, as written in the service file: limits,
//! keys, origins, and calls to other services.

use std::num::NonZeroUsize;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};

use super::service::{count, share};

/// How much at once, how long, and how large.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// How many connections may be open; further ones wait to be accepted.
    #[serde(deserialize_with = "count")]
    pub max_connections: NonZeroUsize,
    /// How many requests may be in work; further ones are told to come again.
    #[serde(deserialize_with = "count")]
    pub max_requests: NonZeroUsize,
    /// The longest body of a request.
    #[serde(deserialize_with = "count")]
    pub max_body_bytes: NonZeroUsize,
    /// The longest query of a request.
    #[serde(deserialize_with = "count")]
    pub max_query_bytes: NonZeroUsize,
    /// How long a request may take, its body included.
    #[serde(deserialize_with = "milliseconds")]
    pub request_timeout_ms: Duration,
    /// How long a connection may be silent, or slow with the head of a request.
    #[serde(deserialize_with = "milliseconds")]
    pub idle_timeout_ms: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let count = |n| NonZeroUsize::new(n).expect("the default limits are not 0");
        Self {
            max_connections: count(10_000),
            max_requests: count(1024),
            max_body_bytes: count(1 << 20),
            max_query_bytes: count(32 << 10),
            request_timeout_ms: Duration::from_secs(10),
            idle_timeout_ms: Duration::from_secs(60),
        }
    }
}

/// Which environment variables hold the keys that clients must show; several keys are separated by
/// commas. Without a variable named, the door is open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keys {
    /// For every request but those that store events.
    pub read_env: Option<String>,
    /// For requests that store events; such a key reads as well.
    pub write_env: Option<String>,
}

/// Calls to the services of a layout that are not in this process.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// How long a call may take, its retry included; then the answer goes without it.
    #[serde(deserialize_with = "milliseconds")]
    pub timeout_ms: Duration,
    /// The share of calls that may be retried once, from 0 to 1.
    #[serde(deserialize_with = "share")]
    pub retry_budget: f64,
    /// After this many failures in a row a service is left alone for a while.
    #[serde(deserialize_with = "count")]
    pub failures_until_pause: NonZeroUsize,
    /// How long it is left alone.
    #[serde(deserialize_with = "milliseconds")]
    pub pause_ms: Duration,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            timeout_ms: Duration::from_millis(250),
            retry_budget: 0.1,
            failures_until_pause: NonZeroUsize::new(5).expect("5 is not 0"),
            pause_ms: Duration::from_secs(1),
        }
    }
}

/// A time in whole milliseconds, from 1 to an hour.
pub(super) fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let value = i64::deserialize(deserializer)?;
    let found = u64::try_from(value).ok().filter(|ms| (1..=3_600_000).contains(ms));
    found.map(Duration::from_millis).ok_or_else(|| {
        D::Error::custom(format_args!("expected milliseconds from 1 to 3600000, found {value}"))
    })
}

/// Origins of pages that may call the service: `*`, or `https://shop.example`.
pub(super) fn origins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let origins = Vec::<String>::deserialize(deserializer)?;
    let is_origin = |origin: &str| {
        let parsed = origin.parse::<axum::http::Uri>().ok();
        let has_host = parsed.is_some_and(|uri| uri.scheme().is_some() && uri.authority().is_some());
        has_host && origin.matches('/').count() == 2
    };
    match origins.iter().find(|origin| *origin != "*" && !is_origin(origin)) {
        Some(other) => {
            let message = "expected `*` or origins such as https://shop.example, found";
            Err(D::Error::custom(format_args!("{message} `{other}`")))
        }
        None => Ok(origins),
    }
}
