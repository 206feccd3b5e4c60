//! Growing one oblivious tree on bins.
//!
//! A level tries every split of every feature and takes the one with the largest
//! Σ_leaves G²/(H + λ), G and H being sums of first and second derivatives of the rows of a leaf: the
//! fall of the loss, twice, to second order. The sums come from [`histogram`](super::histogram)s per feature,
//! leaf and bin. Only the smaller child of each leaf is counted; its sibling is the parent minus it.
//!
//! Inside each block the rows stand leaf by leaf: a level parts every leaf in two, in place, low side
//! first. So the leaves of level d are numbered by the answers so far, the first answer in the highest bit.

use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use super::histogram::{BLOCK, BlockBins, Cells, Counter, EMPTY, Scale};
use super::quantize::{Binned, Bins};
use super::sampling::Draw;

/// A split by bins: rows above a bin, or in it, go to the side whose bit is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BinSplit {
    pub feature: usize,
    pub bin: u8,
    /// Equal to the bin instead of above it.
    pub equal: bool,
}

/// What trees are grown from.
pub(super) struct Grower<'a> {
    binned: &'a Binned,
    bins: &'a [Bins],
    depth: usize,
    l2: f64,
    blocks: Vec<Block>,
    /// The features whose bins the blocks hold.
    features: Vec<usize>,
}

/// Rows `start..` of the table.
struct Block {
    start: usize,
    n_rows: usize,
    bins: BlockBins,
    /// Rounded derivatives of each row.
    derivatives: Vec<u64>,
    /// The rows that the tree is grown on, leaf by leaf.
    rows: Vec<u16>,
    /// Weights of all rows; none when they are all 1.
    weights: Vec<f32>,
    /// Where each leaf starts among `rows`, and their number.
    starts: Vec<usize>,
    /// Room for the high sides while leaves are parted.
    spare: Vec<u16>,
}

impl<'a> Grower<'a> {
    /// Lays out the table.
    pub fn new(binned: &'a Binned, bins: &'a [Bins], depth: usize, l2: f64) -> Self {
        let blocks = (0..binned.n_rows).step_by(BLOCK).map(|start| Block {
            start,
            n_rows: BLOCK.min(binned.n_rows - start),
            bins: BlockBins::new(std::iter::empty(), start),
            derivatives: Vec::new(),
            rows: Vec::new(),
            weights: Vec::new(),
            starts: Vec::new(),
            spare: Vec::new(),
        });
        Self { binned, bins, depth, l2, blocks: blocks.collect(), features: Vec::new() }
    }

    /// The splits of the next tree, none if no split lowers the loss.
    ///
    /// `derivatives` has an entry for every row of the table; `draw` says which rows count, and how much;
    /// `features` names the columns that may be split.
    pub fn grow(&mut self, derivatives: &[[f32; 2]], draw: Draw, features: &[usize]) -> Vec<BinSplit> {
        self.lay_out(features);
        let blocks = self.blocks.par_iter_mut();
        let largest = blocks.map(|block| block.draw(derivatives, draw));
        let largest = largest.reduce(|| [0.0; 2], |a, b| [a[0].max(b[0]), a[1].max(b[1])]);
        let Some(scale) = Scale::new(largest) else { return Vec::new() };
        self.blocks.par_iter_mut().for_each(|block| block.pack(derivatives, scale));

        let mut splits: Vec<BinSplit> = Vec::with_capacity(self.depth);
        let mut histograms = self.count(&[0]);
        while let Some(split) = self.best_split(&histograms, scale) {
            splits.push(split);
            if splits.len() == self.depth {
                break;
            }
            let column = &self.binned.columns[split.feature];
            let sizes = self.blocks.par_iter_mut().map(|block| block.part(split, column));
            let sizes = sizes
                .reduce(|| vec![0; 1 << splits.len()], |a, b| a.iter().zip(b).map(|(a, b)| a + b).collect());
            let smaller: Vec<usize> = (0..sizes.len())
                .step_by(2)
                .map(|low| if sizes[low + 1] < sizes[low] { low + 1 } else { low })
                .collect();
            histograms = with_siblings(&histograms, &self.count(&smaller), &smaller);
        }
        splits
    }

