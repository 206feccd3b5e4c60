//! The metrics, each named once; the name with its cut is `ndcg@10`.

use serde::{Deserialize, Serialize};

/// What is measured of a set of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Hits / k.
    Precision,
    /// Hits / relevant items of the user.
    Recall,
    /// Share of users with a hit.
    HitRate,
    /// Normalised discounted cumulative gain.
    Ndcg,
    /// Mean average precision.
    Map,
    /// Mean reciprocal rank of the first hit.
    Mrr,
    /// Distinct recommended items / catalogue.
    CoverageItems,
    /// Share of users that got `k` items.
    CoverageUsers,
    /// Mean self-information of the items, in bits.
    Novelty,
    /// Share of items that are not in the user's history.
    Unseen,
    /// Distinct track groups / items in the list.
    Diversity,
    /// Distinct categories (first genres) / items in the list.
    CategoryDiversity,
    /// Mean 1 − cosine over the pairs of the list.
    IntraListDiversity,
    /// Mean number of users of the items in the history.
    PopularityBias,
    /// Hits that popularity would not have given.
    Serendipity,
}

impl Metric {
    /// Every metric, in the order of reports.
    pub const ALL: [Self; 15] = [
        Self::Precision,
        Self::Recall,
        Self::HitRate,
        Self::Ndcg,
        Self::Map,
        Self::Mrr,
        Self::CoverageItems,
        Self::CoverageUsers,
        Self::Novelty,
        Self::Unseen,
        Self::Diversity,
        Self::CategoryDiversity,
        Self::IntraListDiversity,
        Self::PopularityBias,
        Self::Serendipity,
    ];

    /// How well the first items of a list hit: means over all users, so that models can be compared in pairs.
    pub const ACCURACY: [Self; 6] =
        [Self::Precision, Self::Recall, Self::HitRate, Self::Ndcg, Self::Map, Self::Mrr];

    /// Metrics that are means over users, with one value a user: all but item coverage.
    pub fn per_user() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|&metric| metric != Self::CoverageItems)
    }

    /// Whether only users with a list enter the mean: what has no list has no novelty either, but it
    /// does miss.
    pub fn needs_a_list(self) -> bool {
        matches!(
            self,
            Self::Novelty
                | Self::Unseen
                | Self::Diversity
                | Self::CategoryDiversity
                | Self::IntraListDiversity
                | Self::PopularityBias
        )
    }

    /// The name in snake_case, as in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::HitRate => "hit_rate",
            Self::Ndcg => "ndcg",
            Self::Map => "map",
            Self::Mrr => "mrr",
            Self::CoverageItems => "coverage_items",
            Self::CoverageUsers => "coverage_users",
            Self::Novelty => "novelty",
            Self::Unseen => "unseen",
            Self::Diversity => "diversity",
            Self::CategoryDiversity => "category_diversity",
            Self::IntraListDiversity => "intra_list_diversity",
            Self::PopularityBias => "popularity_bias",
            Self::Serendipity => "serendipity",
        }
    }

    /// The name with its cut: `ndcg@10`.
    pub fn at(self, k: usize) -> String {
        format!("{}@{k}", self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_ones_that_are_written() {
        for metric in Metric::ALL {
            assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
        }
        assert_eq!(Metric::Ndcg.at(10), "ndcg@10");
    }
}
