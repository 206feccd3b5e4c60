//! Growing one oblivious tree on bins.
//!
//! A level tries every split of every feature and takes the one with the largest
//! Σ_leaves G²/(H + λ), G and H being sums of first and second derivatives of the rows of a leaf: the
//! fall of the loss, twice, to second order. The sums come from histograms: G and H per feature, leaf
//! and bin. Only the smaller child of each leaf is counted; its sibling is the parent minus it.
//!
//! Work is parallel over features, and each histogram is filled by one thread in the order of the rows,
//! so the number of threads changes no bit.

use rayon::prelude::*;

use super::quantize::{Binned, Bins};

/// What a tree is grown from.
pub(super) struct Grower<'a> {
    /// The rows.
    pub binned: &'a Binned,
    /// What the bins stand for.
    pub bins: &'a [Bins],
    /// Largest number of levels, at most 8: leaf numbers are bytes.
    pub depth: usize,
    /// λ.
    pub l2: f64,
}

/// A split by bins: rows above a bin, or in it, go to the side whose bit is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BinSplit {
    pub feature: usize,
    pub bin: u8,
    /// Equal to the bin instead of above it.
    pub equal: bool,
}

/// G and H per bin; as long as a byte counts, so that no index needs a check.
type Cells = [[f64; 2]; 256];

/// Consecutive rows that one thread handles, and the leaf that each has reached.
struct Chunk {
    rows: Vec<u32>,
    leaves: Vec<u8>,
}

/// Rows of a chunk that are counted at one level.
struct Counted {
    rows: Vec<u32>,
    /// Which histogram each row belongs to.
    slots: Vec<u8>,
    derivatives: Vec<[f32; 2]>,
}

impl Grower<'_> {
    /// The splits of the next tree, none if no split lowers the loss.
    ///
    /// `rows` rise, chunk by chunk; `derivatives` has an entry for every row of the table, `features`
    /// names the columns that may be split.
    pub fn grow(&self, derivatives: &[[f32; 2]], rows: Vec<Vec<u32>>, features: &[usize]) -> Vec<BinSplit> {
        let mut splits: Vec<BinSplit> = Vec::with_capacity(self.depth);
        let mut chunks: Vec<Chunk> =
            rows.into_iter().map(|rows| Chunk { leaves: vec![0; rows.len()], rows }).collect();
        let mut counted: Vec<Counted> =
            chunks.par_iter().map(|chunk| chunk.counted(derivatives, |_| Some(0))).collect();
        let mut histograms: Vec<Vec<Cells>> = vec![Vec::new(); features.len()];
        let mut smaller_is_high = Vec::new();
        loop {
            let parents = 1 << splits.len().saturating_sub(1);
            let found: Vec<Option<(f64, BinSplit)>> = histograms
                .par_iter_mut()
                .zip(features)
                .map(|(histogram, &feature)| {
                    let fresh = count(&self.binned.columns[feature], &counted, parents);
                    *histogram = match splits.len() {
                        0 => fresh,
                        _ => with_siblings(histogram, fresh, &smaller_is_high, self.bins[feature].count()),
                    };
                    self.best_split(feature, histogram)
                })
                .collect();
            let best =
                found.into_iter().flatten().reduce(|best, next| if next.0 > best.0 { next } else { best });
            let Some((_, split)) = best else { return splits };
            let bit = splits.len();
            splits.push(split);
            if splits.len() == self.depth {
                return splits;
            }
            let column = &self.binned.columns[split.feature];
            let sizes = chunks.par_iter_mut().map(|chunk| chunk.descend(split, bit, column));
            let sizes =
                sizes.reduce(|| vec![0; 2 << bit], |a, b| a.iter().zip(b).map(|(a, b)| a + b).collect());
            smaller_is_high = (0..1 << bit).map(|parent| sizes[parent | 1 << bit] < sizes[parent]).collect();
            let slot = |leaf: u8| {
                let parent = usize::from(leaf) & ((1 << bit) - 1);
                (smaller_is_high[parent] == (usize::from(leaf) >> bit == 1)).then_some(parent as u8)
            };
            counted = chunks.par_iter().map(|chunk| chunk.counted(derivatives, slot)).collect();
        }
    }

    /// The best split of one feature and its gain, if it has any.
    fn best_split(&self, feature: usize, histogram: &[Cells]) -> Option<(f64, BinSplit)> {
        let n_bins = self.bins[feature].count();
        let equal = matches!(self.bins[feature], Bins::Levels(_));
        let value = |[g, h]: [f64; 2]| if h + self.l2 > 0.0 { g * g / (h + self.l2) } else { 0.0 };
        let mut gains = vec![0.0; n_bins];
        for cells in histogram {
            let total = cells[..n_bins].iter().fold([0.0; 2], add);
            let unsplit = value(total);
            let mut low = [0.0; 2];
            for (gain, cell) in gains.iter_mut().zip(cells) {
                let part = if equal {
                    *cell
                } else {
                    low = add(low, cell);
                    low
                };
                *gain += value(part) + value([total[0] - part[0], total[1] - part[1]]) - unsplit;
            }
        }
        let tried = if equal { 1..n_bins } else { 0..n_bins - 1 };
        let best = tried.reduce(|best, bin| if gains[bin] > gains[best] { bin } else { best })?;
        let split = BinSplit { feature, bin: best as u8, equal };
        (gains[best] > 1e-9).then_some((gains[best], split))
    }
}

