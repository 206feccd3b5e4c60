//! Search. What is checked:
//!
//! 1. tracks are found by words of their names and artists, in any case, and by id;
//! 2. users with a precomputed list are found by the beginning of their id;
//! 3. blocked tracks are not named, limits hold, nothing is nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use axum::Router;
use polars::prelude::*;
use serde_json::{Value, json};

use crate::serve_project::{Project, ask, ok};

async fn found(router: &Router, query: &str) -> (Vec<i64>, Vec<i64>) {
    let answer = ok(router, "GET", &format!("/search?{query}")).await;
    let ids = |list: &str, key: &str| {
        let all = answer[list].as_array().unwrap().iter();
        all.map(|one| one[key].as_i64().unwrap()).collect::<Vec<_>>()
    };
    (ids("tracks", "track_id"), ids("users", "user_id"))
}

#[tokio::test(flavor = "multi_thread")]
async fn tracks_are_found_by_name_artist_and_id() {
    let mut project = Project::new();
    project.service.blocked_tracks = vec![101];
    let router = project.router();
    for (query, tracks) in [
        ("q=track&k=3", vec![100, 102, 103]),
        ("q=TRACK+105", vec![105]),
        ("q=105+artist", vec![105]),
        ("q=ann", vec![100, 102]),
        ("q=bob+ann", vec![102]),
        ("q=101", vec![]),
        ("q=104&k=1", vec![104]),
        ("q=&k=2", vec![100, 102]),
        ("k=1", vec![100]),
        ("q=nobody", vec![]),
        ("q=%00%0a%09", (100..110).filter(|id| *id != 101).collect()),
    ] {
        assert_eq!(found(&router, query).await.0, tracks, "{query}");
    }
    let named = ok(&router, "GET", "/search?q=102").await;
    let names = json!({"track": "Track 102", "artists": ["Ann", "Bob"], "album": "Early", "genre": "Rock"});
    assert_eq!(named["tracks"], json!([{"track_id": 102, "names": names}]));
    let (status, body) = ask(&router, "GET", &format!("/search?q={}", "x".repeat(201))).await;
    assert_eq!((status.as_u16(), &body["field"]), (422, &Value::from("q")));
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_found_by_the_beginning_of_their_id() {
    let project = Project::new();
    let users = [i64::MIN, -12, -1, 0, 1, 12, 120, 129, 130, 1200, i64::MAX];
    project.write(
        &project.service.artifacts.recommendations,
        df!("user_id" => users, "track_id" => [101i64; 11], "score" => [1.0f32; 11], "rank" => [1u32; 11]),
    );
    let router = project.router();
    for (query, expected) in [
        ("q=12", vec![12, 120, 129, 1200]),
        ("q=12&k=2", vec![12, 120]),
        ("q=-1", vec![-1, -12]),
        ("q=0", vec![0]),
        ("q=9223372036854775807", vec![i64::MAX]),
        ("q=-9223372036854775808", vec![i64::MIN]),
        ("q=922", vec![i64::MAX]),
        ("q=99999999999999999999", vec![]),
        ("q=track", vec![]),
        ("k=3", vec![i64::MIN, -12, -1]),
    ] {
        assert_eq!(found(&router, query).await.1, expected, "{query}");
    }
}
