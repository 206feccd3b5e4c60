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
    let ((vectors, vector_rest), (wholes, whole_rest)) =
        (vector.as_chunks::<LANES>(), whole.as_chunks_mut::<LANES>());
    for (vector, whole) in vectors.iter().zip(wholes) {
        for lane in 0..LANES {
            let value = f64::from(vector[lane]);
            let shifted = value * inverse + MAGIC;
            whole[lane] = shifted.to_bits() as i8;
            let lost = value - scale * (shifted - MAGIC);
            sums[lane] += lost * lost;
        }
    }
    for (&value, whole) in vector_rest.iter().zip(whole_rest) {
        let value = f64::from(value);
        let shifted = value * inverse + MAGIC;
        *whole = shifted.to_bits() as i8;
        let lost = value - scale * (shifted - MAGIC);
        sums[0] += lost * lost;
    }
    total(sums).sqrt()
}

/// The largest magnitude.
#[inline(always)]
pub fn largest(values: &[f32]) -> f32 {
    let mut lanes = [0.0; LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = if chunk[lane].abs() > lanes[lane] { chunk[lane].abs() } else { lanes[lane] };
        }
    }
    for value in rest {
        lanes[0] = value.abs().max(lanes[0]);
    }
    lanes.into_iter().fold(0.0, f32::max)
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
    use super::super::kernel::{Kernel, Work};
    use super::*;

    struct Dot<'a>(&'a [f32], &'a [f32]);

    impl Work for Dot<'_> {
        type Output = f64;

        #[inline(always)]
        fn run(self) -> f64 {
            dot(self.0, self.1)
        }
    }

    #[test]
    fn instruction_sets_agree_to_the_last_bit() {
        let a: Vec<f32> = (0..77).map(|at| (at as f32 * 0.37).sin()).collect();
        let b: Vec<f32> = (0..77).map(|at| (at as f32 * 0.91).cos()).collect();
        let plain: f64 = a.iter().zip(&b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum();
        assert!((dot(&a, &b) - plain).abs() < 1e-12);
        for kernel in Kernel::all() {
            assert_eq!(kernel.run(Dot(&a, &b)).to_bits(), dot(&a, &b).to_bits());
        }
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