impl Chunk {
    /// Moves every row one level down; returns how many rows each leaf has.
    fn descend(&mut self, split: BinSplit, bit: usize, column: &[u8]) -> Vec<usize> {
        let mut sizes = vec![0; 2 << bit];
        for (leaf, &row) in self.leaves.iter_mut().zip(&self.rows) {
            *leaf |= u8::from(split.holds(column[row as usize])) << bit;
            sizes[usize::from(*leaf)] += 1;
        }
        sizes
    }

    /// The rows whose leaf has a slot.
    fn counted(&self, derivatives: &[[f32; 2]], slot: impl Fn(u8) -> Option<u8>) -> Counted {
        let mut counted = Counted { rows: Vec::new(), slots: Vec::new(), derivatives: Vec::new() };
        for (&leaf, &row) in self.leaves.iter().zip(&self.rows) {
            if let Some(slot) = slot(leaf) {
                counted.rows.push(row);
                counted.slots.push(slot);
                counted.derivatives.push(derivatives[row as usize]);
            }
        }
        counted
    }
}

impl BinSplit {
    /// The bit of a row whose bin this is.
    pub fn holds(self, bin: u8) -> bool {
        if self.equal { bin == self.bin } else { bin > self.bin }
    }
}

fn add(sum: [f64; 2], cell: &[f64; 2]) -> [f64; 2] {
    [sum[0] + cell[0], sum[1] + cell[1]]
}

/// The histograms of the counted rows, in their order.
fn count(column: &[u8], counted: &[Counted], n_slots: usize) -> Vec<Cells> {
    let mut histogram = vec![[[0.0; 2]; 256]; n_slots];
    for chunk in counted {
        for ((&row, &slot), &[g, h]) in chunk.rows.iter().zip(&chunk.slots).zip(&chunk.derivatives) {
            let cell = &mut histogram[usize::from(slot)][usize::from(column[row as usize])];
            cell[0] += f64::from(g);
            cell[1] += f64::from(h);
        }
    }
    histogram
}

/// The histograms of all children from those of the parents and of the smaller children.
fn with_siblings(
    parents: &[Cells],
    smaller: Vec<Cells>,
    smaller_is_high: &[bool],
    n_bins: usize,
) -> Vec<Cells> {
    let n_parents = parents.len();
    let mut larger = parents.to_vec();
    for (larger, smaller) in larger.iter_mut().zip(&smaller) {
        for (all, part) in larger[..n_bins].iter_mut().zip(smaller) {
            *all = [all[0] - part[0], all[1] - part[1]];
        }
    }
    let mut children = vec![[[0.0; 2]; 256]; 2 * n_parents];
    for (parent, (larger, smaller)) in larger.into_iter().zip(smaller).enumerate() {
        let (low, high) = if smaller_is_high[parent] { (larger, smaller) } else { (smaller, larger) };
        children[parent] = low;
        children[parent + n_parents] = high;
    }
    children
}
