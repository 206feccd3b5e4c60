//! What a list is worth beside hits: is it new, is it more than the charts, is it surprising.
//!
//! All but `serendipity` look at the list alone and are averaged over users that have one; the
//! caller cuts the list at `k`. [`Popularity`] is counted in the history (`train`), once for all lists.

use crate::interactions::Interactions;

/// What the history says of each item.
#[derive(Debug, Clone)]
pub struct Popularity {
    users_of_item: Vec<u32>,
    self_information: Vec<f64>,
    rank: Vec<u32>,
}

impl Popularity {
    /// Counts the users of every item in `history`.
    ///
    /// The popularity rank is dense: the most popular items have rank 1, items with the next lower
    /// count rank 2; items without a user have none.
    pub fn count(history: &Interactions) -> Self {
        let users_of_item = history.item_counts();
        let n_users = history.row_starts().windows(2).filter(|pair| pair[0] < pair[1]).count();
        let mut counts: Vec<u32> = users_of_item.iter().copied().filter(|&count| count > 0).collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        counts.dedup();
        let rank = users_of_item
            .iter()
            .map(|&count| match count {
                0 => NO_RANK,
                // `counts` falls, so that the position of a count is its rank − 1.
                _ => counts.partition_point(|&other| other > count) as u32 + 1,
            })
            .collect();
        let self_information = users_of_item
            .iter()
            .map(|&count| -(f64::from(count.max(1)) / (n_users.max(1)) as f64).log2())
            .collect();
        Self { users_of_item, self_information, rank }
    }

    /// Users of an item in the history.
    pub fn users_of(&self, item: u32) -> u32 {
        self.users_of_item[item as usize]
    }

    /// −log₂ p_i, p_i = users of the item / users of the history; an item without users counts as one
    /// with a single user (as in RecTools' `MeanInvUserFreq`).
    pub fn self_information(&self, item: u32) -> f64 {
        self.self_information[item as usize]
    }
}

const NO_RANK: u32 = u32::MAX;

/// Mean self-information of the items, in bits: RecTools' *mean inverse user frequency*.
pub fn novelty(list: &[u32], popularity: &Popularity) -> f64 {
    mean(list, |item| popularity.self_information(item))
}

/// Share of the items that are not in the user's history, a rising slice.
pub fn unseen(list: &[u32], history: &[u32]) -> f64 {
    mean(list, |item| f64::from(history.binary_search(&item).is_err()))
}

/// Mean number of users of the items in the history: *average recommendation popularity*.
pub fn popularity_bias(list: &[u32], popularity: &Popularity) -> f64 {
    mean(list, |item| f64::from(popularity.users_of(item)))
}

/// Hits that the charts would not have given, as RecTools defines it:
/// Σ_{i ≤ k} max(p(i) − p_u(i), 0) · rel_i / k with p(i) = (N + 1 − i) / N and
/// p_u(i) = (N + 1 − popularity rank of the item at i) / N, or 0 for an item without users;
/// N is the size of the catalogue.
///
/// Like `precision`, a list shorter than `k` counts as if filled with misses.
pub fn serendipity(list: &[u32], hits: &[bool], k: usize, n_items: usize, popularity: &Popularity) -> f64 {
    let n = n_items as f64;
    let sum = list
        .iter()
        .zip(hits)
        .take(k)
        .enumerate()
        .filter(|(_, (_, hit))| **hit)
        .map(|(place, (&item, _))| {
            let for_user = (n - place as f64) / n;
            let for_anyone = match popularity.rank[item as usize] {
                NO_RANK => 0.0,
                rank => (n + 1.0 - f64::from(rank)) / n,
            };
            (for_user - for_anyone).max(0.0)
        })
        .fold(0.0, |sum, gain| sum + gain);
    if k == 0 { 0.0 } else { sum / k as f64 }
}

fn mean(list: &[u32], value: impl Fn(u32) -> f64) -> f64 {
    if list.is_empty() { 0.0 } else { list.iter().map(|&item| value(item)).sum::<f64>() / list.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Users of items 0 … 3 in the history: 3, 2, 0, 2; a fourth user has none.
    fn popularity() -> Popularity {
        let pairs = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (1, 3), (2, 3)];
        let pairs = pairs.map(|(user, item)| (user, item, 1.0));
        Popularity::count(&Interactions::from_triplets(4, 4, pairs).unwrap())
    }

    #[test]
    fn novelty_is_the_mean_self_information_in_bits() {
        // Item 0: −log2(3/3) = 0; item 1: −log2(2/3); item 2, unknown, as one user: −log2(1/3).
        let expected = ((1.5f64).log2() + 3f64.log2()) / 3.0;
        assert!((novelty(&[0, 1, 2], &popularity()) - expected).abs() < 1e-12);
    }

    #[test]
    fn popularity_bias_and_unseen_are_means_over_the_list() {
        assert_eq!(popularity_bias(&[0, 1, 2], &popularity()), 5.0 / 3.0);
        assert_eq!(unseen(&[0, 1, 2, 3], &[1, 2, 9]), 0.5);
        assert_eq!(
            (novelty(&[], &popularity()), unseen(&[], &[]), popularity_bias(&[], &popularity())),
            (0.0, 0.0, 0.0)
        );
    }

    #[test]
    fn serendipity_is_worth_more_for_hits_on_rare_items() {
        let popularity = popularity();
        // N = 4. Item 0 (rank 1 of popularity) at place 1: 4/4 − 4/4 = 0.
        assert_eq!(serendipity(&[0], &[true], 1, 4, &popularity), 0.0);
        // Items 1 and 3 tie on rank 2, (4 + 1 − 2)/4: at place 1: 4/4 − 3/4 = 1/4.
        assert_eq!(serendipity(&[3], &[true], 1, 4, &popularity), 0.25);
        // Item 2 has no users: place 2 of k = 2: (4 − 1)/4 − 0, halved; the miss at place 1 adds nothing.
        assert_eq!(serendipity(&[1, 2], &[false, true], 2, 4, &popularity), 0.375);
    }
}
