//! Several models as one: the mean of their scores, in one file that scores as fast as its trees.

use super::model::{BoostedTrees, FeatureKind, Missing, Split};

/// The model whose score is the mean of the scores of models with the same features.
///
/// # Panics
/// When there are no models, or their numbers of features differ.
pub fn average(models: Vec<BoostedTrees>) -> BoostedTrees {
    let share = 1.0 / models.len() as f64;
    let mut models = models.into_iter();
    let mut mean = models.next().expect("there is a model to begin with");
    weigh(&mut mean, share);
    for mut model in models {
        assert_eq!(mean.features.len(), model.features.len(), "models differ in features");
        weigh(&mut model, share);
        for (own, other) in mean.features.iter_mut().zip(model.features) {
            // A model that has seen a missing value knows where it belongs.
            if own.kind == FeatureKind::Real(Missing::Unseen) {
                own.kind = other.kind;
            }
        }
        let n_ctrs = mean.ctrs.len();
        for split in model.trees.iter_mut().flat_map(|tree| &mut tree.splits) {
            if let Split::Ctr { ctr, .. } = split {
                *ctr += n_ctrs;
            }
        }
        mean.ctrs.append(&mut model.ctrs);
        mean.trees.append(&mut model.trees);
        mean.bias += model.bias;
    }
    mean
}

/// Brings a model's scores down to a share, with a scale of 1.
fn weigh(model: &mut BoostedTrees, share: f64) {
    for value in model.trees.iter_mut().flat_map(|tree| &mut tree.leaf_values) {
        *value *= model.scale * share;
    }
    model.scale = 1.0;
    model.bias *= share;
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::sync::Arc;

    use super::*;
    use crate::models::boosting::{Boosting, Feature, Features, Loss, Samples, Values, category_hash};

    #[test]
    fn the_score_is_the_mean_of_the_scores() {
        let n_rows = 600u32;
        let number: Vec<f32> = (0..n_rows).map(|row| (row * 7 % 31) as f32).collect();
        let mut gaps = number.clone();
        gaps.iter_mut().step_by(5).for_each(|value| *value = f32::NAN);
        let categories: Vec<u32> =
            (0..n_rows).map(|row| category_hash(&(row * row % 13).to_string())).collect();
        let labels: Vec<f32> =
            (0..n_rows).map(|row| f32::from(u8::from(row * 7 % 31 + row * row % 13 > 20))).collect();
        let features = |number: &[f32]| {
            Features::new(vec![
                Feature::real("number", number.to_vec()),
                Feature {
                    name: "category".to_owned(),
                    values: Values::Category { hashes: categories.clone(), names: Arc::default() },
                },
            ])
        };
        let fit = |seed, number: &[f32], one_hot_max_size| {
            let boosting = Boosting {
                seed,
                one_hot_max_size,
                iterations: 20,
                loss_function: Loss::Logloss,
                ..Boosting::default()
            };
            let whole = 0..n_rows as usize;
            let samples = Samples { features: features(number), labels: labels.clone(), groups: vec![whole] };
            boosting.fit(&[], &samples, None, |_| ControlFlow::Continue(())).unwrap().model
        };
        // One without missing values, two that ask about target statistics.
        let mut models = vec![fit(0, &number, 2), fit(1, &gaps, 255), fit(2, &gaps, 2)];
        models[1].scale = 2.0;
        assert!(!models[0].ctrs.is_empty() && !models[2].ctrs.is_empty());
        let rows = features(&gaps);
        let scores: Vec<Vec<f64>> = models.iter().map(|model| model.score(&rows).unwrap()).collect();
        let mean = average(models).score(&rows).unwrap();
        for row in 0..n_rows as usize {
            let expected = (scores[0][row] + scores[1][row] + scores[2][row]) / 3.0;
            assert!((mean[row] - expected).abs() < 1e-9, "{row}: {} {expected}", mean[row]);
        }
    }
}
