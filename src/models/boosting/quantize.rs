//! Features as small bins: what the trainer sees.
//!
//! A number x falls into bin `#{borders b : x > b}`, so "bin > j" is the split "x > border j". A missing
//! value falls into bin 0, below every border; where values are missing, the first border is the
//! least f32, so that "missing or not" is a split of its own (CatBoost's `nan_mode: Min`). A category
//! among the most frequent ones has its own bin from 1 on; all others share bin 0, which no split names.

use std::collections::HashMap;

use rayon::prelude::*;

use super::features::{Features, Values};

/// The largest number of borders: with bin 0 it fills 255 of the 256 values of a byte.
pub const MAX_BORDERS: usize = 254;

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
            Values::Category { hashes, .. } => Self::Levels(levels(hashes, max_levels.min(MAX_BORDERS + 1))),
        }
    }

    /// The bin of each row.
    pub fn apply(&self, values: &Values) -> Vec<u8> {
        match (self, values) {
            (Self::Borders(borders), Values::Real(values)) => {
                values.iter().map(|&value| borders.partition_point(|&border| value > border) as u8).collect()
            }
            (Self::Levels(levels), Values::Category { hashes, .. }) => {
                let bins: HashMap<u32, u8> =
                    levels.iter().zip(1..).map(|(&level, bin)| (level, bin)).collect();
                hashes.iter().map(|hash| bins.get(hash).copied().unwrap_or(0)).collect()
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
        let columns = features.columns().par_iter().zip(bins);
        Self {
            columns: columns.map(|(feature, bins)| bins.apply(&feature.values)).collect(),
            n_rows: features.n_rows(),
        }
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

/// The `max_levels` most frequent hashes, rising.
fn levels(hashes: &[u32], max_levels: usize) -> Vec<u32> {
    let mut counts: HashMap<u32, usize> = HashMap::new();
    for &hash in hashes {
        *counts.entry(hash).or_default() += 1;
    }
    let mut levels: Vec<(usize, u32)> = counts.into_iter().map(|(hash, count)| (count, hash)).collect();
    levels.sort_unstable_by_key(|&(count, hash)| (std::cmp::Reverse(count), hash));
    let mut levels: Vec<u32> = levels.into_iter().take(max_levels).map(|(_, hash)| hash).collect();
    levels.sort_unstable();
    levels
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
    fn rare_categories_share_the_bin_that_no_split_names() {
        let values =
            Values::Category { hashes: vec![7, 7, 9, 9, 3, 5, 5, 5], names: CategoryNames::default() };
        let bins = Bins::fit(&values, 254, 3);
        assert_eq!(bins, Bins::Levels(vec![5, 7, 9]));
        assert_eq!(bins.apply(&values), [2, 2, 3, 3, 0, 1, 1, 1]);
    }

    use super::super::features::CategoryNames;
}
