//! The step of the descent, and a run of them over samples whose vectors are fetched ahead.
//!
//! For a user `u`, an item `i` of theirs and another one `j`, with `s = x_u·(y_i − y_j) + b_i − b_j` and
//! `z = 1 / (1 + eˢ)`, a step with learning rate `η` and regularisation `λ` is
//!
//! ```text
//! x_u ← x_u + η (z (y_i − y_j) − λ x_u)      b_i ← b_i + η ( z − λ b_i)
//! y_i ← y_i + η ( z x_u − λ y_i)             b_j ← b_j + η (−z − λ b_j)
//! y_j ← y_j + η (−z x_u − λ y_j)
//! ```
//!
//! with the old `x_u` on the right: the gradient of `ln σ(s) − λ/2 (|x|² + |y|² + b²)`.

use std::sync::atomic::AtomicU32;

use super::lanes::{Lanes, Portable};
use super::table::{Line, Table, read, write};
#[cfg(target_arch = "x86_64")]
use super::x86::{Avx2, Avx512};
use crate::models::prefetch::prefetch;

/// Samples between the fetch of a vector and its use.
const AHEAD: usize = 12;

/// A user, an item of theirs and an item that is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Sample {
    /// Row of the user table.
    pub user: u32,
    /// Row of the item table.
    pub liked: u32,
    /// Row of the item table, another one.
    pub disliked: u32,
}

/// What is learned, and how fast.
#[derive(Debug)]
pub struct Parts {
    /// `x`, n_users rows.
    pub users: Table,
    /// `y`, n_items rows.
    pub items: Table,
    /// `b`, n_items.
    pub biases: Vec<AtomicU32>,
    /// `η`
    pub learning_rate: f32,
    /// `λ`
    pub regularization: f32,
}

impl Parts {
    /// A step for each sample in turn; returns how many were ranked correctly before their step.
    pub fn learn(&self, samples: &[Sample]) -> usize {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(lanes) = Avx512::detect() {
                // SAFETY: detected.
                return unsafe { self.learn_avx512(lanes, samples) };
            }
            if let Some(lanes) = Avx2::detect() {
                // SAFETY: detected.
                return unsafe { self.learn_avx2(lanes, samples) };
            }
        }
        self.learn_with(Portable, samples)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f")]
    fn learn_avx512(&self, lanes: Avx512, samples: &[Sample]) -> usize {
        self.learn_with(lanes, samples)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn learn_avx2(&self, lanes: Avx2, samples: &[Sample]) -> usize {
        self.learn_with(lanes, samples)
    }

    /// One loop for each usual length, so that a user's and both items' numbers stay in registers.
    #[inline(always)]
    fn learn_with<L: Lanes>(&self, lanes: L, samples: &[Sample]) -> usize {
        match self.users.n_lines() {
            1 => self.run(samples, |rows| self.step::<L, 1>(lanes, rows)),
            2 => self.run(samples, |rows| self.step::<L, 2>(lanes, rows)),
            4 => self.run(samples, |rows| self.step::<L, 4>(lanes, rows)),
            8 => self.run(samples, |rows| self.step::<L, 8>(lanes, rows)),
            _ => self.run(samples, |rows| self.step_of_any_length(lanes, rows)),
        }
    }

    #[inline(always)]
    fn run<'a>(&'a self, samples: &[Sample], step: impl Fn(Rows<'a>) -> bool) -> usize {
        let mut n_correct = 0;
        for (at, sample) in samples.iter().enumerate() {
            if let Some(soon) = samples.get(at + AHEAD) {
                for item in [soon.liked, soon.disliked] {
                    self.items.row(item as usize).iter().for_each(prefetch);
                    prefetch(&self.biases[item as usize]);
                }
            }
            n_correct += usize::from(step(self.rows(sample)));
        }
        n_correct
    }

    #[inline(always)]
    fn rows(&self, sample: &Sample) -> Rows<'_> {
        Rows {
            user: self.users.row(sample.user as usize),
            liked: self.items.row(sample.liked as usize),
            disliked: self.items.row(sample.disliked as usize),
            liked_bias: &self.biases[sample.liked as usize],
            disliked_bias: &self.biases[sample.disliked as usize],
        }
    }

