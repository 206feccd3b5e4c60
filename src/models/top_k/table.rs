//! The items as a search reads them: longest vector first, in whole numbers for the scan and in `f32`
//! for the final scores.
//!
//! # Shapes
//! A *rank* is an item's place in the order of falling length. [`PANEL`] neighbours in rank share a panel:
//! four factors of the first item, the same four of the second, …, then the next four factors. A *block*
//! of [`BLOCK_PANELS`] panels shares one scale, so one factor is `scale · (byte − 128)` up to an error
//! whose length is known.

use rayon::prelude::*;

use super::exact;
use super::kernel::{Kernel, Work};
use crate::models::factors::Factors;

/// Items whose whole numbers lie together.
pub const PANEL: usize = 64;
/// Panels that share a scale.
pub const BLOCK_PANELS: usize = 4;
/// Items that share a scale.
pub const BLOCK: usize = PANEL * BLOCK_PANELS;
/// Factors that one instruction multiplies and adds.
pub const GROUP: usize = 4;
/// Rows whose lengths one thread takes at a time.
const ROWS_AT_ONCE: usize = 4096;
/// The largest whole number of an item's factor.
const LEVELS: f64 = 127.0;
/// What is added to it to make it positive.
pub const OFFSET: u8 = 128;

/// Four factors of sixteen items, one load of the scan.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub struct Line(pub [u8; 64]);

/// Lines of a panel for four factors.
pub const LINES: usize = PANEL * GROUP / size_of::<Line>();

/// What is known of [`BLOCK`] items together; lengths are shares of the longest vector.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// The difference of two neighbouring whole numbers, `scale / longest`.
    pub scale: f64,
    /// The longest vector of the block.
    pub length: f64,
    /// The longest difference between a vector and its whole numbers.
    pub error: f64,
}

/// Items in the order of falling length.
#[derive(Debug, Clone)]
pub struct Table {
    /// The item of each rank.
    pub items: Vec<u32>,
    /// The vector of each rank.
    pub vectors: Factors,
    /// The length of the longest vector.
    pub longest: f64,
    /// One entry a block.
    pub bounds: Vec<Bounds>,
    /// The rank of each item, `u32::MAX` for one that cannot be found.
    ranks: Vec<u32>,
    /// Panel after panel, `n_groups · LINES` lines each.
    lines: Vec<Line>,
    n_groups: usize,
}

impl Table {
    /// Sorts and packs; a vector that is zero or not finite is left out.
    pub fn new(factors: &Factors, kernel: Kernel) -> Self {
        let starts: Vec<usize> = (0..factors.n_rows()).step_by(ROWS_AT_ONCE).collect();
        let mut order: Vec<(u64, u32)> = starts
            .into_par_iter()
            .flat_map_iter(|start| kernel.run(Lengths { kernel, factors, start }))
            .filter(|(length, _)| *length > 0.0 && length.is_finite())
            // Falling: the bits of positive numbers are ordered as the numbers are.
            .map(|(length, item)| (!length.to_bits(), item))
            .collect();
        order.par_sort_unstable();
        let items: Vec<u32> = order.iter().map(|&(_, item)| item).collect();
        let mut ranks = vec![u32::MAX; factors.n_rows()];
        for (rank, &item) in items.iter().enumerate() {
            ranks[item as usize] = rank as u32;
        }
        let lengths: Vec<f64> = order.iter().map(|&(bits, _)| f64::from_bits(!bits)).collect();
        let longest = lengths.first().copied().unwrap_or(1.0);
        let vectors = factors.select(&items);
        let n_groups = factors.n_factors().div_ceil(GROUP);
        let mut lines = vec![Line([OFFSET; 64]); items.len().div_ceil(PANEL) * n_groups * LINES];
        let bounds = lines
            .par_chunks_mut((n_groups * LINES * BLOCK_PANELS).max(1))
            .enumerate()
            .map(|(block, lines)| {
                let start = block * BLOCK;
                let n_items = BLOCK.min(items.len() - start);
                let values =
                    &vectors.values()[start * vectors.n_factors()..][..n_items * vectors.n_factors()];
                let (scale, error) =
                    kernel.run(Pack { kernel, values, n_factors: vectors.n_factors(), lines });
                Bounds { scale: scale / longest, length: lengths[start] / longest, error: error / longest }
            })
            .collect();
        Self { items, vectors, longest, bounds, ranks, lines, n_groups }
    }

    /// Groups of factors, the last one filled up with zeros.
    pub fn n_groups(&self) -> usize {
        self.n_groups
    }

    /// Number of panels.
    pub fn n_panels(&self) -> usize {
        self.items.len().div_ceil(PANEL)
    }

