//! Re-ranking: from a long list the final one, with caps and a choice between relevance, variety and
//! discovery.
//!
//! Greedy maximal marginal relevance: the next item is the one with the largest
//!
//! ```text
//! relevance · r(i) + diversity · (1 − max_j∈chosen sim(i, j)) + novelty · s(i)
//! ```
//!
//! with `r` the score of the list, from 1 for its best to 0 for its last, `sim` the cosine of two items, and
//! `s = −log2(p_i) / log2(users)` the self-information of an item that a share `p_i` of the users has,
//! 1 for an item of one user or of none. Items beyond a cap are passed over. A sum never rises from one
//! choice to the next, so it serves as the score of the final list.
//!
//! # Source
//! Carbonell, Goldstein: The use of MMR, diversity-based reranking for reordering documents and producing
//! summaries, SIGIR 1998. Self-information as novelty: Castells, Hurley, Vargas: Novelty and diversity in
//! recommender systems, Recommender Systems Handbook, 2015.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::catalog::{Catalog, Groups};
use crate::models::factors::Factors;

/// What makes two items alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Similarity {
    /// Genres in common: cosine of the sets.
    #[default]
    Genres,
    /// Artists in common: cosine of the sets.
    Artists,
    /// Cosine of the item vectors of `model`; below 0 counts as 0.
    Factors,
}

/// Parameters of re-ranking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rerank {
    /// Length of the final lists; shorter where caps leave no more.
    #[schemars(range(min = 1, max = 10_000))]
    pub n: usize,
    /// Versions of one track in a list, at most; null for no cap.
    #[schemars(range(min = 1))]
    pub max_per_track_group: Option<usize>,
    /// Tracks of one artist in a list, at most; null for no cap.
    #[schemars(range(min = 1))]
    pub max_per_artist: Option<usize>,
    /// Weight of the score of the list; the three weights sum up to 1.
    #[schemars(range(min = 0, max = 1))]
    pub relevance: f64,
    /// Weight of being unlike everything chosen before.
    #[schemars(range(min = 0, max = 1))]
    pub diversity: f64,
    /// Weight of being known to few.
    #[schemars(range(min = 0, max = 1))]
    pub novelty: f64,
    /// What makes two items alike.
    pub similarity: Similarity,
}

impl Default for Rerank {
    fn default() -> Self {
        Self {
            n: 100,
            max_per_track_group: Some(1),
            max_per_artist: None,
            relevance: 0.9,
            diversity: 0.05,
            novelty: 0.05,
            similarity: Similarity::default(),
        }
    }
}

/// What is known of the items.
#[derive(Debug, Clone, Copy)]
pub struct Items<'a> {
    /// Artists, genres and track groups.
    pub catalog: &'a Catalog,
    /// Self-information of each item, from 0 to 1: [`self_information`].
    pub novelty: &'a [f32],
    /// Vectors of the items, each of length 1 or 0; needed by [`Similarity::Factors`] only.
    pub vectors: Option<&'a Factors>,
}

/// `−log2(p) / log2(n_users)` for items with so many users each; 1 for an item of one user or of none.
pub fn self_information(users_of_items: &[u32], n_users: usize) -> Vec<f32> {
    let whole = (n_users as f64).log2();
    let of = |users: u32| {
        let bits = (n_users as f64 / f64::from(users.max(1))).log2();
        if whole > 0.0 { (bits / whole).clamp(0.0, 1.0) as f32 } else { 1.0 }
    };
    users_of_items.iter().map(|&users| of(users)).collect()
}

/// One item that may still be chosen.
#[derive(Debug, Clone, Copy)]
struct Candidate {
    item: u32,
    /// What does not change as others are chosen.
    own: f64,
    /// Similarity with the nearest of the chosen.
    nearest: f64,
}

