//! The union of the base models' lists, one row per (user, item).

use super::block::Proposals;

/// Candidates of one user, items rising.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Candidates {
    /// `item_idx`.
    pub items: Vec<u32>,
    /// Per model the score of each item; NaN where the model did not propose it.
    pub scores: Vec<Vec<f32>>,
    /// Per model the rank of each item, from 1; NaN where the model did not propose it.
    pub ranks: Vec<Vec<f32>>,
}

impl Candidates {
    /// Unites the lists of a user.
    pub fn union(proposals: &[Proposals], user: usize) -> Self {
        let lists = || proposals.iter().map(|model| model.of(user));
        let mut items: Vec<u32> = lists().flatten().map(|proposal| proposal.item).collect();
        items.sort_unstable();
        items.dedup();
        let mut scores = vec![vec![f32::NAN; items.len()]; proposals.len()];
        let mut ranks = scores.clone();
        for (model, list) in lists().enumerate() {
            for proposal in list {
                let row = items.binary_search(&proposal.item).expect("every item of a list is in the union");
                scores[model][row] = proposal.score;
                ranks[model][row] = proposal.rank as f32;
            }
        }
        Self { items, scores, ranks }
    }
}
