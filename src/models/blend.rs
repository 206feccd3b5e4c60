//! Blending: several models' lists for a user become one, by a weighted sum of their scores.
//!
//! Models err in different places, so the sum of two good ones is often better than either, without
//! training. Their scores have different units, so each list is normalised first; an item that a list
//! lacks gets 0 from it.
//!
//! # Source
//! Fox, Shaw: Combination of multiple searches, TREC-2, 1994 (CombSUM). Lee: Analyses of multiple evidence
//! combination, SIGIR 1997 (normalisation). Cormack, Clarke, Buettcher: Reciprocal rank fusion outperforms
//! Condorcet and individual rank learning methods, SIGIR 2009.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `k` of reciprocal rank fusion, as in its paper.
const RANK_OFFSET: f64 = 60.0;

/// How the scores of a list become comparable with those of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalization {
    /// From 1 for the best item of the list to 0 for its last: for scores of any sign.
    #[default]
    MinMax,
    /// Divided by the score of the best item: keeps how far a list is above 0. A score below 0 counts as 0.
    Max,
    /// `1 / (60 + rank)`: where a list puts an item, not by how much.
    ReciprocalRank,
}

/// Parameters of the blend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Blend {
    /// What each model counts, by its name among the lists; 1 where nothing is said, 0 leaves it out.
    pub weights: BTreeMap<String, f64>,
    /// How scores of different models become comparable.
    pub normalization: Normalization,
    /// Length of the blended lists.
    #[schemars(range(min = 1, max = 10_000))]
    pub n: usize,
}

impl Default for Blend {
    fn default() -> Self {
        Self { weights: BTreeMap::new(), normalization: Normalization::default(), n: 100 }
    }
}

impl Blend {
    /// What the model of a name counts.
    pub fn weight(&self, name: &str) -> f64 {
        self.weights.get(name).copied().unwrap_or(1.0)
    }
}

/// One model's list for a user, best first.
#[derive(Debug, Clone, Copy)]
pub struct WeightedList<'a> {
    /// What the list counts.
    pub weight: f64,
    /// The items.
    pub items: &'a [u32],
    /// Their scores, falling, as many.
    pub scores: &'a [f32],
}

impl Normalization {
    /// The normalised score of each place of a list.
    fn scores(self, scores: &[f32]) -> impl Iterator<Item = f64> {
        let best = scores.first().copied().map_or(0.0, f64::from);
        let last = scores.last().copied().map_or(0.0, f64::from);
        scores.iter().enumerate().map(move |(place, &score)| match self {
            Self::MinMax if best > last => (f64::from(score) - last) / (best - last),
            // Equal scores say that all of the list is equally good.
            Self::MinMax => 1.0,
            Self::Max if best > 0.0 => f64::from(score).max(0.0) / best,
            Self::Max => 0.0,
            Self::ReciprocalRank => 1.0 / (RANK_OFFSET + place as f64 + 1.0),
        })
    }
}

/// The best `n` items of all lists together, best first; equal sums go to the smaller item.
pub fn blend(lists: &[WeightedList<'_>], normalization: Normalization, n: usize) -> Vec<(u32, f32)> {
    let mut parts: Vec<(u32, f64)> = Vec::with_capacity(lists.iter().map(|list| list.items.len()).sum());
    for list in lists {
        let scores = normalization.scores(list.scores).map(|score| list.weight * score);
        parts.extend(list.items.iter().copied().zip(scores));
    }
    // Stable, so that the parts of an item are added in the order of the lists.
    parts.sort_by_key(|part| part.0);
    let sums = parts.chunk_by(|a, b| a.0 == b.0);
    let mut sums: Vec<(u32, f32)> =
        sums.map(|parts| (parts[0].0, parts.iter().map(|part| part.1).sum::<f64>() as f32)).collect();
    sums.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    sums.truncate(n);
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: WeightedList<'static> =
        WeightedList { weight: 1.0, items: &[4, 2, 9], scores: &[3.0, 2.0, 1.0] };
    const SECOND: WeightedList<'static> =
        WeightedList { weight: 0.5, items: &[2, 7], scores: &[10.0, -10.0] };

    #[test]
    fn sums_are_those_worked_by_hand() {
        let lists = [FIRST, SECOND];
        assert_eq!(blend(&lists, Normalization::MinMax, 9), [(2, 1.0), (4, 1.0), (7, 0.0), (9, 0.0)]);
        assert_eq!(
            blend(&lists, Normalization::Max, 9),
            [(2, (2.0 / 3.0 + 0.5f64) as f32), (4, 1.0), (9, 1.0 / 3.0), (7, 0.0)]
        );
        let rank = |weights: [f64; 2], ranks: [f64; 2]| {
            (weights[0] / (60.0 + ranks[0]) + weights[1] / (60.0 + ranks[1])) as f32
        };
        assert_eq!(
            blend(&lists, Normalization::ReciprocalRank, 2),
            [(2, rank([1.0, 0.5], [2.0, 1.0])), (4, rank([1.0, 0.0], [1.0, 1.0]))]
        );
    }

    #[test]
    fn one_list_keeps_its_order() {
        for normalization in [Normalization::MinMax, Normalization::Max, Normalization::ReciprocalRank] {
            let items: Vec<u32> =
                blend(&[FIRST], normalization, 9).into_iter().map(|entry| entry.0).collect();
            assert_eq!(items, [4, 2, 9]);
        }
    }

    #[test]
    fn lists_without_a_best_item_are_defined() {
        let empty = WeightedList { weight: 1.0, items: &[], scores: &[] };
        let equal = WeightedList { weight: 2.0, items: &[5, 3], scores: &[-1.0, -1.0] };
        assert_eq!(blend(&[], Normalization::MinMax, 3), []);
        assert_eq!(blend(&[empty, equal], Normalization::MinMax, 3), [(3, 2.0), (5, 2.0)]);
        assert_eq!(blend(&[empty, equal], Normalization::Max, 1), [(3, 0.0)]);
    }
}
