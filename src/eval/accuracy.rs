//! How well a list hits what the user chose later.
//!
//! `hits[i]` says whether the item at position `i` (0-based) is relevant, `n_relevant` is |T_u|, the
//! size of the relevant set. Relevance is binary. A list shorter than `k` counts as if filled with
//! misses; an empty relevant set gives 0. Every value lies in [0, 1].
//!
//! Variants differ between libraries, so each is named: `ndcg` and `map` divide by what the best list
//! of `k` could reach, min(k, |T_u|), as RePlay and implicit do (RecTools calls that NDCG
//! *achievable*); `precision` divides by `k`, as RecTools and RePlay do (implicit does not).

/// hits / k.
pub fn precision(hits: &[bool], k: usize) -> f64 {
    if k == 0 { 0.0 } else { count(hits, k) / k as f64 }
}

/// hits / |T_u|.
pub fn recall(hits: &[bool], n_relevant: usize, k: usize) -> f64 {
    if n_relevant == 0 { 0.0 } else { count(hits, k) / n_relevant as f64 }
}

/// 1 if there is any hit.
pub fn hit_rate(hits: &[bool], k: usize) -> f64 {
    f64::from(top(hits, k).contains(&true))
}

/// Normalised discounted cumulative gain: Σ rel_i / log₂(i + 1), over that of min(k, |T_u|) hits in a row.
///
/// Source: Järvelin, Kekäläinen, *Cumulated gain-based evaluation of IR techniques*, 2002; with the
/// discount log₂(rank + 1) and binary gains.
pub fn ndcg(hits: &[bool], n_relevant: usize, k: usize) -> f64 {
    let gain = |place: usize| 1.0 / (place as f64 + 2.0).log2();
    let (mut found, mut ideal) = (0.0, 0.0);
    for place in 0..k.min(n_relevant.max(hits.len())) {
        if place < n_relevant {
            ideal += gain(place);
        }
        if hits.get(place) == Some(&true) {
            found += gain(place);
        }
    }
    if ideal == 0.0 { 0.0 } else { found / ideal }
}

/// Average precision: Σ precision@i · rel_i / min(k, |T_u|).
pub fn average_precision(hits: &[bool], n_relevant: usize, k: usize) -> f64 {
    let (mut n_hits, mut sum) = (0.0, 0.0);
    for (place, &hit) in top(hits, k).iter().enumerate() {
        if hit {
            n_hits += 1.0;
            sum += n_hits / (place as f64 + 1.0);
        }
    }
    let best = k.min(n_relevant);
    if best == 0 { 0.0 } else { sum / best as f64 }
}

/// 1 / rank of the first hit, 0 without one.
pub fn reciprocal_rank(hits: &[bool], k: usize) -> f64 {
    top(hits, k).iter().position(|&hit| hit).map_or(0.0, |place| 1.0 / (place as f64 + 1.0))
}

fn top<T>(list: &[T], k: usize) -> &[T] {
    &list[..k.min(list.len())]
}

fn count(hits: &[bool], k: usize) -> f64 {
    top(hits, k).iter().filter(|hit| **hit).count() as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HIT: bool = true;
    const MISS: bool = false;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    #[test]
    fn values_worked_by_hand() {
        // Four recommendations, hits at ranks 1 and 3, three relevant items.
        let hits = [HIT, MISS, HIT, MISS];
        close(precision(&hits, 4), 2.0 / 4.0);
        close(recall(&hits, 3, 4), 2.0 / 3.0);
        close(hit_rate(&hits, 4), 1.0);
        // DCG = 1/log2(2) + 1/log2(4) = 1 + 1/2; ideal of 3 hits = 1 + 1/log2(3) + 1/2 = 2.130929753571457.
        close(ndcg(&hits, 3, 4), 1.5 / 2.130929753571457);
        // precision@1 = 1, precision@3 = 2/3; divided by min(4, 3).
        close(average_precision(&hits, 3, 4), (1.0 + 2.0 / 3.0) / 3.0);
        close(reciprocal_rank(&hits, 4), 1.0);
        // Cut at 2: one hit; the ideal is two hits = 1 + 1/log2(3) = 1.6309297535714573.
        close(ndcg(&hits, 3, 2), 1.0 / 1.6309297535714573);
        close(average_precision(&hits, 3, 2), 1.0 / 2.0);
        close(reciprocal_rank(&[MISS, MISS, HIT], 3), 1.0 / 3.0);
    }

    #[test]
    fn a_perfect_ranking_is_worth_one() {
        // All relevant items first; |T| below, at and above k.
        for (hits, n_relevant) in [([HIT, MISS, MISS], 1), ([HIT, HIT, HIT], 3), ([HIT, HIT, HIT], 7)] {
            close(ndcg(&hits, n_relevant, 3), 1.0);
            close(average_precision(&hits, n_relevant, 3), 1.0);
            close(reciprocal_rank(&hits, 3), 1.0);
        }
    }

    #[test]
    fn a_list_shorter_than_k_is_filled_with_misses() {
        close(precision(&[HIT], 5), 1.0 / 5.0);
        close(recall(&[HIT], 4, 5), 1.0 / 4.0);
        // Ideal of min(5, 4) hits: 1 + 0.6309297535714575 + 0.5 + 0.43067655807339306.
        close(ndcg(&[HIT], 4, 5), 1.0 / 2.5616063116448506);
        close(average_precision(&[HIT], 4, 5), 1.0 / 4.0);
    }

    #[test]
    fn an_empty_truth_or_an_empty_list_is_worth_nothing() {
        for (hits, n_relevant) in [(&[MISS, MISS][..], 0), (&[][..], 3), (&[][..], 0)] {
            assert_eq!(precision(hits, 2), 0.0);
            assert_eq!(recall(hits, n_relevant, 2), 0.0);
            assert_eq!(hit_rate(hits, 2), 0.0);
            assert_eq!(ndcg(hits, n_relevant, 2), 0.0);
            assert_eq!(average_precision(hits, n_relevant, 2), 0.0);
            assert_eq!(reciprocal_rank(hits, 2), 0.0);
        }
    }

    proptest! {
        #[test]
        fn every_value_lies_between_zero_and_one(
            hits in prop::collection::vec(any::<bool>(), 0..30), more in 0usize..20, k in 1usize..40,
        ) {
            let n_relevant = hits.iter().filter(|hit| **hit).count() + more;
            for value in [
                precision(&hits, k), recall(&hits, n_relevant, k), hit_rate(&hits, k),
                ndcg(&hits, n_relevant, k), average_precision(&hits, n_relevant, k), reciprocal_rank(&hits, k),
            ] {
                prop_assert!((0.0..=1.0 + 1e-12).contains(&value), "{value}");
            }
        }

        #[test]
        fn moving_a_hit_up_never_lowers_ndcg_and_map(
            hits in prop::collection::vec(any::<bool>(), 2..20), place in 1usize..19,
        ) {
            let place = place.min(hits.len() - 1);
            prop_assume!(hits[place] && !hits[place - 1]);
            let n_relevant = hits.iter().filter(|hit| **hit).count();
            let mut better = hits.clone();
            better.swap(place, place - 1);
            prop_assert!(ndcg(&better, n_relevant, 10) >= ndcg(&hits, n_relevant, 10));
            prop_assert!(average_precision(&better, n_relevant, 10) >= average_precision(&hits, n_relevant, 10));
        }
    }
}
