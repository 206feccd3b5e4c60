//! The parameters of a request: one place for path and query, because each resource answers to
//! `POST /route?user_id&k` as well as to `GET /route/{user_id}/{k}`.

use std::num::NonZeroUsize;
use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;

use super::error::ApiError;

/// The length of a list when the request does not say.
pub const DEFAULT_K: usize = 25;

/// The longest list of track ids in a request.
pub const MAX_IDS: usize = 1000;

/// Names and values from the path, then from the query.
///
/// All lie in one text, and each pair is where its name starts, its value starts and it ends.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    text: String,
    pairs: Vec<[usize; 3]>,
}

impl Parameters {
    /// Those of a route without parameters in its path.
    pub fn of_query(query: &str) -> Self {
        Self::of([], query)
    }

    fn of<'a>(path: impl IntoIterator<Item = (&'a str, &'a str)>, query: &str) -> Self {
        let mut parameters = Self { text: String::with_capacity(query.len()), pairs: Vec::with_capacity(8) };
        path.into_iter().for_each(|(name, value)| parameters.push(name, value));
        let query = form_urlencoded::parse(query.as_bytes());
        query.for_each(|(name, value)| parameters.push(&name, &value));
        parameters
    }

    fn push(&mut self, name: &str, value: &str) {
        let start = self.text.len();
        self.text.push_str(name);
        self.text.push_str(value);
        self.pairs.push([start, start + name.len(), self.text.len()]);
    }

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
        match found.parse() {
            Ok(k) if (1..=max_k).contains(&k) => Ok(k),
            _ => Err(ApiError::invalid("k", &format!("an integer from 1 to {max_k}"), found)),
        }
    }

    /// A switch that is off when the request does not say.
    ///
    /// # Errors
    /// When it is neither `true` nor `false`.
    pub fn flag(&self, field: &'static str) -> Result<bool, ApiError> {
        self.value(field).map_or(Ok(false), |found| parse(field, found, "true or false"))
    }

    /// A switch that is on when the request does not say.
    ///
    /// # Errors
    /// When it is neither `true` nor `false`.
    pub fn flag_unless_off(&self, field: &'static str) -> Result<bool, ApiError> {
        self.value(field).map_or(Ok(true), |found| parse(field, found, "true or false"))
    }

    /// A number from 1 up, or nothing when the request does not say.
    ///
    /// # Errors
    /// When it is not an integer from 1 up.
    pub fn count(&self, field: &'static str) -> Result<Option<usize>, ApiError> {
        let Some(found) = self.value(field) else { return Ok(None) };
        let expected = "an integer from 1 up";
        parse::<NonZeroUsize>(field, found, expected).map(|count| Some(count.get()))
    }

    /// Track ids, separated by commas, the parameter given any number of times; none when it is empty.
    ///
    /// # Errors
    /// When one is not a 64-bit integer, or there are more than [`MAX_IDS`].
    pub fn ids(&self, field: &'static str) -> Result<Vec<i64>, ApiError> {
        let ids = self.all(field).flat_map(|list| list.split(',')).filter(|id| !id.is_empty());
        let expected = "integers of 64 bits, separated by commas";
        let ids: Vec<i64> = ids.map(|id| parse(field, id.trim(), expected)).collect::<Result<_, _>>()?;
        if ids.len() > MAX_IDS {
            let expected = format!("at most {MAX_IDS} track ids");
            return Err(ApiError::invalid(field, &expected, &ids.len().to_string()));
        }
        Ok(ids)
    }

    /// Every value of a parameter.
    pub fn all(&self, field: &str) -> impl Iterator<Item = &str> {
        let found = self.pairs.iter().filter(move |[start, middle, _]| &self.text[*start..*middle] == field);
        found.map(|&[_, middle, end]| &self.text[middle..end])
    }

    fn value(&self, field: &str) -> Option<&str> {
        self.all(field).next()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = RawPathParams::from_request_parts(parts, state).await;
        let path = path.map_err(|_| ApiError::InvalidAddress)?;
        Ok(Self::of(&path, parts.uri.query().unwrap_or_default()))
    }
}

fn parse<T: FromStr>(field: &'static str, found: &str, expected: &str) -> Result<T, ApiError> {
    found.parse().map_err(|_| ApiError::invalid(field, expected, found))
}
