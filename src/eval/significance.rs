//! Paired tests: is the difference between two models larger than chance between users explains?
//!
//! Both tests take one difference a user. The t-test asks whether the mean is 0; the Wilcoxon test
//! asks whether the differences lie symmetrically around 0, by ranks, and so cares less for outliers.

use serde::Serialize;

/// What the two tests say of one set of differences.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PairedTest {
    /// Number of pairs (users).
    pub n: usize,
    /// Mean of the differences.
    pub mean_difference: f64,
    /// Mean over its standard error.
    pub t: f64,
    /// Two-sided p-value of the paired t-test.
    pub p_t_test: f64,
    /// The smaller of the two rank sums.
    pub wilcoxon_w: f64,
    /// `W` as a standard normal value.
    pub wilcoxon_z: f64,
    /// Two-sided p-value of the Wilcoxon signed-rank test.
    pub p_wilcoxon: f64,
}

impl PairedTest {
    /// Tests differences, one a user; equal models have p = 1.
    pub fn of(differences: &[f64]) -> Self {
        let n = differences.len();
        let mean_difference =
            differences.iter().fold(0.0, |sum, difference| sum + difference) / n.max(1) as f64;
        let (t, p_t_test) = t_test(differences, mean_difference);
        let (wilcoxon_w, wilcoxon_z, p_wilcoxon) = wilcoxon(differences);
        Self { n, mean_difference, t, p_t_test, wilcoxon_w, wilcoxon_z, p_wilcoxon }
    }

    /// About how many users would bring a difference of this size to |t| = `critical_t`, to two digits: t grows
    /// with the square root of the users. `None` without a difference.
    pub fn users_needed(&self, critical_t: f64) -> Option<usize> {
        let needed = self.n as f64 * (critical_t / self.t).powi(2);
        if !needed.is_finite() {
            return None;
        }
        let unit = 10f64.powf((needed.max(1.0).log10().floor() - 1.0).max(0.0));
        Some(((needed / unit).ceil() * unit) as usize)
    }
}

/// t = mean / (s / √n) with n − 1 degrees of freedom, and its two-sided p-value.
fn t_test(differences: &[f64], mean: f64) -> (f64, f64) {
    let n = differences.len() as f64;
    let squares: f64 = differences.iter().map(|difference| (difference - mean).powi(2)).sum();
    if mean == 0.0 || n < 2.0 {
        return (0.0, 1.0);
    }
    let t = mean / (squares / (n - 1.0) / n).sqrt();
    (t, student_t_two_sided(t, n - 1.0))
}

/// Wilcoxon's signed-rank test: zeros dropped, equal sizes share their mean rank, normal
/// approximation with the variance corrected for ties and no continuity correction
/// (SciPy's `wilcoxon(zero_method="wilcox", correction=False, method="approx")`).
fn wilcoxon(differences: &[f64]) -> (f64, f64, f64) {
    let mut sorted: Vec<f64> = differences.iter().copied().filter(|&difference| difference != 0.0).collect();
    sorted.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()));
    let (mut positive, mut ties) = (0.0, 0.0);
    let mut place = 0;
    for run in sorted.chunk_by(|a, b| a.abs() == b.abs()) {
        let size = run.len() as f64;
        let mean_rank = place as f64 + (size + 1.0) / 2.0;
        positive += mean_rank * run.iter().filter(|difference| **difference > 0.0).count() as f64;
        ties += size * size * size - size;
        place += run.len();
    }
    let n = sorted.len() as f64;
    let negative = n * (n + 1.0) / 2.0 - positive;
    let w = f64::min(positive, negative);
    let variance = (n * (n + 1.0) * (2.0 * n + 1.0) - ties / 2.0) / 24.0;
    if variance <= 0.0 {
        return (w, 0.0, 1.0);
    }
    let z = (w - n * (n + 1.0) / 4.0) / variance.sqrt();
    (w, z, libm::erfc(z.abs() / std::f64::consts::SQRT_2))
}

/// P(|T| ≥ |t|) for Student's t: the regularised incomplete beta function I_x(ν/2, 1/2) at
/// x = ν / (ν + t²).
fn student_t_two_sided(t: f64, degrees: f64) -> f64 {
    if t.is_infinite() {
        return 0.0;
    }
    let (a, b) = (degrees / 2.0, 0.5);
    let y = t * t / (degrees + t * t);
    let x = degrees / (degrees + t * t);
    // x^a · y^b / B(a, b); ln x is taken from y, which is exact where x is near 1.
    let front = (a * (-y).ln_1p() + b * y.ln() + ln_gamma_half_step(a)).exp() / std::f64::consts::PI.sqrt();
    if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(a, b, x) / a
    } else {
        1.0 - front * beta_fraction(b, a, y) / b
    }
}

