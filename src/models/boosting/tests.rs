//! The trainer learns what it can, the same bits at any thread count, and its file says it all.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::*;

/// Labels follow (a > 0) xor (b > 0), whether c is missing, and one category out of 40.
fn samples(n_rows: usize, seed: u64) -> Samples {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let names: BTreeMap<u32, String> =
        (0..40).map(|i| (category_hash(&format!("genre {i}")), format!("genre {i}"))).collect();
    let hashes: Vec<u32> = names.keys().copied().collect();
    let favourite = category_hash("genre 7");
    let (mut a, mut b, mut c, mut genre, mut labels) = (vec![], vec![], vec![], vec![], vec![]);
    for _ in 0..n_rows {
        let (x, y) = (rng.random_range(-1.0..1.0f32), rng.random_range(-1.0..1.0f32));
        let z = if rng.random_bool(0.3) { f32::NAN } else { rng.random_range(-5.0..5.0) };
        let hash = hashes[rng.random_range(0..hashes.len())];
        let log_odds = f64::from(u8::from((x > 0.0) != (y > 0.0))) * 3.0 - 3.0
            + if z.is_nan() { 2.0 } else { 0.0 }
            + if hash == favourite { 2.0 } else { 0.0 };
        labels.push(f32::from(u8::from(rng.random_bool(1.0 / (1.0 + (-log_odds).exp())))));
        a.push(x);
        b.push(y);
        c.push(z);
        genre.push(hash);
    }
    let genre = Feature {
        name: "genre".to_owned(),
        values: Values::Category { hashes: genre, names: Arc::new(names) },
    };
    Samples {
        features: Features::new(vec![
            Feature::real("a", a),
            Feature::real("b", b),
            Feature::real("c", c),
            genre,
            Feature::real("constant", vec![1.0; n_rows]),
            Feature::real("all_missing", vec![f32::NAN; n_rows]),
        ]),
        labels,
        groups: (0..n_rows).step_by(10).map(|start| start..(start + 10).min(n_rows)).collect(),
    }
}

fn go_on(_: Iteration) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn it_learns_an_xor_a_missing_value_and_a_category() {
    let (train, test) = (samples(20_000, 1), samples(20_000, 2));
    for loss_function in [Loss::Logloss, Loss::QuerySoftMax] {
        let boosting =
            Boosting { loss_function, depth: 4, iterations: 60, learning_rate: 0.3, ..Boosting::default() };
        let fitted = boosting.fit(&[], &train, None, go_on).unwrap();
        assert_eq!(fitted.model.trees.len(), 60);
        for pair in fitted.iterations.windows(2) {
            assert!(pair[1].loss < pair[0].loss + 1e-4, "{pair:?}");
        }
        let constant =
            vec![loss_function.best_constant(&vec![0.0; 20_000], &train.labels); test.labels.len()];
        let constant = loss_function.value(&constant, &test.labels, &test.groups);
        let scores = fitted.model.score(&test.features).unwrap();
        let learnt = loss_function.value(&scores, &test.labels, &test.groups);
        assert!(learnt < 0.9 * constant, "{loss_function:?}: {learnt} against {constant}");
        let importances = fitted.model.importances();
        assert!((importances.iter().sum::<f64>() - 100.0).abs() < 1e-9);
        assert!(importances[..4].iter().all(|&value| value > 1.0), "{importances:?}");
        assert_eq!(importances[4..], [0.0, 0.0]);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let train = samples(40_000, 3);
    let boosting = Boosting { depth: 5, iterations: 10, rsm: 0.7, subsample: 0.6, ..Boosting::default() };
    let fit = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| boosting.fit(&[], &train, Some(&samples(5_000, 4)), go_on).unwrap())
    };
    let (one, three) = (fit(1), fit(3));
    assert_eq!(one.model, three.model);
    assert_eq!(one.iterations, three.iterations);
}

#[test]
fn training_scores_are_the_scores_of_the_model() {
    let train = samples(3_000, 5);
    let fitted = Boosting { iterations: 20, ..Boosting::default() }.fit(&[], &train, None, go_on).unwrap();
    let scores = fitted.model.score(&train.features).unwrap();
    let loss = Loss::Logloss.value(&scores, &train.labels, &train.groups);
    assert!((loss - fitted.iterations.last().unwrap().loss).abs() < 1e-12);
}

#[test]
fn training_stops_early_and_keeps_the_best_iteration() {
    let (train, validation) = (samples(300, 6), samples(2_000, 7));
    let boosting =
        Boosting { iterations: 500, learning_rate: 0.5, early_stopping_rounds: 5, ..Boosting::default() };
    let fitted = boosting.fit(&[], &train, Some(&validation), go_on).unwrap();
    let losses: Vec<f64> = fitted.iterations.iter().map(|it| it.validation_loss.unwrap()).collect();
    let best = losses.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1)).unwrap().0 + 1;
    assert_eq!(fitted.model.trees.len(), best);
    assert_eq!(losses.len(), best + 5);
}

#[test]
fn one_class_is_refused_and_a_break_stops() {
    let mut train = samples(100, 8);
    assert!(matches!(
        Boosting::default().fit(&[], &train, None, |_| ControlFlow::Break(())),
        Err(BoostingError::Stopped)
    ));
    train.labels.fill(0.0);
    let error = Boosting::default().fit(&[], &train, None, go_on).unwrap_err().to_string();
    assert_eq!(error, "the training rows are all of one class: 100 rows, 0 positives");
}

#[test]
fn constant_features_alone_leave_a_constant_model() {
    let train = Samples {
        features: Features::new(vec![Feature::real("constant", vec![1.0; 4])]),
        labels: vec![1.0, 0.0, 0.0, 0.0],
        groups: std::iter::once(0..4).collect(),
    };
    let model = Boosting::default().fit(&[], &train, None, go_on).unwrap().model;
    assert!(model.trees.is_empty());
    assert_eq!(model.score(&train.features).unwrap(), vec![(1.0f64 / 3.0).ln(); 4]);
}

#[test]
fn other_features_are_refused() {
    let train = samples(200, 9);
    let model =
        Boosting { iterations: 2, ..Boosting::default() }.fit(&[], &train, None, go_on).unwrap().model;
    let fewer = Features::new(train.features.columns()[..3].to_vec());
    assert_eq!(
        model.score(&fewer).unwrap_err().to_string(),
        "the model expects `genre` (categories) as feature 4, the data has no such column"
    );
}
