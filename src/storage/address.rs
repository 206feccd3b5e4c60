//! Addresses of objects: `s3://bucket/key`, `https://host/path`, `file:path`.
//!
//! The query of a URL (presigned ones carry a signature there) and a password before the host are
//! secrets: an address shows itself without them, so that no message, log or record can tell them. The
//! whole of it leaves an address only through [`Address::secret`] and towards the server.
//!
//! A fragment may pin the bytes: `https://host/tracks.parquet#sha256=…`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use miette::Diagnostic;
use thiserror::Error;
use url::Url;

use super::checksum::Checksum;

/// Where an object is.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    place: Place,
    checksum: Option<Checksum>,
}

/// The three kinds of places.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// An object in a bucket of S3 or what is compatible with it; the key may be empty: the whole bucket.
    S3 {
        /// The bucket.
        bucket: String,
        /// The key.
        key: String,
    },
    /// A URL of `http:` or `https:`.
    Http(Box<Url>),
    /// A file of this machine.
    File(PathBuf),
}

/// A text is no address.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
#[error("`{shown}` is no address of an object: {why}")]
#[diagnostic(
    code(recsys::storage::address),
    help("write `s3://bucket/key`, `https://host/path` or `file:path`")
)]
pub struct NoAddress {
    shown: String,
    why: String,
}

impl Address {
    /// What kind of place it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The checksum that the bytes must have.
    pub fn checksum(&self) -> Option<&Checksum> {
        self.checksum.as_ref()
    }

    /// The same with this checksum.
    pub fn with_checksum(self, checksum: Option<Checksum>) -> Self {
        Self { checksum: checksum.or(self.checksum), ..self }
    }

    /// Whether it is reached over a network.
    pub fn is_remote(&self) -> bool {
        !matches!(self.place, Place::File(_))
    }

    /// The last part of its path.
    pub fn file_name(&self) -> String {
        let path = match &self.place {
            Place::S3 { key, .. } => key.clone(),
            Place::Http(url) => url.path().to_owned(),
            Place::File(path) => path.display().to_string(),
        };
        path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// The object under this name, `/` between the two.
    pub fn join(&self, name: &str) -> Self {
        let joined = |folder: &str| match folder {
            "" => name.to_owned(),
            folder => format!("{}/{name}", folder.trim_end_matches('/')),
        };
        let place = match &self.place {
            Place::S3 { bucket, key } => Place::S3 { bucket: bucket.clone(), key: joined(key) },
            Place::Http(url) => {
                let mut url = url.clone();
                let path = joined(url.path());
                url.set_path(&path);
                Place::Http(url)
            }
            Place::File(path) => Place::File(path.join(name)),
        };
        Self { place, checksum: None }
    }

    /// What the address does not show: the whole URL, when it has a query or a password.
    pub fn secret(&self) -> Option<&str> {
        match &self.place {
            Place::Http(url) if url.query().is_some() || has_login(url) => Some(url.as_str()),
            _ => None,
        }
    }

    /// What a storage knows the object by.
    pub fn key(&self) -> String {
        match &self.place {
            Place::S3 { key, .. } => key.clone(),
            Place::Http(url) => url.as_str().to_owned(),
            Place::File(path) => path.to_string_lossy().into_owned(),
        }
    }
}

fn has_login(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Whether a text is meant as an address; `C:` and `step.port` are not.
pub fn is_address(text: &str) -> bool {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("s3" | "http" | "https" | "file"))
}

/// A text without what may be secret in it: the query and the login of every URL.
pub fn without_secrets(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after.find(|c: char| c.is_whitespace() || "\"'`<>{}|".contains(c)).unwrap_or(after.len());
        let (url, tail) = after.split_at(end);
        let (path, query) = url.split_once('?').map_or((url, false), |(path, _)| (path, true));
        let host_end = path.find('/').unwrap_or(path.len());
        let path = match path[..host_end].rfind('@') {
            Some(login) => &path[login + 1..],
            None => path,
        };
        shown.push_str(path);
        if query {
            shown.push_str("?…");
        }
        rest = tail;
    }
    shown.push_str(rest);
    shown
}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let text = text.trim();
        let fail = |why: &str| NoAddress { shown: without_secrets(text), why: why.to_owned() };
        let (body, checksum) = match text.rsplit_once('#') {
            Some((body, fragment))
                if ["sha256=", "blake3=", "md5="].iter().any(|n| fragment.starts_with(n)) =>
            {
                (body, Some(fragment.parse::<Checksum>().map_err(|why| fail(&why))?))
            }
            _ => (text, None),
        };
        let (scheme, rest) = body.split_once(':').ok_or_else(|| fail("it has no scheme"))?;
        let place = match scheme.to_ascii_lowercase().as_str() {
            "s3" => {
                let rest = rest.strip_prefix("//").ok_or_else(|| fail("`s3:` is followed by `//`"))?;
                let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
                let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
                if bucket.is_empty() || !bucket.chars().all(plain) {
                    return Err(fail("the name of its bucket is empty or has signs that no bucket has"));
                }
                Place::S3 { bucket: bucket.to_owned(), key: key.to_owned() }
            }
            "http" | "https" => {
                let mut url = Url::parse(body).map_err(|error| fail(&error.to_string()))?;
                url.set_fragment(None);
                Place::Http(Box::new(url))
            }
            "file" => {
                let path =
                    rest.strip_prefix("//localhost").or_else(|| rest.strip_prefix("//")).unwrap_or(rest);
                if path.is_empty() {
                    return Err(fail("it has no path"));
                }
                Place::File(Path::new(path).to_owned())
            }
            _ => return Err(fail("its scheme is not known")),
        };
        Ok(Self { place, checksum })
    }
}

