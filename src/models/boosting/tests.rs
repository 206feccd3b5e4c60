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

/// The same rows and an artist out of 2,000, every third of whom is liked, too many for one-hot.
fn with_artists(n_rows: usize, seed: u64) -> Samples {
    let mut samples = samples(n_rows, seed);
    let mut rng = Pcg64Mcg::seed_from_u64(seed + 1000);
    let artists: Vec<u32> = (0..n_rows).map(|_| rng.random_range(0..2_000u32)).collect();
    for (label, artist) in samples.labels.iter_mut().zip(&artists) {
        *label = f32::from(u8::from(*label > 0.0 && (artist % 3 == 0 || rng.random_bool(0.2))));
    }
    let hashes = artists.iter().map(|artist| category_hash(&artist.to_string())).collect();
    let mut columns = samples.features.columns().to_vec();
    columns.push(Feature {
        name: "artist".to_owned(),
        values: Values::Category { hashes, names: Arc::default() },
    });
    samples.features = Features::new(columns);
    samples
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let (train, validation) = (with_artists(40_000, 3), with_artists(5_000, 4));
    let bootstraps = [BootstrapType::Bernoulli, BootstrapType::Bayesian, BootstrapType::No];
    for (loss_function, bootstrap_type) in Loss::ALL.into_iter().zip(bootstraps) {
        let boosting = Boosting {
            loss_function,
            bootstrap_type,
            depth: 5,
            iterations: 6,
            rsm: 0.7,
            subsample: 0.6,
            ..Boosting::default()
        };
        let fit = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| boosting.fit(&[], &train, Some(&validation), go_on).unwrap())
        };
        let one = fit(1);
        for threads in [2, 3] {
            let more = fit(threads);
            assert_eq!(one.model, more.model, "{loss_function:?}, {threads} threads");
            assert_eq!(one.iterations, more.iterations);
        }
        let other = Boosting { seed: 1, ..boosting.clone() }.fit(&[], &train, None, go_on).unwrap();
        assert_ne!(one.model.trees, other.model.trees);
    }
}

#[test]
fn target_statistics_tell_many_categories_apart() {
    let (train, test) = (with_artists(60_000, 10), with_artists(20_000, 11));
    let fit = |train: &Samples| {
        let boosting = Boosting { iterations: 60, learning_rate: 0.3, rsm: 1.0, ..Boosting::default() };
        boosting.fit(&[], train, None, go_on).unwrap().model
    };
    let loss = |model: &BoostedTrees, test: &Samples| {
        Loss::Logloss.value(&model.score(&test.features).unwrap(), &test.labels, &test.groups)
    };
    let without = |samples: &Samples| {
        let columns = samples.features.columns();
        Samples { features: Features::new(columns[..columns.len() - 1].to_vec()), ..samples.clone() }
    };
    let model = fit(&train);
    assert!(model.ctrs.iter().any(|ctr| ctr.kind == CtrKind::Borders));
    let (with, without) = (loss(&model, &test), loss(&fit(&without(&train)), &without(&test)));
    assert!(with < 0.9 * without, "{with} with artists, {without} without");
    // Statistics over all rows would look better on the training rows than anywhere else.
    let on_train = loss(&model, &train);
    assert!(with - on_train < 0.1 * with, "{on_train} in training, {with} on others");
    let artists = model.features.len() - 1;
    assert!(model.importances()[artists] > 10.0);
}

#[test]
fn categories_unseen_in_training_have_a_score() {
    let train = with_artists(20_000, 12);
    let boosting = Boosting { iterations: 30, ..Boosting::default() };
    let model = boosting.fit(&[], &train, None, go_on).unwrap().model;
    let unseen = |name: &str| {
        let columns = train.features.columns().iter().cloned().map(|mut column| {
            if let (true, Values::Category { hashes, .. }) = (column.name == name, &mut column.values) {
                hashes.fill(category_hash("never seen"));
            }
            column
        });
        model.score(&Features::new(columns.collect())).unwrap()
    };
    let seen = model.score(&train.features).unwrap();
    for scores in [unseen("genre"), unseen("artist")] {
        assert!(scores.iter().all(|score| score.is_finite()));
        assert_ne!(scores, seen);
    }
}

#[test]
fn lambda_mart_raises_ndcg() {
    let (train, test) = (samples(20_000, 13), samples(5_000, 14));
    let boosting = Boosting {
        loss_function: Loss::LambdaMart,
        iterations: 60,
        learning_rate: 0.3,
        ..Boosting::default()
    };
    let model = boosting.fit(&[], &train, None, go_on).unwrap().model;
    let loss = |scores: &[f64]| Loss::LambdaMart.value(scores, &test.labels, &test.groups);
    let (constant, learnt) = (loss(&vec![0.0; 5_000]), loss(&model.score(&test.features).unwrap()));
    assert!(learnt < 0.8 * constant, "{learnt} against {constant}");
}

#[test]
fn groups_of_one_row_teach_grouped_losses_nothing() {
    let mut train = samples(500, 15);
    train.groups = (0..500).map(|row| row..row + 1).collect();
    for loss_function in [Loss::QuerySoftMax, Loss::LambdaMart] {
        let boosting = Boosting { loss_function, ..Boosting::default() };
        let model = boosting.fit(&[], &train, None, go_on).unwrap().model;
        assert!(model.trees.is_empty());
        assert_eq!(model.score(&train.features).unwrap(), vec![0.0; 500]);
    }
    let model =
        Boosting { iterations: 5, ..Boosting::default() }.fit(&[], &train, None, go_on).unwrap().model;
    assert_eq!(model.trees.len(), 5);
}

#[test]
fn parameters_out_of_range_are_brought_back() {
    let train = with_artists(3_000, 16);
    let wild = Boosting {
        iterations: 2,
        depth: 99,
        one_hot_max_size: 9_999,
        border_count: 9_999,
        ..Boosting::default()
    };
    let tame = Boosting { depth: 8, one_hot_max_size: 255, border_count: 254, ..wild.clone() };
    let fit = |boosting: &Boosting| boosting.fit(&[], &train, None, go_on).unwrap().model;
    assert_eq!(fit(&wild), fit(&tame));
    assert_eq!(fit(&Boosting { depth: 0, ..wild }).trees[0].splits.len(), 1);
}

#[test]
fn trees_to_begin_with_may_not_ask_about_statistics() {
    let split = Split::Ctr { ctr: 0, border: 0.5 };
    let start = [Tree { splits: vec![split], leaf_values: vec![0.0; 2], leaf_weights: vec![0.0; 2] }];
    let error = Boosting::default().fit(&start, &samples(100, 17), None, go_on).unwrap_err();
    assert!(matches!(error, BoostingError::StartAsksCtr));
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
fn constant_and_empty_features_alone_leave_a_constant_model() {
    let train = Samples {
        features: Features::new(vec![
            Feature::real("constant", vec![1.0; 4]),
            Feature::real("all missing", vec![f32::NAN; 4]),
        ]),
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
