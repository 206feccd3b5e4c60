//! Scoring: numbers become bytes once per block of rows, trees then compare bytes.
//!
//! For a block of rows that stays in the nearest cache, every number, category or target statistic that
//! trees ask about becomes its rank among the borders of the model, one byte; a split is then one
//! comparison of bytes, a vector of rows at a time. [`lookup`] adds the leaves.

use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use super::ctr::{Ctr, key};
use super::features::{Features, Values};
use super::lookup::{self, AddLeaves, BLOCK, TREES};
use super::model::{BoostedTrees, FeatureKind, FeatureMismatch, Missing, Split};
use super::quantize::{mark_known, ranks};

/// Rows that one thread takes at a time.
const CHUNK: usize = 16 * BLOCK;
/// Bytes compared together.
const LANES: usize = 64;
/// Borders that a byte can count.
const MOST: usize = 255;

/// A model made ready for scoring; worth keeping when many small tables are scored.
pub struct Scorer<'a> {
    model: &'a BoostedTrees,
    columns: Vec<Column>,
    /// CTRs that share a key and a table, each with its columns.
    ctrs: Vec<SharedKey<'a>>,
    trees: Vec<Tree>,
    add_leaves: AddLeaves,
}

/// Values that one byte each can rank.
struct Column {
    source: Source,
    /// Rising; as long as 8 steps of halving need.
    thresholds: Thresholds,
    /// Whether missing numbers are above every border.
    high: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Source {
    Real(usize),
    Category(usize),
    Ctr(usize),
}

enum Thresholds {
    Borders(Box<[f32; 256]>),
    Values(Box<[u32; 256]>, usize),
}

struct SharedKey<'a> {
    first: &'a Ctr,
    /// CTR and column.
    columns: Vec<(&'a Ctr, usize)>,
}

/// A tree that compares bytes.
struct Tree {
    splits: Vec<ByteSplit>,
    values: Vec<f64>,
}

#[derive(Clone, Copy)]
struct ByteSplit {
    column: usize,
    byte: u8,
    equal: bool,
}

impl<'a> Scorer<'a> {
    /// Numbers what the trees ask about.
    pub fn new(model: &'a BoostedTrees) -> Self {
        let mut asked: Vec<(Source, Vec<f32>, Vec<u32>)> = Vec::new();
        for &split in model.trees.iter().flat_map(|tree| &tree.splits) {
            let source = source(split);
            let at = asked.iter().position(|entry| entry.0 == source).unwrap_or_else(|| {
                asked.push((source, Vec::new(), Vec::new()));
                asked.len() - 1
            });
            match split {
                Split::Above { border, .. } | Split::Ctr { border, .. } => asked[at].1.push(border),
                Split::Is { value, .. } => asked[at].2.push(value),
            }
        }
        let mut columns = Vec::new();
        // Where the columns of each source start, and its sorted borders or values.
        let mut starts = Vec::new();
        for (source, borders, values) in &mut asked {
            starts.push(columns.len());
            borders.sort_by(f32::total_cmp);
            borders.dedup();
            values.sort_unstable();
            values.dedup();
            let high = matches!(source, Source::Real(feature)
                if matches!(model.features[*feature].kind, FeatureKind::Real(Missing::High)));
            columns.extend(borders.chunks(MOST).map(|borders| {
                let mut padded = Box::new([f32::INFINITY; 256]);
                padded[..borders.len()].copy_from_slice(borders);
                Column { source: *source, thresholds: Thresholds::Borders(padded), high }
            }));
            columns.extend(values.chunks(MOST).map(|values| {
                let mut padded = Box::new([u32::MAX; 256]);
                padded[..values.len()].copy_from_slice(values);
                Column { source: *source, thresholds: Thresholds::Values(padded, values.len()), high }
            }));
        }
        let byte_split = |&split: &Split| {
            let at = asked.iter().position(|entry| entry.0 == source(split)).expect("every split was asked");
            let (rank, equal) = match split {
                Split::Above { border, .. } | Split::Ctr { border, .. } => {
                    (asked[at].1.partition_point(|&other| other < border), false)
                }
                Split::Is { value, .. } => (asked[at].2.partition_point(|&other| other < value), true),
            };
            let byte = (rank % MOST) as u8;
            // Rank 0 is for other categories.
            ByteSplit { column: starts[at] + rank / MOST, byte: if equal { byte + 1 } else { byte }, equal }
        };
        let trees = model.trees.iter().map(|tree| {
            let splits: Vec<ByteSplit> = tree.splits.iter().map(byte_split).collect();
            let mut values = tree.leaf_values.clone();
            if splits.len() <= 6 {
                values.resize(64, 0.0);
            }
            Tree { splits, values }
        });
        let trees = trees.collect();
        let mut ctrs: Vec<SharedKey<'a>> = Vec::new();
        for (at, column) in columns.iter().enumerate() {
            let Source::Ctr(number) = column.source else { continue };
            let ctr = &model.ctrs[number];
            let shares = |other: &&mut SharedKey<'_>| {
                std::sync::Arc::ptr_eq(&other.first.table, &ctr.table)
                    && other.first.projection == ctr.projection
            };
            match ctrs.iter_mut().find(shares) {
                Some(shared) => shared.columns.push((ctr, at)),
                None => ctrs.push(SharedKey { first: ctr, columns: vec![(ctr, at)] }),
            }
        }
        Self { model, columns, ctrs, trees, add_leaves: lookup::best() }
    }

