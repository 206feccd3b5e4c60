//! [`Lanes`] for x86-64 with AVX-512 and with AVX2.
//!
//! A vector load or store of memory that another thread changes would be a data race in the eyes of the
//! compiler. So lines are moved by one instruction of inline assembly, which is opaque to it: the block
//! does what sixteen relaxed loads (or stores) of its `AtomicU32`s do, since the processor never tears
//! an aligned four-byte part of a vector move. What happens to the numbers in between are ordinary
//! intrinsics on registers.

use std::arch::asm;
use std::arch::x86_64::{
    __m256, __m512, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps, _mm256_add_ps,
    _mm256_castps256_ps128, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_mul_ps, _mm256_set1_ps,
    _mm256_sub_ps, _mm512_fmadd_ps, _mm512_mul_ps, _mm512_reduce_add_ps, _mm512_set1_ps, _mm512_sub_ps,
};

use super::lanes::Lanes;
use super::table::Line;

/// AVX-512: a line is one register.
#[derive(Clone, Copy)]
pub struct Avx512(());

impl Avx512 {
    /// When this machine has it.
    pub fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx512f").then_some(Self(()))
    }
}

/// AVX2 with fused multiply-add: a line is two registers.
#[derive(Clone, Copy)]
pub struct Avx2(());

impl Avx2 {
    /// When this machine has it.
    pub fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_512(line: &Line) -> __m512 {
    let values;
    // SAFETY: reads the 64 bytes of the line, aligned to 64; see the top of the file for other threads.
    unsafe {
        asm!("vmovaps {}, [{}]", lateout(zmm_reg) values, in(reg) line,
             options(pure, readonly, nostack, preserves_flags));
    }
    values
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_512(line: &Line, values: __m512) {
    // SAFETY: writes the 64 bytes of the line, aligned to 64 and all inside atomics, which may be changed
    // through a shared reference; see the top of the file for other threads.
    unsafe {
        asm!("vmovaps [{}], {}", in(reg) line, in(zmm_reg) values, options(nostack, preserves_flags));
    }
}

// In each method: SAFETY: `self` exists only on a machine with AVX-512.
impl Lanes for Avx512 {
    type V = __m512;

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, line: &Line) -> __m512 {
        unsafe { load_512(line) }
    }

    #[inline(always)]
    fn store(self, line: &Line, values: __m512) {
        unsafe { store_512(line, values) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn sum(self, a: __m512) -> f32 {
        unsafe { _mm512_reduce_add_ps(a) }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn load_256(line: &Line) -> [__m256; 2] {
    let (low, high);
    // SAFETY: reads the 64 bytes of the line, aligned to 64; see the top of the file for other threads.
    unsafe {
        asm!("vmovaps {}, [{line}]", "vmovaps {}, [{line} + 32]", out(ymm_reg) low, lateout(ymm_reg) high,
             line = in(reg) line, options(pure, readonly, nostack, preserves_flags));
    }
    [low, high]
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn store_256(line: &Line, [low, high]: [__m256; 2]) {
    // SAFETY: writes the 64 bytes of the line, aligned to 64 and all inside atomics, which may be changed
    // through a shared reference; see the top of the file for other threads.
    unsafe {
        asm!("vmovaps [{line}], {}", "vmovaps [{line} + 32], {}", in(ymm_reg) low, in(ymm_reg) high,
             line = in(reg) line, options(nostack, preserves_flags));
    }
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn sum_256([low, high]: [__m256; 2]) -> f32 {
    let eight = _mm256_add_ps(low, high);
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

// In each method: SAFETY: `self` exists only on a machine with AVX2 and FMA.
impl Lanes for Avx2 {
    type V = [__m256; 2];

    #[inline(always)]
    fn splat(self, value: f32) -> Self::V {
        unsafe { [_mm256_set1_ps(value); 2] }
    }

    #[inline(always)]
    fn load(self, line: &Line) -> Self::V {
        unsafe { load_256(line) }
    }

    #[inline(always)]
    fn store(self, line: &Line, values: Self::V) {
        unsafe { store_256(line, values) }
    }

    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul(self, a: Self::V, b: Self::V) -> Self::V {
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }

    #[inline(always)]
    fn sum(self, a: Self::V) -> f32 {
        unsafe { sum_256(a) }
    }
}
