//! The scan's inner loop: whole-number inner products of queries with a panel of items, against thresholds.
//!
//! Bytes rather than `f32`: one AVX-512 VNNI instruction multiplies and adds 64 pairs of them, four times
//! what a fused multiply-add does, and the table is a quarter as large. Six queries and 64 items make 24
//! independent sums in registers, which hides the instruction's latency; the products never leave them unless
//! one of the 64 reaches the query's threshold. Elsewhere plain loops compute the same whole numbers.

use super::table::{GROUP, LINES, Line, PANEL};

/// Queries side by side.
const TILE: usize = 6;

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
    fn row(&self, query: u32) -> &[u32] {
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
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni") {
            return Self::Avx512;
        }
        Self::Portable
    }

    /// Multiplies a panel with the active queries.
    pub fn scan(self, panel: &[Line], scan: &mut Scan<'_>) {
        assert_eq!(panel.len(), scan.n_groups * LINES, "a panel has every group of factors");
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `detect` found the instructions, or the test that chose this did.
            Self::Avx512 => unsafe { avx512::scan(panel, scan) },
            Self::Portable => pulp::Arch::new().dispatch(|| portable(panel, scan)),
        }
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

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::*;

    use super::{LINES, Line, Scan, TILE};

    #[target_feature(enable = "avx512f,avx512vnni")]
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
    #[target_feature(enable = "avx512f,avx512vnni")]
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
                for line in 0..LINES {
                    hits |= u64::from(_mm512_cmpge_epi32_mask(sums[q][line], threshold)) << (16 * line);
                    // SAFETY: sixteen of the products of a query.
                    unsafe {
                        _mm512_storeu_si512(scan.products[start + q][16 * line..].as_mut_ptr().cast(), sums[q][line]);
                    }
                }
            }
            scan.hits[start + q] = hits;
        }
    }
}
