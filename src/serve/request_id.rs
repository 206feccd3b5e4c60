//! The header with the id of a request: the caller's when it sends one, else one that no other request has.

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::ids::Id;

/// The header that holds the id, in requests and in answers.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

const MAX_BYTES: usize = 128;

/// An id as the header has it.
pub fn header(id: &Id) -> HeaderValue {
    HeaderValue::from_bytes(id).expect("hexadecimal digits may stand in a header")
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
    fn an_id_is_taken_when_it_is_fit() {
        let headers = |id: &[u8]| HeaderMap::from_iter([(HEADER, HeaderValue::from_bytes(id).unwrap())]);
        assert_eq!(taken(&headers(b"abc-1")).unwrap(), "abc-1");
        for id in [&b""[..], b"two words", b"\xff", &[b'a'; 129]] {
            assert_eq!(taken(&headers(id)), None);
        }
        assert_eq!(taken(&HeaderMap::new()), None);
        assert_eq!(header(&[b'7'; 32]), "7".repeat(32));
    }
}