    /// A step for vectors of `N` lines; whether the sample was ranked correctly before.
    #[inline(always)]
    fn step<L: Lanes, const N: usize>(&self, lanes: L, rows: Rows<'_>) -> bool {
        let (user, liked, disliked) = (&rows.user[..N], &rows.liked[..N], &rows.disliked[..N]);
        let x: [L::V; N] = std::array::from_fn(|line| lanes.load(&user[line]));
        let yi: [L::V; N] = std::array::from_fn(|line| lanes.load(&liked[line]));
        let yj: [L::V; N] = std::array::from_fn(|line| lanes.load(&disliked[line]));
        let mut sum = lanes.splat(0.0);
        for line in 0..N {
            sum = lanes.mul_add(x[line], lanes.sub(yi[line], yj[line]), sum);
        }
        let (score, pull) = self.pull(lanes.sum(sum), &rows);
        let (keep, pull) = (lanes.splat(self.keep()), lanes.splat(pull));
        for line in 0..N {
            let gain = lanes.mul(pull, x[line]);
            let difference = lanes.sub(yi[line], yj[line]);
            lanes.store(&user[line], lanes.mul_add(keep, x[line], lanes.mul(pull, difference)));
            lanes.store(&liked[line], lanes.mul_add(keep, yi[line], gain));
            lanes.store(&disliked[line], lanes.sub(lanes.mul(keep, yj[line]), gain));
        }
        score > 0.0
    }

    /// [`step`](Self::step) for vectors of any number of lines, which are read twice.
    #[inline(always)]
    fn step_of_any_length<L: Lanes>(&self, lanes: L, rows: Rows<'_>) -> bool {
        let lines = || std::iter::zip(rows.user, std::iter::zip(rows.liked, rows.disliked));
        let mut sum = lanes.splat(0.0);
        for (user, (liked, disliked)) in lines() {
            let difference = lanes.sub(lanes.load(liked), lanes.load(disliked));
            sum = lanes.mul_add(lanes.load(user), difference, sum);
        }
        let (score, pull) = self.pull(lanes.sum(sum), &rows);
        let (keep, pull) = (lanes.splat(self.keep()), lanes.splat(pull));
        for (user, (liked, disliked)) in lines() {
            let (x, yi, yj) = (lanes.load(user), lanes.load(liked), lanes.load(disliked));
            let gain = lanes.mul(pull, x);
            lanes.store(user, lanes.mul_add(keep, x, lanes.mul(pull, lanes.sub(yi, yj))));
            lanes.store(liked, lanes.mul_add(keep, yi, gain));
            lanes.store(disliked, lanes.sub(lanes.mul(keep, yj), gain));
        }
        score > 0.0
    }

    /// From the product of the vectors to the score `s` and to `η z`, and the step of the biases.
    #[inline(always)]
    fn pull(&self, product: f32, rows: &Rows<'_>) -> (f32, f32) {
        let (bi, bj) = (read(rows.liked_bias), read(rows.disliked_bias));
        let score = product + bi - bj;
        let pull = self.learning_rate / (1.0 + exp(score));
        write(rows.liked_bias, self.keep() * bi + pull);
        write(rows.disliked_bias, self.keep() * bj - pull);
        (score, pull)
    }

    /// What a step leaves of every number: `1 − η λ`.
    #[inline(always)]
    fn keep(&self) -> f32 {
        1.0 - self.learning_rate * self.regularization
    }
}

/// The places of one sample.
#[derive(Clone, Copy)]
struct Rows<'a> {
    user: &'a [Line],
    liked: &'a [Line],
    disliked: &'a [Line],
    liked_bias: &'a AtomicU32,
    disliked_bias: &'a AtomicU32,
}