/// ln Γ(a + ½) − ln Γ(a); by its asymptotic series where the two would cancel.
fn ln_gamma_half_step(a: f64) -> f64 {
    if a < 30.0 {
        return libm::lgamma(a + 0.5) - libm::lgamma(a);
    }
    let inverse = 1.0 / a;
    let square = inverse * inverse;
    let series = -1.0 / 8.0 + square * (1.0 / 192.0 + square * (-1.0 / 640.0 + square * (17.0 / 14336.0)));
    0.5 * a.ln() + inverse * series
}

/// The continued fraction of the incomplete beta function by Lentz's method.
///
/// Source: Press et al., *Numerical Recipes*, 3rd edition, section 6.4.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..100_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for numerator in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + numerator * d);
            c = away_from_zero(1.0 + numerator / c);
            change = d * c;
            fraction *= change;
        }
        if (change - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    fraction
}

/// Holm's correction of several p-values: each times the number of hypotheses not yet rejected,
/// rising, at most 1; the chance of any false alarm stays below the level.
///
/// Source: Holm, *A simple sequentially rejective multiple test procedure*, 1979.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut highest = 0.0f64;
    for (rank, &which) in order.iter().enumerate() {
        highest = highest.max(p_values[which] * (p_values.len() - rank) as f64).min(1.0);
        corrected[which] = highest;
    }
    corrected
}

/// P-values multiplied by their number (Bonferroni).
///
/// Of tests of the best of several against each other one, that is the correction that holds although the best was
/// picked by the same data: a variant whose corrected p is below 5 % is not the best of all, with at most 5 % chance
/// of saying so of the one that is. Whichever was picked, its test is one of the `n − 1` of the true best against
/// the others. Holm's steps would not do: they rest on tests that were fixed beforehand.
///
/// Source: the argument of Hsu, *Multiple comparisons*, 1996, chapter 4 (multiple comparisons with the best), with
/// Bonferroni's bound in place of Dunnett's.
pub fn bonferroni(p_values: &[f64]) -> Vec<f64> {
    p_values.iter().map(|p| (p * p_values.len() as f64).min(1.0)).collect()
}

/// The 95 % interval of the mean of differences that belongs to the t-test: mean ± t(0.975, n − 1) · s / √n. `None`
/// for fewer than two.
pub fn t_interval_95(differences: &[f64]) -> Option<(f64, f64)> {
    let n = differences.len() as f64;
    if n < 2.0 {
        return None;
    }
    let mean = differences.iter().sum::<f64>() / n;
    let squares: f64 = differences.iter().map(|difference| (difference - mean).powi(2)).sum();
    let reach = critical_t_95(n - 1.0) * (squares / (n - 1.0) / n).sqrt();
    Some((mean - reach, mean + reach))
}

