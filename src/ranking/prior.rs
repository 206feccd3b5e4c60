//! Where boosting starts: the orders of the base models, fused.
//!
//! Trees that start from nothing need many rows to relearn the fine order that a base model has found,
//! and with few rows they blur it. So the first trees are given, not grown: for each base model m a
//! staircase β_m · ln(rank_m), and γ_m where m did not propose the item. β and γ are fitted to the labels
//! (a logistic regression for `Logloss`, a conditional logit for losses of groups); boosting then learns what
//! the base models did not know.
//!
//! # Source
//! D. McFadden: *Conditional logit analysis of qualitative choice behavior*, 1974, for the fit by softmax.

use crate::models::boosting::{Feature, Loss, Samples, Split, Tree, Values};

/// Rows that the few weights are fitted on, at most.
const MAX_ROWS: usize = 200_000;

/// Sweeps over the weights.
const SWEEPS: usize = 50;

/// Pulls the weights towards 0, as much as so many rows would.
const PENALTY: f64 = 1.0;

/// Stairs that share a tree.
const STAIRS_PER_TREE: usize = 4;

/// The weights of one base model.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Weights {
    /// Per unit of ln(rank); negative when the model is of use.
    log_rank: f64,
    /// Where the model did not propose the item.
    missing: f64,
}

/// The ranks that one base model gave, and their column.
struct Ranks<'a> {
    feature: usize,
    ranks: &'a [f32],
}

/// Trees that say what the fused orders of the base models say; none without their ranks.
pub fn trees(models: &[String], samples: &Samples, loss: Loss) -> Vec<Tree> {
    let columns = samples.features.columns();
    let ranks: Vec<Ranks<'_>> = models.iter().filter_map(|model| ranks_of(columns, model)).collect();
    let weights = fit(&ranks, samples, loss);
    ranks.iter().zip(weights).flat_map(|(ranks, weights)| staircase(ranks, weights)).collect()
}

fn ranks_of<'a>(columns: &'a [Feature], model: &str) -> Option<Ranks<'a>> {
    let name = format!("{model}_rank");
    let feature = columns.iter().position(|column| column.name == name)?;
    match &columns[feature].values {
        Values::Real(ranks) => Some(Ranks { feature, ranks }),
        Values::Category { .. } => None,
    }
}

