//! One half of `tests/bench/catboost_roundtrip.py`, which calls it; the other half is the official package:
//! 1. a model trained here, with its rows and scores, is written for the package to score;
//! 2. models that the package trained are read and scored here as the package scores them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use recsys::codec::catboost_json;
use recsys::models::boosting::{
    Boosting, Feature, FeatureKind, Features, Loss, Samples, Values, category_hash,
};

fn folder() -> PathBuf {
    PathBuf::from(std::env::var_os("CATBOOST_ROUNDTRIP").expect("catboost_roundtrip.py sets the folder"))
}

fn category(name: &str, texts: &[String]) -> Feature {
    let names = texts.iter().map(|text| (category_hash(text), text.clone())).collect();
    let hashes = texts.iter().map(|text| category_hash(text)).collect();
    Feature { name: name.to_owned(), values: Values::Category { hashes, names: Arc::new(names) } }
}

#[test]
#[ignore = "called by tests/bench/catboost_roundtrip.py"]
fn a_model_of_ours_is_written_with_its_rows_and_scores() {
    let n_rows = 5000;
    for (number, loss_function) in [Loss::Logloss, Loss::QuerySoftMax].into_iter().enumerate() {
        let mut rng = Pcg64Mcg::seed_from_u64(number as u64);
        let mut a: Vec<f32> = (0..n_rows).map(|_| rng.random_range(-3.0..3.0)).collect();
        let b: Vec<f32> = (0..n_rows).map(|_| rng.random_range(0.0f32..1.0).powi(4) * 1e6).collect();
        let texts: Vec<String> =
            (0..n_rows).map(|_| format!("жанр {}", rng.random_range(0..30u32).pow(2))).collect();
        let labels = (0..n_rows).map(|row| {
            let score = a[row].sin() + f32::from(u8::from(texts[row].ends_with('4'))) - b[row] / 1e6;
            f32::from(u8::from(rng.random_range(-0.5..1.5) < score))
        });
        let labels = labels.collect();
        a.iter_mut().step_by(7).for_each(|value| *value = f32::NAN);
        let columns =
            vec![Feature::real("a", a.clone()), category("genre", &texts), Feature::real("b", b.clone())];
        let samples = Samples {
            features: Features::new(columns),
            labels,
            groups: (0..n_rows).step_by(50).map(|start| start..start + 50).collect(),
        };
        let boosting = Boosting { loss_function, depth: 6, iterations: 200, ..Boosting::default() };
        let fitted = boosting.fit(&[], &samples, None, |_| ControlFlow::Continue(())).unwrap();
        let scores = fitted.model.score(&samples.features).unwrap();
        catboost_json::write(&folder().join(format!("ours_{number}.json")), &fitted.model).unwrap();
        let mut table = "a\tgenre\tb\tscore\n".to_owned();
        for row in 0..n_rows {
            writeln!(table, "{}\t{}\t{}\t{}", a[row], texts[row], b[row], scores[row]).unwrap();
        }
        std::fs::write(folder().join(format!("ours_{number}.tsv")), table).unwrap();
        let mut table = String::new();
        for (feature, importance) in fitted.model.features.iter().zip(fitted.model.importances()) {
            writeln!(table, "{}\t{importance}", feature.name).unwrap();
        }
        std::fs::write(folder().join(format!("ours_{number}_importances.tsv")), table).unwrap();
    }
}

fn compare(model: &Path) {
    let rows = std::fs::read_to_string(model.with_extension("tsv")).unwrap();
    let mut lines = rows.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let rows: Vec<Vec<&str>> = lines.collect();
    let columns: HashMap<&str, Vec<&str>> = header
        .iter()
        .enumerate()
        .map(|(at, &name)| (name, rows.iter().map(|row| row[at]).collect()))
        .collect();
    let file = model.display();
    let model = catboost_json::read(model).unwrap();
    let number = |text: &str| if text.is_empty() { f32::NAN } else { text.parse().unwrap() };
    let features = model.features.iter().map(|feature| {
        let texts = &columns[feature.name.as_str()];
        match feature.kind {
            FeatureKind::Real(_) => {
                Feature::real(&feature.name, texts.iter().map(|text| number(text)).collect())
            }
            FeatureKind::Category(_) => {
                category(&feature.name, &texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>())
            }
        }
    });
    let scores = model.score(&Features::new(features.collect())).unwrap();
    for (row, (score, expected)) in scores.iter().zip(&columns["score"]).enumerate() {
        let expected: f64 = expected.parse().unwrap();
        assert!((score - expected).abs() < 1e-6, "{file}, row {row}: {score}, the package says {expected}");
    }
}

#[test]
#[ignore = "called by tests/bench/catboost_roundtrip.py"]
fn models_of_the_official_package_score_as_there() {
    let models = std::fs::read_dir(folder()).unwrap().flatten().map(|entry| entry.path());
    let theirs: Vec<PathBuf> = models
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("theirs")))
        .collect();
    assert!(!theirs.is_empty());
    theirs.iter().for_each(|model| compare(model));
}
