//! The kernel for processors with AVX-512, where one instruction takes a whole chunk.
//!
//! Measured against the portable kernel on 200 k users × 100 k items, 20 M interactions: see
//! `tests/bench/models_vs_implicit.py`. Vectors are gathered as 16-bit floats (11 bits of mantissa):
//! half the memory traffic, and the loss agrees with that of 32-bit vectors to the sixth digit.

use std::arch::x86_64::*;
use std::marker::PhantomData;

use super::kernel::{Kernel, LINES, PANEL, ROWS, TILE, Task};
use super::table::{Chunk, LANES};

/// Proof that the processor has the instructions: only [`Avx512::detect`] makes one. Vectors are
/// gathered as `P`.
#[derive(Clone, Copy)]
pub struct Avx512<P>(PhantomData<P>);

/// How a chunk is gathered.
pub trait Packed: Copy + Send + Sync {
    /// What [`Kernel::PACKED_LENGTH`] is with it.
    const LENGTH: Option<i32>;

    /// # Safety
    /// The processor has AVX-512F.
    unsafe fn pack(chunk: &Chunk, at: usize, scale: f32) -> Self;

    /// # Safety
    /// The processor has AVX-512F.
    unsafe fn unpack(&self) -> __m512;
}

/// A chunk as 16-bit floats.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub struct Half([u16; LANES]);

impl<P> Avx512<P> {
    /// The kernel, if the processor can run it.
    pub fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma");
        found.then_some(Self(PhantomData))
    }
}

impl<P: Packed> Kernel for Avx512<P> {
    type Packed = P;
    const PACKED_LENGTH: Option<i32> = P::LENGTH;

    fn enter<T: Task<Self>>(self, task: T) -> T::Output {
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
        fn with_features<K, T: Task<K>>(kernel: K, task: T) -> T::Output {
            task.run(kernel)
        }
        // SAFETY: `self` proves that the processor has these features.
        unsafe { with_features(self, task) }
    }

    #[inline(always)]
    fn pack(self, chunk: &Chunk, at: usize, scale: f32) -> P {
        // SAFETY: `self` proves that the processor has the features.
        unsafe { P::pack(chunk, at, scale) }
    }

    #[inline(always)]
    fn unpack(self, table: &[P], items: &[u32], tile: &mut [Chunk]) {
        // SAFETY: `self` proves that the processor has the features.
        unsafe { unpack(table, items, tile) }
    }

    #[inline(always)]
    fn prefetch<T>(self, values: &[T]) {
        let start = values.as_ptr().cast::<i8>();
        for line in (0..size_of_val(values)).step_by(size_of::<Chunk>()) {
            // Into the second-level cache: the first is full of the row that is being solved.
            // SAFETY: a prefetch reads nothing, and the place is inside of `values`.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(start.add(line)) }
        }
    }

    #[inline(always)]
    fn load(self, values: &[f32]) -> Chunk {
        // SAFETY: `self` proves that the processor has the features.
        unsafe { load_some(values) }
    }

    #[inline(always)]
    fn times(self, scale: f32, a: &[Chunk], shift: f32, b: &[Chunk], out: &mut [Chunk]) {
        // SAFETY: `self` proves that the processor has the features.
        unsafe { times(scale, a, shift, b, out) }
    }

    #[inline(always)]
    fn weigh(self, confidences: &Chunk, shift: f32, dots: &Chunk, scale: f32, sum: &mut Chunk) -> Chunk {
        // SAFETY: `self` proves that the processor has the features.
        unsafe { weigh(confidences, shift, dots, scale, sum) }
    }

    #[inline(always)]
    fn outer<const ADD: bool>(self, left: &[Chunk], right: &[Chunk], first: usize, out: &mut [Chunk]) {
        // SAFETY: `self` proves that the processor has the features.
        unsafe { outer::<ADD>(left, right, first, out) }
    }

    #[inline(always)]
    fn dots(self, tile: &[Chunk], n: usize, vector: &[Chunk]) -> Chunk {
        // SAFETY: `self` proves that the processor has the features.
        unsafe {
            match n.div_ceil(4) {
                0 | 1 => dots::<4>(tile, vector),
                2 => dots::<8>(tile, vector),
                3 => dots::<12>(tile, vector),
                _ => dots::<TILE>(tile, vector),
            }
        }
    }

