//! The scan's inner loop: whole-number inner products of queries with a panel of items, against thresholds.
//!
//! Bytes rather than `f32`: one AVX-512 VNNI instruction multiplies and adds 64 pairs of them, four times
//! what a fused multiply-add does, and the table is a quarter as large. Six queries and 64 items make 24
//! independent sums in registers, which hides the instruction's latency; the products never leave them unless
//! one of the 64 reaches the query's threshold. Elsewhere plain loops compute the same whole numbers.

#[cfg(target_arch = "x86_64")]
use super::avx512;
use super::exact;
use super::table::{GROUP, LINES, Line, PANEL};

/// What a panel is compared with, and where the outcome goes.
pub struct Scan<'a> {
    /// Factors of all queries in fours, `n_groups` words a query, the first factor in the lowest byte.
    pub words: &'a [u32],
    /// Words of a query.
    pub n_groups: usize,
    /// The queries to scan for.
    pub active: &'a [u32],
    /// What a product must reach, one of each of all queries.
    pub thresholds: &'a [i32],
    /// For each active query which of the items reach it, one bit an item.
    pub hits: &'a mut [u64],
    /// For each active query with a hit the products of all items `Σ whole · byte`.
    pub products: &'a mut [[i32; PANEL]],
}

impl Scan<'_> {
    /// The words of a query.
    #[inline(always)]
    pub fn row(&self, query: u32) -> &[u32] {
        &self.words[query as usize * self.n_groups..][..self.n_groups]
    }
}

/// How the products are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// AVX-512 with VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// Loops that the compiler makes of what there is.
    Portable,
}

impl Kernel {
    /// The fastest that this machine runs.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512vnni")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            return Self::Avx512;
        }
        Self::Portable
    }

    /// Does the work, compiled for the instructions of this machine.
    pub fn run<W: Work>(self, work: W) -> W::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `detect` found the instructions, or the test that chose this did.
            Self::Avx512 => unsafe { avx512::run(work) },
            Self::Portable => pulp::Arch::new().dispatch(Dispatched(work)),
        }
    }

    /// [`exact::dot`].
    #[inline(always)]
    pub fn dot(self, a: &[f32], b: &[f32]) -> f64 {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as in `run`.
            Self::Avx512 => unsafe { avx512::dot(a, b) },
            Self::Portable => exact::dot(a, b),
        }
    }

    /// Starts to bring numbers into the cache.
    #[inline(always)]
    pub fn prefetch(self, values: &[f32]) {
        #[cfg(target_arch = "x86_64")]
        for line in values.chunks(16) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a hint, at an address that exists.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = values;
    }

    /// [`exact::round`].
    #[inline(always)]
    pub fn round(self, vector: &[f32], scale: f64, whole: &mut [i8]) -> f64 {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as in `run`.
            Self::Avx512 => unsafe { avx512::round(vector, scale, whole) },
            Self::Portable => exact::round(vector, scale, whole),
        }
    }

    /// Multiplies a panel with the active queries.
    #[inline(always)]
    pub fn scan(self, panel: &[Line], scan: &mut Scan<'_>) {
        assert_eq!(panel.len(), scan.n_groups * LINES, "a panel has every group of factors");
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as in `run`.
            Self::Avx512 => unsafe { avx512::scan(panel, scan) },
            Self::Portable => portable(panel, scan),
        }
    }
}

/// Loops that are worth compiling for each instruction set. All they call has to be `inline(always)`, and they
/// must not pass closures around: what is not inlined is compiled for the least of all machines.
pub trait Work {
    /// What comes of it.
    type Output;

    /// Does it; implementations are `inline(always)`.
    fn run(self) -> Self::Output;
}

struct Dispatched<W>(W);

impl<W: Work> pulp::WithSimd for Dispatched<W> {
    type Output = W::Output;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> W::Output {
        self.0.run()
    }
}

#[inline(always)]
fn portable(panel: &[Line], scan: &mut Scan<'_>) {
    for at in 0..scan.active.len() {
        let query = scan.active[at];
        let mut products = [0i32; PANEL];
        for (&word, lines) in scan.row(query).iter().zip(panel.as_chunks::<LINES>().0) {
            let whole = word.to_le_bytes().map(|byte| i32::from(byte as i8));
            for (products, line) in products.as_chunks_mut::<16>().0.iter_mut().zip(lines) {
                for (product, bytes) in products.iter_mut().zip(line.0.as_chunks::<GROUP>().0) {
                    *product += (0..GROUP).map(|byte| i32::from(bytes[byte]) * whole[byte]).sum::<i32>();
                }
            }
        }
        let threshold = scan.thresholds[query as usize];
        let hits = (0..PANEL).fold(0, |hits, item| hits | u64::from(products[item] >= threshold) << item);
        scan.hits[at] = hits;
        if hits != 0 {
            scan.products[at] = products;
        }
    }
}
