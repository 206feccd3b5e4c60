//! Bootstrap over users: how much would a mean change with other users of the same kind?
//!
//! A resample draws `n` users with replacement; the 2.5 % and 97.5 % points of a metric over the
//! resamples are its 95 % interval (the percentile method). Done literally, 1,000 resamples of a
//! million users are 10⁹ random reads of a table. Here users are cut into blocks: how many draws of a
//! resample fall into each block is multinomial, and inside a block the draws are uniform, which is
//! the same distribution. A block of counts times a block of values is a small matrix product that
//! stays in cache. Each (resample, block) has its own random stream and partial sums are added in a
//! fixed order, so that neither threads nor other columns change a bit.
//!
//! Source: Efron, Tibshirani, *An introduction to the bootstrap*, 1993, chapter 13.

use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rand::Rng;
use rand::distr::Distribution;
use rand_distr::Binomial;
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;

/// Users of one block; counts and values of a block fit into the second-level cache.
pub const BLOCK: usize = 512;
/// Resamples that go through one matrix product.
const TILE: usize = 64;
/// Independent partial sums; more than threads, and the same on every machine.
const GROUPS: usize = 32;

/// Seeded resamples of `n_users` users; the same ones for every metric and model.
#[derive(Debug, Clone)]
pub struct Resamples {
    n_users: usize,
    n_samples: usize,
    seed: u64,
    /// Draws of each resample that fall into each block; `n_samples × n_blocks`.
    draws: Vec<u32>,
}

impl Resamples {
    /// Plans `n_samples` resamples.
    pub fn new(n_users: usize, n_samples: usize, seed: u64) -> Self {
        let n_blocks = n_users.div_ceil(BLOCK);
        let mut draws = vec![0u32; n_samples * n_blocks];
        draws.par_chunks_exact_mut(n_blocks.max(1)).enumerate().for_each(|(sample, draws)| {
            let mut random = stream(seed, sample, usize::MAX);
            let (mut users_left, mut draws_left) = (n_users, n_users as u64);
            for (block, draws) in draws.iter_mut().enumerate() {
                let size = BLOCK.min(n_users - block * BLOCK);
                let share = size as f64 / users_left as f64;
                let here = Binomial::new(draws_left, share)
                    .expect("a share of the users that are left lies in [0, 1]")
                    .sample(&mut random);
                *draws = here as u32;
                draws_left -= here;
                users_left -= size;
            }
        });
        Self { n_users, n_samples, seed, draws }
    }

    /// How many resamples there are.
    pub fn n_samples(&self) -> usize {
        self.n_samples
    }

    /// Column sums of `values` (row-major, `n_users × width`) in every resample: `n_samples × width`.
    ///
    /// # Panics
    /// When `values` has another size.
    pub fn sums(&self, values: &[f64], width: usize) -> Vec<f64> {
        assert_eq!(values.len(), self.n_users * width, "one row of `width` values a user");
        let blocks: Vec<(usize, &[f64])> = values.chunks(BLOCK * width.max(1)).enumerate().collect();
        let partials: Vec<Vec<f64>> = blocks
            .par_chunks(blocks.len().div_ceil(GROUPS).max(1))
            .map(|blocks| {
                let mut sums = vec![0.0; self.n_samples * width];
                let mut counts = vec![0.0; TILE * BLOCK];
                for &(block, values) in blocks {
                    self.add_block(block, values, width, &mut counts, &mut sums);
                }
                sums
            })
            .collect();
        let mut sums = vec![0.0; self.n_samples * width];
        for partial in partials {
            sums.iter_mut().zip(partial).for_each(|(sum, value)| *sum += value);
        }
        sums
    }

    /// Which users of a block `sample` drew at least once: bit `i` is user `BLOCK · block + i`.
    pub fn drawn(&self, sample: usize, block: usize) -> [u64; BLOCK / 64] {
        let mut drawn = [0; BLOCK / 64];
        self.draw(sample, block, |user| drawn[user / 64] |= 1 << (user % 64));
        drawn
    }

    fn add_block(&self, block: usize, values: &[f64], width: usize, counts: &mut [f64], sums: &mut [f64]) {
        let size = values.len() / width;
        let values = MatRef::from_row_major_slice(values, size, width);
        for (tile, sums) in sums.chunks_mut(TILE * width).enumerate() {
            let n_samples = sums.len() / width;
            let counts = &mut counts[..n_samples * size];
            counts.fill(0.0);
            for (row, counts) in counts.chunks_exact_mut(size).enumerate() {
                self.draw(tile * TILE + row, block, |user| counts[user] += 1.0);
            }
            let counts = MatRef::from_row_major_slice(counts, n_samples, size);
            let sums = MatMut::from_row_major_slice_mut(sums, n_samples, width);
            matmul(sums, Accum::Add, counts, values, 1.0, Par::Seq);
        }
    }