/// Coordinate-wise Newton steps, halved: the curvature along a weight is bounded by its diagonal only
/// up to a factor of 2 under softmax.
fn fit(models: &[Ranks<'_>], samples: &Samples, loss: Loss) -> Vec<Weights> {
    let groups: Vec<_> = samples.groups.iter().take_while(|group| group.end <= MAX_ROWS).cloned().collect();
    let n_rows = groups.last().map_or(0, |group| group.end);
    let labels = &samples.labels[..n_rows];
    let mut weights = vec![Weights::default(); models.len()];
    let mut scores = vec![0.0; n_rows];
    for _ in 0..SWEEPS {
        if loss == Loss::Logloss {
            step(&mut scores, labels, &groups, loss, |_| 1.0);
        }
        for (weights, model) in weights.iter_mut().zip(models) {
            let log_rank = |row: usize| {
                let rank = model.ranks[row];
                if rank.is_nan() { 0.0 } else { f64::from(rank).ln() }
            };
            let missing = |row: usize| f64::from(u8::from(model.ranks[row].is_nan()));
            weights.log_rank += step(&mut scores, labels, &groups, loss, log_rank);
            weights.missing += step(&mut scores, labels, &groups, loss, missing);
        }
    }
    weights
}

/// One step along one weight: moves the scores, returns how far the weight went.
fn step(
    scores: &mut [f64],
    labels: &[f32],
    groups: &[std::ops::Range<usize>],
    loss: Loss,
    value: impl Fn(usize) -> f64,
) -> f64 {
    let derivatives = loss.derivatives(scores, labels, groups);
    let (mut slope, mut curvature) = (0.0, PENALTY);
    for (row, [g, h]) in derivatives.into_iter().enumerate() {
        slope += f64::from(g) * value(row);
        curvature += f64::from(h) * value(row) * value(row);
    }
    let change = -0.5 * slope / curvature;
    scores.iter_mut().enumerate().for_each(|(row, score)| *score += change * value(row));
    change
}

/// β·ln(rank) as stairs between the ranks, γ where the rank is missing; steps get wider with the rank.
fn staircase(model: &Ranks<'_>, weights: Weights) -> Vec<Tree> {
    let feature = model.feature;
    let last = model.ranks.iter().copied().fold(1.0, f32::max) as u32;
    let mut stairs = vec![(f32::MIN, -weights.missing)];
    let mut rank = 1;
    while rank < last {
        let next = (rank + (rank / 16).max(1)).min(last);
        let height = weights.log_rank * (f64::from(next) / f64::from(rank)).ln();
        stairs.push((next as f32 - 0.5, height));
        rank = next;
    }
    let above = |row_rank: f32, border: f32| row_rank > border;
    let mut trees: Vec<Tree> = stairs
        .chunks(STAIRS_PER_TREE)
        .map(|stairs| {
            let splits = stairs.iter().map(|&(border, _)| Split::Above { feature, border }).collect();
            let height = |leaf: usize| -> f64 {
                let climbed = stairs.iter().enumerate().filter(|(bit, _)| leaf >> bit & 1 == 1);
                climbed.map(|(_, stair)| stair.1).sum()
            };
            let mut leaf_weights = vec![0.0; 1 << stairs.len()];
            for &rank in model.ranks {
                let bits = stairs.iter().enumerate().map(|(bit, &(b, _))| usize::from(above(rank, b)) << bit);
                leaf_weights[bits.sum::<usize>()] += 1.0;
            }
            Tree { splits, leaf_values: (0..1 << stairs.len()).map(height).collect(), leaf_weights }
        })
        .collect();
    if let Some(first) = trees.first_mut() {
        first.leaf_values.iter_mut().for_each(|value| *value += weights.missing);
    }
    trees
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::boosting::{BoostedTrees, FeatureInfo, FeatureKind, Features, Missing};

    /// Users that choose the item at rank r of model `a` with chance ∝ 1/r; model `b` knows nothing.
    fn samples() -> Samples {
        let (mut a, mut b, mut labels, mut groups) = (vec![], vec![], vec![], vec![]);
        let n_ranks = 40;
        let total: f64 = (1..=n_ranks).map(|rank| 1.0 / f64::from(rank)).sum();
        for rank in 1..=n_ranks {
            for user in 0..(1000.0 / f64::from(rank) / total).round() as usize {
                groups.push(labels.len()..labels.len() + n_ranks as usize);
                for row in 1..=n_ranks {
                    let unknown = (user + row as usize).is_multiple_of(2);
                    a.push(row as f32);
                    b.push(if unknown { f32::NAN } else { (row * 7 % 13) as f32 + 1.0 });
                    labels.push(f32::from(u8::from(row == rank)));
                }
            }
        }
        let features = Features::new(vec![Feature::real("a_rank", a), Feature::real("b_rank", b)]);
        Samples { features, labels, groups }
    }

    #[test]
    fn a_staircase_follows_the_logarithm_of_the_rank() {
        let samples = samples();
        let info = |name: &str| FeatureInfo { name: name.to_owned(), kind: FeatureKind::Real(Missing::Low) };
        for loss in [Loss::QuerySoftMax, Loss::Logloss] {
            let trees = trees(&["a".to_owned(), "b".to_owned()], &samples, loss);
            let features = vec![info("a_rank"), info("b_rank")];
            let model =
                BoostedTrees { features, ctrs: Vec::new(), trees, scale: 1.0, bias: 0.0, loss: Some(loss) };
            let scores = model.score(&samples.features).unwrap();
            assert!(scores.iter().all(|score| score.is_finite()));
            // The chance falls as 1/rank, so the score falls as −ln(rank), log-odds a little faster.
            for rank in [2usize, 5, 10, 40] {
                let falls = scores[..40 * 400].chunks(40).map(|user| user[rank - 1] - user[0]);
                let fall = falls.sum::<f64>() / 400.0;
                assert!((fall + (rank as f64).ln()).abs() < 0.35, "{loss:?}, rank {rank}: {fall}");
            }
            assert_eq!(model.trees[0].leaf_weights.iter().sum::<f64>(), samples.labels.len() as f64);
        }
    }

    #[test]
    fn without_ranks_there_is_no_prior() {
        let samples = Samples {
            features: Features::new(vec![Feature::real("x", vec![1.0, 2.0])]),
            labels: vec![0.0, 1.0],
            groups: std::iter::once(0..2).collect(),
        };
        assert!(trees(&["a".to_owned()], &samples, Loss::QuerySoftMax).is_empty());
    }
}
