//! What is asked: a service with its own description, and the ids to ask it for.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::http::{Answer, Place, ask};

/// A service and its own description.
#[derive(Debug)]
pub struct Target {
    /// Where it is.
    pub place: Place,
    /// What it answers at `/openapi.json`.
    pub document: Value,
}

impl Target {
    /// The service at an address.
    ///
    /// # Errors
    /// When nobody answers there, or not as a service of recsys does.
    pub fn find(address: &str, key: Option<&str>) -> Result<Self, String> {
        let base = address.trim_end_matches('/').to_owned();
        let place = Place { base: base.clone(), key: key.map(str::to_owned) };
        let Answer { status, text, json, .. } = ask(&place, "GET", "/openapi.json", None);
        match status {
            200 if json["paths"].is_object() => Ok(Self { place, document: json }),
            0 => Err(format!("{base}: {text}")),
            _ => Err(format!("{base}/openapi.json answers {status} and no description")),
        }
    }

    /// Whether it has this route.
    pub fn has(&self, method: &str, path: &str) -> bool {
        self.document["paths"][path][method.to_lowercase()].is_object()
    }
}

/// What there is to ask for.
#[derive(Debug, Default)]
pub struct Known {
    /// A user with a precomputed list.
    pub user_id: Option<i64>,
    /// A track with similar ones.
    pub track_id: Option<i64>,
    /// A picture.
    pub picture: Option<String>,
}

/// A user id that nobody has: negative, and another one every time.
pub fn made_up_user() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    -i64::try_from(since.as_nanos() / 100).unwrap_or(i64::MAX)
}