    /// The score of each row.
    ///
    /// # Errors
    /// When the features are not those of the model.
    pub fn score(&self, features: &Features) -> Result<Vec<f64>, FeatureMismatch> {
        self.model.check(features)?;
        let mut scores = vec![0.0; features.n_rows()];
        scores.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, scores)| {
            let mut bytes = vec![[0u8; BLOCK]; self.columns.len()];
            for (block, scores) in scores.chunks_mut(BLOCK).enumerate() {
                self.rank(features, chunk * CHUNK + block * BLOCK, scores.len(), &mut bytes);
                let mut sums = [0.0; BLOCK];
                let add_leaves = self.add_leaves;
                let walk = Walk { trees: &self.trees, bytes: &bytes, sums: &mut sums, add_leaves };
                Arch::new().dispatch(walk);
                for (score, sum) in scores.iter_mut().zip(sums) {
                    *score = self.model.scale * sum + self.model.bias;
                }
            }
        });
        Ok(scores)
    }

    /// The bytes of a block of rows.
    fn rank(&self, features: &Features, start: usize, n_rows: usize, bytes: &mut [[u8; BLOCK]]) {
        let rows = start..start + n_rows;
        for (column, bytes) in self.columns.iter().zip(&mut *bytes) {
            let bytes = &mut bytes[..n_rows];
            match (column.source, &column.thresholds) {
                (Source::Real(feature), Thresholds::Borders(borders)) => {
                    let Values::Real(values) = &features.columns()[feature].values else {
                        unreachable!("kinds of features were checked before scoring")
                    };
                    let values = &values[rows.clone()];
                    ranks(borders, values, bytes);
                    if column.high {
                        let missing = bytes.iter_mut().zip(values).filter(|(_, value)| value.is_nan());
                        missing.for_each(|(byte, _)| *byte = u8::MAX);
                    }
                }
                (Source::Category(feature), Thresholds::Values(levels, n_levels)) => {
                    let Values::Category { hashes, .. } = &features.columns()[feature].values else {
                        unreachable!("kinds of features were checked before scoring")
                    };
                    let hashes = &hashes[rows.clone()];
                    ranks(levels, hashes, bytes);
                    mark_known(&levels[..*n_levels], hashes, bytes);
                }
                _ => {}
            }
        }
        let high =
            |feature: usize| matches!(self.model.features[feature].kind, FeatureKind::Real(Missing::High));
        for shared in &self.ctrs {
            let mut values = vec![[0.0; BLOCK]; shared.columns.len()];
            for row in rows.clone() {
                let key = key(&shared.first.projection, features, row, high);
                let counts = shared.first.table.get(key);
                for (values, (ctr, _)) in values.iter_mut().zip(&shared.columns) {
                    values[row - start] = ctr.value(counts);
                }
            }
            for (values, &(_, column)) in values.iter().zip(&shared.columns) {
                let Thresholds::Borders(borders) = &self.columns[column].thresholds else {
                    unreachable!("CTRs are compared with borders")
                };
                ranks(borders, &values[..n_rows], &mut bytes[column][..n_rows]);
            }
        }
    }
}

