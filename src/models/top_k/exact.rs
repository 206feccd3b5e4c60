//! Arithmetic whose result does not depend on the machine: `f64` sums in sixteen lanes, in a fixed order.
//!
//! The product of two `f32` is exact in `f64`, so a fused multiply-add changes nothing, and Rust never
//! reorders a sum: the score of a pair has the same bits on every processor, in every block, on every
//! thread. Callers dispatch to the instruction set of the machine; these loops only have to be inlined.

/// Sums that run side by side.
const LANES: usize = 16;

/// `a · b`.
#[inline(always)]
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += f64::from(a[lane]) * f64::from(b[lane]);
        }
    }
    for (lane, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[lane] += f64::from(a) * f64::from(b);
    }
    total(sums)
}

/// Writes the whole numbers nearest to `vector / scale`, which must lie within ±127, and returns the length
/// of what is lost, `|vector − scale · whole|`.
#[inline(always)]
pub fn round(vector: &[f32], scale: f64, whole: &mut [i8]) -> f64 {
    // Added to a small number it leaves the nearest whole one in the lowest bits.
    const MAGIC: f64 = 1.5 * (1u64 << 52) as f64;
    let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
    let mut sums = [0.0; LANES];
    for (vector, whole) in vector.chunks(LANES).zip(whole.chunks_mut(LANES)) {
        for ((&value, whole), sum) in vector.iter().zip(whole).zip(&mut sums) {
            let value = f64::from(value);
            let shifted = value * inverse + MAGIC;
            *whole = shifted.to_bits() as i8;
            let lost = value - scale * (shifted - MAGIC);
            *sum += lost * lost;
        }
    }
    total(sums).sqrt()
}

/// The sum of the lanes, pairwise.
#[inline(always)]
fn total(mut sums: [f64; LANES]) -> f64 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
        width /= 2;
    }
    sums[0]
}

#[cfg(test)]
mod tests {
    use pulp::Arch;

    use super::*;

    #[test]
    fn instruction_sets_agree_to_the_last_bit() {
        let a: Vec<f32> = (0..77).map(|at| (at as f32 * 0.37).sin()).collect();
        let b: Vec<f32> = (0..77).map(|at| (at as f32 * 0.91).cos()).collect();
        let plain: f64 = a.iter().zip(&b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        assert!((dot(&a, &b) - plain).abs() < 1e-12);
        assert_eq!(Arch::new().dispatch(|| dot(&a, &b)).to_bits(), dot(&a, &b).to_bits());
    }

    #[test]
    fn rounding_is_to_the_nearest_and_says_what_it_lost() {
        let mut whole = [0; 5];
        let lost = round(&[0.5, -0.5, 0.26, -0.24, 0.0], 0.5, &mut whole);
        assert_eq!(whole, [1, -1, 1, 0, 0]);
        assert!((lost - 0.24f64.hypot(0.24)).abs() < 1e-6);
        assert_eq!(round(&[0.0; 5], 0.0, &mut whole), 0.0);
    }
}
