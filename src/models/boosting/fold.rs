//! Rows with their bins and present scores, while trees are added.

use std::sync::Arc;

use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use super::Samples;
use super::loss::{CHUNK, Loss};
use super::model::BoostedTrees;
use super::quantize::{Binned, Bins};
use super::tree::BinSplit;

/// Rows with their bins and present scores.
pub(super) struct Fold<'a> {
    pub samples: &'a Samples,
    pub binned: Arc<Binned>,
    pub scores: Vec<f64>,
}

impl<'a> Fold<'a> {
    /// Bins the rows and scores them by the model so far; `ctrs` are columns that follow the features.
    pub fn new(samples: &'a Samples, bins: &[Bins], model: &BoostedTrees, ctrs: Vec<Vec<u8>>) -> Self {
        let scores = model.score(&samples.features).expect("all rows have the features of the training rows");
        let mut binned = Binned::new(&samples.features, bins);
        binned.columns.extend(ctrs);
        Self { samples, scores, binned: Arc::new(binned) }
    }

    /// Adds a tree.
    pub fn advance(&mut self, leaves: &[u8], leaf_values: &[f64]) {
        // As long as a byte counts, so that no index needs a check.
        let mut values = [0.0; 256];
        values[..leaf_values.len()].copy_from_slice(leaf_values);
        let rows = self.scores.par_chunks_mut(CHUNK).zip(leaves.par_chunks(CHUNK));
        rows.for_each(|(scores, leaves)| {
            for (score, &leaf) in scores.iter_mut().zip(leaves) {
                *score += values[usize::from(leaf)];
            }
        });
    }

    /// The loss at the present scores.
    pub fn loss(&self, loss: Loss) -> f64 {
        loss.value(&self.scores, &self.samples.labels, &self.samples.groups)
    }

    /// The same, and the derivatives.
    pub fn evaluate(&self, loss: Loss, derivatives: &mut [[f32; 2]]) -> f64 {
        loss.evaluate(&self.scores, &self.samples.labels, &self.samples.groups, derivatives)
    }
}

impl Binned {
    /// The leaf of every row.
    pub(super) fn leaves(&self, splits: &[BinSplit]) -> Vec<u8> {
        let mut leaves = vec![0u8; self.n_rows];
        leaves.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, leaves)| {
            let columns = splits.iter().map(|split| &self.columns[split.feature][chunk * CHUNK..]);
            let columns: Vec<&[u8]> = columns.collect();
            Arch::new().dispatch(Descent { splits, columns: &columns, leaves });
        });
        leaves
    }
}

/// Rows on their way to their leaves.
struct Descent<'a> {
    splits: &'a [BinSplit],
    /// The column of each split.
    columns: &'a [&'a [u8]],
    leaves: &'a mut [u8],
}

impl NullaryFnOnce for Descent<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (bit, (split, column)) in self.splits.iter().zip(self.columns).enumerate() {
            let bin = split.bin;
            let rows = self.leaves.iter_mut().zip(*column);
            if split.equal {
                rows.for_each(|(leaf, &own)| *leaf |= u8::from(own == bin) << bit);
            } else {
                rows.for_each(|(leaf, &own)| *leaf |= u8::from(own > bin) << bit);
            }
        }
    }
}

/// Partial sums per leaf, so that an addition need not wait for the one before it.
const LANES: usize = 4;

/// G, H and the number of rows of each leaf, added chunk by chunk in the order of the rows.
pub(super) fn leaf_sums(leaves: &[u8], derivatives: &[[f32; 2]], n_leaves: usize) -> Vec<[f64; 3]> {
    let chunks = leaves.par_chunks(CHUNK).zip(derivatives.par_chunks(CHUNK));
    let parts: Vec<Vec<[f64; 3]>> = chunks
        .map(|(leaves, derivatives)| {
            let mut sums = vec![[[0.0; 2]; 256]; LANES];
            let mut rows = [[0u32; 256]; LANES];
            for (leaves, derivatives) in leaves.chunks(LANES).zip(derivatives.chunks(LANES)) {
                let lanes = sums.iter_mut().zip(&mut rows).zip(leaves).zip(derivatives);
                for (((sums, rows), &leaf), &[g, h]) in lanes {
                    let sum = &mut sums[usize::from(leaf)];
                    *sum = [sum[0] + f64::from(g), sum[1] + f64::from(h)];
                    rows[usize::from(leaf)] += 1;
                }
            }
            let lanes = |leaf: usize| {
                let lanes = sums.iter().zip(&rows).map(|(sums, rows)| (sums[leaf], rows[leaf]));
                lanes.fold([0.0; 3], |sum, ([g, h], n)| [sum[0] + g, sum[1] + h, sum[2] + f64::from(n)])
            };
            (0..n_leaves).map(lanes).collect()
        })
        .collect();
    let mut sums = vec![[0.0; 3]; n_leaves];
    for part in parts {
        for (sum, part) in sums.iter_mut().zip(part) {
            *sum = [sum[0] + part[0], sum[1] + part[1], sum[2] + part[2]];
        }
    }
    sums
}
