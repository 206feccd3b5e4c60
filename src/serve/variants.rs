//! A/B variants: which settings a user's answers are made with.
//!
//! A user belongs to the variant that a hash of their id falls on, so that they see the same one in
//! every request, on every replica, after every restart, with nothing stored. Another salt deals the
//! users anew. Users beyond the shares of all variants get the settings of the file, as `default`.

use std::num::NonZeroUsize;

use serde::{Deserialize, Deserializer, de::Error as _};

use super::service::{Blending, First, Mode, Online, Service, count, share};

const REST: &str = "default";
/// What the sum of the shares may be over 1 for their being rounded.
const ROUNDING: f64 = 1e-9;

/// A variant in the service file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// What answers and impressions call it.
    pub name: String,
    /// The share of the users that get it, from 0 to 1.
    #[serde(deserialize_with = "share")]
    pub share: f64,
    /// Where it differs from the `blending` of the file.
    #[serde(default)]
    pub blending: BlendingChange,
}

/// Keys of `blending` that a variant sets differently; see [`Blending`] for what they mean.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(missing_docs, reason = "the fields are those of `Blending`")]
pub struct BlendingChange {
    pub mode: Option<Mode>,
    pub first: Option<First>,
    #[serde(deserialize_with = "some_share")]
    pub probability: Option<f64>,
    pub seed: Option<u64>,
    pub exclude_seen: Option<bool>,
    pub online: Option<Online>,
    #[serde(deserialize_with = "some_count")]
    pub online_events: Option<NonZeroUsize>,
    #[serde(deserialize_with = "some_share")]
    pub recency_decay: Option<f64>,
}

impl BlendingChange {
    fn applied_to(&self, base: &Blending) -> Blending {
        Blending {
            mode: self.mode.unwrap_or(base.mode),
            first: self.first.unwrap_or(base.first),
            probability: self.probability.unwrap_or(base.probability),
            seed: self.seed.unwrap_or(base.seed),
            exclude_seen: self.exclude_seen.unwrap_or(base.exclude_seen),
            online: self.online.unwrap_or(base.online),
            online_events: self.online_events.unwrap_or(base.online_events),
            recency_decay: self.recency_decay.unwrap_or(base.recency_decay),
        }
    }
}

/// The variants of a running service, ready to be asked about users.
#[derive(Debug)]
pub struct Variants {
    salt: String,
    /// Where on the line from 0 to 1 each variant ends, its name and its settings.
    ends: Vec<(f64, String, Blending)>,
    rest: Blending,
}

/// What a user's answer is made with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assigned<'a> {
    /// The name of the variant; `None` when the service has none.
    pub name: Option<&'a str>,
    /// How the final list is put together.
    pub blending: &'a Blending,
}

impl Variants {
    /// The variants of a service file.
    pub fn new(service: &Service) -> Self {
        let mut end = 0.0;
        let ends = service.variants.iter().map(|variant| {
            end += variant.share;
            (end, variant.name.clone(), variant.blending.applied_to(&service.blending))
        });
        Self { ends: ends.collect(), salt: service.variant_salt.clone(), rest: service.blending.clone() }
    }

    /// The variant of a user.
    pub fn of(&self, user_id: i64) -> Assigned<'_> {
        if self.ends.is_empty() {
            return Assigned { name: None, blending: &self.rest };
        }
        let place = place(&self.salt, user_id);
        let found = self.ends.iter().find(|(end, ..)| place < *end);
        // The last of variants that share all users ends at 1, whatever rounding made of it.
        let found = found.or_else(|| self.ends.last().filter(|(end, ..)| *end >= 1.0 - ROUNDING));
        found.map_or(Assigned { name: Some(REST), blending: &self.rest }, |(_, name, blending)| Assigned {
            name: Some(name),
            blending,
        })
    }
}

/// Where a user lies on the line from 0 to 1 (exclusive): the first 53 bits of
/// BLAKE3(salt, 0, user id as little-endian bytes).
fn place(salt: &str, user_id: i64) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(salt.as_bytes()).update(&[0]).update(&user_id.to_le_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    (u64::from_be_bytes(first) >> 11) as f64 / (1u64 << 53) as f64
}

/// Reads the list and checks that names differ and shares are of one whole.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Variant>, D::Error> {
    let variants = Vec::<Variant>::deserialize(deserializer)?;
    for (position, Variant { name, .. }) in variants.iter().enumerate() {
        if name.is_empty() || name == REST || variants[..position].iter().any(|other| other.name == *name) {
            return Err(D::Error::custom(format_args!(
                "expected names of variants that differ, are not empty and not `{REST}`, found `{name}`"
            )));
        }
    }
    let sum: f64 = variants.iter().map(|variant| variant.share).sum();
    if sum > 1.0 + ROUNDING {
        return Err(D::Error::custom(format_args!("expected shares that add up to 1 at most, found {sum}")));
    }
    Ok(variants)
}

fn some_share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    share(deserializer).map(Some)
}

fn some_count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NonZeroUsize>, D::Error> {
    count(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variants(shares: &[(&str, f64)]) -> Variants {
        let variant = |&(name, share): &(&str, f64)| Variant {
            name: name.to_owned(),
            share,
            blending: BlendingChange { first: Some(First::Offline), ..BlendingChange::default() },
        };
        let variants = shares.iter().map(variant).collect();
        Variants::new(&Service { variants, ..Service::default() })
    }

    #[test]
    fn each_variant_gets_its_share_of_the_users_and_the_rest_gets_the_file() {
        let variants = variants(&[("a", 0.5), ("b", 0.2)]);
        let mut counts = [0; 3];
        for user_id in 0..10_000 {
            let assigned = variants.of(user_id);
            let index = ["a", "b", "default"].iter().position(|name| assigned.name == Some(name)).unwrap();
            let first = if index == 2 { First::Online } else { First::Offline };
            assert_eq!(assigned.blending.first, first);
            counts[index] += 1;
        }
        // Five standard deviations of a binomial count of 10,000 are 250 at most.
        for (count, expected) in counts.into_iter().zip([5000i32, 2000, 3000]) {
            assert!((count - expected).abs() < 250, "{counts:?}");
        }
    }

    #[test]
    fn a_user_stays_where_they_are_for_ever_and_another_salt_deals_anew() {
        let places = [i64::MIN, -1, 0, 1, i64::MAX].map(|user_id| (place("recsys", user_id) * 1e6) as u32);
        assert_eq!(places, [596_009, 952_633, 245_377, 279_220, 692_358]);
        assert_ne!(place("recsys", 1), place("other", 1));
        assert_ne!(place("recsys", 1), place("recsys", -1));
    }

    #[test]
    fn shares_that_fill_the_whole_leave_nobody_out() {
        let thirds = variants(&[("a", 0.1), ("b", 0.2), ("c", 0.7)]);
        assert!((0..1000).all(|user_id| thirds.of(user_id).name != Some("default")));
        assert_eq!(variants(&[]).of(1).name, None);
    }
}
