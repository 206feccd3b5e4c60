//! Ids of requests: the caller's when it sends one, else one that no other request has.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// The header that holds the id, in requests and in answers.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

const MAX_BYTES: usize = 128;

/// Makes ids.
#[derive(Debug)]
pub struct RequestIds {
    /// Differs between processes.
    process: u64,
    next: AtomicU64,
}

impl RequestIds {
    /// Ids of this process.
    pub fn new() -> Self {
        Self { process: RandomState::new().hash_one(std::process::id()), next: AtomicU64::new(0) }
    }

    /// The next id: 32 hexadecimal digits.
    pub fn make(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut digits = [0; 32];
        let both = u128::from(self.process) << 64 | u128::from(number);
        for (position, digit) in digits.iter_mut().rev().enumerate() {
            *digit = b"0123456789abcdef"[(both >> (4 * position) & 15) as usize];
        }
        HeaderValue::from_bytes(&digits).expect("hexadecimal digits may stand in a header")
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self::new()
    }
}

/// The id that the caller sent, unless it is too long or could not stand in a line of a log.
pub fn taken(headers: &HeaderMap) -> Option<HeaderValue> {
    let id = headers.get(HEADER)?;
    let is_fit = (1..=MAX_BYTES).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic);
    is_fit.then(|| id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_when_it_is_fit_and_made_ids_differ() {
        let headers = |id: &[u8]| HeaderMap::from_iter([(HEADER, HeaderValue::from_bytes(id).unwrap())]);
        assert_eq!(taken(&headers(b"abc-1")).unwrap(), "abc-1");
        for id in [&b""[..], b"two words", b"\xff", &[b'a'; 129]] {
            assert_eq!(taken(&headers(id)), None);
        }
        assert_eq!(taken(&HeaderMap::new()), None);
        let ids = RequestIds::new();
        let (first, second) = (ids.make(), ids.make());
        assert_eq!(first.len(), 32);
        assert_ne!(first, second);
        assert!(second.to_str().unwrap().ends_with("0000000000000001"));
    }
}
