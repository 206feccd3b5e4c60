//! Sparse weights from items to items: a user's score of an item is the sum of the weights that lead to
//! it from the items of the user's history.
//!
//! # Shapes
//! n_items × n_items, one row an item of the history; weights may be negative.

use super::lists::Block;
use super::recommender::{Request, recommend_by_scores};

/// Weights `B` in compressed sparse rows.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemWeights {
    row_starts: Vec<usize>,
    items: Vec<u32>,
    weights: Vec<f32>,
}

impl ItemWeights {
    /// Takes the rows `(item, weight)` of all items in turn, items rising.
    pub fn from_rows(rows: impl IntoIterator<Item = Vec<(u32, f32)>>) -> Self {
        let (mut row_starts, mut items, mut weights) = (vec![0], Vec::new(), Vec::new());
        for row in rows {
            items.extend(row.iter().map(|entry| entry.0));
            weights.extend(row.iter().map(|entry| entry.1));
            row_starts.push(items.len());
        }
        Self { row_starts, items, weights }
    }

    /// Number of rows and of columns.
    pub fn n_items(&self) -> usize {
        self.row_starts.len() - 1
    }

    /// The items that `item` leads to, rising, and the weights beside them.
    pub fn row(&self, item: usize) -> (&[u32], &[f32]) {
        let range = self.row_starts[item]..self.row_starts[item + 1];
        (&self.items[range.clone()], &self.weights[range])
    }

    /// Where each row starts in [`items`](Self::items); `n_items + 1` entries.
    pub fn row_starts(&self) -> &[usize] {
        &self.row_starts
    }

    /// Items of all rows, one after the other.
    pub fn items(&self) -> &[u32] {
        &self.items
    }

    /// Weights of all rows, one after the other.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// Adds `value` times the row of an item to `scores`, one an item, where `−∞` stands for an item that
    /// nothing leads to.
    pub fn add_row(&self, item: u32, value: f32, scores: &mut [f32]) {
        let (items, weights) = self.row(item as usize);
        for (&item, &weight) in items.iter().zip(weights) {
            let score = &mut scores[item as usize];
            *score = if *score == f32::NEG_INFINITY { value * weight } else { *score + value * weight };
        }
    }
}

/// [`Recommender::recommend`](super::recommender::Recommender::recommend) for a model of item weights: the
/// score of an item is the sum of the weights from each item of the history, each once.
///
/// # Errors
/// The error of `emit`.
pub fn recommend_by_weights<E>(
    weights: &ItemWeights,
    request: &Request<'_>,
    emit: impl FnMut(Block<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let score = |user: u32, scores: &mut [f32]| {
        let history = request.history.row(user as usize).0;
        history.iter().for_each(|&item| weights.add_row(item, 1.0, scores));
    };
    recommend_by_scores(weights.n_items(), request, score, emit)
}

/// The entries of a row with the `n` largest absolute weights, items rising; equal weights go to the
/// smaller item, weights of 0 to nobody.
pub fn largest(row: impl Iterator<Item = (u32, f32)>, n: usize) -> Vec<(u32, f32)> {
    let mut entries: Vec<(u32, f32)> = row.filter(|entry| entry.1 != 0.0).collect();
    if entries.len() > n {
        let order = |a: &(u32, f32), b: &(u32, f32)| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0));
        entries.select_nth_unstable_by(n, order);
        entries.truncate(n);
        entries.shrink_to_fit();
    }
    entries.sort_unstable_by_key(|entry| entry.0);
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_sums_over_the_history() {
        let weights = ItemWeights::from_rows([vec![(1, 2.0), (2, -1.0)], vec![], vec![(1, 0.5)], vec![]]);
        let mut scores = vec![f32::NEG_INFINITY; 4];
        weights.add_row(0, 1.0, &mut scores);
        weights.add_row(2, 3.0, &mut scores);
        assert_eq!(scores, [f32::NEG_INFINITY, 3.5, -1.0, f32::NEG_INFINITY]);
        assert_eq!(weights.n_items(), 4);
    }

    #[test]
    fn the_largest_weights_count_without_their_sign() {
        let row = [(0, 0.1), (1, -3.0), (2, 0.0), (3, 1.0), (4, 1.0)];
        assert_eq!(largest(row.into_iter(), 2), [(1, -3.0), (3, 1.0)]);
        assert_eq!(largest(row.into_iter(), 9).len(), 4);
        assert!(largest(row.into_iter(), 0).is_empty());
    }
}
