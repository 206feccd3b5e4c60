//! The parameters of a request: one place for path and query, because each resource answers to
//! `POST /route?user_id&k` as well as to `GET /route/{user_id}/{k}`.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Query, RawPathParams};
use axum::http::request::Parts;

use super::error::ApiError;

/// The length of a list when the request does not say.
pub const DEFAULT_K: usize = 25;

/// Names and values from the path, then from the query.
#[derive(Debug, Clone, Default)]
pub struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// An id that the route needs.
    ///
    /// # Errors
    /// When it is missing or not a 64-bit integer.
    pub fn id(&self, field: &'static str) -> Result<i64, ApiError> {
        let found = self.value(field).ok_or(ApiError::MissingParameter { field })?;
        parse(field, found, "an integer of 64 bits")
    }

    /// The length of the answer, from 1 to `max_k`.
    ///
    /// # Errors
    /// When it is not an integer in that range.
    pub fn k(&self, max_k: usize) -> Result<usize, ApiError> {
        let Some(found) = self.value("k") else { return Ok(DEFAULT_K.min(max_k)) };
        let expected = || format!("an integer from 1 to {max_k}");
        let k: usize = parse("k", found, &expected())?;
        if (1..=max_k).contains(&k) {
            Ok(k)
        } else {
            Err(ApiError::InvalidParameter { field: "k", expected: expected(), found: found.to_owned() })
        }
    }

    fn value(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_str())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = RawPathParams::from_request_parts(parts, state).await;
        let path = path.map_err(|_| ApiError::InvalidAddress)?;
        let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let Query(query) = query.map_err(|_| ApiError::InvalidAddress)?;
        let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(Self(path.chain(query).collect()))
    }
}

fn parse<T: FromStr>(field: &'static str, found: &str, expected: &str) -> Result<T, ApiError> {
    found.parse().map_err(|_| {
        let shown: String = found.chars().take(40).collect();
        ApiError::InvalidParameter { field, expected: expected.to_owned(), found: shown }
    })
}
