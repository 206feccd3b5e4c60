//! From several ranked lists to one: online and offline blended, filled up with popular tracks.
//!
//! Pure functions over items; who the user is and where the lists come from is decided elsewhere.

use std::collections::HashSet;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::service::{Blending, First, Mode};

/// A recommended item and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pick {
    /// Index in the catalogue.
    pub item: u32,
    /// How strongly it is recommended; comparable within one source only.
    pub score: f32,
    /// The list that it comes from.
    pub source: Source,
}

/// Where an item, or a whole answer, comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The precomputed list of the user.
    Personal,
    /// Tracks similar to the user's last events.
    Similar,
    /// The popular tracks.
    Default,
    /// Personal and similar; of answers only.
    Blend,
}

impl Source {
    /// Every source, in the order of the statistics.
    pub const ALL: [Self; 4] = [Self::Personal, Self::Similar, Self::Default, Self::Blend];
}

/// The four cases: which lists have anything to say.
pub fn case(online: &[Pick], offline: &[Pick]) -> Source {
    match (online.is_empty(), offline.is_empty()) {
        (true, true) => Source::Default,
        (false, true) => Source::Similar,
        (true, false) => Source::Personal,
        (false, false) => Source::Blend,
    }
}

/// Blends two lists, fills up from `popular`, and cuts at `k`.
///
/// Positions are drawn from the lists as they are; then the second occurrence of an item is
/// removed, keeping the order. When one list ends, the rest of the other follows.
pub fn blend(
    online: &[Pick],
    offline: &[Pick],
    popular: impl Iterator<Item = Pick>,
    k: usize,
    blending: &Blending,
    seed: u64,
) -> Vec<Pick> {
    let (first, second) = match blending.first {
        First::Online => (online, offline),
        First::Offline => (offline, online),
    };
    let (mut first, mut second) = (first.iter().copied(), second.iter().copied());
    let mut generator = Pcg64Mcg::seed_from_u64(blending.seed ^ seed);
    let mut position = 0u32;
    let mixed = std::iter::from_fn(|| {
        let take_first = match blending.mode {
            Mode::Strict => position.is_multiple_of(2),
            Mode::Probability => generator.random_bool(blending.probability),
        };
        position += 1;
        if take_first {
            first.next().or_else(|| second.next())
        } else {
            second.next().or_else(|| first.next())
        }
    });
    let mut taken = HashSet::with_capacity(k);
    mixed.chain(popular).filter(|pick| taken.insert(pick.item)).take(k).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picks(items: &[u32], source: Source) -> Vec<Pick> {
        items.iter().map(|&item| Pick { item, score: 1.0, source }).collect()
    }

    fn blended(online: &[u32], offline: &[u32], popular: &[u32], k: usize, blending: &Blending) -> Vec<u32> {
        let popular = picks(popular, Source::Default);
        let (online, offline) = (picks(online, Source::Similar), picks(offline, Source::Personal));
        blend(&online, &offline, popular.into_iter(), k, blending, 1).iter().map(|pick| pick.item).collect()
    }

    #[test]
    fn strict_alternates_and_the_first_list_gets_the_first_position() {
        let online_first = Blending::default();
        let offline_first = Blending { first: First::Offline, ..Blending::default() };
        assert_eq!(blended(&[1, 2], &[11, 12, 13, 14], &[], 9, &online_first), [1, 11, 2, 12, 13, 14]);
        assert_eq!(blended(&[1, 2], &[11, 12, 13, 14], &[], 3, &offline_first), [11, 1, 12]);
    }

    #[test]
    fn duplicates_go_and_popular_tracks_fill_up() {
        let blending = Blending::default();
        assert_eq!(blended(&[1, 2], &[1, 4], &[2, 9, 1, 8, 7], 5, &blending), [1, 2, 4, 9, 8]);
        assert_eq!(blended(&[], &[], &[2, 9], 5, &blending), [2, 9]);
    }

    #[test]
    fn the_four_cases_follow_from_the_lists() {
        let (some, none) = (picks(&[1], Source::Similar), Vec::new());
        let cases = [(&none, &none), (&some, &none), (&none, &some), (&some, &some)]
            .map(|(online, offline)| case(online, offline));
        assert_eq!(cases, [Source::Default, Source::Similar, Source::Personal, Source::Blend]);
    }

    proptest! {
        #[test]
        fn a_blend_keeps_every_item_once_and_the_order_of_each_list(
            n_online in 0u32..40, n_offline in 0u32..40, probability in 0.0..=1.0f64, seed: u64,
        ) {
            let blending = Blending { mode: Mode::Probability, probability, seed, ..Blending::default() };
            let online: Vec<u32> = (0..n_online).collect();
            let offline: Vec<u32> = (100..100 + n_offline).collect();
            let items = blended(&online, &offline, &[], 100, &blending);
            let of = |list: &[u32]| items.iter().copied().filter(|item| list.contains(item)).collect::<Vec<_>>();
            prop_assert_eq!(of(&online), online);
            prop_assert_eq!(of(&offline), offline);
            prop_assert_eq!(&items, &blended(&(0..n_online).collect::<Vec<_>>(), &(100..100 + n_offline).collect::<Vec<_>>(), &[], 100, &blending));
        }
    }

    #[test]
    fn probability_takes_its_share_from_the_first_list() {
        let blending = Blending { mode: Mode::Probability, probability: 0.2, ..Blending::default() };
        let (online, offline): (Vec<u32>, Vec<u32>) = ((0..5000).collect(), (5000..10_000).collect());
        let items = blended(&online, &offline, &[], 5000, &blending);
        let share = items.iter().filter(|&&item| item < 5000).count() as f64 / 5000.0;
        assert!((share - 0.2).abs() < 0.02, "{share}");
    }
}
