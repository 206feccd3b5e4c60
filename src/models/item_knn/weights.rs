//! What a user says about an item: the vectors, one an item over users, whose products are similarities.
//!
//! # Source
//! The formulas are those of `CosineRecommender`, `TFIDFRecommender` and `BM25Recommender` of the library
//! `implicit` (0.7). BM25: Robertson et al.: Okapi at TREC-3, 1994, with users as terms.

use super::{ItemKnn, Similarity};
use crate::interactions::Interactions;

/// Weights of the pairs of `by_item` (items × users), in its order. A weight is finite; it is zero where
/// the user says nothing: one who has all items but one, by the inverse document frequency.
pub fn weights(parameters: &ItemKnn, by_item: &Interactions) -> Vec<f32> {
    let n_items = by_item.n_users() as f64;
    // How much a user's choice tells: ln(n_items / (1 + n_u)).
    let idf: Vec<f64> =
        by_item.item_counts().iter().map(|&n| (n_items / (1.0 + f64::from(n))).ln()).collect();
    let total: f64 = by_item.values().iter().map(|&value| f64::from(value)).sum();
    let mean_length = total / n_items;
    let mut weights = Vec::with_capacity(by_item.len());
    let mut row = Vec::new();
    for item in 0..by_item.n_users() {
        let (users, counts) = by_item.row(item);
        let pairs = users.iter().map(|&user| user as usize).zip(counts.iter().map(|&count| f64::from(count)));
        row.clear();
        match parameters.similarity {
            Similarity::Cosine => row.extend(pairs.map(|(_, count)| count)),
            Similarity::TfIdf => row.extend(pairs.map(|(user, count)| count.sqrt() * idf[user])),
            Similarity::Bm25 => {
                let (k1, b) = (parameters.k1, parameters.b);
                let length: f64 = counts.iter().map(|&count| f64::from(count)).sum();
                let norm = k1 * (1.0 - b + b * length / mean_length);
                row.extend(pairs.map(|(user, count)| count * (k1 + 1.0) / (norm + count) * idf[user]));
            }
        }
        let scale = match parameters.similarity {
            Similarity::Bm25 => 1.0,
            Similarity::Cosine | Similarity::TfIdf => {
                let squares: f64 = row.iter().map(|weight| weight * weight).sum();
                if squares > 0.0 { squares.sqrt() } else { 1.0 }
            }
        };
        weights.extend(row.iter().map(|weight| (weight / scale) as f32));
    }
    weights
}
