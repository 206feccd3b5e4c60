//! The scan's inner loop: whole-number inner products of queries with a panel of items, against thresholds.
//!
//! Bytes rather than `f32`: one AVX-512 VNNI instruction multiplies and adds 64 pairs of them, four times
//! what a fused multiply-add does, and the table is a quarter as large. Six queries and 64 items make 24
//! independent sums in registers, which hides the instruction's latency; the products never leave them unless
//! one of the 64 reaches the query's threshold. AVX2 and, elsewhere, plain loops compute the same whole numbers.

use super::exact;
use super::table::{GROUP, LINES, Line, PANEL};
#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};

/// What a panel is compared with, and where the outcome goes.
pub struct Scan<'a> {
    /// Factors of all queries, as [`Kernel::words`] arranges them.
    pub words: &'a [u32],
    /// Words of a query.
    pub n_groups: usize,
    /// The queries to scan for.
    pub active: &'a [u32],
    /// What a product must reach, one of each of all queries.
    pub thresholds: &'a [i32],
    /// For each active query which of the items reach it, one bit an item.
    pub hits: &'a mut [u64],
    /// For each active query the products `Σ whole · byte`, of the items that reach it at least.
    pub products: &'a mut [[i32; PANEL]],
}

impl Scan<'_> {
    /// The words of a query.
    #[inline(always)]
    pub fn row(&self, query: u32) -> &[u32] {
        &self.words[query as usize * self.n_groups..][..self.n_groups]
    }
}

/// How the products are computed. There is none whose instructions the machine lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel(Instructions);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instructions {
    /// AVX-512 with VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Loops that the compiler makes of what there is.
    Portable,
}

impl Kernel {
    /// The fastest that this machine runs.
    pub fn detect() -> Self {
        Self::all()[0]
    }

    /// All that this machine runs, fastest first.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512vnni")
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
            {
                all.push(Self(Instructions::Avx512));
            }
            if is_x86_feature_detected!("avx2") {
                all.push(Self(Instructions::Avx2));
            }
        }
        all.push(Self(Instructions::Portable));
        all
    }

    /// Does the work, compiled for the instructions of this machine.
    pub fn run<W: Work>(self, work: W) -> W::Output {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the machine has the instructions.
            Instructions::Avx512 => unsafe { avx512::run(work) },
            _ => pulp::Arch::new().dispatch(Dispatched(work)),
        }
    }

    /// [`exact::dot`].
    #[inline(always)]
    pub fn dot(self, a: &[f32], b: &[f32]) -> f64 {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as in `run`.
            Instructions::Avx512 => unsafe { avx512::dot(a, b) },
            _ => exact::dot(a, b),
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
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as in `run`.
            Instructions::Avx512 => unsafe { avx512::round(vector, scale, whole) },
            _ => exact::round(vector, scale, whole),
        }
    }

    /// Arranges the factors of queries for the scan; given in fours, the first one in the lowest byte.
    pub fn words(self, words: Vec<u32>) -> Vec<u32> {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => avx2::words(&words),
            _ => words,
        }
    }

    /// Multiplies a panel with the active queries.
    #[inline(always)]
    pub fn scan(self, panel: &[Line], scan: &mut Scan<'_>) {
        assert_eq!(panel.len(), scan.n_groups * LINES, "a panel has every group of factors");
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as in `run`.
            Instructions::Avx512 => unsafe { avx512::scan(panel, scan) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as in `run`.
            Instructions::Avx2 => unsafe { avx2::scan(panel, scan) },
            Instructions::Portable => portable(panel, scan),
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

#[cfg(test)]
mod tests {
    use super::*;

    const N_GROUPS: usize = 3;
    const N_FACTORS: usize = N_GROUPS * GROUP;

    #[test]
    fn kernels_compute_the_same_products_even_of_the_largest_bytes() {
        // Sums of two such products do not fit 16 bits.
        let items: Vec<[u8; N_FACTORS]> = (0..PANEL)
            .map(|item| std::array::from_fn(|at| if item < 9 { 255 } else { (item * at) as u8 }))
            .collect();
        let mut panel = vec![Line([0; 64]); N_GROUPS * LINES];
        for (item, bytes) in items.iter().enumerate() {
            for (at, &byte) in bytes.iter().enumerate() {
                panel[at / GROUP * LINES + item / 16].0[item % 16 * GROUP + at % GROUP] = byte;
            }
        }
        // More than two tiles of any kernel, and a rest.
        let queries: Vec<[i8; N_FACTORS]> = (0..15)
            .map(|query| match query {
                0 => [127; N_FACTORS],
                1 => [-127; N_FACTORS],
                _ => std::array::from_fn(|at| (query * 29 + at * 83) as i8),
            })
            .collect();
        let product = |query: usize, item: usize| -> i32 {
            queries[query].iter().zip(&items[item]).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum()
        };
        let words: Vec<u32> = queries
            .iter()
            .flat_map(|query| query.as_chunks::<GROUP>().0)
            .map(|four| u32::from_le_bytes(four.map(|whole| whole as u8)))
            .collect();
        let mut thresholds: Vec<i32> = (0..15).map(|query| product(query, query * 4)).collect();
        (thresholds[2], thresholds[3]) = (i32::MIN, i32::MAX);
        let active: Vec<u32> = (0..15).filter(|&query| query != 7).collect();
        for kernel in Kernel::all() {
            let (mut hits, mut products) = (vec![u64::MAX; 15], vec![[0; PANEL]; 15]);
            let scan = &mut Scan {
                words: &kernel.words(words.clone()),
                n_groups: N_GROUPS,
                active: &active,
                thresholds: &thresholds,
                hits: &mut hits,
                products: &mut products,
            };
            kernel.scan(&panel, scan);
            for (at, query) in active.iter().map(|&query| query as usize).enumerate() {
                for (item, &found) in products[at].iter().enumerate() {
                    let is_hit = product(query, item) >= thresholds[query];
                    assert_eq!(hits[at] >> item & 1 == 1, is_hit, "{kernel:?}, query {query}, item {item}");
                    assert!(!is_hit || found == product(query, item), "{kernel:?}");
                }
            }
        }
    }
}
