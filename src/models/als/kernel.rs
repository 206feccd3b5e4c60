//! The two inner loops of the solver, on blocks of eight vectors, with the SIMD of the machine.
//!
//! A row-solve does little else than products of a gathered block with a vector, from both sides.
//! Eight rows at once give eight independent chains of multiply-adds for the products from the
//! right, and eight terms per load and store for the products from the left.

use pulp::Simd;

use super::table::Chunk;

/// Vectors in a block.
pub const BLOCK: usize = 8;

/// `out[j] = rows[j] · vector` for a block of rows.
#[inline(always)]
pub fn dots<S: Simd>(simd: S, rows: &[Chunk], vector: &[Chunk]) -> [f32; BLOCK] {
    let rows = split(rows, vector.len());
    let mut sums = [simd.splat_f32s(0.0); BLOCK];
    for c in 0..vector.len() {
        let (vector, _) = S::as_simd_f32s(&vector[c].0);
        for j in 0..BLOCK {
            let (row, _) = S::as_simd_f32s(&rows[j][c].0);
            for v in 0..vector.len() {
                sums[j] = simd.mul_add_e_f32s(row[v], vector[v], sums[j]);
            }
        }
    }
    let mut out = [0.0; BLOCK];
    for j in 0..BLOCK {
        out[j] = simd.reduce_sum_f32s(sums[j]);
    }
    out
}

/// `out += Σ_j weights[j] · rows[j]` for a block of rows.
#[inline(always)]
pub fn add_weighted<S: Simd>(simd: S, rows: &[Chunk], weights: [f32; BLOCK], out: &mut [Chunk]) {
    let rows = split(rows, out.len());
    for c in 0..out.len() {
        let (out, _) = S::as_mut_simd_f32s(&mut out[c].0);
        for v in 0..out.len() {
            let mut sum = out[v];
            for j in 0..BLOCK {
                let (row, _) = S::as_simd_f32s(&rows[j][c].0);
                sum = simd.mul_add_e_f32s(simd.splat_f32s(weights[j]), row[v], sum);
            }
            out[v] = sum;
        }
    }
}

/// The rows of a block, each a slice of its own, so that the loops over chunks need no bounds checks.
#[inline(always)]
fn split(rows: &[Chunk], n: usize) -> [&[Chunk]; BLOCK] {
    [
        &rows[..n],
        &rows[n..2 * n],
        &rows[2 * n..3 * n],
        &rows[3 * n..4 * n],
        &rows[4 * n..5 * n],
        &rows[5 * n..6 * n],
        &rows[6 * n..7 * n],
        &rows[7 * n..8 * n],
    ]
}

/// `a · b`.
#[inline(always)]
pub fn dot<S: Simd>(simd: S, a: &[Chunk], b: &[Chunk]) -> f32 {
    let mut sum = simd.splat_f32s(0.0);
    for (a, b) in a.iter().zip(b) {
        let ((a, _), (b, _)) = (S::as_simd_f32s(&a.0), S::as_simd_f32s(&b.0));
        for (&a, &b) in a.iter().zip(b) {
            sum = simd.mul_add_e_f32s(a, b, sum);
        }
    }
    simd.reduce_sum_f32s(sum)
}

/// `out ← scale · out + factor · vector`.
#[inline(always)]
pub fn scale_add<S: Simd>(simd: S, scale: f32, out: &mut [Chunk], factor: f32, vector: &[Chunk]) {
    let (scale, factor) = (simd.splat_f32s(scale), simd.splat_f32s(factor));
    for (out, vector) in out.iter_mut().zip(vector) {
        let ((out, _), (vector, _)) = (S::as_mut_simd_f32s(&mut out.0), S::as_simd_f32s(&vector.0));
        for (out, &vector) in out.iter_mut().zip(vector) {
            *out = simd.mul_add_e_f32s(factor, vector, simd.mul_f32s(scale, *out));
        }
    }
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, WithSimd};

    use super::*;

    struct Both<'a>(&'a [Chunk], &'a [Chunk], &'a mut [Chunk]);

    impl WithSimd for Both<'_> {
        type Output = [f32; BLOCK];

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            let dots = dots(simd, self.0, self.1);
            add_weighted(simd, self.0, dots, self.2);
            dots
        }
    }

    #[test]
    fn blocks_agree_with_plain_loops() {
        let rows: Vec<Chunk> =
            (0..16).map(|r| Chunk(std::array::from_fn(|c| ((r * 5 + c * 3) % 7) as f32))).collect();
        let vector = [Chunk(std::array::from_fn(|c| c as f32)), Chunk([2.0; 16])];
        let mut out = [Chunk([1.0; 16]); 2];
        let dots = Arch::new().dispatch(Both(&rows, &vector, &mut out));
        let mut expected = [Chunk([1.0; 16]); 2];
        for (row, &dot) in rows.chunks_exact(2).zip(&dots) {
            let plain: f32 = (0..32).map(|i| row[i / 16].0[i % 16] * vector[i / 16].0[i % 16]).sum();
            assert_eq!(dot, plain);
            for i in 0..32 {
                expected[i / 16].0[i % 16] += dot * row[i / 16].0[i % 16];
            }
        }
        assert_eq!(out, expected);
    }
}