impl Rerank {
    /// The final list of `(item, sum)` from one list, best first; equal sums go to what stood higher.
    ///
    /// # Panics
    /// When items lie outside the catalogue, or `Similarity::Factors` comes without vectors.
    pub fn choose(&self, items: Items<'_>, list: &[(u32, f32)]) -> Vec<(u32, f32)> {
        let scores = || list.iter().map(|entry| f64::from(entry.1));
        let (least, most) = scores().fold((f64::MAX, f64::MIN), |(a, b), score| (a.min(score), b.max(score)));
        let relevance =
            |score: f32| if most > least { (f64::from(score) - least) / (most - least) } else { 1.0 };
        let mut open: Vec<Candidate> = list
            .iter()
            .map(|&(item, score)| {
                let novelty = f64::from(items.novelty[item as usize]);
                let own = self.relevance * relevance(score) + self.novelty * novelty;
                Candidate { item, own, nearest: 0.0 }
            })
            .collect();
        let mut chosen: Vec<(u32, f32)> = Vec::with_capacity(self.n.min(list.len()));
        let mut track_groups = Cap::new(self.max_per_track_group, &items.catalog.track_groups);
        let mut artists = Cap::new(self.max_per_artist, &items.catalog.artists);
        let value = |candidate: &Candidate| candidate.own + self.diversity * (1.0 - candidate.nearest);
        while chosen.len() < self.n {
            let best = open.iter().enumerate().reduce(|a, b| if value(b.1) > value(a.1) { b } else { a });
            let Some(place) = best.map(|(place, _)| place) else { break };
            let next = open.remove(place);
            chosen.push((next.item, value(&next) as f32));
            track_groups.take(next.item, &mut open);
            artists.take(next.item, &mut open);
            if self.diversity > 0.0 {
                for candidate in &mut open {
                    let similarity = self.similarity.between(items, candidate.item, next.item);
                    candidate.nearest = candidate.nearest.max(similarity);
                }
            }
        }
        chosen
    }
}

/// How many items of a group may be chosen, and were.
struct Cap<'a> {
    most: Option<usize>,
    groups: &'a Groups,
    taken: HashMap<u32, usize>,
}

impl<'a> Cap<'a> {
    fn new(most: Option<usize>, groups: &'a Groups) -> Self {
        Self { most, groups, taken: HashMap::new() }
    }

    /// Counts a chosen item and closes the groups that are full.
    fn take(&mut self, item: u32, open: &mut Vec<Candidate>) {
        let Some(most) = self.most else { return };
        for group in self.groups.of(item) {
            let taken = self.taken.entry(*group).or_default();
            *taken += 1;
            if *taken >= most {
                open.retain(|candidate| !self.groups.of(candidate.item).contains(group));
            }
        }
    }
}

