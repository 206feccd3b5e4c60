//! From several ranked lists to one: online and offline blended, filled up with popular tracks.
//!
//! Pure functions over items; who the user is and where the lists come from is decided elsewhere.

use std::ops::ControlFlow;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::service::{Blending, First, Mode};
use super::taken::Taken;

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

/// Where an item comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The precomputed list of the user.
    Personal,
    /// Tracks similar to the user's last events.
    Online,
    /// Tracks similar to the one that was asked for.
    Similar,
    /// The popular tracks.
    Popular,
}

/// What a whole answer was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    /// The precomputed list of the user.
    Personal,
    /// Tracks similar to the user's last events, or to the one that was asked for.
    Similar,
    /// Popular tracks only.
    Default,
    /// Personal and similar.
    Blend,
}

impl Case {
    /// Every case, in the order of the statistics.
    pub const ALL: [Self; 4] = [Self::Personal, Self::Similar, Self::Default, Self::Blend];

    /// Which of the four it is: which lists have anything to say.
    pub fn of(has_online: bool, has_offline: bool) -> Self {
        match (has_online, has_offline) {
            (false, false) => Self::Default,
            (true, false) => Self::Similar,
            (false, true) => Self::Personal,
            (true, true) => Self::Blend,
        }
    }

    /// Its name in answers, statistics and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Personal => "personal",
            Self::Similar => "similar",
            Self::Default => "default",
            Self::Blend => "blend",
        }
    }
}

/// Blends two lists: positions are drawn from the lists as they are; when one ends, the rest of the
/// other follows.
pub fn blend<'a>(
    online: &'a mut dyn Iterator<Item = Pick>,
    offline: &'a mut dyn Iterator<Item = Pick>,
    blending: &'a Blending,
    seed: u64,
) -> impl Iterator<Item = Pick> + 'a {
    let (first, second) = match blending.first {
        First::Online => (online, offline),
        First::Offline => (offline, online),
    };
    let mut generator = Pcg64Mcg::seed_from_u64(blending.seed ^ seed);
    let mut position = 0u32;
    std::iter::from_fn(move || {
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
    })
}

/// The first `k` different items that `admits` lets in; it is asked of each item at most once.
pub fn cut(
    mut picks: impl Iterator<Item = Pick>,
    k: usize,
    mut admits: impl FnMut(u32) -> bool,
) -> Vec<Pick> {
    let (mut taken, mut list) = (Taken::with_room_for(k), Vec::with_capacity(k));
    if k == 0 {
        return list;
    }
    // A loop inside the iterators, which are chained, and quicker so than one around them.
    let _ = picks.try_for_each(|pick| {
        if taken.insert(pick.item) && admits(pick.item) {
            list.push(pick);
        }
        if list.len() < k { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    list
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn picks(items: &[u32], source: Source) -> Vec<Pick> {
        items.iter().map(|&item| Pick { item, score: 1.0, source }).collect()
    }

    fn blended(online: &[u32], offline: &[u32], popular: &[u32], k: usize, blending: &Blending) -> Vec<u32> {
        let popular = picks(popular, Source::Popular);
        let mut online = picks(online, Source::Online).into_iter();
        let mut offline = picks(offline, Source::Personal).into_iter();
        let blended = blend(&mut online, &mut offline, blending, 1);
        cut(blended.chain(popular), k, |_| true).iter().map(|pick| pick.item).collect()
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
        let cases = [(false, false), (true, false), (false, true), (true, true)]
            .map(|(has_online, has_offline)| Case::of(has_online, has_offline));
        assert_eq!(cases, [Case::Default, Case::Similar, Case::Personal, Case::Blend]);
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
