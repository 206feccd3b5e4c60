//! Target statistics in training: each row sees only the rows before it in a random order.
//!
//! A statistic over all rows would hold the row's own label, and trees would believe it too much; so
//! rows (groups, when the loss compares rows of a group) are shuffled by the seed, and a row's category
//! is described by the rows before it. Afterwards the model keeps the counts of all rows. Per category
//! feature, as CatBoost's `simple_ctr`: `Borders` with priors 0, 0.5 and 1, and `Counter`, whose counts are of
//! all rows since they hold no labels.

use std::collections::HashMap;
use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use super::Samples;
use super::ctr::{Ctr, CtrKind, CtrTable, Element, combine};
use super::features::{Features, Values};
use super::loss::Loss;
use super::quantize::Bins;

/// Borders of a CTR, at most.
const BORDERS: usize = 32;
/// Added to the good ones; one row is added to the total.
const PRIORS: [f32; 3] = [0.0, 0.5, 1.0];
/// What CatBoost scales CTRs to.
const SCALE: f32 = 15.0;

/// A CTR that trees may split by, with the bins of the training rows.
pub(super) struct TrainedCtr {
    pub ctr: Ctr,
    pub bins: Bins,
    pub column: Vec<u8>,
}

/// CTRs of the category features with more than `one_hot_max_size` categories.
pub(super) fn fit(samples: &Samples, one_hot_max_size: usize, loss: Loss, seed: u64) -> Vec<TrainedCtr> {
    let mut order = Vec::new();
    let mut ctrs = Vec::new();
    for (feature, column) in samples.features.columns().iter().enumerate() {
        let Values::Category { hashes, .. } = &column.values else { continue };
        let levels = numbered(hashes);
        if levels.len() <= one_hot_max_size {
            continue;
        }
        if order.is_empty() {
            order = shuffled(samples, loss, seed);
        }
        ctrs.extend(of_feature(feature, hashes, &levels, &samples.labels, &order));
    }
    ctrs
}

/// Bins of the CTRs for rows that they were not trained on.
pub(super) fn apply(ctrs: &[TrainedCtr], features: &Features) -> Vec<Vec<u8>> {
    let column = |ctr: &TrainedCtr| {
        let Values::Category { hashes, .. } = &features.columns()[ctr.ctr.projection[0].feature()].values
        else {
            unreachable!("CTRs are made of categories")
        };
        let value = |&hash: &u32| ctr.ctr.value(ctr.ctr.table.get(key(hash)));
        ctr.bins.apply(&Values::Real(hashes.iter().map(value).collect()))
    };
    ctrs.iter().map(column).collect()
}

/// Rows in a random order; groups stay together when the loss compares their rows.
fn shuffled(samples: &Samples, loss: Loss, seed: u64) -> Vec<u32> {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    if loss == Loss::Logloss {
        let mut rows: Vec<u32> = (0..samples.labels.len() as u32).collect();
        rows.shuffle(&mut rng);
        return rows;
    }
    let mut groups = samples.groups.clone();
    groups.shuffle(&mut rng);
    groups.into_iter().flat_map(|group| group.start as u32..group.end as u32).collect()
}

/// The key of a category alone.
fn key(hash: u32) -> u64 {
    combine(0, i64::from(hash as i32) as u64)
}

/// Numbers the categories as they come.
fn numbered(hashes: &[u32]) -> HashMap<u32, u32> {
    let mut levels = HashMap::new();
    for &hash in hashes {
        let next = levels.len() as u32;
        levels.entry(hash).or_insert(next);
    }
    levels
}

fn of_feature(
    feature: usize,
    hashes: &[u32],
    levels: &HashMap<u32, u32>,
    labels: &[f32],
    order: &[u32],
) -> Vec<TrainedCtr> {
    let level_of_row: Vec<u32> = hashes.iter().map(|hash| levels[hash]).collect();
    // Rows of each class so far, and what each row saw.
    let mut counts = vec![[0u32; 2]; levels.len()];
    let mut seen = vec![[0u32; 2]; labels.len()];
    for &row in order {
        let counts = &mut counts[level_of_row[row as usize] as usize];
        seen[row as usize] = *counts;
        counts[usize::from(labels[row as usize] > 0.0)] += 1;
    }
    let keys = levels.iter().map(|(&hash, &level)| (key(hash), level));
    let by_class = Arc::new(CtrTable {
        width: 2,
        keys: keys.clone().collect(),
        counts: counts.iter().flatten().map(|&rows| f64::from(rows)).collect(),
        denominator: 0.0,
    });
    let rows = counts.iter().map(|&[bad, good]| f64::from(bad + good));
    let by_rows = Arc::new(CtrTable {
        width: 1,
        keys: keys.collect(),
        counts: rows.clone().collect(),
        denominator: rows.fold(0.0, f64::max),
    });
    let ctr = |kind, prior, table: &Arc<CtrTable>| Ctr {
        projection: vec![Element::Category(feature)],
        kind,
        target_border: 0,
        prior,
        prior_denominator: 1.0,
        shift: 0.0,
        scale: SCALE,
        table: table.clone(),
    };
    let trained = |ctr: Ctr, values: Vec<f32>| {
        let values = Values::Real(values);
        let bins = Bins::fit(&values, BORDERS, 0);
        let column = bins.apply(&values);
        TrainedCtr { ctr, bins, column }
    };
    let mut ctrs: Vec<TrainedCtr> = PRIORS
        .into_iter()
        .map(|prior| {
            let ctr = ctr(CtrKind::Borders, prior, &by_class);
            let rows = seen.iter().map(|&[bad, good]| ctr.quotient(f64::from(good), f64::from(bad + good)));
            let values = rows.collect();
            trained(ctr, values)
        })
        .collect();
    let counter = ctr(CtrKind::Counter, 0.0, &by_rows);
    let of_level: Vec<f32> = by_rows.counts.iter().map(|&rows| counter.value(Some(&[rows]))).collect();
    let values = level_of_row.iter().map(|&level| of_level[level as usize]).collect();
    ctrs.push(trained(counter, values));
    ctrs
}
