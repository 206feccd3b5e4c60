//! The library `implicit` opens our models and recommends what we recommend: ALS, BPR and item-kNN.
//!
//! It is asked through Python; where it is not installed the test says so. `RECSYS_PYTHON` names the
//! interpreter, and then it must have the package.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use recsys::codec::{factors, item_weights, npz};
use recsys::interactions::Interactions;
use recsys::models::als::Als;
use recsys::models::bpr::Bpr;
use recsys::models::item_knn::{ItemKnn, Similarity};
use recsys::models::recommender::{Recommender, Request};
use serde_json::{Value, json};

use crate::project::python_with;

/// `CLASS MODEL MATRIX N` → `[[items, scores] of each user]`.
const RECOMMEND: &str = "
import importlib, json, sys
import numpy as np, scipy.sparse
module, name = sys.argv[1].rsplit('.', 1)
model = getattr(importlib.import_module(module), name).load(sys.argv[2])
matrix = scipy.sparse.load_npz(sys.argv[3]).astype(np.float32)
if not hasattr(model, 'user_factors'):
    matrix = matrix.astype(np.float64)
users = np.arange(matrix.shape[0])
found = model.recommend(users, matrix, N=int(sys.argv[4]), filter_already_liked_items=True)
json.dump([[ids.tolist(), scores.tolist()] for ids, scores in zip(*found)], sys.stdout)
";

const N: usize = 10;

/// Users with tastes, none without items: `implicit` would answer such a user as well.
fn tastes() -> Interactions {
    let pairs = (0..300u32).flat_map(|user| (0..120u32).map(move |item| (user, item)));
    let chosen = pairs.filter(|&(user, item)| {
        let dice =
            (user.wrapping_mul(2_654_435_761) ^ item.wrapping_mul(40_503)).wrapping_mul(2_246_822_519) >> 16;
        dice % 100 < if item % 5 == user % 5 { 45 } else { 6 }
    });
    Interactions::from_triplets(
        300,
        120,
        chosen.map(|(user, item)| (user, item, (1 + (user + item) % 4) as f32)),
    )
    .unwrap()
}

/// Expects the same items with the same scores; two scores may change places when f32 cannot tell them
/// apart.
fn expect_same(
    python: &Path,
    class: &str,
    file: &Path,
    matrix: &Path,
    model: &impl Recommender,
    train: &Interactions,
) {
    let output = Command::new(python)
        .args(["-c", RECOMMEND, class])
        .args([file, matrix])
        .arg(N.to_string())
        .env("OPENBLAS_NUM_THREADS", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{class}: {}", String::from_utf8_lossy(&output.stderr));
    let theirs: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let users: Vec<u32> = (0..train.n_users() as u32).collect();
    let mut same = 0;
    let request = Request { users: &users, history: train, n: N, filter_seen: true };
    let Ok(()) = model.recommend(&request, |block| {
        for (&user, (items, scores)) in block.queries.iter().zip(block.lists.iter()) {
            let their = &theirs[user as usize];
            for (at, &score) in scores.iter().enumerate() {
                let expected = their[1][at].as_f64().unwrap();
                let difference = (f64::from(score) - expected).abs();
                assert!(difference < 1e-4 * expected.abs().max(1.0), "{class}, user {user}, place {at}");
            }
            same += usize::from(their[0] == json!(items));
        }
        Ok::<(), Infallible>(())
    });
    assert!(same * 100 >= users.len() * 98, "{class}: {same} of {} lists are the same", users.len());
}

#[test]
fn it_opens_our_models_and_recommends_the_same() {
    let Some(python) = python_with("implicit") else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (train, matrix) = (tastes(), path("train.npz"));
    npz::write_matrix(&matrix, &train).unwrap();

    let als = Als { factors: 16, alpha: 3.0, regularization: 0.5, ..Als::default() };
    let model = als.fit(&train, |_| ControlFlow::Continue(())).unwrap();
    factors::write_als(&path("als.npz"), &als, &model).unwrap();
    expect_same(
        &python,
        "implicit.cpu.als.AlternatingLeastSquares",
        &path("als.npz"),
        &matrix,
        &model,
        &train,
    );

    let bpr = Bpr { factors: 16, iterations: 30, learning_rate: 0.05, ..Bpr::default() };
    let model = bpr.fit(&train, |_| ControlFlow::Continue(())).unwrap();
    factors::write_bpr(&path("bpr.npz"), &bpr, &model).unwrap();
    expect_same(
        &python,
        "implicit.cpu.bpr.BayesianPersonalizedRanking",
        &path("bpr.npz"),
        &matrix,
        &model,
        &train,
    );

    for similarity in [Similarity::Cosine, Similarity::TfIdf, Similarity::Bm25] {
        let knn = ItemKnn { similarity, neighbours: 20, ..ItemKnn::default() };
        let model = knn.fit(&train, |_| ControlFlow::Continue(())).unwrap();
        item_weights::write(&path("knn.npz"), &model.similarities, knn.neighbours).unwrap();
        let class = "implicit.nearest_neighbours.CosineRecommender";
        expect_same(&python, class, &path("knn.npz"), &matrix, &model, &train);
    }
}