    fn draw(&self, sample: usize, block: usize, mut visit: impl FnMut(usize)) {
        let size = BLOCK.min(self.n_users - block * BLOCK) as u64;
        let n_draws = self.draws[sample * self.n_users.div_ceil(BLOCK) + block];
        let mut random = stream(self.seed, sample, block);
        // The high half of (32 random bits × size) is uniform below `size`, up to 2⁻²³.
        let mut visit = |bits: u64| visit(((bits * size) >> 32) as usize);
        for _ in 0..n_draws / 2 {
            let bits = random.next_u64();
            visit(bits >> 32);
            visit(bits & u64::from(u32::MAX));
        }
        if n_draws % 2 == 1 {
            visit(random.next_u64() >> 32);
        }
    }
}

/// The 2.5 % and 97.5 % points, linear between order statistics; `None` without a finite sample.
pub fn interval_95(samples: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let mut samples: Vec<f64> = samples.into_iter().filter(|sample| sample.is_finite()).collect();
    samples.sort_unstable_by(f64::total_cmp);
    let last = samples.len().checked_sub(1)?;
    let point = |share: f64| {
        let place = share * last as f64;
        let (below, above) = (samples[place as usize], samples[(place as usize + 1).min(last)]);
        below + (above - below) * place.fract()
    };
    Some((point(0.025), point(0.975)))
}

/// The random stream of one (resample, block), far from all others: SplitMix64 of the three numbers.
fn stream(seed: u64, sample: usize, block: usize) -> Pcg64Mcg {
    let mix = |value: u64| {
        let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    };
    let step = 0x9e37_79b9_7f4a_7c15u64;
    let low = mix(mix(mix(seed.wrapping_add(step)).wrapping_add(sample as u64)).wrapping_add(block as u64));
    Pcg64Mcg::new(u128::from(low) << 64 | u128::from(mix(low.wrapping_add(step))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn for_each_draw(resamples: &Resamples, sample: usize, mut visit: impl FnMut(usize)) {
        for block in 0..resamples.n_users.div_ceil(BLOCK) {
            resamples.draw(sample, block, |user| visit(block * BLOCK + user));
        }
    }

    #[test]
    fn every_resample_draws_as_many_users_as_there_are() {
        for n_users in [1, 2, 511, 512, 513, 3000] {
            let resamples = Resamples::new(n_users, 20, 7);
            for sample in 0..20 {
                let mut n_draws = 0;
                for_each_draw(&resamples, sample, |user| {
                    assert!(user < n_users);
                    n_draws += 1;
                });
                assert_eq!(n_draws, n_users);
            }
        }
    }

    #[test]
    fn sums_are_the_sums_of_the_drawn_users() {
        let resamples = Resamples::new(1300, 70, 1);
        let values: Vec<f64> = (0..2600).map(|value| f64::from(value % 17)).collect();
        let sums = resamples.sums(&values, 2);
        for sample in [0, 63, 64, 69] {
            let mut expected = [0.0; 2];
            for_each_draw(&resamples, sample, |user| {
                expected[0] += values[2 * user];
                expected[1] += values[2 * user + 1];
            });
            assert_eq!(&sums[2 * sample..2 * sample + 2], expected);
        }
    }

    #[test]
    fn the_spread_is_that_of_a_mean() {
        // Values 0 and 1 in equal parts: the standard error of a mean of 2000 is 0.5 / √2000 = 0.01118,
        // and the interval reaches 1.96 of it to both sides.
        let values: Vec<f64> = (0..2000).map(|user| f64::from(user % 2)).collect();
        let sums = Resamples::new(2000, 4000, 3).sums(&values, 1);
        let (low, high) = interval_95(sums.iter().map(|sum| sum / 2000.0)).unwrap();
        assert!((low - (0.5 - 0.0219)).abs() < 0.002, "{low}");
        assert!((high - (0.5 + 0.0219)).abs() < 0.002, "{high}");
    }

    #[test]
    fn the_seed_decides_and_the_number_of_threads_does_not() {
        let values: Vec<f64> = (0..9000).map(|user| 1.0 / (1.0 + f64::from(user))).collect();
        let with_threads = |threads, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| Resamples::new(3000, 50, seed).sums(&values, 3))
        };
        assert_eq!(with_threads(1, 5), with_threads(3, 5));
        assert_ne!(with_threads(1, 5), with_threads(1, 6));
    }

    #[test]
    fn percentiles_lie_between_order_statistics() {
        // 41 samples 0 … 40: 2.5 % of 40 is 1, 97.5 % is 39.
        assert_eq!(interval_95((0..=40).map(f64::from)), Some((1.0, 39.0)));
        assert_eq!(interval_95([2.0, f64::NAN]), Some((2.0, 2.0)));
        assert_eq!(interval_95([]), None);
    }
}
