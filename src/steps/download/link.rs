//! An address as a parameter: written down without what may be secret in it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::storage::Address;
use crate::storage::address::NoAddress;

/// The name under which the whole address reaches the step; no environment variable is called so.
const SECRET: &str = "the whole address";

/// An address.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Link(String);

impl Link {
    /// Whether it is empty, or names a bucket with an empty name: `s3://{{ env.S3_BUCKET_NAME }}/` where none is set.
    pub fn is_off(&self) -> bool {
        let text = self.0.trim();
        text.is_empty() || text == "s3://" || text.starts_with("s3:///")
    }

    /// Whether it can be read.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        self.0.parse::<Address>().map(drop).map_err(|error| error.to_string())
    }

    /// The address; `environment` has what is not written down.
    ///
    /// # Errors
    /// When it is none.
    pub fn address(&self, environment: &BTreeMap<String, String>) -> Result<Address, NoAddress> {
        let written: Address = self.0.parse()?;
        match environment.get(SECRET) {
            Some(whole) => Ok(whole.parse::<Address>()?.with_checksum(written.checksum().cloned())),
            None => Ok(written),
        }
    }

    /// What is not written down.
    pub fn secrets(&self) -> BTreeMap<String, String> {
        let address = self.0.parse::<Address>().ok();
        let whole = address.as_ref().and_then(Address::secret).map(str::to_owned);
        whole.map(|whole| (SECRET.to_owned(), whole)).into_iter().collect()
    }
}

/// Without secrets, with the checksum.
impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.parse::<Address>() {
            Ok(address) => match address.checksum() {
                Some(checksum) => write!(f, "{address}#{}", checksum.to_string().replacen(':', "=", 1)),
                None => write!(f, "{address}"),
            },
            Err(_) => f.write_str(&crate::storage::address::without_secrets(&self.0)),
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_down_has_no_secret_and_leads_back_with_it() {
        let digits = "ab".repeat(32);
        let link: Link = serde_json::from_value(format!("https://h/x?sig=1#sha256={digits}").into()).unwrap();
        let written = serde_json::to_value(&link).unwrap();
        assert_eq!(written, format!("https://h/x?…#sha256={digits}"));
        let again: Link = serde_json::from_value(written).unwrap();
        let address = again.address(&link.secrets()).unwrap();
        assert_eq!(address.secret(), Some("https://h/x?sig=1"));
        assert!(address.checksum().is_some());
    }

    #[test]
    fn an_empty_bucket_means_off() {
        let link = |text: &str| Link(text.to_owned());
        assert!(link("s3:///recsys").is_off() && link("").is_off() && link("s3://").is_off());
        assert!(!link("s3://bucket/recsys").is_off());
    }
}
