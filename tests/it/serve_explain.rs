//! Reasons, and online recommendations by fold-in. What is checked:
//!
//! 1. every source has its reason, and contributions are the terms of the score;
//! 2. a new user gets personal answers from a factor model after a few events, seen tracks left out;
//! 3. fold-in without a model, and a model of other items, are refused at the start.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use polars::prelude::*;
use recsys::codec::{factors, npz};
use recsys::interactions::Interactions;
use recsys::models::als::{Als, AlsModel};
use recsys::models::factors::Factors;
use recsys::models::weighting::Weighting;
use recsys::serve::ServiceError;
use recsys::serve::service::Online;
use serde_json::{Value, json};

use crate::serve_project::{Project, ok};

/// What each item of an answer says for `key`.
fn of_items(answer: &Value, key: &str) -> Vec<Value> {
    answer["items"].as_array().unwrap().iter().map(|item| item[key].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_source_has_its_reason() {
    let router = Project::new().router();
    let plain = ok(&router, "GET", "/recommendations/1/3").await;
    assert!(of_items(&plain, "reason").iter().all(Value::is_null));
    ok(&router, "POST", "/put?user_id=1&track_id=104").await;
    ok(&router, "POST", "/put?user_id=1&track_id=105").await;

    let answer = ok(&router, "GET", "/recommendations/1/6?explain=true").await;
    assert_eq!(answer["recommendations"], json!([107, 101, 106, 102, 103, 100]));
    let reasons = of_items(&answer, "reason");
    let similar = |track_id: i64, contribution: f32| json!({"because": "similar_to", "tracks": [{"track_id": track_id, "contribution": contribution}]});
    // 106 is similar to 104, which counts 0.9 as the event before the newest.
    let expected = [
        similar(105, 0.5),
        json!({"because": "personal_list", "rank": 1}),
        similar(104, 0.225),
        json!({"because": "personal_list", "rank": 2}),
        json!({"because": "personal_list", "rank": 3}),
        json!({"because": "popular", "rank": 1}),
    ];
    assert_eq!(reasons, expected);
    let offline = ok(&router, "POST", "/get_recs?user_id=1&k=1&explain=true").await;
    assert_eq!(of_items(&offline, "reason"), [json!({"because": "personal_list", "rank": 1})]);
    let popular = ok(&router, "GET", "/top_popular/1?explain=true&exclude=100").await;
    assert_eq!(of_items(&popular, "reason"), [json!({"because": "popular", "rank": 2})]);
    let similar_to = ok(&router, "GET", "/similar/104/1?explain=true&names=true").await;
    let reason = &of_items(&similar_to, "reason")[0];
    assert_eq!(
        (&reason["because"], &reason["tracks"][0]["contribution"]),
        (&json!("similar_to"), &json!(0.75))
    );
    assert_eq!(reason["tracks"][0]["names"]["track"], "Track 104");
}

/// A model in which even and odd tracks have nothing in common, and earlier ones have longer vectors.
fn write_model(project: &Project, n_items: usize, weighting: Weighting) {
    let values = (0..n_items).flat_map(|item| {
        let length = 1.0 - item as f32 / 100.0;
        if item % 2 == 0 { [length, 0.0] } else { [0.0, length] }
    });
    let model = AlsModel {
        user_factors: Factors::new(0, 2, Vec::new()),
        item_factors: Factors::new(n_items, 2, values.collect()),
        loss: 0.0,
    };
    let parameters = Als { factors: 2, regularization: 0.1, alpha: 4.0, weighting, ..Als::default() };
    let path = project.service.artifacts.model.as_ref().unwrap();
    factors::write_als(path, &parameters, &model).unwrap();
}

fn folding_in() -> Project {
    let mut project = Project::new();
    project.service.artifacts.model = Some(project.folder.path().join("model.npz"));
    project.service.blending.online = Online::FoldIn;
    write_model(&project, 10, Weighting::Linear);
    project
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_user_gets_personal_answers_after_a_few_events() {
    let router = folding_in().router();
    for track_id in [102, 106, 106, 777] {
        ok(&router, "POST", &format!("/put?user_id=9&track_id={track_id}")).await;
    }
    let answer = ok(&router, "POST", "/recommendations_online?user_id=9&explain=true").await;
    assert_eq!(answer["recommendations"], json!([100, 104, 108]), "even ones, those listened to left out");
    for item in answer["items"].as_array().unwrap() {
        assert_eq!(item["reason"]["because"], "past_tracks");
        let tracks = item["reason"]["tracks"].as_array().unwrap();
        // Two listens outweigh one.
        assert_eq!(tracks.iter().map(|track| &track["track_id"]).collect::<Vec<_>>(), [106, 102]);
        let sum: f64 = tracks.iter().map(|track| track["contribution"].as_f64().unwrap()).sum();
        let score = item["score"].as_f64().unwrap();
        assert!((sum - score).abs() < 1e-5, "{sum} and {score}");
    }
    let filtered = ok(&router, "POST", "/recommendations_online?user_id=9&exclude=100&k=1").await;
    assert_eq!(filtered["recommendations"], json!([104]));
    let limited = ok(&router, "POST", "/recommendations_online?user_id=9&genre=Rock&max_per_artist=1").await;
    assert_eq!(limited["recommendations"], json!([100, 104, 108]));
    let unknown = ok(&router, "POST", "/recommendations_online?user_id=10").await;
    assert_eq!(unknown["recommendations"], json!([]));

    // What the model makes of the latest events is told of the precomputed list as well.
    ok(&router, "POST", "/put?user_id=1&track_id=101").await;
    let personal = ok(&router, "POST", "/get_recs?user_id=1&explain=true").await;
    let reasons = of_items(&personal, "reason");
    assert_eq!(reasons[2]["tracks"][0]["track_id"], 101);
    assert_eq!(reasons[1]["tracks"][0]["contribution"], 0.0, "102 has nothing in common with 101");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_history_reasons_name_what_was_listened_to_before_the_release() {
    let mut project = folding_in();
    let root = project.folder.path().to_owned();
    project.service.artifacts.history = Some(root.join("history.npz"));
    let listens = [(1, 3, 1.0), (1, 7, 2.0)];
    let matrix = Interactions::from_triplets(2, 10, listens).unwrap();
    npz::write_matrix(&root.join("history.npz"), &matrix).unwrap();
    project.write(&project.service.artifacts.users, df!("user_id" => [5i64, 1], "user_idx" => [0u32, 1]));
    let router = project.router();
    let answer = ok(&router, "GET", "/recommendations/1/1?explain=true").await;
    assert_eq!(answer["recommendations"], json!([101]));
    let tracks = of_items(&answer, "reason")[0]["tracks"].clone();
    let track_ids: Vec<i64> =
        tracks.as_array().unwrap().iter().map(|t| t["track_id"].as_i64().unwrap()).collect();
    assert_eq!(track_ids, [107, 103]);

    project.write(&project.service.artifacts.users, df!("user_id" => [5i64], "user_idx" => [0u32]));
    let refusal = project.refusal().to_string();
    assert!(refusal.contains("expected the 2 users and 10 tracks of"), "{refusal}");
}

#[test]
fn fold_in_without_a_fitting_model_is_refused_at_the_start() {
    let mut project = folding_in();
    write_model(&project, 9, Weighting::Linear);
    let refusal = project.refusal().to_string();
    assert!(refusal.ends_with("expected the 9 items of the model, found 10"), "{refusal}");
    write_model(&project, 10, Weighting::Bm25);
    assert!(matches!(project.refusal(), ServiceError::Model { .. }));
    std::fs::write(project.folder.path().join("model.npz"), "no archive").unwrap();
    assert!(matches!(project.refusal(), ServiceError::Codec(_)));
    project.service.artifacts.model = None;
    assert!(matches!(project.refusal(), ServiceError::NoModel));
}
