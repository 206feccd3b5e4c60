//! Features as small bins: what the trainer sees.
//!
//! A number x falls into bin `#{borders b : x > b}`, so "bin > j" is the split "x > border j". A missing
//! value falls into bin 0, below every border; where values are missing, the first border is the
//! least f32, so that "missing or not" is a split of its own (CatBoost's `nan_mode: Min`). A category has
//! its own bin from 1 on, unless there are too many; bin 0, which no split names, is for unseen ones.

use std::collections::BTreeSet;

use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use super::features::{Features, Values};

/// The largest number of borders: with bin 0 it fills 255 of the 256 values of a byte.
pub const MAX_BORDERS: usize = 254;

/// The largest number of one-hot categories: bin 0 is for unseen ones.
pub const MAX_LEVELS: usize = 255;

/// Rows that are looked at to place borders.
const BORDER_SAMPLE: usize = 200_000;

/// How the values of one feature become bins.
#[derive(Debug, Clone, PartialEq)]
pub enum Bins {
    /// Rising borders; bin = number of borders below the value.
    Borders(Vec<f32>),
    /// Bin of each category by its hash, from 1 on; the rest is bin 0.
    Levels(Vec<u32>),
}

impl Bins {
    /// Number of bins.
    pub fn count(&self) -> usize {
        match self {
            Self::Borders(borders) => borders.len() + 1,
            Self::Levels(levels) => levels.len() + 1,
        }
    }

    /// Places the bins of one feature.
    pub fn fit(values: &Values, max_borders: usize, max_levels: usize) -> Self {
        match values {
            Values::Real(values) => Self::Borders(borders(values, max_borders.min(MAX_BORDERS))),
            Values::Category { hashes, .. } => Self::Levels(levels(hashes, max_levels.min(MAX_LEVELS))),
        }
    }

    /// The bin of each row.
    pub fn apply(&self, values: &Values) -> Vec<u8> {
        match (self, values) {
            (Self::Borders(borders), Values::Real(values)) => {
                let mut padded = [f32::INFINITY; 256];
                padded[..borders.len()].copy_from_slice(borders);
                let mut bins = vec![0; values.len()];
                ranks(&padded, values, &mut bins);
                bins
            }
            (Self::Levels(levels), Values::Category { hashes, .. }) => {
                let mut padded = [u32::MAX; 256];
                padded[..levels.len()].copy_from_slice(levels);
                let mut bins = vec![0; hashes.len()];
                ranks(&padded, hashes, &mut bins);
                mark_known(levels, hashes, &mut bins);
                bins
            }
            _ => unreachable!("bins are applied to features of the kind they were placed on"),
        }
    }
}

/// The binned table: one byte per value, by columns.
pub struct Binned {
    /// Bins of each row, per feature.
    pub columns: Vec<Vec<u8>>,
    /// Number of rows.
    pub n_rows: usize,
}

impl Binned {
    /// Bins every feature.
    pub fn new(features: &Features, bins: &[Bins]) -> Self {
        let columns = features.columns().par_iter().zip(&bins[..features.columns().len()]);
        Self {
            columns: columns.map(|(feature, bins)| bins.apply(&feature.values)).collect(),
            n_rows: features.n_rows(),
        }
    }
}

/// Values that are ranked side by side, so that no step waits for another.
const LANES: usize = 16;

/// How many thresholds are below each value, by halving without branches; the last of the thresholds,
/// which rise, is never below.
pub(super) fn ranks<T: PartialOrd + Copy>(thresholds: &[T; 256], values: &[T], ranks: &mut [u8]) {
    Arch::new().dispatch(Ranks { thresholds, values, ranks });
}

struct Ranks<'a, T> {
    thresholds: &'a [T; 256],
    values: &'a [T],
    ranks: &'a mut [u8],
}

impl<T: PartialOrd + Copy> NullaryFnOnce for Ranks<'_, T> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (values, last_values) = self.values.as_chunks::<LANES>();
        let (ranks, last_ranks) = self.ranks.as_chunks_mut::<LANES>();
        for (ranks, values) in ranks.iter_mut().zip(values) {
            *ranks = rank(self.thresholds, values);
        }
        for (rank_of, &value) in last_ranks.iter_mut().zip(last_values) {
            [*rank_of] = rank(self.thresholds, &[value]);
        }
    }
}

