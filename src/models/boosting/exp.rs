//! The exponential function as plain arithmetic, so that loops over rows become vector instructions.
//!
//! e^x = 2^k · e^r with k = round(x / ln 2) and |r| ≤ ln 2 / 2; e^r is its Taylor polynomial of degree 13,
//! whose remainder is below 2^-58. Only multiplications and additions in a fixed order: the same bits on
//! every machine, with every vector unit.

/// Below this, e^x is taken for e^LEAST, about 3e-308.
const LEAST: f64 = -707.0;
/// Adding it rounds to a whole number, which then stands in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;
const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// 1/n! for n from 13 down to 0.
const FACTORIALS: [f64; 14] = [
    1.605_904_383_682_161_3e-10,
    2.087_675_698_786_81e-9,
    2.505_210_838_544_172e-8,
    2.755_731_922_398_589_3e-7,
    2.755_731_922_398_589e-6,
    2.480_158_730_158_73e-5,
    1.984_126_984_126_984e-4,
    1.388_888_888_888_889e-3,
    8.333_333_333_333_333e-3,
    4.166_666_666_666_666_4e-2,
    1.666_666_666_666_666_6e-1,
    0.5,
    1.0,
    1.0,
];

/// e^x for each x ≤ 0, within 2 units in the last place.
#[inline(always)]
pub(super) fn exp_of_negative<const N: usize>(x: [f64; N]) -> [f64; N] {
    let mut x = x;
    let (mut shifted, mut r, mut sum) = ([0.0; N], [0.0; N], [FACTORIALS[0]; N]);
    for lane in 0..N {
        x[lane] = if x[lane] > LEAST { x[lane] } else { LEAST };
        shifted[lane] = x[lane] * std::f64::consts::LOG2_E + ROUND;
        let k = shifted[lane] - ROUND;
        r[lane] = x[lane] - k * LN_2_HIGH - k * LN_2_LOW;
    }
    for factor in &FACTORIALS[1..] {
        for lane in 0..N {
            sum[lane] = sum[lane] * r[lane] + factor;
        }
    }
    for lane in 0..N {
        let power = shifted[lane].to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(1023) << 52;
        sum[lane] *= f64::from_bits(power);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::exp_of_negative;

    #[test]
    fn it_is_the_exponential() {
        for step in 0..100_000 {
            let x = -f64::from(step) * 7.06e-3;
            let error = (exp_of_negative([x])[0] / x.exp() - 1.0).abs();
            assert!(error < 5e-16, "e^{x}: {error}");
        }
        assert_eq!(exp_of_negative([0.0]), [1.0]);
        assert!(exp_of_negative([f64::NEG_INFINITY])[0] < 1e-300);
    }
}
