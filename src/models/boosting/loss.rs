//! What boosting makes small: the loss of scores against labels, its slope and its curvature.

use std::ops::Range;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rows that one thread handles at a time. Sums are added chunk by chunk in the order of the rows, so
/// that the number of threads changes nothing.
pub(super) const CHUNK: usize = 1 << 14;

/// Steps after which a single constant has long settled.
const NEWTON_STEPS: usize = 8;

/// The loss, by CatBoost's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Each row alone: −Σ [y log σ(s) + (1 − y) log(1 − σ(s))] / n.
    #[default]
    Logloss,
    /// Rows of a group against each other: −Σ_groups Σ_i y_i log softmax(s)_i / Σ y.
    QuerySoftMax,
}

/// First and second derivative of the loss by the score of each row.
pub type Derivatives = Vec<[f32; 2]>;

impl Loss {
    /// The name in a CatBoost model.
    pub const fn catboost_name(self) -> &'static str {
        match self {
            Self::Logloss => "Logloss",
            Self::QuerySoftMax => "QuerySoftMax",
        }
    }

    /// The constant that fits best when it is added to all scores, found by Newton's method.
    pub(super) fn best_constant(self, scores: &[f64], labels: &[f32]) -> f64 {
        match self {
            Self::Logloss => {
                let mean = labels.iter().map(|&y| f64::from(y)).sum::<f64>() / labels.len() as f64;
                let base = (mean / (1.0 - mean)).ln();
                let mut constant = base - scores.iter().sum::<f64>() / scores.len() as f64;
                for _ in 0..NEWTON_STEPS {
                    let (slope, curvature) = scores.iter().zip(labels).fold((0.0, 0.0), |(g, h), (s, &y)| {
                        let p = 1.0 / (1.0 + (-s - constant).exp());
                        (g + p - f64::from(y), h + p * (1.0 - p))
                    });
                    constant -= slope / curvature;
                }
                constant
            }
            Self::QuerySoftMax => 0.0,
        }
    }

    /// The loss; `groups` are consecutive ranges that cover all rows.
    pub fn value(self, scores: &[f64], labels: &[f32], groups: &[Range<usize>]) -> f64 {
        match self {
            Self::Logloss => {
                let chunks = scores.par_chunks(CHUNK).zip(labels.par_chunks(CHUNK));
                let sums: Vec<f64> = chunks
                    .map(|(scores, labels)| {
                        let rows = scores.iter().zip(labels);
                        // log(1 + e^s) − y·s, without overflow.
                        rows.map(|(&s, &y)| s.max(0.0) + (-s.abs()).exp().ln_1p() - f64::from(y) * s).sum()
                    })
                    .collect();
                sums.iter().sum::<f64>() / scores.len() as f64
            }
            Self::QuerySoftMax => {
                let sums: Vec<[f64; 2]> = groups
                    .par_iter()
                    .map(|group| {
                        let (scores, labels) = (&scores[group.clone()], &labels[group.clone()]);
                        let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                        let log_sum = scores.iter().map(|&s| (s - top).exp()).sum::<f64>().ln() + top;
                        let rows = scores.iter().zip(labels);
                        rows.fold([0.0; 2], |[loss, weight], (&s, &y)| {
                            [loss + f64::from(y) * (log_sum - s), weight + f64::from(y)]
                        })
                    })
                    .collect();
                let [loss, weight] = sums.iter().fold([0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);
                if weight > 0.0 { loss / weight } else { 0.0 }
            }
        }
    }

    /// The derivatives of the sum over rows.
    pub fn derivatives(self, scores: &[f64], labels: &[f32], groups: &[Range<usize>]) -> Derivatives {
        let mut derivatives = vec![[0.0; 2]; scores.len()];
        match self {
            Self::Logloss => {
                let chunks = derivatives.par_chunks_mut(CHUNK).zip(scores.par_chunks(CHUNK));
                chunks.zip(labels.par_chunks(CHUNK)).for_each(|((derivatives, scores), labels)| {
                    for ((d, &s), &y) in derivatives.iter_mut().zip(scores).zip(labels) {
                        let p = 1.0 / (1.0 + (-s).exp());
                        *d = [(p - f64::from(y)) as f32, (p * (1.0 - p)) as f32];
                    }
                });
            }
            Self::QuerySoftMax => {
                let mut rest = derivatives.as_mut_slice();
                let mut tasks = Vec::with_capacity(groups.len());
                for group in groups {
                    let (head, tail) = rest.split_at_mut(group.len());
                    tasks.push((head, &scores[group.clone()], &labels[group.clone()]));
                    rest = tail;
                }
                tasks.into_par_iter().for_each(|(derivatives, scores, labels)| {
                    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let sum: f64 = scores.iter().map(|&s| (s - top).exp()).sum();
                    let weight: f64 = labels.iter().map(|&y| f64::from(y)).sum();
                    for ((d, &s), &y) in derivatives.iter_mut().zip(scores).zip(labels) {
                        let p = (s - top).exp() / sum;
                        *d = [(weight * p - f64::from(y)) as f32, (weight * p * (1.0 - p)) as f32];
                    }
                });
            }
        }
        derivatives
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_are_finite_differences_of_the_loss() {
        let labels = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0];
        let scores = [0.3, -1.2, 2.0, 0.1, -0.4, 0.0, 5.0];
        let groups = [0..3, 3..7];
        for (loss, scale) in [(Loss::Logloss, 7.0), (Loss::QuerySoftMax, 3.0)] {
            let derivatives = loss.derivatives(&scores, &labels, &groups);
            for row in 0..scores.len() {
                let at = |shift: f64| {
                    let mut moved = scores;
                    moved[row] += shift;
                    loss.value(&moved, &labels, &groups) * scale
                };
                let (minus, plus) = (at(-1e-4), at(1e-4));
                assert!((derivatives[row][0] as f64 - (plus - minus) / 2e-4).abs() < 1e-6, "{loss:?}");
                let second = (plus - 2.0 * at(0.0) + minus) / 1e-8;
                assert!((derivatives[row][1] as f64 - second).abs() < 1e-5, "{loss:?} {second}");
            }
        }
    }

    #[test]
    fn the_best_constant_is_the_log_odds() {
        let labels = [1.0, 0.0, 0.0, 0.0];
        assert!((Loss::Logloss.best_constant(&[0.0; 4], &labels) - (1.0f64 / 3.0).ln()).abs() < 1e-12);
        assert!((Loss::Logloss.best_constant(&[0.5; 4], &labels) - (1.0f64 / 3.0).ln() + 0.5).abs() < 1e-12);
    }
}
