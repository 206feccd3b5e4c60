//! What the base models say. A score means little across users and across two fits of one model (on
//! train, then on train + target), hence also its share of the user's best score, and the rank.

use crate::ranking::candidates::Candidates;

/// Columns per model.
pub(super) const WIDTH: usize = 3;

pub(super) fn names(models: &[String]) -> Vec<String> {
    let names = |model: &String| ["score", "rank", "score_share"].map(|what| format!("{model}_{what}"));
    models.iter().flat_map(names).collect()
}

pub(super) fn fill(columns: &mut [Vec<f32>], candidates: &Candidates) {
    for (model, columns) in columns.chunks_exact_mut(WIDTH).enumerate() {
        let scores = &candidates.scores[model];
        let best = scores.iter().copied().fold(f32::NAN, f32::max);
        columns[0].extend(scores);
        columns[1].extend(&candidates.ranks[model]);
        columns[2].extend(scores.iter().map(|score| if best > 0.0 { score / best } else { f32::NAN }));
    }
}