/// `eˣ`, relative error below 3e-7 (1 + |x|); beyond ±87 as at ±87; not a number for what is none.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Adding it rounds to a whole number, which then lies in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // e^x = 2^n · 2^f with n whole and f in [−½, ½]; the polynomial is Taylor's of 2^f.
    let t = x.clamp(-87.0, 87.0) * std::f32::consts::LOG2_E;
    let rounded = t + ROUND;
    let f = t - (rounded - ROUND);
    let mut power = 1.540_353e-4;
    for coefficient in [1.333_355_8e-3, 9.618_129e-3, 5.550_411e-2, 0.240_226_5, std::f32::consts::LN_2, 1.0]
    {
        power = power * f + coefficient;
    }
    let exponent = (rounded.to_bits() << 23).wrapping_add(1.0f32.to_bits());
    power * f32::from_bits(exponent)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64;

    use super::*;
    use crate::models::bpr::table::number;

    #[test]
    fn the_polynomial_is_the_exponential() {
        for step in -8600..8600 {
            let x = step as f32 * 0.01;
            let relative = f64::from(exp(x)) / f64::from(x).exp() - 1.0;
            assert!(relative.abs() < 2e-5, "{x}: {relative}");
        }
        assert!((exp(0.3) / 0.3f32.exp() - 1.0).abs() < 3e-7);
        assert!(exp(f32::NAN).is_nan());
        assert!(exp(1e30).is_finite() && exp(-1e30) > 0.0);
    }

    fn parts(n_factors: usize) -> Parts {
        let mut random = Pcg64::seed_from_u64(n_factors as u64);
        let mut value = || random.random::<f32>() - 0.5;
        Parts {
            users: Table::new(5, n_factors, &mut value),
            items: Table::new(7, n_factors, &mut value),
            biases: (0..7).map(|_| number(value())).collect(),
            learning_rate: 0.1,
            regularization: 0.02,
        }
    }

    fn values(parts: &Parts) -> Vec<f32> {
        let users = (0..5).flat_map(|row| parts.users.values(row));
        let items = (0..7).flat_map(|row| parts.items.values(row));
        users.chain(items).chain(parts.biases.iter().map(read)).collect()
    }

    fn samples() -> Vec<Sample> {
        let sample = |n: u32| Sample { user: n % 5, liked: n % 7, disliked: (n + 1 + n % 6) % 7 };
        (0..100).map(sample).collect()
    }

    #[test]
    fn a_step_follows_the_gradient() {
        for n_factors in [1, 16, 50] {
            let parts = parts(n_factors);
            let (x, yi, yj): (Vec<f32>, Vec<f32>, Vec<f32>) = (
                parts.users.values(2).collect(),
                parts.items.values(3).collect(),
                parts.items.values(6).collect(),
            );
            let (bi, bj) = (read(&parts.biases[3]), read(&parts.biases[6]));
            let product: f32 = (0..n_factors).map(|f| x[f] * (yi[f] - yj[f])).sum();
            let score = product + bi - bj;
            let z = 1.0 / (1.0 + score.exp());
            let correct = parts.learn(&[Sample { user: 2, liked: 3, disliked: 6 }]);
            assert_eq!(correct == 1, score > 0.0);
            let moved = |old: f32, gradient: f32| old + 0.1 * (gradient - 0.02 * old);
            let near = |a: f32, b: f32| assert!((a - b).abs() < 1e-6, "{a} is not {b}");
            for (f, new) in parts.users.values(2).enumerate() {
                near(new, moved(x[f], z * (yi[f] - yj[f])));
            }
            parts.items.values(3).enumerate().for_each(|(f, new)| near(new, moved(yi[f], z * x[f])));
            parts.items.values(6).enumerate().for_each(|(f, new)| near(new, moved(yj[f], -z * x[f])));
            near(read(&parts.biases[3]), moved(bi, z));
            near(read(&parts.biases[6]), moved(bj, -z));
        }
    }

    #[test]
    fn every_set_of_instructions_and_every_length_learns_the_same() {
        for n_factors in [1, 16, 17, 33, 64, 100, 128, 200] {
            let plain = parts(n_factors);
            let n_correct = plain.learn_with(Portable, &samples());
            let mut others: Vec<(Parts, usize)> = Vec::new();
            let long = parts(n_factors);
            let n = long.run(&samples(), |rows| long.step_of_any_length(Portable, rows));
            others.push((long, n));
            #[cfg(target_arch = "x86_64")]
            {
                if let Some(lanes) = Avx512::detect() {
                    let wide = parts(n_factors);
                    // SAFETY: detected.
                    let n = unsafe { wide.learn_avx512(lanes, &samples()) };
                    others.push((wide, n));
                }
                if let Some(lanes) = Avx2::detect() {
                    let wide = parts(n_factors);
                    // SAFETY: detected.
                    let n = unsafe { wide.learn_avx2(lanes, &samples()) };
                    others.push((wide, n));
                }
            }
            for (other, n) in others {
                assert_eq!(n, n_correct, "{n_factors} factors");
                for (a, b) in values(&plain).into_iter().zip(values(&other)) {
                    assert!((a - b).abs() < 1e-4, "{n_factors} factors: {a} is not {b}");
                }
            }
        }
    }
}