impl Similarity {
    /// From 0 to 1; an item of which nothing is known is like no other.
    fn between(self, items: Items<'_>, a: u32, b: u32) -> f64 {
        let of_sets = |a: &[u32], b: &[u32]| {
            let shared = a.iter().filter(|member| b.contains(member)).count();
            if shared == 0 { 0.0 } else { shared as f64 / ((a.len() * b.len()) as f64).sqrt() }
        };
        match self {
            Self::Genres => of_sets(items.catalog.genres.of(a), items.catalog.genres.of(b)),
            Self::Artists => of_sets(items.catalog.artists.of(a), items.catalog.artists.of(b)),
            Self::Factors => {
                let vectors = items.vectors.expect("the step refuses `factors` without a model");
                let (a, b) = (vectors.row(a as usize), vectors.row(b as usize));
                let product: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                f64::from(product).clamp(0.0, 1.0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::catalog;
    use super::*;

    /// Nothing but the list's own order.
    const BY_SCORE: Rerank = Rerank {
        n: 10,
        max_per_track_group: None,
        max_per_artist: None,
        relevance: 1.0,
        diversity: 0.0,
        novelty: 0.0,
        similarity: Similarity::Genres,
    };
    const LIST: [(u32, f32); 5] = [(0, 9.0), (1, 8.0), (2, 7.0), (3, 6.0), (4, 5.0)];

    fn chosen(rerank: &Rerank, novelty: [f32; 5]) -> Vec<u32> {
        let catalog = catalog();
        let items = Items { catalog: &catalog, novelty: &novelty, vectors: None };
        let list = rerank.choose(items, &LIST);
        assert!(list.is_sorted_by(|a, b| a.1 >= b.1), "{list:?}");
        list.into_iter().map(|entry| entry.0).collect()
    }

    #[test]
    fn relevance_alone_keeps_the_order() {
        assert_eq!(chosen(&BY_SCORE, [0.0; 5]), [0, 1, 2, 3, 4]);
        assert_eq!(chosen(&Rerank { n: 2, ..BY_SCORE }, [0.0; 5]), [0, 1]);
    }

    #[test]
    fn caps_pass_over_what_is_full() {
        // 0 and 1 are of one track group, 0, 1 and 2 of one artist, 4 is of nobody.
        assert_eq!(chosen(&Rerank { max_per_track_group: Some(1), ..BY_SCORE }, [0.0; 5]), [0, 2, 3, 4]);
        assert_eq!(chosen(&Rerank { max_per_artist: Some(2), ..BY_SCORE }, [0.0; 5]), [0, 1, 3, 4]);
        assert_eq!(chosen(&Rerank { max_per_artist: Some(1), ..BY_SCORE }, [0.0; 5]), [0, 3, 4]);
    }

    #[test]
    fn diversity_prefers_what_is_unlike_the_chosen() {
        // Genres: 0 and 1 {1}, 2 {1, 2}, 3 {2}, 4 none. After 0: 1 has 3/8 of relevance, 3 has 1/8 + 1/2.
        let diverse = Rerank { relevance: 0.5, diversity: 0.5, ..BY_SCORE };
        assert_eq!(chosen(&diverse, [0.0; 5])[..2], [0, 3]);
        let by_artist = Rerank { similarity: Similarity::Artists, ..diverse };
        assert_eq!(chosen(&by_artist, [0.0; 5])[..2], [0, 3]);
    }

    #[test]
    fn novelty_prefers_what_few_know() {
        let novel = Rerank { relevance: 0.4, novelty: 0.6, ..BY_SCORE };
        assert_eq!(chosen(&novel, [0.0, 0.2, 0.2, 0.3, 1.0]), [4, 1, 0, 2, 3]);
    }

    #[test]
    fn vectors_tell_items_apart() {
        let catalog = catalog();
        let vectors = Factors::new(5, 2, vec![1.0, 0.0, 1.0, 0.0, 0.6, 0.8, -1.0, 0.0, 0.0, 0.0]);
        let items = Items { catalog: &catalog, novelty: &[0.0; 5], vectors: Some(&vectors) };
        let diverse = Rerank { relevance: 0.3, diversity: 0.7, similarity: Similarity::Factors, ..BY_SCORE };
        let list: Vec<u32> = diverse.choose(items, &LIST).into_iter().map(|entry| entry.0).collect();
        assert_eq!(list, [0, 3, 4, 2, 1]);
    }

    #[test]
    fn self_information_is_in_shares_of_the_rarest() {
        assert_eq!(self_information(&[16, 4, 1, 0], 16), [0.0, 0.5, 1.0, 1.0]);
        assert_eq!(self_information(&[1, 0], 1), [1.0, 1.0]);
        assert_eq!(self_information(&[0], 0), [1.0]);
    }

    #[test]
    fn short_and_level_lists_are_defined() {
        let catalog = catalog();
        let items = Items { catalog: &catalog, novelty: &[0.0; 5], vectors: None };
        assert!(BY_SCORE.choose(items, &[]).is_empty());
        assert_eq!(BY_SCORE.choose(items, &[(3, -1.0), (1, -1.0)]), [(3, 1.0), (1, 1.0)]);
    }
}
