//! How well scores tell positives from negatives, on rows that were not trained on.

use std::ops::Range;

use crate::eval::accuracy;

/// The chance that a positive scores above a negative, ties counting half; NaN with one class only.
///
/// # Source
/// T. Fawcett: *An introduction to ROC analysis*, Pattern Recognition Letters 27 (2006).
pub fn auc(scores: &[f64], labels: &[f32]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut below, mut wins, mut positives) = (0.0, 0.0, 0.0);
    for ties in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let chosen = ties.iter().filter(|&&row| labels[row] > 0.0).count() as f64;
        let others = ties.len() as f64 - chosen;
        wins += chosen * (below + others / 2.0);
        below += others;
        positives += chosen;
    }
    wins / (positives * below)
}

/// NDCG@k of each group with a positive; the positives of a group are its relevant set. A NaN
/// score comes last; ties go to the earlier row.
pub fn ndcg(scores: &[f64], labels: &[f32], groups: &[Range<usize>], k: usize) -> Vec<f64> {
    groups
        .iter()
        .filter_map(|group| {
            let mut rows: Vec<usize> = group.clone().collect();
            let key = |row: usize| if scores[row].is_nan() { f64::NEG_INFINITY } else { scores[row] };
            rows.sort_by(|&a, &b| key(b).total_cmp(&key(a)));
            let hits: Vec<bool> = rows.into_iter().map(|row| labels[row] > 0.0).collect();
            let positives = hits.iter().filter(|&&hit| hit).count();
            (positives > 0).then(|| accuracy::ndcg(&hits, positives, k))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_count_half_in_auc() {
        assert_eq!(auc(&[1.0, 2.0, 2.0, 3.0], &[0.0, 0.0, 1.0, 1.0]), (1.5 + 2.0) / 4.0);
        assert!(auc(&[1.0, 2.0], &[1.0, 1.0]).is_nan());
    }

    #[test]
    fn ndcg_counts_groups_with_a_positive_only() {
        let scores = [0.9, 0.8, 0.7, f64::NAN, 0.5];
        let labels = [0.0, 1.0, 1.0, 0.0, 0.0];
        let ideal = 1.0 + 1.0 / 3f64.log2();
        let found = 1.0 / 3f64.log2() + 0.5;
        let values = ndcg(&scores, &labels, &[0..3, 3..5], 10);
        assert!(values.len() == 1 && (values[0] - found / ideal).abs() < 1e-12, "{values:?}");
    }
}