    /// Puts the bins of these features side by side.
    fn lay_out(&mut self, features: &[usize]) {
        if self.features == features {
            return;
        }
        let columns = &self.binned.columns;
        self.blocks.par_iter_mut().for_each(|block| {
            let columns = features.iter().map(|&feature| &columns[feature][..]);
            block.bins = BlockBins::new(columns, block.start);
        });
        self.features = features.to_vec();
    }

    /// The histograms of these leaves, feature by feature inside a leaf.
    fn count(&self, leaves: &[usize]) -> Vec<Cells> {
        let n_features = self.features.len();
        let blocks_per_task = self.blocks.len().div_ceil(2 * rayon::current_num_threads()).max(1);
        let tasks = self.blocks.par_chunks(blocks_per_task).map(|blocks| {
            let mut counter = Counter::new(n_features, leaves.len());
            for block in blocks {
                for (slot, &leaf) in leaves.iter().enumerate() {
                    let rows = &block.rows[block.starts[leaf]..block.starts[leaf + 1]];
                    counter.add(slot, rows, &block.bins, &block.derivatives);
                }
            }
            counter.finish()
        });
        let sum = tasks.reduce_with(|mut sum, part| {
            let cells = sum.as_flattened_mut().as_flattened_mut();
            cells.iter_mut().zip(part.as_flattened().as_flattened()).for_each(|(sum, part)| *sum += part);
            sum
        });
        sum.unwrap_or_else(|| vec![EMPTY; n_features * leaves.len()])
    }

    /// The best split of all features, the first among equals; none when none lowers the loss.
    fn best_split(&self, histograms: &[Cells], scale: Scale) -> Option<BinSplit> {
        let l2 = self.l2 * f64::from(scale.h);
        let unit = f64::from(scale.h) / f64::from(scale.g).powi(2);
        let found: Vec<Option<(f64, BinSplit)>> = (0..self.features.len())
            .into_par_iter()
            .map(|position| {
                let feature = self.features[position];
                let leaves = histograms[position..].iter().step_by(self.features.len());
                best_split_of(feature, &self.bins[feature], leaves, l2)
            })
            .collect();
        let best = found.into_iter().flatten().reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.filter(|(gain, _)| gain * unit > 1e-9).map(|(_, split)| split)
    }
}

/// The best split of one feature and its gain, in rounded units.
fn best_split_of<'a>(
    feature: usize,
    bins: &Bins,
    leaves: impl Iterator<Item = &'a Cells>,
    l2: f64,
) -> Option<(f64, BinSplit)> {
    let n_bins = bins.count();
    let equal = matches!(bins, Bins::Levels(_));
    let mut gains = [0.0; 256];
    let gains = &mut gains[..n_bins];
    for cells in leaves {
        let cells = &cells[..n_bins];
        let [g, h] = cells.iter().fold([0.0; 2], add);
        if g == 0.0 && h == 0.0 {
            continue;
        }
        let mut parts = [[0.0; 256]; 2];
        let mut low = [0.0; 2];
        for (bin, cell) in cells.iter().enumerate() {
            low = if equal { *cell } else { add(low, cell) };
            (parts[0][bin], parts[1][bin]) = (low[0], low[1]);
        }
        Arch::new().dispatch(Gains { whole: [g, h], parts: &parts, l2, gains });
    }
    let tried = if equal { 1..n_bins } else { 0..n_bins - 1 };
    let best = tried.reduce(|best, bin| if gains[bin] > gains[best] { bin } else { best })?;
    Some((gains[best], BinSplit { feature, bin: best as u8, equal }))
}

/// What each split of a leaf gains.
struct Gains<'a> {
    /// G and H of the leaf.
    whole: [f64; 2],
    /// G and H of the rows on one side of each split.
    parts: &'a [[f64; 256]; 2],
    l2: f64,
    gains: &'a mut [f64],
}

impl NullaryFnOnce for Gains<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { whole: [g, h], parts, l2, gains } = self;
        // A curvature of less than a unit has been rounded away.
        let value = |g: f64, h: f64| g * g / (if h + l2 > 1.0 { h + l2 } else { 1.0 });
        let unsplit = value(g, h);
        for ((gain, part_g), part_h) in gains.iter_mut().zip(&parts[0]).zip(&parts[1]) {
            *gain += value(*part_g, *part_h) + value(g - part_g, h - part_h) - unsplit;
        }
    }
}

