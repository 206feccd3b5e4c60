//! A function on `[0, 1]` as a sum of Chebyshev polynomials: the best way to apply it to a matrix of which
//! only products are known.

/// Points at which the function is read.
const POINTS: usize = 1024;

/// `c` with `f(x) ≈ Σ_k c_k T_k(2x − 1)` for `x` in `[0, 1]`, as many as it takes for the coefficients left
/// out to sum up to no more than `tolerance`; two at least.
pub fn coefficients(f: impl Fn(f64) -> f64, tolerance: f64) -> Vec<f64> {
    let angle = |point: usize| (point as f64 + 0.5) * std::f64::consts::PI / POINTS as f64;
    let values: Vec<f64> = (0..POINTS).map(|point| f((libm::cos(angle(point)) + 1.0) / 2.0)).collect();
    let mut all: Vec<f64> = (0..POINTS / 2)
        .map(|k| {
            let sum = |(point, value): (usize, &f64)| value * libm::cos(k as f64 * angle(point));
            values.iter().enumerate().map(sum).sum::<f64>() * 2.0 / POINTS as f64
        })
        .collect();
    all[0] /= 2.0;
    let mut left_out = 0.0;
    while all.len() > 2 && left_out + all[all.len() - 1].abs() <= tolerance {
        left_out += all.pop().map_or(0.0, f64::abs);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(coefficients: &[f64], x: f64) -> f64 {
        let angle = libm::acos(2.0 * x - 1.0);
        coefficients.iter().enumerate().map(|(k, c)| c * libm::cos(k as f64 * angle)).sum()
    }

    #[test]
    fn the_sum_is_the_function_within_the_tolerance() {
        for smoothing in [0.001, 0.1, 1.0, 1e6] {
            let f = |x: f64| x / (x + smoothing);
            let coefficients = coefficients(f, 1e-4);
            for x in [0.0, 0.01, 0.3, 0.77, 1.0] {
                let error = (value(&coefficients, x) - f(x)).abs();
                assert!(error < 2e-4, "{smoothing} {x}: {error} with {}", coefficients.len());
            }
        }
    }

    #[test]
    fn smooth_functions_take_few() {
        assert_eq!(coefficients(|x| 3.0 * x, 1e-6).len(), 2);
        assert!(coefficients(|x| x / (x + 0.2), 1e-3).len() < 10);
    }
}
