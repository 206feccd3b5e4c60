//! API keys: who may read, who may write.
//!
//! Keys come from environment variables that the service file names, so that no file holds a secret.
//! They are kept and compared as BLAKE3 hashes: equal lengths, compared in constant time, and nothing
//! that could slip into a log.

use axum::http::{HeaderMap, header};

use super::failure::ServiceError;
use super::operations::Keys;
use super::routes::Access;

/// The keys of a service; `None` where the door is open.
#[derive(Debug, Default)]
pub struct KeyRing {
    read: Option<Vec<blake3::Hash>>,
    write: Option<Vec<blake3::Hash>>,
}

impl KeyRing {
    /// Takes the keys from the environment.
    ///
    /// # Errors
    /// When a variable that is named is not set or holds no key.
    pub fn from_env(keys: &Keys) -> Result<Self, ServiceError> {
        Self::new(keys, |name| std::env::var(name).ok())
    }

    fn new(keys: &Keys, variable: impl Fn(&str) -> Option<String>) -> Result<Self, ServiceError> {
        let hashes = |name: &Option<String>| -> Result<Option<Vec<blake3::Hash>>, ServiceError> {
            let Some(name) = name else { return Ok(None) };
            let text = variable(name).unwrap_or_default();
            let keys = text.split(',').map(str::trim).filter(|key| !key.is_empty());
            let hashes: Vec<_> = keys.map(|key| blake3::hash(key.as_bytes())).collect();
            if hashes.is_empty() {
                return Err(ServiceError::MissingKey { variable: name.clone() });
            }
            Ok(Some(hashes))
        };
        Ok(Self { read: hashes(&keys.read_env)?, write: hashes(&keys.write_env)? })
    }

    /// Whether a request may use a route: `authorization: Bearer KEY` or `x-api-key: KEY`.
    pub fn allow(&self, access: Access, headers: &HeaderMap) -> bool {
        let asked = match access {
            Access::Open => None,
            Access::Read => self.read.as_ref(),
            Access::Write => self.write.as_ref(),
        };
        let Some(asked) = asked else { return true };
        let Some(shown) = shown(headers) else { return false };
        let shown = blake3::hash(shown);
        // Every key is compared, so that the time does not tell which one was near.
        let fits = |keys: &[blake3::Hash]| keys.iter().fold(false, |found, key| found | (*key == shown));
        let may_write = self.write.as_deref().is_some_and(fits);
        fits(asked) | (access == Access::Read && may_write)
    }
}

fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get("x-api-key") {
        return Some(key.as_bytes());
    }
    let (scheme, key) = headers.get(header::AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(read: Option<&str>, write: Option<&str>) -> KeyRing {
        let keys = Keys { read_env: read.map(|_| "R".to_owned()), write_env: write.map(|_| "W".to_owned()) };
        let value = |name: &str| if name == "R" { read } else { write }.map(str::to_owned);
        KeyRing::new(&keys, value).unwrap()
    }

    fn header(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())])
    }

    #[test]
    fn a_key_opens_its_doors_and_no_others() {
        let both = ring(Some("r1, r2"), Some("w"));
        for (headers, reads, writes) in [
            (HeaderMap::new(), false, false),
            (header("authorization", "Bearer r1"), true, false),
            (header("authorization", "bearer r2"), true, false),
            (header("x-api-key", "w"), true, true),
            (header("x-api-key", "r1, r2"), false, false),
            (header("x-api-key", ""), false, false),
            (header("authorization", "Basic r1"), false, false),
            (header("authorization", "Bearer"), false, false),
        ] {
            assert!(both.allow(Access::Open, &headers));
            let found = (both.allow(Access::Read, &headers), both.allow(Access::Write, &headers));
            assert_eq!(found, (reads, writes), "{headers:?}");
        }
        let writes_only = ring(None, Some("w"));
        assert!(writes_only.allow(Access::Read, &HeaderMap::new()));
        assert!(!writes_only.allow(Access::Write, &HeaderMap::new()));
        assert!(ring(None, None).allow(Access::Write, &HeaderMap::new()));
    }

    #[test]
    fn a_variable_without_a_key_keeps_the_service_from_starting() {
        for value in [None, Some(String::new()), Some(" , ".to_owned())] {
            let keys = Keys { read_env: Some("SHOP_KEY".to_owned()), write_env: None };
            let refusal = KeyRing::new(&keys, |_| value.clone()).unwrap_err();
            assert!(refusal.to_string().contains("`SHOP_KEY`"), "{refusal}");
        }
    }

    #[test]
    fn no_key_can_be_read_in_what_is_printed() {
        assert!(!format!("{:?}", ring(Some("very-secret"), None)).contains("very-secret"));
    }
}
