//! The items most similar to each item, by their factor vectors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::factors::Factors;
use super::lists::Block;
use super::top_k::TopK;

/// What makes two items similar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The angle between their vectors: `a·b / (|a| |b|)`, at most 1.
    #[default]
    Cosine,
    /// The inner product `a·b`, which favours popular items.
    Dot,
}

/// Parameters of the search for similar items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Similar {
    /// Similar items per item.
    #[schemars(range(min = 1, max = 10_000))]
    pub n: usize,
    /// What makes two items similar.
    pub metric: Metric,
}

impl Default for Similar {
    fn default() -> Self {
        Self { n: 50, metric: Metric::Cosine }
    }
}

impl Similar {
    /// The best `n` other items of every item with a vector, block after block. An item that nobody
    /// chose in training has none: it has no list and is in no list.
    ///
    /// # Errors
    /// The error of `emit`.
    pub fn search<E>(
        &self,
        item_factors: &Factors,
        emit: impl FnMut(Block<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let search = match self.metric {
            Metric::Cosine => TopK::cosine(item_factors),
            Metric::Dot => TopK::inner_product(item_factors),
        };
        let items = search.items();
        search.search_rows(item_factors, items, self.n, |at| std::slice::from_ref(&items[at]), emit)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn lists(metric: Metric) -> Vec<(u32, Vec<u32>)> {
        let factors = Factors::new(5, 2, vec![1.0, 0.0, 2.0, 0.2, 0.0, 0.0, 0.0, 3.0, 0.1, 1.0]);
        let mut lists = Vec::new();
        let Ok(()) = Similar { n: 2, metric }.search(&factors, |block| {
            for (&item, (similar, _)) in block.queries.iter().zip(block.lists.iter()) {
                lists.push((item, similar.to_vec()));
            }
            Ok::<(), Infallible>(())
        });
        lists
    }

    #[test]
    fn an_item_is_not_similar_to_itself_nor_to_one_without_a_vector() {
        assert_eq!(
            lists(Metric::Cosine),
            [(0, vec![1, 4]), (1, vec![0, 4]), (3, vec![4, 1]), (4, vec![3, 1])]
        );
    }

    #[test]
    fn the_inner_product_favours_long_vectors() {
        assert_eq!(lists(Metric::Dot)[3], (4, vec![3, 1]));
        assert_eq!(lists(Metric::Dot)[0], (0, vec![1, 4]));
        assert_eq!(lists(Metric::Dot)[1].1, [0, 3]);
    }
}