fn source(split: Split) -> Source {
    match split {
        Split::Above { feature, .. } => Source::Real(feature),
        Split::Is { feature, .. } => Source::Category(feature),
        Split::Ctr { ctr, .. } => Source::Ctr(ctr),
    }
}

/// Rows of a block on their way through all trees.
struct Walk<'a> {
    trees: &'a [Tree],
    bytes: &'a [[u8; BLOCK]],
    sums: &'a mut [f64; BLOCK],
    add_leaves: AddLeaves,
}

impl NullaryFnOnce for Walk<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let mut leaves = [[0u8; BLOCK]; TREES];
        for trees in self.trees.chunks(TREES) {
            let small = trees.iter().all(|tree| tree.values.len() == 64);
            match trees {
                [a, b, c, d] if small => {
                    for (leaves, tree) in leaves.iter_mut().zip(trees) {
                        descend(&tree.splits, self.bytes, leaves);
                    }
                    let values = [a, b, c, d].map(|tree| tree.values.as_chunks::<64>().0);
                    let [[a], [b], [c], [d]] = values else { unreachable!("64 values were asked for") };
                    (self.add_leaves)(&[a, b, c, d], &leaves, self.sums);
                }
                _ => {
                    for tree in trees {
                        let (low, high) = tree.splits.split_at(tree.splits.len().min(8));
                        descend(low, self.bytes, &mut leaves[0]);
                        descend(high, self.bytes, &mut leaves[1]);
                        for (row, sum) in self.sums.iter_mut().enumerate() {
                            let leaf = usize::from(leaves[0][row]) | usize::from(leaves[1][row]) << 8;
                            *sum += tree.values[leaf];
                        }
                    }
                }
            }
        }
    }
}

