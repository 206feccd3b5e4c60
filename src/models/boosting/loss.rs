//! What boosting makes small: the loss of scores against labels, its slope and its curvature.

use std::ops::Range;

use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::exp::exp_of_negative;
use super::lambda_mart;

/// Rows that one thread handles at a time. Sums are added chunk by chunk in the order of the rows, so
/// that the number of threads changes nothing.
pub(super) const CHUNK: usize = 1 << 14;

/// Steps after which a single constant has long settled.
const NEWTON_STEPS: usize = 8;

/// Rows that are handled by one run of vector instructions.
const LANES: usize = 8;

/// Rows whose factors 1 + e^-|s| ≤ 2 are multiplied before a logarithm is taken; far from overflow.
const FACTORS: usize = 64 * LANES;

/// The loss, by CatBoost's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Each row alone: −Σ [y log σ(s) + (1 − y) log(1 − σ(s))] / n.
    #[default]
    Logloss,
    /// Rows of a group against each other: −Σ_groups Σ_i y_i log softmax(s)_i / Σ y.
    QuerySoftMax,
    /// Pairs of a group, each by how much NDCG changes when the two swap places; the loss that is
    /// reported is 1 − NDCG.
    LambdaMart,
}

/// First and second derivative of the loss by the score of each row.
pub type Derivatives = Vec<[f32; 2]>;

impl Loss {
    /// Every loss.
    pub const ALL: [Self; 3] = [Self::Logloss, Self::QuerySoftMax, Self::LambdaMart];

    /// The name in a CatBoost model.
    pub const fn catboost_name(self) -> &'static str {
        match self {
            Self::Logloss => "Logloss",
            Self::QuerySoftMax => "QuerySoftMax",
            Self::LambdaMart => "LambdaMart",
        }
    }

    /// The constant that fits best when it is added to all scores, found by Newton's method.
    pub(super) fn best_constant(self, scores: &[f64], labels: &[f32]) -> f64 {
        if self != Self::Logloss {
            return 0.0;
        }
        let mean = labels.iter().map(|&y| f64::from(y)).sum::<f64>() / labels.len() as f64;
        let base = (mean / (1.0 - mean)).ln();
        if scores.iter().all(|&score| score == 0.0) {
            return base;
        }
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

    /// The loss; `groups` are consecutive ranges that cover all rows.
    pub fn value(self, scores: &[f64], labels: &[f32], groups: &[Range<usize>]) -> f64 {
        self.evaluate(scores, labels, groups, &mut vec![[0.0; 2]; scores.len()])
    }

    /// The derivatives of the sum over rows.
    pub fn derivatives(self, scores: &[f64], labels: &[f32], groups: &[Range<usize>]) -> Derivatives {
        let mut derivatives = vec![[0.0; 2]; scores.len()];
        self.evaluate(scores, labels, groups, &mut derivatives);
        derivatives
    }

    /// The loss, and the derivatives of the sum over rows.
    pub(super) fn evaluate(
        self,
        scores: &[f64],
        labels: &[f32],
        groups: &[Range<usize>],
        derivatives: &mut [[f32; 2]],
    ) -> f64 {
        let of_group = match self {
            Self::Logloss => {
                let chunks = derivatives.par_chunks_mut(CHUNK).zip(scores.par_chunks(CHUNK));
                let sums: Vec<f64> = chunks
                    .zip(labels.par_chunks(CHUNK))
                    .map(|((derivatives, scores), labels)| {
                        Arch::new().dispatch(Rows { scores, labels, derivatives })
                    })
                    .collect();
                return sums.iter().sum::<f64>() / scores.len() as f64;
            }
            Self::QuerySoftMax => soft_max,
            Self::LambdaMart => lambda_mart::group,
        };
        let mut rest = derivatives;
        let mut tasks = Vec::with_capacity(groups.len());
        for group in groups {
            let (head, tail) = rest.split_at_mut(group.len());
            tasks.push((head, &scores[group.clone()], &labels[group.clone()]));
            rest = tail;
        }
        let sums: Vec<[f64; 2]> = tasks
            .into_par_iter()
            .map(|(derivatives, scores, labels)| of_group(scores, labels, derivatives))
            .collect();
        let [loss, weight] = sums.iter().fold([0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]);
        if weight > 0.0 { loss / weight } else { 0.0 }
    }
}

