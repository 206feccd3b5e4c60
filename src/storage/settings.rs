//! What the environment (and `.env`) says about reaching objects.
//!
//! Values of keys are secrets: they leave this struct towards the S3 client alone, and do not print.

use std::fmt;
use std::time::Duration;

/// The bucket of a project; an upload without it is skipped.
pub const BUCKET: &str = "S3_BUCKET_NAME";
/// The variable of the endpoint.
pub const ENDPOINT: &str = "S3_ENDPOINT_URL";
/// The variables of the keys.
pub const KEYS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

/// How objects are reached.
#[derive(Clone)]
pub struct Settings {
    /// `S3_ENDPOINT_URL`: another server than Amazon's.
    pub endpoint: Option<String>,
    /// `AWS_REGION` or `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
    /// `S3_PATH_STYLE`: the bucket in the path instead of the host; the default with an endpoint.
    pub path_style: bool,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; without them what the tools of
    /// Amazon take: profiles, roles.
    pub keys: Option<Keys>,
    /// `RECSYS_STORAGE_TIMEOUT` in seconds: a connection that is silent for so long is given up.
    pub timeout: Duration,
    /// `RECSYS_STORAGE_ATTEMPTS`: how often a request is made before it counts as failed.
    pub attempts: u32,
    /// `RECSYS_STORAGE_PARTS`: parts that are under way at once.
    pub concurrency: usize,
    /// `RECSYS_STORAGE_PART_SIZE` in MiB: bytes of one part. Times the number of parts, it bounds the memory.
    pub part_size: u64,
}

/// Keys of S3.
#[derive(Clone)]
pub struct Keys {
    /// The name of the key.
    pub id: String,
    /// The key.
    pub secret: String,
    /// For keys that are lent for a while.
    pub token: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self::from_lookup(|_| None)
    }
}

impl Settings {
    /// What these variables say; an empty one counts as none.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| lookup(name).map(|value| value.trim().to_owned()).filter(|v| !v.is_empty());
        let first = |names: &[&str]| names.iter().find_map(|name| value(name));
        let number = |name: &str, range: std::ops::RangeInclusive<u64>, default: u64| {
            let given = value(name).and_then(|value| value.parse().ok());
            given.filter(|number| range.contains(number)).unwrap_or(default)
        };
        let endpoint = first(&[ENDPOINT, "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]);
        let keys = value(KEYS[0]).zip(value(KEYS[1]));
        let path_style = value("S3_PATH_STYLE").map(|value| matches!(value.as_str(), "1" | "true" | "yes"));
        Self {
            path_style: path_style.unwrap_or(endpoint.is_some()),
            endpoint,
            region: first(&["AWS_REGION", "AWS_DEFAULT_REGION"]),
            keys: keys.map(|(id, secret)| Keys { id, secret, token: value("AWS_SESSION_TOKEN") }),
            timeout: Duration::from_secs(number("RECSYS_STORAGE_TIMEOUT", 1..=3600, 30)),
            attempts: u32::try_from(number("RECSYS_STORAGE_ATTEMPTS", 1..=100, 6)).unwrap_or(6),
            concurrency: usize::try_from(number("RECSYS_STORAGE_PARTS", 1..=256, 8)).unwrap_or(8),
            part_size: number("RECSYS_STORAGE_PART_SIZE", 5..=5 << 10, 8) << 20,
        }
    }

    /// A text in which no key stands.
    pub fn without_keys(&self, text: &str) -> String {
        let Some(keys) = &self.keys else { return text.to_owned() };
        let token = keys.token.as_deref().unwrap_or_default();
        [keys.secret.as_str(), keys.id.as_str(), token]
            .iter()
            .filter(|key| !key.is_empty())
            .fold(text.to_owned(), |text, key| text.replace(key, "…"))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("endpoint", &self.endpoint.as_deref().map(super::address::without_secrets))
            .field("region", &self.region)
            .field("keys", &self.keys.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_none_and_an_impossible_one_is_the_default() {
        let settings = Settings::from_lookup(|name| match name {
            ENDPOINT => Some("http://user:hunter2@127.0.0.1:9".to_owned()),
            "AWS_ACCESS_KEY_ID" => Some("AKEXAMPLE".to_owned()),
            "AWS_SECRET_ACCESS_KEY" => Some(" s3cret ".to_owned()),
            "AWS_SESSION_TOKEN" => Some(String::new()),
            "RECSYS_STORAGE_PART_SIZE" => Some("1".to_owned()),
            _ => None,
        });
        assert!(settings.path_style);
        assert_eq!(settings.part_size, 8 << 20);
        assert_eq!(settings.keys.as_ref().map(|keys| keys.secret.as_str()), Some("s3cret"));
        assert_eq!(settings.without_keys("AKEXAMPLE signed s3cret"), "… signed …");
        let shown = format!("{settings:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("hunter2"), "{shown}");
    }
}