    /// The lines of a panel.
    pub fn panel(&self, panel: usize) -> &[Line] {
        let n_lines = self.n_groups * LINES;
        &self.lines[panel * n_lines..][..n_lines]
    }

    /// Which items of a panel exist, one bit each.
    pub fn present(&self, panel: usize) -> u64 {
        match self.items.len() - panel * PANEL {
            n_items if n_items < PANEL => (1 << n_items) - 1,
            _ => u64::MAX,
        }
    }

    /// The rank of an item that can be found.
    pub fn rank(&self, item: u32) -> Option<u32> {
        self.ranks.get(item as usize).copied().filter(|&rank| rank != u32::MAX)
    }
}

/// The lengths of [`ROWS_AT_ONCE`] vectors.
struct Lengths<'a> {
    kernel: Kernel,
    factors: &'a Factors,
    start: usize,
}

impl Work for Lengths<'_> {
    type Output = Vec<(f64, u32)>;

    #[inline(always)]
    fn run(self) -> Self::Output {
        let end = self.factors.n_rows().min(self.start + ROWS_AT_ONCE);
        let mut lengths = Vec::with_capacity(end - self.start);
        for item in self.start..end {
            let vector = self.factors.row(item);
            lengths.push((self.kernel.dot(vector, vector).sqrt(), item as u32));
        }
        lengths
    }
}

/// Writes a block's vectors as whole numbers; returns their scale and the longest error.
struct Pack<'a> {
    kernel: Kernel,
    values: &'a [f32],
    n_factors: usize,
    lines: &'a mut [Line],
}

impl Work for Pack<'_> {
    type Output = (f64, f64);

    #[inline(always)]
    fn run(self) -> (f64, f64) {
        pack(self.kernel, self.values, self.n_factors, self.lines)
    }
}

#[inline(always)]
fn pack(kernel: Kernel, values: &[f32], n_factors: usize, lines: &mut [Line]) -> (f64, f64) {
    let largest = exact::largest(values);
    let scale = f64::from(largest) / LEVELS;
    let n_lines = n_factors.div_ceil(GROUP) * LINES;
    let mut whole = vec![0i8; n_factors];
    let mut error = 0.0f64;
    for (at, vector) in values.chunks_exact(n_factors).enumerate() {
        error = error.max(kernel.round(vector, scale, &mut whole));
        let lines = &mut lines[at / PANEL * n_lines..][..n_lines];
        let (line, byte) = (at % PANEL * GROUP / 64, at % PANEL * GROUP % 64);
        for (group, whole) in whole.chunks(GROUP).enumerate() {
            let bytes = &mut lines[group * LINES + line].0[byte..][..whole.len()];
            for (byte, &whole) in bytes.iter_mut().zip(whole) {
                *byte = (whole as u8).wrapping_add(OFFSET);
            }
        }
    }
    (scale, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_the_vectors_up_to_the_stated_error() {
        let values: Vec<f32> = (0..300 * 6).map(|at| ((at * 37 % 101) as f32 - 50.0) / 7.0).collect();
        let table = Table::new(&Factors::new(300, 6, values), Kernel::detect());
        assert_eq!((table.n_groups(), table.n_panels(), table.bounds.len()), (2, 5, 2));
        for rank in 0..300 {
            let (panel, at, bounds) = (table.panel(rank / PANEL), rank % PANEL, table.bounds[rank / BLOCK]);
            let mut error = 0.0;
            for (factor, &value) in table.vectors.row(rank).iter().enumerate() {
                let byte = panel[factor / GROUP * LINES + at / 16].0[at % 16 * GROUP + factor % GROUP];
                let packed = bounds.scale * table.longest * (f64::from(byte) - f64::from(OFFSET));
                error += (f64::from(value) - packed).powi(2);
            }
            assert!(error.sqrt() <= bounds.error * table.longest * (1.0 + 1e-12));
            let vector = table.vectors.row(rank);
            assert!(exact::dot(vector, vector).sqrt() <= bounds.length * table.longest * (1.0 + 1e-12));
            assert_eq!(table.rank(table.items[rank]), Some(rank as u32));
        }
        assert_eq!(table.present(3), u64::MAX);
        assert_eq!(table.present(4), (1 << 44) - 1);
    }

    #[test]
    fn vectors_of_zeros_or_without_a_number_are_left_out() {
        let values = vec![1.0, 0.0, 0.0, 0.0, f32::NAN, 1.0, 3.0, 4.0, f32::INFINITY, 0.0];
        let table = Table::new(&Factors::new(5, 2, values), Kernel::detect());
        assert_eq!(table.items, [3, 0]);
        assert_eq!(table.longest, 5.0);
        assert_eq!(
            [0, 1, 2, 3, 4, 5].map(|item| table.rank(item)),
            [Some(1), None, None, Some(0), None, None]
        );
    }
}
