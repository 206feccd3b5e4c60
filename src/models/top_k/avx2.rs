//! The scan in AVX2.
//!
//! The instruction that multiplies bytes saturates its sums, so the bytes are taken apart first: the even ones
//! of an item and the odd ones as two pairs of `i16`, whose products one instruction adds up in the item's
//! own 32 bits. Queries are taken apart once, by [`words`]. Four queries and a line of items make eight
//! sums, which with their operands fit the sixteen registers.

use std::arch::x86_64::*;

use super::kernel::Scan;
use super::table::{LINES, Line};

/// Queries side by side.
const TILE: usize = 4;

/// The even bytes of all words, widened to `i16`, then the odd ones.
pub fn words(words: &[u32]) -> Vec<u32> {
    let widened = |byte: u8| u32::from(i16::from(byte as i8) as u16);
    let pairs = |first: usize| {
        words.iter().map(move |word| {
            let bytes = word.to_le_bytes();
            widened(bytes[first + 2]) << 16 | widened(bytes[first])
        })
    };
    pairs(0).chain(pairs(1)).collect()
}

/// The products of a panel with the active queries; the caller sees to it that the panel has as many groups
/// as a query has words.
#[target_feature(enable = "avx2")]
pub fn scan(panel: &[Line], scan: &mut Scan<'_>) {
    let whole_tiles = scan.active.len() / TILE * TILE;
    for start in (0..whole_tiles).step_by(TILE) {
        tile::<TILE>(panel, scan, start);
    }
    for start in whole_tiles..scan.active.len() {
        tile::<1>(panel, scan, start);
    }
}

/// The products of `Q` queries, from `start` on among the active ones.
#[target_feature(enable = "avx2")]
fn tile<const Q: usize>(panel: &[Line], scan: &mut Scan<'_>, start: usize) {
    let active: [u32; Q] = std::array::from_fn(|q| scan.active[start + q]);
    let (even_words, odd_words) = scan.words.split_at(scan.words.len() / 2);
    let row = |words: &[u32], query: u32| words[query as usize * scan.n_groups..][..scan.n_groups].as_ptr();
    let rows: [[*const u32; 2]; Q] = active.map(|query| [row(even_words, query), row(odd_words, query)]);
    let low_bytes = _mm256_set1_epi16(255);
    let mut hits = [0; Q];
    for line in 0..LINES {
        let mut sums = [[_mm256_setzero_si256(); 2]; Q];
        for (group, lines) in panel.as_chunks::<LINES>().0.iter().enumerate() {
            let halves = lines[line].0.as_ptr().cast::<__m256i>();
            // SAFETY: a line is 64 bytes, aligned.
            let items: [__m256i; 2] =
                std::array::from_fn(|half| unsafe { _mm256_load_si256(halves.add(half)) });
            let even = items.map(|items| _mm256_and_si256(items, low_bytes));
            let odd = items.map(|items| _mm256_srli_epi16::<8>(items));
            for q in 0..Q {
                // SAFETY: the caller saw to it that a panel has as many groups as a row has words.
                let pairs = rows[q].map(|words| _mm256_set1_epi32(unsafe { *words.add(group) } as i32));
                for half in 0..2 {
                    let products = _mm256_add_epi32(
                        _mm256_madd_epi16(even[half], pairs[0]),
                        _mm256_madd_epi16(odd[half], pairs[1]),
                    );
                    sums[q][half] = _mm256_add_epi32(sums[q][half], products);
                }
            }
        }
        for q in 0..Q {
            let threshold = _mm256_set1_epi32(scan.thresholds[active[q] as usize]);
            let below = sums[q].map(|sum| {
                let below = _mm256_cmpgt_epi32(threshold, sum);
                _mm256_movemask_ps(_mm256_castsi256_ps(below)) as u64
            });
            let reached = (below[1] << 8 | below[0]) ^ 0xFFFF;
            if reached != 0 {
                hits[q] |= reached << (16 * line);
                let products = scan.products[start + q][16 * line..].as_mut_ptr().cast::<__m256i>();
                // SAFETY: sixteen of the products of a query.
                unsafe {
                    _mm256_storeu_si256(products, sums[q][0]);
                    _mm256_storeu_si256(products.add(1), sums[q][1]);
                }
            }
        }
    }
    scan.hits[start..start + Q].copy_from_slice(&hits);
}