/// The leaf of each row by at most 8 splits.
#[inline(always)]
fn descend(splits: &[ByteSplit], bytes: &[[u8; BLOCK]], leaves: &mut [u8; BLOCK]) {
    for (at, leaves) in leaves.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let mut leaf = [0u8; LANES];
        for (bit, split) in splits.iter().enumerate() {
            let column = &bytes[split.column].as_chunks::<LANES>().0[at];
            let bit = 1u8 << bit;
            if split.equal {
                for lane in 0..LANES {
                    leaf[lane] |= if column[lane] == split.byte { bit } else { 0 };
                }
            } else {
                for lane in 0..LANES {
                    leaf[lane] |= if column[lane] > split.byte { bit } else { 0 };
                }
            }
        }
        *leaves = leaf;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64Mcg;

    use super::super::ctr::{CtrKind, CtrTable, Element};
    use super::super::features::{CategoryNames, Feature};
    use super::super::model::{self, FeatureInfo};
    use super::*;

    /// Row by row, as the format says it.
    fn by_definition(model: &BoostedTrees, features: &Features, row: usize) -> f64 {
        let holds = |split: Split| match split {
            Split::Above { feature, border } => {
                let Values::Real(values) = &features.columns()[feature].values else { panic!() };
                let high = matches!(model.features[feature].kind, FeatureKind::Real(Missing::High));
                values[row] > border || (high && values[row].is_nan())
            }
            Split::Is { feature, value } => {
                let Values::Category { hashes, .. } = &features.columns()[feature].values else { panic!() };
                hashes[row] == value
            }
            Split::Ctr { ctr, border } => {
                let ctr = &model.ctrs[ctr];
                let high =
                    |feature: usize| matches!(model.features[feature].kind, FeatureKind::Real(Missing::High));
                ctr.value(ctr.table.get(key(&ctr.projection, features, row, high))) > border
            }
        };
        let leaves = model.trees.iter().map(|tree| {
            let bits = tree.splits.iter().enumerate();
            tree.leaf_values[bits.map(|(bit, &split)| usize::from(holds(split)) << bit).sum::<usize>()]
        });
        model.scale * leaves.sum::<f64>() + model.bias
    }

    #[test]
    fn scores_are_what_the_trees_say_for_any_depth_and_any_number_of_borders() {
        let mut rng = Pcg64Mcg::seed_from_u64(5);
        let n_rows = 3 * BLOCK + 17;
        let mut real = |at: usize| {
            let values = (0..n_rows).map(|_| match rng.random_range(0..20) {
                0 => f32::NAN,
                1 => f32::INFINITY,
                2 => f32::NEG_INFINITY,
                _ => rng.random_range(-700i32..700) as f32 / 700.0,
            });
            Feature::real(format!("f{at}"), values.collect())
        };
        let mut columns: Vec<Feature> = (0..3).map(&mut real).collect();
        let hashes = (0..n_rows).map(|_| rng.random_range(0..600u32)).collect();
        let names = CategoryNames::default();
        columns.push(Feature {
            name: "c".to_owned(),
            values: Values::Category { hashes, names: names.clone() },
        });
        let features = Features::new(columns);
        let kinds = [Missing::Unseen, Missing::Low, Missing::High].map(FeatureKind::Real);
        let infos = kinds.into_iter().chain([FeatureKind::Category(names)]).zip(features.columns());
        let infos = infos.map(|(kind, column)| FeatureInfo { name: column.name.clone(), kind });

        let projection = vec![Element::Category(3), Element::Above { feature: 2, border: 0.25 }];
        let missing_is_high = |feature: usize| feature == 2;
        let keys = (0..n_rows).step_by(2).map(|row| key(&projection, &features, row, missing_is_high));
        let keys = keys.enumerate().map(|(at, key)| (key, at as u32)).collect();
        let counts = (0..n_rows + 1).map(|_| f64::from(rng.random_range(0..9u32))).collect();
        let table = Arc::new(CtrTable { width: 2, keys, counts, denominator: 0.0 });
        let ctr = |prior| Ctr {
            projection: projection.clone(),
            kind: CtrKind::Borders,
            target_border: 0,
            prior,
            prior_denominator: 1.0,
            shift: 0.0,
            scale: 15.0,
            table: table.clone(),
        };
        let trees = (0..400).map(|number: usize| {
            let splits = (0..number % 11).map(|_| match rng.random_range(0..5) {
                feature @ 0..3 => {
                    Split::Above { feature, border: rng.random_range(-699i32..700) as f32 / 700.0 }
                }
                3 => Split::Is { feature: 3, value: rng.random_range(0..600) },
                _ => Split::Ctr { ctr: rng.random_range(0..2), border: rng.random_range(0.0..15.0) },
            });
            let splits: Vec<Split> = splits.collect();
            let leaf_values = (0..1 << splits.len()).map(|_| rng.random_range(-1.0..1.0)).collect();
            model::Tree { leaf_weights: vec![0.0; 1 << splits.len()], splits, leaf_values }
        });
        let model = BoostedTrees {
            features: infos.collect(),
            trees: trees.collect(),
            ctrs: vec![ctr(0.0), ctr(0.5)],
            scale: 0.5,
            bias: -1.0,
            loss: None,
        };
        for (row, score) in model.score(&features).unwrap().into_iter().enumerate() {
            let expected = by_definition(&model, &features, row);
            assert!((score - expected).abs() < 1e-12, "row {row}: {score}, not {expected}");
        }
    }
}