    #[inline(always)]
    fn add_weighted(self, tile: &[Chunk], n: usize, weights: &Chunk, out: &mut [Chunk]) {
        // SAFETY: `self` proves that the processor has the features.
        unsafe {
            match n.div_ceil(4) {
                0 | 1 => add_weighted::<4>(tile, weights, out),
                2 => add_weighted::<8>(tile, weights, out),
                3 => add_weighted::<12>(tile, weights, out),
                _ => add_weighted::<TILE>(tile, weights, out),
            }
        }
    }

    #[inline(always)]
    fn dot(self, a: &[Chunk], b: &[Chunk]) -> f32 {
        // SAFETY: `self` proves that the processor has the features.
        unsafe { dot(a, b) }
    }

    #[inline(always)]
    fn scale_add(self, scale: f32, out: &mut [Chunk], factor: f32, vector: &[Chunk]) {
        // SAFETY: `self` proves that the processor has the features.
        unsafe { scale_add(scale, out, factor, vector) }
    }

    #[inline(always)]
    fn transform(self, rows: &[Chunk], matrix: &[Chunk], out: &mut [Chunk]) {
        // SAFETY: `self` proves that the processor has the features.
        unsafe { transform(rows, matrix, out) }
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load(chunk: &Chunk) -> __m512 {
    // SAFETY: a chunk is 64 bytes at a multiple of 64.
    unsafe { _mm512_load_ps(chunk.0.as_ptr()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store(chunk: &mut Chunk, values: __m512) {
    // SAFETY: a chunk is 64 bytes at a multiple of 64.
    unsafe { _mm512_store_ps(chunk.0.as_mut_ptr(), values) }
}

impl Packed for Half {
    const LENGTH: Option<i32> = Some(4);

    /// Rounds up or down by a hash of the place, in proportion: users with the same items have the same
    /// vectors, and errors that are the same for all of them would not cancel in a sum.
    #[inline(always)]
    unsafe fn pack(chunk: &Chunk, at: usize, scale: f32) -> Self {
        let mut half = Self([0; LANES]);
        // SAFETY: the caller answers for the features; `Half` is 32 bytes at a multiple of 32.
        unsafe {
            let scaled = _mm512_mul_ps(load(chunk), _mm512_set1_ps(scale));
            let dithered = _mm512_add_epi32(_mm512_castps_si512(scaled), dropped_bits(at as u32));
            let packed =
                _mm512_cvtps_ph::<{ _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC }>(_mm512_castsi512_ps(dithered));
            _mm256_store_si256(half.0.as_mut_ptr().cast(), packed);
        }
        half
    }

    #[inline(always)]
    unsafe fn unpack(&self) -> __m512 {
        // SAFETY: the caller answers for the features; `Half` is 32 bytes at a multiple of 32.
        unsafe { _mm512_cvtph_ps(_mm256_load_si256(self.0.as_ptr().cast())) }
    }
}

/// Numbers below `2^13`, the bits that a 16-bit float has less, which look random.
#[target_feature(enable = "avx512f")]
#[inline]
fn dropped_bits(at: u32) -> __m512i {
    let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let mut hash = _mm512_add_epi32(_mm512_set1_epi32(at.wrapping_mul(LANES as u32) as i32), lanes);
    for factor in [0x7feb_352d_u32, 0x846c_a68b] {
        hash = _mm512_xor_si512(hash, _mm512_srli_epi32::<16>(hash));
        hash = _mm512_mullo_epi32(hash, _mm512_set1_epi32(factor as i32));
    }
    _mm512_srli_epi32::<19>(hash)
}

impl Packed for Chunk {
    const LENGTH: Option<i32> = None;

    #[inline(always)]
    unsafe fn pack(chunk: &Chunk, _at: usize, scale: f32) -> Self {
        let mut packed = Chunk::ZERO;
        // SAFETY: the caller answers for the features.
        unsafe { store(&mut packed, _mm512_mul_ps(load(chunk), _mm512_set1_ps(scale))) };
        packed
    }

    #[inline(always)]
    unsafe fn unpack(&self) -> __m512 {
        // SAFETY: the caller answers for the features.
        unsafe { load(self) }
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn unpack<P: Packed>(table: &[P], items: &[u32], tile: &mut [Chunk]) {
    let tile = tile.as_chunks_mut::<TILE>().0;
    for (j, &item) in items.iter().enumerate() {
        let vector = &table[item as usize * tile.len()..][..tile.len()];
        for (packed, chunks) in vector.iter().zip(&mut *tile) {
            // SAFETY: this function has the feature.
            store(&mut chunks[j % TILE], unsafe { packed.unpack() });
        }
    }
    for j in items.len()..TILE {
        for chunks in &mut *tile {
            store(&mut chunks[j], _mm512_setzero_ps());
        }
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn load_some(values: &[f32]) -> Chunk {
    let mut chunk = Chunk::ZERO;
    let present = ((1u32 << values.len().min(LANES)) - 1) as u16;
    // SAFETY: only the lanes that are in `values` are read.
    store(&mut chunk, unsafe { _mm512_maskz_loadu_ps(present, values.as_ptr()) });
    chunk
}

#[target_feature(enable = "avx512f")]
#[inline]
fn times(scale: f32, a: &[Chunk], shift: f32, b: &[Chunk], out: &mut [Chunk]) {
    let (scale, shift) = (_mm512_set1_ps(scale), _mm512_set1_ps(shift));
    for ((a, b), out) in a.iter().zip(b).zip(out) {
        store(out, _mm512_mul_ps(_mm512_mul_ps(scale, _mm512_add_ps(load(a), shift)), load(b)));
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn weigh(confidences: &Chunk, shift: f32, dots: &Chunk, scale: f32, sum: &mut Chunk) -> Chunk {
    let scale = _mm512_set1_ps(scale);
    let dots = _mm512_mul_ps(load(dots), scale);
    let weighted = _mm512_mul_ps(_mm512_sub_ps(load(confidences), _mm512_set1_ps(shift)), dots);
    store(sum, _mm512_fmadd_ps(weighted, dots, load(sum)));
    let mut out = Chunk::ZERO;
    store(&mut out, _mm512_mul_ps(weighted, scale));
    out
}

#[target_feature(enable = "avx512f")]
#[inline]
fn outer<const ADD: bool>(left: &[Chunk], right: &[Chunk], first: usize, out: &mut [Chunk]) {
    let n_chunks = out.len() / LINES;
    let mut start = first / LANES;
    while start < n_chunks {
        let n = match n_chunks - start {
            1 => outer_part::<ADD, 1>(left, right, first, start, out),
            2 => outer_part::<ADD, 2>(left, right, first, start, out),
            3 => outer_part::<ADD, 3>(left, right, first, start, out),
            _ => outer_part::<ADD, 4>(left, right, first, start, out),
        };
        start += n;
    }
}

/// `N` chunks of every row of an [`outer`] product; gives `N`.
#[target_feature(enable = "avx512f")]
#[inline]
fn outer_part<const ADD: bool, const N: usize>(
    left: &[Chunk],
    right: &[Chunk],
    first: usize,
    start: usize,
    out: &mut [Chunk],
) -> usize {
    let n_chunks = out.len() / LINES;
    let mut sums = [[_mm512_setzero_ps(); N]; LINES];
    for i in 0..LINES {
        for n in 0..N {
            sums[i][n] = load(&out[i * n_chunks + start + n]);
        }
    }
    let (chunk, lane) = (first / LANES, first % LANES / LINES);
    for (left, right) in left.chunks_exact(n_chunks).zip(right.chunks_exact(n_chunks)) {
        let values = left[chunk].0.as_chunks::<LINES>().0[lane];
        let right = &right[start..start + N];
        for i in 0..LINES {
            let value = _mm512_set1_ps(values[i]);
            for n in 0..N {
                let part = load(&right[n]);
                sums[i][n] = if ADD {
                    _mm512_fmadd_ps(value, part, sums[i][n])
                } else {
                    _mm512_fnmadd_ps(value, part, sums[i][n])
                };
            }
        }
    }
    for i in 0..LINES {
        for n in 0..N {
            store(&mut out[i * n_chunks + start + n], sums[i][n]);
        }
    }
    N
}

#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn dots<const N: usize>(tile: &[Chunk], vector: &[Chunk]) -> Chunk {
    let mut sums = [_mm512_setzero_ps(); TILE];
    for (chunks, part) in tile.as_chunks::<TILE>().0.iter().zip(vector) {
        let part = load(part);
        for j in 0..N {
            sums[j] = _mm512_fmadd_ps(load(&chunks[j]), part, sums[j]);
        }
    }
    let mut out = Chunk::ZERO;
    store(&mut out, sum_each(sums));
    out
}

/// The sum of each of sixteen vectors, in their order: four rounds of folding two into one.
#[target_feature(enable = "avx512f,avx512dq")]
#[inline]
fn sum_each(v: [__m512; TILE]) -> __m512 {
    // Halves: lanes 0..8 belong to the first, 8..16 to the second of a pair.
    let mut eight = [_mm512_setzero_ps(); 8];
    for j in 0..8 {
        let (a, b) = (v[j], v[j + 8]);
        let crossed = _mm512_shuffle_f32x4::<0b01_00_11_10>(a, b);
        eight[j] = _mm512_add_ps(_mm512_mask_blend_ps(0xFF00, a, b), crossed);
    }
    // Quarters, within each half.
    let mut four = [_mm512_setzero_ps(); 4];
    for j in 0..4 {
        let (a, b) = (eight[j], eight[j + 4]);
        let kept = _mm512_mask_blend_ps(0xF0F0, a, b);
        // The quarters that `kept` leaves out: 1 of `a` beside 0 of `b`, 3 of `a` beside 2 of `b`.
        let other = _mm512_mask_blend_ps(0x0F0F, a, b);
        let crossed = _mm512_shuffle_f32x4::<0b10_11_00_01>(other, other);
        four[j] = _mm512_add_ps(kept, crossed);
    }
    // Pairs, then single lanes, within each quarter.
    let mut two = [_mm512_setzero_ps(); 2];
    for j in 0..2 {
        let (a, b) = (four[j], four[j + 2]);
        let crossed = _mm512_shuffle_ps::<0b01_00_11_10>(a, b);
        two[j] = _mm512_add_ps(_mm512_mask_blend_ps(0xCCCC, a, b), crossed);
    }
    let (a, b) = (two[0], two[1]);
    let kept = _mm512_mask_blend_ps(0xAAAA, a, b);
    let other = _mm512_mask_blend_ps(0x5555, a, b);
    _mm512_add_ps(kept, _mm512_permute_ps::<0b10_11_00_01>(other))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn add_weighted<const N: usize>(tile: &[Chunk], weights: &Chunk, out: &mut [Chunk]) {
    let mut lanes = [_mm512_setzero_ps(); N];
    for (lane, &weight) in lanes.iter_mut().zip(&weights.0) {
        *lane = _mm512_set1_ps(weight);
    }
    for (chunks, out) in tile.as_chunks::<TILE>().0.iter().zip(out) {
        let mut sums = [load(out), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()];
        for j in 0..N {
            sums[j % 4] = _mm512_fmadd_ps(load(&chunks[j]), lanes[j], sums[j % 4]);
        }
        store(out, _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])));
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn dot(a: &[Chunk], b: &[Chunk]) -> f32 {
    let mut sums = [_mm512_setzero_ps(); 2];
    for (at, (a, b)) in a.iter().zip(b).enumerate() {
        sums[at % 2] = _mm512_fmadd_ps(load(a), load(b), sums[at % 2]);
    }
    _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn scale_add(scale: f32, out: &mut [Chunk], factor: f32, vector: &[Chunk]) {
    let (scale, factor) = (_mm512_set1_ps(scale), _mm512_set1_ps(factor));
    for (out, part) in out.iter_mut().zip(vector) {
        store(out, _mm512_fmadd_ps(factor, load(part), _mm512_mul_ps(scale, load(out))));
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn transform(rows: &[Chunk], matrix: &[Chunk], out: &mut [Chunk]) {
    let n_chunks = rows.len() / ROWS;
    let n_factors = matrix.len() / n_chunks;
    for (panel, lines) in matrix.chunks(PANEL * n_factors).enumerate() {
        match lines.as_chunks::<PANEL>() {
            (lines, []) if lines.len() == n_factors => columns(rows, lines, panel * PANEL, out),
            _ => columns(rows, lines.as_chunks::<1>().0, panel * PANEL, out),
        }
    }
}

/// `N` chunks of every vector of a [`transform`], from `start` on, by a panel of the matrix.
#[target_feature(enable = "avx512f")]
#[inline]
fn columns<const N: usize>(rows: &[Chunk], panel: &[[Chunk; N]], start: usize, out: &mut [Chunk]) {
    let n_chunks = rows.len() / ROWS;
    let mut sums = [[_mm512_setzero_ps(); N]; ROWS];
    for (at, lines) in panel.chunks(LANES).enumerate() {
        let values: [&Chunk; ROWS] = std::array::from_fn(|r| &rows[r * n_chunks + at]);
        for (lane, line) in lines.iter().enumerate() {
            for r in 0..ROWS {
                let value = _mm512_set1_ps(values[r].0[lane]);
                for n in 0..N {
                    sums[r][n] = _mm512_fmadd_ps(value, load(&line[n]), sums[r][n]);
                }
            }
        }
    }
    for r in 0..ROWS {
        for n in 0..N {
            store(&mut out[r * n_chunks + start + n], sums[r][n]);
        }
    }
}
