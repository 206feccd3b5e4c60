//! What is drawn for each tree: rows, their weights, features.
//!
//! Blocks of rows draw on their own, so that the number of threads changes nothing.

use rand::{Rng, RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the rows of a tree are drawn, by CatBoost's names. Leaves take all rows all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BootstrapType {
    /// Each row with chance `subsample`.
    #[default]
    Bernoulli,
    /// Every row, with a weight (−ln u)^`bagging_temperature`, u uniform in (0, 1).
    Bayesian,
    /// Every row.
    No,
}

/// The draw of one tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Draw {
    pub bootstrap_type: BootstrapType,
    pub subsample: f64,
    pub bagging_temperature: f64,
    pub seed: u64,
}

impl Draw {
    /// The rows of a block of `n_rows`, rising, and the weights of all its rows; none when they are all 1.
    pub fn rows(self, block: u64, n_rows: usize, rows: &mut Vec<u16>, weights: &mut Vec<f32>) {
        rows.clear();
        weights.clear();
        let mut rng = Pcg64Mcg::seed_from_u64(mix(self.seed, block));
        match self.bootstrap_type {
            BootstrapType::Bernoulli if self.subsample < 1.0 => {
                rows.resize(n_rows, 0);
                let limit = (self.subsample * 2f64.powi(32)) as u64;
                let (mut taken, mut random) = (0, 0u64);
                for row in 0..n_rows {
                    random = if row % 2 == 0 { rng.next_u64() } else { random >> 32 };
                    rows[taken] = row as u16;
                    taken += usize::from((random & 0xffff_ffff) < limit);
                }
                rows.truncate(taken);
            }
            BootstrapType::Bayesian if self.bagging_temperature > 0.0 => {
                rows.extend((0..n_rows).map(|row| row as u16));
                weights.extend((0..n_rows).map(|_| {
                    let uniform: f64 = 1.0 - rng.random::<f64>();
                    let exponential = -uniform.ln();
                    let temperature = self.bagging_temperature;
                    (if temperature == 1.0 { exponential } else { exponential.powf(temperature) }) as f32
                }));
            }
            _ => rows.extend((0..n_rows).map(|row| row as u16)),
        }
    }
}

/// A share `rsm` of the features, at least one, rising.
pub(super) fn draw_features(usable: &[usize], rsm: f64, seed: u64) -> Vec<usize> {
    let wanted = (rsm * usable.len() as f64).ceil().max(1.0) as usize;
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut features = usable.to_vec();
    if wanted >= features.len() {
        return features;
    }
    for drawn in 0..wanted {
        let other = rng.random_range(drawn..features.len());
        features.swap(drawn, other);
    }
    features.truncate(wanted);
    features.sort_unstable();
    features
}

/// A seed for each of many draws.
pub(super) fn mix(seed: u64, draw: u64) -> u64 {
    seed ^ (draw + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(bootstrap_type: BootstrapType) -> (Vec<u16>, Vec<f32>) {
        let draw = Draw { bootstrap_type, subsample: 0.3, bagging_temperature: 1.0, seed: 7 };
        let (mut rows, mut weights) = (vec![], vec![]);
        draw.rows(3, 10_001, &mut rows, &mut weights);
        (rows, weights)
    }

    #[test]
    fn draws_have_the_right_size_and_are_repeated() {
        for kind in [BootstrapType::Bernoulli, BootstrapType::Bayesian, BootstrapType::No] {
            assert_eq!(draw(kind), draw(kind));
        }
        let (rows, weights) = draw(BootstrapType::Bernoulli);
        assert!((2_800..3_200).contains(&rows.len()) && weights.is_empty());
        assert!(rows.windows(2).all(|pair| pair[0] < pair[1]));
        let (rows, weights) = draw(BootstrapType::Bayesian);
        let mean = weights.iter().sum::<f32>() / weights.len() as f32;
        assert_eq!(rows.len(), 10_001);
        assert!((mean - 1.0).abs() < 0.05, "{mean}");
        assert_eq!(draw(BootstrapType::No).0.len(), 10_001);
    }

    #[test]
    fn features_are_drawn_without_repeats() {
        let usable = [1, 3, 5, 7, 9];
        assert_eq!(draw_features(&usable, 1.0, 0), usable);
        assert_eq!(draw_features(&usable, 0.0, 0).len(), 1);
        let some = draw_features(&usable, 0.5, 1);
        assert_eq!(some.len(), 3);
        assert!(some.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