/// The t that is exceeded to either side with 5 % chance, by bisection: from 1.96 to 12.71.
fn critical_t_95(degrees: f64) -> f64 {
    let (mut low, mut high) = (1.9, 13.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if student_t_two_sided(middle, degrees) > 0.05 {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-12 * expected.abs().max(1e-3), "{found} is not {expected}");
    }

    #[test]
    fn students_t_has_its_closed_forms() {
        // One degree of freedom is Cauchy: p = 1 − 2/π · atan t. Two: p = 1 − t / √(2 + t²).
        for t in [0.01f64, 0.5, 1.0, 2.0, 12.7] {
            close(student_t_two_sided(t, 1.0), 1.0 - std::f64::consts::FRAC_2_PI * t.atan());
            close(student_t_two_sided(t, 2.0), 1.0 - t / (2.0 + t * t).sqrt());
        }
        // Four: p = 1 − s (3 − s²) / 2 with s = t / √(4 + t²).
        let s = 1.3 / (4.0f64 + 1.3 * 1.3).sqrt();
        close(student_t_two_sided(-1.3, 4.0), 1.0 - s * (3.0 - s * s) / 2.0);
    }

    #[test]
    fn many_degrees_of_freedom_are_normal() {
        // The difference to the normal is about (t + t³) φ(t) / (2 ν).
        for t in [0.3, 1.7, 1.8, 4.0, 8.0] {
            let normal = libm::erfc(t / std::f64::consts::SQRT_2);
            let found = student_t_two_sided(t, 1e9);
            assert!((found / normal - 1.0).abs() < 1e-5, "{t}: {found} {normal}");
        }
        // The two ways to ln Γ(a + ½) − ln Γ(a) meet.
        close(ln_gamma_half_step(30.0), libm::lgamma(30.5) - libm::lgamma(30.0));
    }

    #[test]
    fn differences_worked_by_hand() {
        // Zero dropped; sizes 1, 1, 2, 3, 3 have ranks 1.5, 1.5, 3, 4.5, 4.5; negative: 1.5 + 4.5 = 6.
        let test = PairedTest::of(&[1.0, -1.0, 0.0, 2.0, 3.0, -3.0]);
        assert_eq!(test.wilcoxon_w, 6.0);
        // Mean 15/4 = 7.5; variance (5·6·11 − (6 + 6)/2) / 24 = 13.5.
        close(test.wilcoxon_z, (6.0 - 7.5) / 13.5f64.sqrt());
        // Mean 2/6; squares about it: 24 − 6 · (1/3)² = 70/3; t = (1/3) / √(70/3 / 5 / 6).
        close(test.t, (1.0 / 3.0) / (70.0f64 / 90.0).sqrt());
    }

    #[test]
    fn equal_models_do_not_differ() {
        for differences in [&[0.0, 0.0, 0.0][..], &[][..], &[0.5][..]] {
            let test = PairedTest::of(differences);
            assert_eq!(test.p_t_test, 1.0, "{differences:?}");
            assert!((0.0..=1.0).contains(&test.p_wilcoxon));
        }
        // The same gain for everyone leaves no chance at all.
        assert_eq!(PairedTest::of(&[0.5, 0.5, 0.5]).p_t_test, 0.0);
    }

    #[test]
    fn holm_multiplies_the_smallest_most_and_keeps_the_order() {
        let corrected = holm(&[0.04, 0.01, 0.03]);
        // 0.01 · 3, 0.03 · 2, then 0.04 · 1, which may not fall below 0.06.
        for (found, expected) in corrected.iter().zip([0.06, 0.03, 0.06]) {
            close(*found, expected);
        }
        assert_eq!(holm(&[0.7, 0.8]), [1.0, 1.0]);
    }

    #[test]
    fn the_interval_ends_where_the_test_turns() {
        // scipy.stats.t.ppf(0.975, [1, 2, 10, 1e6]).
        for (degrees, expected) in [
            (1.0, 12.706204736174694),
            (2.0, 4.302652729749462),
            (10.0, 2.228138851986274),
            (1e6, 1.959966356814107),
        ] {
            assert!((critical_t_95(degrees) - expected).abs() < 1e-9, "{degrees}");
        }
        // scipy.stats.ttest_1samp([1, 2, 3, 4.5], 0).confidence_interval(0.95).
        let (low, high) = t_interval_95(&[1.0, 2.0, 3.0, 4.5]).unwrap();
        close(low, 0.24924113000677028);
        close(high, 5.00075886999323);
        // Shifted so that one end is 0, p is 5 %.
        let shifted: Vec<f64> = [1.0, 2.0, 3.0, 4.5].iter().map(|value| value - low).collect();
        assert!((PairedTest::of(&shifted).p_t_test - 0.05).abs() < 1e-12);
        assert_eq!(t_interval_95(&[1.0]), None);
    }

    #[test]
    fn the_true_best_is_seldom_called_worse_than_the_one_that_was_picked() {
        // 8 equal models on 40 users, 1,000 times: each model is one of the best, and the first may be called worse in
        // no more than 5 % of the times. Uncorrected it would be in about 9 %.
        use rand::{RngExt, SeedableRng};
        let mut random = rand_pcg::Pcg64Mcg::seed_from_u64(11);
        let (mut corrected, mut uncorrected) = (0, 0);
        for _ in 0..1000 {
            let models: Vec<Vec<f64>> =
                (0..8).map(|_| (0..40).map(|_| random.random_range(-1.0..1.0)).collect()).collect();
            let mean = |model: &Vec<f64>| model.iter().sum::<f64>();
            let best = (0..8).max_by(|&a, &b| mean(&models[a]).total_cmp(&mean(&models[b]))).unwrap();
            if best == 0 {
                continue;
            }
            let others = (0..8).filter(|&model| model != best);
            let p_values: Vec<f64> = others
                .map(|model| {
                    let pairs = models[model].iter().zip(&models[best]);
                    PairedTest::of(&pairs.map(|(ours, theirs)| ours - theirs).collect::<Vec<_>>()).p_t_test
                })
                .collect();
            corrected += usize::from(bonferroni(&p_values)[0] < 0.05);
            uncorrected += usize::from(p_values[0] < 0.05);
        }
        assert!(corrected <= 50, "{corrected} of 1000");
        assert!(uncorrected > 70, "{uncorrected} of 1000");
    }
}
