//! Adding the leaves of a few trees to the scores of a block of rows.
//!
//! Half the time of scoring is this lookup. 64 leaf values fill eight registers of AVX-512, in which one
//! instruction picks eight values out of sixteen; without such registers, rows are looked up one by one.
//! Both add the trees in their order, so both give the same bits.

/// Rows of a block.
pub(super) const BLOCK: usize = 512;
/// Trees whose leaves are added together.
pub(super) const TREES: usize = 4;

/// Adds to each score `values[tree][leaf]`, tree after tree; only the low 6 bits of a leaf count.
pub(super) type AddLeaves = fn(&[&[f64; 64]; TREES], &[[u8; BLOCK]; TREES], &mut [f64; BLOCK]);

/// The best of this machine.
pub(super) fn best() -> AddLeaves {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        return x86::add_leaves;
    }
    portable
}

fn portable(values: &[&[f64; 64]; TREES], leaves: &[[u8; BLOCK]; TREES], scores: &mut [f64; BLOCK]) {
    let ([a, b, c, d], [at_a, at_b, at_c, at_d]) = (values, leaves);
    let rows = scores.iter_mut().zip(at_a).zip(at_b).zip(at_c).zip(at_d);
    for ((((score, at_a), at_b), at_c), at_d) in rows {
        let at = |leaf: &u8| usize::from(leaf & 63);
        *score = *score + a[at(at_a)] + b[at(at_b)] + c[at(at_c)] + d[at(at_d)];
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{BLOCK, TREES};

    /// What a register holds.
    const LANES: usize = 8;

    /// Only [`best`](super::best) may hand this out, after it has asked for AVX-512.
    pub fn add_leaves(
        values: &[&[f64; 64]; TREES],
        leaves: &[[u8; BLOCK]; TREES],
        scores: &mut [f64; BLOCK],
    ) {
        for (values, leaves) in values.iter().zip(leaves) {
            // SAFETY: `best` hands this function out only on machines with AVX-512F.
            unsafe { add_tree(values, leaves, scores) }
        }
    }

    #[target_feature(enable = "avx512f")]
    fn add_tree(values: &[f64; 64], leaves: &[u8; BLOCK], scores: &mut [f64; BLOCK]) {
        let values = values.as_chunks::<LANES>().0;
        // SAFETY: each chunk holds the 8 numbers that a register takes.
        let table: [__m512d; 8] = std::array::from_fn(|at| unsafe { _mm512_loadu_pd(values[at].as_ptr()) });
        let rows = scores.as_chunks_mut::<LANES>().0.iter_mut().zip(leaves.as_chunks::<LANES>().0);
        for (scores, leaves) in rows {
            let leaves = _mm512_cvtepu8_epi64(_mm_set_epi64x(0, i64::from_le_bytes(*leaves)));
            // Out of 16 values by the low 4 bits, out of four such by the next two.
            let of_16: [__m512d; 4] =
                std::array::from_fn(|at| _mm512_permutex2var_pd(table[2 * at], leaves, table[2 * at + 1]));
            let bit_4 = _mm512_test_epi64_mask(leaves, _mm512_set1_epi64(16));
            let bit_5 = _mm512_test_epi64_mask(leaves, _mm512_set1_epi64(32));
            let low = _mm512_mask_blend_pd(bit_4, of_16[0], of_16[1]);
            let high = _mm512_mask_blend_pd(bit_4, of_16[2], of_16[3]);
            let picked = _mm512_mask_blend_pd(bit_5, low, high);
            // SAFETY: both point to the 8 scores of the chunk.
            unsafe {
                let sums = _mm512_add_pd(_mm512_loadu_pd(scores.as_ptr()), picked);
                _mm512_storeu_pd(scores.as_mut_ptr(), sums);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_of_looking_up_agree() {
        let tables: [[f64; 64]; TREES] =
            std::array::from_fn(|tree| std::array::from_fn(|leaf| (tree * 64 + leaf) as f64 * 0.37 - 9.0));
        let leaves: [[u8; BLOCK]; TREES] =
            std::array::from_fn(|tree| std::array::from_fn(|row| (row * 7 + tree * 13 + row / 5) as u8));
        let start: [f64; BLOCK] = std::array::from_fn(|row| row as f64 / 3.0);
        let values = tables.each_ref();
        let mut expected = start;
        for (row, score) in expected.iter_mut().enumerate() {
            for tree in 0..TREES {
                *score += tables[tree][usize::from(leaves[tree][row]) % 64];
            }
        }
        for add in [portable as AddLeaves, best()] {
            let mut scores = start;
            add(&values, &leaves, &mut scores);
            assert_eq!(scores, expected);
        }
    }
}