/// Without secrets.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::S3 { bucket, key } => write!(f, "s3://{bucket}/{key}"),
            Place::Http(url) => f.write_str(&without_secrets(url.as_str())),
            Place::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn an_address_is_read_and_shown() {
        for text in ["s3://bucket/a/b c.parquet", "https://host/a.parquet", "file:/data/a", "s3://bucket/"] {
            assert_eq!(address(text).to_string(), text);
        }
        assert!(*address("file:///data/a").place() == Place::File("/data/a".into()));
        assert_eq!(address("s3://bucket").join("a/b").to_string(), "s3://bucket/a/b");
        assert_eq!(address("s3://bucket/x/").join("a").to_string(), "s3://bucket/x/a");
        assert_eq!(address("https://host/x").join("a.png").to_string(), "https://host/x/a.png");
        assert_eq!(address("s3://bucket/x/a.parquet").file_name(), "a.parquet");
        for wrong in ["s3:bucket", "s3:///key", "s3://b@d/key", "ftp://x/y", "https://", "file:", "x"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let signed = address("https://user:pass@host/a?X-Amz-Signature=c0ffee&x=1");
        assert_eq!(format!("{signed} {signed:?}"), "https://host/a?… https://host/a?…");
        assert!(signed.secret().is_some_and(|whole| whole.contains("c0ffee") && whole.contains("pass")));
        assert_eq!(address("https://host/a").secret(), None);
        assert_eq!(
            without_secrets("get \"http://u:p@h/x?k=v\" and s3://b/k, done?"),
            "get \"http://h/x?…\" and s3://b/k, done?"
        );
        let error = "https://u:pw@[bad/x?sig=1".parse::<Address>().unwrap_err().to_string();
        assert!(!error.contains("sig=1") && !error.contains("pw"), "{error}");
    }

    #[test]
    fn a_fragment_pins_the_bytes() {
        let digits = "ab".repeat(32);
        let pinned = address(&format!("s3://b/k#sha256={digits}"));
        assert_eq!(pinned.checksum().map(ToString::to_string), Some(format!("sha256:{digits}")));
        assert_eq!(pinned.to_string(), "s3://b/k");
        assert!("s3://b/k#sha256=12".parse::<Address>().is_err());
        assert_eq!(address("s3://b/k#1").key(), "k#1");
    }
}