#[inline(always)]
fn rank<T: PartialOrd + Copy, const N: usize>(thresholds: &[T; 256], values: &[T; N]) -> [u8; N] {
    let mut below = [0u32; N];
    for half in [128, 64, 32, 16, 8, 4, 2, 1] {
        for (below, value) in below.iter_mut().zip(values) {
            *below += u32::from(*value > thresholds[(*below + half - 1) as usize & 255]) * half;
        }
    }
    below.map(|below| below as u8)
}

/// From ranks among at most 255 levels to bins: 1 + rank where the hash is that level, else 0.
pub(super) fn mark_known(levels: &[u32], hashes: &[u32], ranks: &mut [u8]) {
    for (rank, hash) in ranks.iter_mut().zip(hashes) {
        *rank = if levels.get(usize::from(*rank)) == Some(hash) { *rank + 1 } else { 0 };
    }
}

/// Borders between values, so that the bins hold about equally many rows; a value that many rows share
/// gets a bin of its own and the others share what is left.
fn borders(values: &[f32], max_borders: usize) -> Vec<f32> {
    let step = values.len().div_ceil(BORDER_SAMPLE).max(1);
    let mut sample: Vec<f32> = values.iter().step_by(step).copied().filter(|x| !x.is_nan()).collect();
    sample.sort_unstable_by(f32::total_cmp);
    let mut borders = Vec::new();
    if values.iter().any(|value| value.is_nan()) {
        borders.push(f32::MIN);
    }
    let mut rows_left = sample.len();
    let mut bins_left = (max_borders + 1).saturating_sub(borders.len());
    let mut rows = 0;
    for equal in sample.chunk_by(|a, b| a == b) {
        rows += equal.len();
        let end = sample.len() - rows_left + rows;
        if end == sample.len() || bins_left <= 1 {
            break;
        }
        if rows * bins_left >= rows_left {
            let border = between(sample[end - 1], sample[end]);
            if borders.last().is_none_or(|&last| border > last) {
                borders.push(border);
            }
            rows_left -= rows;
            bins_left -= 1;
            rows = 0;
        }
    }
    borders
}

/// A finite number b with low <= b < high.
fn between(low: f32, high: f32) -> f32 {
    let middle = low / 2.0 + high / 2.0;
    let middle = if middle >= low && middle < high { middle } else { low };
    middle.clamp(f32::MIN, f32::MAX)
}

/// The hashes, rising; none when there are more than `max_levels`.
fn levels(hashes: &[u32], max_levels: usize) -> Vec<u32> {
    let mut levels = BTreeSet::new();
    let mut last = None;
    for &hash in hashes {
        if last != Some(hash) && levels.insert(hash) && levels.len() > max_levels {
            return Vec::new();
        }
        last = Some(hash);
    }
    levels.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_values_lie_below_a_border_of_their_own() {
        let values = Values::Real(vec![f32::NAN, 1.0, 2.0, 2.0, f32::NEG_INFINITY]);
        let bins = Bins::fit(&values, 254, 255);
        assert_eq!(bins, Bins::Borders(vec![f32::MIN, 1.5]));
        assert_eq!(bins.apply(&values), [0, 1, 2, 2, 0]);
    }

    #[test]
    fn a_frequent_value_does_not_use_up_the_borders() {
        let mut values = vec![0.0; 9000];
        values.extend((0..1000).map(|i| i as f32 + 1.0));
        let Bins::Borders(borders) = Bins::fit(&Values::Real(values), 20, 255) else { unreachable!() };
        assert_eq!(borders.len(), 20);
        assert_eq!(borders[0], 0.5);
        assert!(borders.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_border_parts_its_neighbours_even_at_the_ends_of_f32() {
        for (low, high) in [
            (1.0, 1.0 + f32::EPSILON),
            (f32::MIN, f32::MAX),
            (f32::MAX, f32::INFINITY),
            (-0.0, f32::from_bits(1)),
        ] {
            let border = between(low, high);
            assert!(border.is_finite() && low <= border && border < high, "{low} {border} {high}");
        }
    }

    #[test]
    fn too_many_categories_have_no_bins() {
        let values =
            Values::Category { hashes: vec![7, 7, 9, 9, 3, 5, 5, 5], names: CategoryNames::default() };
        let bins = Bins::fit(&values, 254, 4);
        assert_eq!(bins, Bins::Levels(vec![3, 5, 7, 9]));
        assert_eq!(bins.apply(&values), [3, 3, 4, 4, 1, 2, 2, 2]);
        assert_eq!(Bins::fit(&values, 254, 3), Bins::Levels(vec![]));
    }

    use super::super::features::CategoryNames;
}
