//! How different the items of one list are from each other.

/// A group of each item: track group, category. Items may have none.
pub type Groups = [Option<u32>];

/// Distinct groups / items in the list; an item without a group adds no group.
///
/// Of track groups it is PIPELINE's `diversity@k`; of categories it is RePlay's
/// `CategoricalDiversity`. `scratch` spares an allocation per user.
pub fn distinct_share(list: &[u32], groups: &Groups, scratch: &mut Vec<u32>) -> f64 {
    if list.is_empty() {
        return 0.0;
    }
    scratch.clear();
    scratch.extend(list.iter().filter_map(|&item| groups[item as usize]));
    scratch.sort_unstable();
    scratch.dedup();
    scratch.len() as f64 / list.len() as f64
}

/// Unit vectors of items in compressed sparse rows; an item may have the zero vector.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemVectors {
    n_dimensions: usize,
    starts: Vec<usize>,
    dimensions: Vec<u32>,
    values: Vec<f64>,
}

impl ItemVectors {
    /// From rows of `(dimension, value)`; each row is scaled to length 1.
    ///
    /// # Panics
    /// When a dimension is at or above `n_dimensions`.
    pub fn new<R: IntoIterator<Item = (u32, f64)>>(
        n_dimensions: usize,
        rows: impl IntoIterator<Item = R>,
    ) -> Self {
        let (mut starts, mut dimensions, mut values) = (vec![0], Vec::new(), Vec::new());
        for row in rows {
            let start = values.len();
            for (dimension, value) in row {
                assert!((dimension as usize) < n_dimensions, "a dimension lies below `n_dimensions`");
                dimensions.push(dimension);
                values.push(value);
            }
            let length = values[start..].iter().map(|value: &f64| value * value).sum::<f64>().sqrt();
            if length > 0.0 {
                values[start..].iter_mut().for_each(|value| *value /= length);
            }
            starts.push(values.len());
        }
        Self { n_dimensions, starts, dimensions, values }
    }

    /// How many items have a row.
    pub fn n_items(&self) -> usize {
        self.starts.len() - 1
    }

    fn row(&self, item: u32) -> impl Iterator<Item = (usize, f64)> {
        let range = self.starts[item as usize]..self.starts[item as usize + 1];
        let dimensions = self.dimensions[range.clone()].iter().map(|&dimension| dimension as usize);
        dimensions.zip(self.values[range].iter().copied())
    }
}

/// Mean of 1 − cosine over all pairs of the list, 0 for fewer than two items; the zero vector is at
/// distance 1 from everything. `scratch` spares an allocation per user.
///
/// The sum over pairs of v_i · v_j is taken as Σ_i v_i · (v_1 + … + v_{i−1}): linear in the list.
///
/// Source: Ziegler et al., *Improving recommendation lists through topic diversification*, 2005.
pub fn intra_list_diversity(list: &[u32], vectors: &ItemVectors, scratch: &mut Vec<f64>) -> f64 {
    if list.len() < 2 {
        return 0.0;
    }
    scratch.clear();
    scratch.resize(vectors.n_dimensions, 0.0);
    let mut cosines = 0.0;
    for &item in list {
        cosines += vectors.row(item).map(|(dimension, value)| value * scratch[dimension]).sum::<f64>();
        for (dimension, value) in vectors.row(item) {
            scratch[dimension] += value;
        }
    }
    let n_pairs = (list.len() * (list.len() - 1) / 2) as f64;
    1.0 - cosines / n_pairs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn distinct_share_counts_groups_once() {
        let groups = [Some(4), Some(4), Some(1), None];
        // Groups {4, 1} over four items; an empty list has nothing.
        assert_eq!(distinct_share(&[0, 1, 2, 3], &groups, &mut vec![]), 0.5);
        assert_eq!(distinct_share(&[], &groups, &mut vec![]), 0.0);
    }

    #[test]
    fn intra_list_diversity_is_the_mean_over_pairs() {
        // Genres {0}, {0}, {0, 1}, {}: cosines 1, 1/√2, 0, 1/√2, 0, 0 over six pairs.
        let genres = [vec![(0, 1.0)], vec![(0, 3.0)], vec![(0, 1.0), (1, 1.0)], vec![]];
        let vectors = ItemVectors::new(2, genres);
        let expected = 1.0 - (1.0 + 2.0 / 2f64.sqrt()) / 6.0;
        let found = intra_list_diversity(&[0, 1, 2, 3], &vectors, &mut vec![]);
        assert!((found - expected).abs() < 1e-12, "{found}");
        assert_eq!(intra_list_diversity(&[2], &vectors, &mut vec![]), 0.0);
    }

    proptest! {
        #[test]
        fn one_pass_equals_all_pairs(
            rows in prop::collection::vec(prop::collection::vec(-2.0f64..2.0, 3), 2..8),
        ) {
            let as_sparse = |row: &Vec<f64>| row.iter().copied().zip(0u32..).map(|(v, d)| (d, v)).collect::<Vec<_>>();
            let vectors = ItemVectors::new(3, rows.iter().map(as_sparse));
            let (mut sum, mut n_pairs) = (0.0, 0.0);
            for i in 0..rows.len() {
                for j in 0..i {
                    let dot: f64 = vectors.row(i as u32).map(|(d, v)| v * vectors.row(j as u32).nth(d).unwrap().1).sum();
                    sum += 1.0 - dot;
                    n_pairs += 1.0;
                }
            }
            let list: Vec<u32> = (0..rows.len() as u32).collect();
            prop_assert!((intra_list_diversity(&list, &vectors, &mut vec![]) - sum / n_pairs).abs() < 1e-12);
        }
    }
}
