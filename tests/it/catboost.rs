//! Models are exchanged with the official CatBoost package, both ways, and score the same to 1e-6.
//!
//! `catboost/official.py` is the package's half; where the package is not installed, the tests that need it
//! say so. `catboost/*.json` are models that it trained, with rows and scores beside them, for everywhere else
//! (`official.py fixtures FOLDER` makes them).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use recsys::codec::catboost_json;
use recsys::models::boosting::{
    Boosting, BootstrapType, Feature, FeatureKind, Features, Loss, Samples, Split, Values, category_hash,
};

use crate::project::python_with;

const OFFICIAL: &str = include_str!("catboost/official.py");

fn official(python: &Path, task: &str, folder: &Path) {
    let script = folder.join("official.py");
    std::fs::write(&script, OFFICIAL).unwrap();
    let output = Command::new(python).arg(&script).arg(task).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn category(name: &str, texts: &[String]) -> Feature {
    let names = texts.iter().map(|text| (category_hash(text), text.clone())).collect();
    let hashes = texts.iter().map(|text| category_hash(text)).collect();
    Feature { name: name.to_owned(), values: Values::Category { hashes, names: Arc::new(names) } }
}

/// Writes models, their rows, scores and importances for the package to check.
fn write_ours(folder: &Path) {
    let n_rows = 5000;
    let bootstraps = [BootstrapType::Bernoulli, BootstrapType::Bayesian, BootstrapType::No];
    for (number, (loss_function, bootstrap_type)) in Loss::ALL.into_iter().zip(bootstraps).enumerate() {
        let mut rng = Pcg64Mcg::seed_from_u64(number as u64);
        let mut a: Vec<f32> = (0..n_rows).map(|_| rng.random_range(-3.0..3.0)).collect();
        let b: Vec<f32> = (0..n_rows).map(|_| rng.random_range(0.0f32..1.0).powi(4) * 1e6).collect();
        let genres: Vec<String> =
            (0..n_rows).map(|_| format!("жанр {}", rng.random_range(0..30u32).pow(2))).collect();
        let artists: Vec<u32> = (0..n_rows).map(|_| rng.random_range(0..600u32)).collect();
        let artists_texts: Vec<String> = artists.iter().map(|artist| format!("artist {artist}")).collect();
        let labels = (0..n_rows).map(|row| {
            let score = a[row].sin() + f32::from(u8::from(genres[row].ends_with('4'))) - b[row] / 1e6
                + if artists[row].is_multiple_of(3) { 1.0 } else { 0.0 };
            f32::from(u8::from(rng.random_range(-0.5..2.5) < score))
        });
        let labels = labels.collect();
        a.iter_mut().step_by(7).for_each(|value| *value = f32::NAN);
        let columns = |genres: &[String], artists: &[String]| {
            Features::new(vec![
                Feature::real("a", a.clone()),
                category("genre", genres),
                category("artist", artists),
                Feature::real("b", b.clone()),
            ])
        };
        let samples = Samples {
            features: columns(&genres, &artists_texts),
            labels,
            groups: (0..n_rows).step_by(50).map(|start| start..start + 50).collect(),
        };
        let boosting =
            Boosting { loss_function, bootstrap_type, depth: 6, iterations: 200, ..Boosting::default() };
        let model = boosting.fit(&[], &samples, None, |_| ControlFlow::Continue(())).unwrap().model;
        let mut splits = model.trees.iter().flat_map(|tree| &tree.splits);
        assert!(splits.any(|split| matches!(split, Split::Ctr { .. })), "artists are too many for one-hot");
        catboost_json::write(&folder.join(format!("ours_{number}.json")), &model).unwrap();

        let some_new = |texts: &[String]| -> Vec<String> {
            let texts = texts.iter().enumerate();
            texts.map(|(row, text)| if row % 5 == 0 { "unseen".to_owned() } else { text.clone() }).collect()
        };
        let (genres, artists) = (some_new(&genres), some_new(&artists_texts));
        let scores = model.score(&columns(&genres, &artists)).unwrap();
        let mut table = "a\tgenre\tartist\tb\tscore\n".to_owned();
        for row in 0..n_rows {
            writeln!(table, "{}\t{}\t{}\t{}\t{}", a[row], genres[row], artists[row], b[row], scores[row])
                .unwrap();
        }
        std::fs::write(folder.join(format!("ours_{number}.tsv")), table).unwrap();
        let mut table = String::new();
        for (feature, importance) in model.features.iter().zip(model.importances()) {
            writeln!(table, "{}\t{importance}", feature.name).unwrap();
        }
        std::fs::write(folder.join(format!("ours_{number}_importances.tsv")), table).unwrap();
    }
}

/// Scores the rows beside a model of the package; returns the largest difference.
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
    let features = model.features.iter().map(|feature| {
        let texts = &columns[feature.name.as_str()];
        match feature.kind {
            FeatureKind::Real(_) => {
                Feature::real(&feature.name, texts.iter().map(|text| text.parse().unwrap()).collect())
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
    assert!(!scores.is_empty());
}

fn compare_all(folder: &Path, at_least: usize) {
    let files = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let theirs: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("theirs")))
        .collect();
    assert!(theirs.len() >= at_least, "{theirs:?}");
    theirs.iter().for_each(|model| compare(model));
}

#[test]
fn the_official_package_opens_our_models_and_predicts_the_same() {
    let Some(python) = python_with("catboost") else { return };
    let folder = tempfile::tempdir().unwrap();
    write_ours(folder.path());
    official(&python, "check", folder.path());
}

#[test]
fn models_of_the_official_package_score_as_there() {
    let Some(python) = python_with("catboost") else { return };
    let folder = tempfile::tempdir().unwrap();
    official(&python, "make", folder.path());
    compare_all(folder.path(), 9);
}

#[test]
fn kept_models_of_the_official_package_score_as_there() {
    compare_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/catboost"), 3);
}
