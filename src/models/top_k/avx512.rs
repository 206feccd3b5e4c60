//! The kernel's functions in AVX-512.
//!
//! All are enabled for the same set of instructions, so that they are inlined into each other and into
//! whatever [`run`] is given. Compilers make poor code of the plain loops over sixteen lanes, hence the
//! intrinsics.

use std::arch::x86_64::*;

use super::kernel::{Scan, Work};
use super::table::{LINES, Line};

/// Queries side by side.
const TILE: usize = 6;

/// Does the work, compiled for these instructions.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub fn run<W: Work>(work: W) -> W::Output {
    work.run()
}

/// The products of a panel with the active queries; the caller sees to it that the panel has as many groups
/// as a query has words.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
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
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn tile<const Q: usize>(panel: &[Line], scan: &mut Scan<'_>, start: usize) {
    let active: [u32; Q] = std::array::from_fn(|q| scan.active[start + q]);
    let rows: [*const u32; Q] = active.map(|query| scan.row(query).as_ptr());
    let mut sums = [[_mm512_setzero_si512(); LINES]; Q];
    for (group, lines) in panel.as_chunks::<LINES>().0.iter().enumerate() {
        // SAFETY: a line is 64 bytes, aligned.
        let items: [__m512i; LINES] =
            std::array::from_fn(|line| unsafe { _mm512_load_si512(lines[line].0.as_ptr().cast()) });
        for q in 0..Q {
            // SAFETY: the caller saw to it that a panel has as many groups as a row has words.
            let word = _mm512_set1_epi32(unsafe { *rows[q].add(group) } as i32);
            for line in 0..LINES {
                sums[q][line] = _mm512_dpbusd_epi32(sums[q][line], items[line], word);
            }
        }
    }
    for q in 0..Q {
        let threshold = _mm512_set1_epi32(scan.thresholds[active[q] as usize]);
        let [a, b, c, d] = sums[q];
        let largest = _mm512_max_epi32(_mm512_max_epi32(a, b), _mm512_max_epi32(c, d));
        let mut hits = 0;
        if _mm512_cmpge_epi32_mask(largest, threshold) != 0 {
            for (line, &sum) in sums[q].iter().enumerate() {
                hits |= u64::from(_mm512_cmpge_epi32_mask(sum, threshold)) << (16 * line);
                // SAFETY: sixteen of the products of a query.
                unsafe {
                    _mm512_storeu_si512(scan.products[start + q][16 * line..].as_mut_ptr().cast(), sum);
                }
            }
        }
        scan.hits[start + q] = hits;
    }
}

/// [`dot`](super::exact::dot), lane by lane the same sums.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    let (mut low, mut high) = (_mm512_setzero_pd(), _mm512_setzero_pd());
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        // SAFETY: sixteen numbers each.
        let (a, b) = unsafe { (_mm512_loadu_ps(a.as_ptr()), _mm512_loadu_ps(b.as_ptr())) };
        add_products(a, b, &mut low, &mut high);
    }
    if !a_rest.is_empty() && !b_rest.is_empty() {
        add_products(load(a_rest), load(b_rest), &mut low, &mut high);
    }
    total(low, high)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn add_products(a: __m512, b: __m512, low: &mut __m512d, high: &mut __m512d) {
    let ((a_low, a_high), (b_low, b_high)) = (halves(a), halves(b));
    *low = _mm512_add_pd(*low, _mm512_mul_pd(a_low, b_low));
    *high = _mm512_add_pd(*high, _mm512_mul_pd(a_high, b_high));
}

/// Fewer than sixteen numbers, and zeros.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn load(rest: &[f32]) -> __m512 {
    let present = (1 << rest.len().min(15)) - 1;
    // SAFETY: the mask leaves what is not there alone.
    unsafe { _mm512_maskz_loadu_ps(present, rest.as_ptr()) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn halves(a: __m512) -> (__m512d, __m512d) {
    (_mm512_cvtps_pd(_mm512_castps512_ps256(a)), _mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(a)))
}

/// The sum of the lanes, in the order of `exact::total`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn total(low: __m512d, high: __m512d) -> f64 {
    let eight = _mm512_add_pd(low, high);
    let four = _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd::<1>(eight));
    let two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd::<1>(four));
    _mm_cvtsd_f64(two) + _mm_cvtsd_f64(_mm_unpackhi_pd(two, two))
}

/// [`round`](super::exact::round).
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub fn round(vector: &[f32], scale: f64, whole: &mut [i8]) -> f64 {
    let inverse = _mm512_set1_pd(if scale > 0.0 { 1.0 / scale } else { 0.0 });
    let scale = _mm512_set1_pd(scale);
    let (mut low, mut high) = (_mm512_setzero_pd(), _mm512_setzero_pd());
    for (vector, whole) in vector.chunks(16).zip(whole.chunks_mut(16)) {
        // SAFETY: sixteen numbers.
        let values =
            if vector.len() == 16 { unsafe { _mm512_loadu_ps(vector.as_ptr()) } } else { load(vector) };
        let halves = halves(values);
        let mut bytes = [0; 16];
        for (half, values, sum) in [(0, halves.0, &mut low), (8, halves.1, &mut high)] {
            let rounded = _mm512_roundscale_pd::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(
                _mm512_mul_pd(values, inverse),
            );
            let lost = _mm512_sub_pd(values, _mm512_mul_pd(scale, rounded));
            *sum = _mm512_add_pd(*sum, _mm512_mul_pd(lost, lost));
            let narrow = _mm512_cvtepi64_epi8(_mm512_cvtpd_epi64(rounded));
            // SAFETY: eight bytes of sixteen.
            unsafe { _mm_storel_epi64(bytes[half..].as_mut_ptr().cast(), narrow) };
        }
        whole.copy_from_slice(&bytes.map(|byte: u8| byte as i8)[..whole.len()]);
    }
    total(low, high).sqrt()
}