fn add(sum: [f64; 2], cell: &[f64; 2]) -> [f64; 2] {
    [sum[0] + cell[0], sum[1] + cell[1]]
}

/// The histograms of all children from those of the parents and of the smaller children.
fn with_siblings(parents: &[Cells], counted: &[Cells], smaller: &[usize]) -> Vec<Cells> {
    let n_features = counted.len() / smaller.len();
    let mut children = vec![EMPTY; 2 * parents.len()];
    let families = children.par_chunks_mut(2 * n_features).zip(parents.par_chunks(n_features));
    families.zip(counted.par_chunks(n_features)).zip(smaller).for_each(
        |(((children, parents), counted), smaller)| {
            let (low, high) = children.split_at_mut(n_features);
            let (own, sibling) = if smaller % 2 == 0 { (low, high) } else { (high, low) };
            own.copy_from_slice(counted);
            let sibling = sibling.as_flattened_mut().as_flattened_mut();
            let parts = counted.as_flattened().as_flattened();
            for ((rest, all), part) in
                sibling.iter_mut().zip(parents.as_flattened().as_flattened()).zip(parts)
            {
                *rest = all - part;
            }
        },
    );
    children
}

impl Block {
    /// Draws the rows; returns the largest |g| and h among them.
    fn draw(&mut self, derivatives: &[[f32; 2]], draw: Draw) -> [f32; 2] {
        draw.rows((self.start / BLOCK) as u64, self.n_rows, &mut self.rows, &mut self.weights);
        self.starts = vec![0, self.rows.len()];
        let largest = |largest: [f32; 2], [g, h]: [f32; 2]| {
            let g = g.abs();
            [if g > largest[0] { g } else { largest[0] }, if h > largest[1] { h } else { largest[1] }]
        };
        let derivatives = &derivatives[self.start..self.start + self.n_rows];
        if self.weights.is_empty() {
            derivatives.iter().fold([0.0; 2], |most, &d| largest(most, d))
        } else {
            let rows = derivatives.iter().zip(&self.weights);
            rows.fold([0.0; 2], |most, (&[g, h], weight)| largest(most, [g * weight, h * weight]))
        }
    }

    fn pack(&mut self, derivatives: &[[f32; 2]], scale: Scale) {
        let derivatives = &derivatives[self.start..self.start + self.n_rows];
        self.derivatives.clear();
        if self.weights.is_empty() {
            self.derivatives.extend(derivatives.iter().map(|&d| scale.pack(d)));
        } else {
            let rows = derivatives.iter().zip(&self.weights);
            self.derivatives.extend(rows.map(|(&[g, h], weight)| scale.pack([g * weight, h * weight])));
        }
    }

    /// Parts every leaf in two; returns how many rows each has now.
    fn part(&mut self, split: BinSplit, column: &[u8]) -> Vec<usize> {
        let column = &column[self.start..self.start + self.n_rows];
        self.spare.resize(self.rows.len(), 0);
        let mut starts = Vec::with_capacity(2 * self.starts.len());
        for bounds in self.starts.windows(2) {
            let rows = &mut self.rows[bounds[0]..bounds[1]];
            let n_low = if split.equal {
                part(rows, &mut self.spare, |row| column[usize::from(row)] == split.bin)
            } else {
                part(rows, &mut self.spare, |row| column[usize::from(row)] > split.bin)
            };
            starts.extend([bounds[0], bounds[0] + n_low]);
        }
        starts.push(self.rows.len());
        self.starts = starts;
        self.starts.windows(2).map(|bounds| bounds[1] - bounds[0]).collect()
    }
}

/// Brings the rows that are not high to the front, both sides in their order; returns how many they are.
fn part(rows: &mut [u16], spare: &mut [u16], high: impl Fn(u16) -> bool) -> usize {
    let spare = &mut spare[..rows.len()];
    let (mut n_low, mut n_high) = (0, 0);
    for at in 0..rows.len() {
        let row = rows[at];
        let is_high = usize::from(high(row));
        rows[n_low] = row;
        spare[n_high] = row;
        n_high += is_high;
        n_low += 1 - is_high;
    }
    rows[n_low..].copy_from_slice(&spare[..n_high]);
    n_low
}