/// Rows under `Logloss`: the sum of log(1 + e^s) − y·s, and the derivatives.
struct Rows<'a> {
    scores: &'a [f64],
    labels: &'a [f32],
    derivatives: &'a mut [[f32; 2]],
}

impl NullaryFnOnce for Rows<'_> {
    type Output = f64;

    #[inline(always)]
    fn call(self) -> f64 {
        let mut loss = 0.0;
        let blocks = self.scores.chunks(FACTORS).zip(self.labels.chunks(FACTORS));
        for ((scores, labels), derivatives) in blocks.zip(self.derivatives.chunks_mut(FACTORS)) {
            let (scores, last_scores) = scores.as_chunks::<LANES>();
            let (labels, last_labels) = labels.as_chunks::<LANES>();
            let (derivatives, last_derivatives) = derivatives.as_chunks_mut::<LANES>();
            let last_derivatives = last_derivatives.as_chunks_mut::<1>().0;
            loss += rows(scores, labels, derivatives)
                + rows(last_scores.as_chunks::<1>().0, last_labels.as_chunks::<1>().0, last_derivatives);
        }
        loss
    }
}

/// The same for few rows, N at a time: log(1 + e^s) = max(s, 0) + log(1 + e^-|s|), the second part as
/// the logarithm of a product over rows.
#[inline(always)]
fn rows<const N: usize>(scores: &[[f64; N]], labels: &[[f32; N]], derivatives: &mut [[[f32; 2]; N]]) -> f64 {
    let (mut sums, mut products) = ([0.0; N], [1.0; N]);
    for ((s, y), derivatives) in scores.iter().zip(labels).zip(derivatives) {
        let e = exp_of_negative(s.map(|s| -s.abs()));
        let (mut g, mut h) = ([0.0; N], [0.0; N]);
        for lane in 0..N {
            let smaller = e[lane] / (1.0 + e[lane]);
            let p = if s[lane] < 0.0 { smaller } else { 1.0 - smaller };
            g[lane] = (p - f64::from(y[lane])) as f32;
            h[lane] = (smaller * (1.0 - smaller)) as f32;
            sums[lane] += (if s[lane] > 0.0 { s[lane] } else { 0.0 }) - f64::from(y[lane]) * s[lane];
            products[lane] *= 1.0 + e[lane];
        }
        for lane in 0..N {
            derivatives[lane] = [g[lane], h[lane]];
        }
    }
    sums.iter().sum::<f64>() + products.iter().map(|product: &f64| product.ln()).sum::<f64>()
}

/// Loss and weight of one group under `QuerySoftMax`, and the derivatives of its rows.
fn soft_max(scores: &[f64], labels: &[f32], derivatives: &mut [[f32; 2]]) -> [f64; 2] {
    let mut powers = vec![0.0; scores.len()];
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Arch::new().dispatch(Powers { scores, top, powers: &mut powers });
    let sum: f64 = powers.iter().sum();
    let weight: f64 = labels.iter().map(|&y| f64::from(y)).sum();
    let log_sum = sum.ln() + top;
    let mut loss = 0.0;
    for (((d, power), &y), s) in derivatives.iter_mut().zip(&powers).zip(labels).zip(scores) {
        let p = power / sum;
        *d = [(weight * p - f64::from(y)) as f32, (weight * p * (1.0 - p)) as f32];
        loss += f64::from(y) * (log_sum - s);
    }
    [loss, weight]
}

/// e^(score − top) of each row.
struct Powers<'a> {
    scores: &'a [f64],
    top: f64,
    powers: &'a mut [f64],
}

impl NullaryFnOnce for Powers<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (scores, last_scores) = self.scores.as_chunks::<LANES>();
        let (powers, last_powers) = self.powers.as_chunks_mut::<LANES>();
        for (power, s) in powers.iter_mut().zip(scores) {
            *power = exp_of_negative(s.map(|s| s - self.top));
        }
        for (power, s) in last_powers.iter_mut().zip(last_scores) {
            [*power] = exp_of_negative([s - self.top]);
        }
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
