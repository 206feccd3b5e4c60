//! What a request may ask of a list. What is checked:
//!
//! 1. names beside each id, on every route that lists tracks, and the source of each item;
//! 2. filters: tracks left out or kept, a genre, limits for artists and for versions of a song;
//! 3. variants: a user's answers are made with, and named by, the variant of the user;
//! 4. impressions: every answer has an id of its own, and a line in the log where there is one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use axum::Router;
use recsys::serve::service::{First, Service};
use serde_json::{Value, json};

use crate::serve_project::{Project, ask, ok};

/// The values of one key of every item.
fn of_items(answer: &Value, key: &str) -> Vec<Value> {
    answer["items"].as_array().unwrap().iter().map(|item| item[key].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_list_names_its_tracks_on_request() {
    let router = Project::new().router();
    ok(&router, "POST", "/put?user_id=1&track_id=105").await;
    ok(&router, "POST", "/put?user_id=1&track_id=77").await;
    for (method, uri) in [
        ("GET", "/recommendations/1/4?"),
        ("POST", "/recommendations?user_id=1&k=4&"),
        ("POST", "/get_recs?user_id=1&"),
        ("POST", "/recommendations_offline?user_id=2&"),
        ("POST", "/recommendations_online?user_id=1&"),
        ("POST", "/similar_tracks?track_id=104&"),
        ("GET", "/similar/104?"),
        ("GET", "/top_popular?"),
        ("GET", "/history/1?"),
    ] {
        let plain = ok(&router, method, uri).await;
        assert!(of_items(&plain, "names").iter().all(Value::is_null), "{uri}: {plain}");
        let named = ok(&router, method, &format!("{uri}names=true")).await;
        assert_eq!(of_items(&named, "track_id"), of_items(&plain, "track_id"), "{uri}");
        assert!(!of_items(&named, "names").is_empty());
        for (id, names) in of_items(&named, "track_id").iter().zip(of_items(&named, "names")) {
            let expected = if *id == 77 { Value::Null } else { json!(format!("Track {id}")) };
            assert_eq!(names["track"], expected, "{uri}");
        }
    }
    let popular = of_items(&ok(&router, "GET", "/top_popular?names=true").await, "names");
    assert_eq!(
        popular[2],
        json!({"track": "Track 102", "artists": ["Ann", "Bob"], "album": "Early", "genre": "Rock"})
    );
    assert_eq!(
        popular[9],
        json!({"track": "Track 109", "artists": ["Artist 109"], "album": null, "genre": null})
    );
    let (status, body) = ask(&router, "GET", "/top_popular?names=yes").await;
    assert_eq!((status.as_u16(), &body["field"]), (422, &json!("names")));
    assert_eq!(body["message"], "`names` must be true or false, found `yes`");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_item_says_which_list_it_comes_from() {
    let router = Project::new().router();
    ok(&router, "POST", "/put?user_id=1&track_id=105").await;
    let answer = ok(&router, "GET", "/recommendations/1/6").await;
    assert_eq!(answer["recommendations"], json!([104, 101, 107, 102, 103, 100]));
    let sources = ["online", "personal", "online", "personal", "personal", "popular"];
    assert_eq!(of_items(&answer, "source"), sources);
    for (method, uri, source) in [
        ("POST", "/get_recs?user_id=1&k=1", "personal"),
        ("POST", "/get_recs?user_id=2&k=1", "popular"),
        ("POST", "/recommendations_online?user_id=1&k=1", "online"),
        ("GET", "/similar/104/1", "similar"),
        ("GET", "/top_popular/1", "popular"),
    ] {
        assert_eq!(of_items(&ok(&router, method, uri).await, "source"), [source], "{uri}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_ids_alone_serves_without_names() {
    use polars::prelude::*;

    let project = Project::new();
    project.write(&project.service.artifacts.items, df!("track_id" => (100i64..110).collect::<Vec<_>>()));
    let answer = ok(&project.router(), "GET", "/top_popular/1?names=true").await;
    assert_eq!(
        answer["items"],
        json!([{
            "track_id": 100, "score": 10.0, "source": "popular",
            "names": {"track": null, "artists": [], "album": null, "genre": null},
        }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_can_do_without_items() {
    let router = Project::new().router();
    for (uri, n_items) in [
        ("/top_popular/2", Some(2)),
        ("/top_popular/2?items=true", Some(2)),
        ("/top_popular/2?items=false", None),
    ] {
        let answer = ok(&router, "GET", uri).await;
        assert_eq!(answer["recommendations"], json!([100, 101]), "{uri}");
        assert_eq!(answer.get("items").map(|items| items.as_array().unwrap().len()), n_items, "{uri}");
    }
    let (status, body) = ask(&router, "GET", "/top_popular?items=no").await;
    assert_eq!((status.as_u16(), &body["field"]), (422, &json!("items")));
}

async fn tracks(router: &Router, method: &str, uri: &str) -> Value {
    ok(router, method, uri).await["recommendations"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_leaves_tracks_out_or_keeps_only_some() {
    let router = Project::new().router();
    ok(&router, "POST", "/put?user_id=1&track_id=105").await;
    for (method, uri, expected) in [
        ("GET", "/top_popular/3?exclude=100,102", json!([101, 103, 104])),
        ("GET", "/top_popular/3?exclude=100&exclude=102,999&exclude=", json!([101, 103, 104])),
        ("GET", "/top_popular?include=109,101,999", json!([101, 109])),
        ("GET", "/top_popular?include=109,101&exclude=101", json!([109])),
        ("GET", "/top_popular?include=999", json!([])),
        ("GET", "/similar/104?exclude=105", json!([106])),
        ("POST", "/get_recs?user_id=1&exclude=102", json!([101, 103])),
        ("POST", "/recommendations_online?user_id=1&exclude=104", json!([107])),
        ("GET", "/recommendations/1/4?exclude=104,101", json!([107, 102, 103, 100])),
        ("GET", "/recommendations/1?include=103,107,105,109", json!([107, 103, 109])),
    ] {
        assert_eq!(tracks(&router, method, uri).await, expected, "{uri}");
    }
    let answer = ok(&router, "GET", "/recommendations/1/4?exclude=104,107").await;
    assert_eq!(answer["source"], "personal", "nothing is left of the online list");

    let many = (0..1001).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    for (uri, message) in [
        ("/top_popular?exclude=1,x", "`exclude` must be integers of 64 bits, separated by commas, found `x`"),
        (
            &format!("/top_popular?include={many}")[..],
            "`include` must be at most 1000 track ids, found `1001`",
        ),
    ] {
        let (status, body) = ask(&router, "GET", uri).await;
        assert_eq!((status.as_u16(), &body["message"]), (422, &json!(message)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_genre_is_kept_and_an_unknown_one_is_refused() {
    let router = Project::new().router();
    ok(&router, "POST", "/put?user_id=1&track_id=105").await;
    for (method, uri, expected) in [
        ("GET", "/top_popular?genre=pop", json!([101, 103, 105, 107])),
        ("GET", "/top_popular/5?genre=pop&genre=ROCK", json!([100, 101, 102, 103, 104])),
        ("GET", "/recommendations/1/4?genre=Pop", json!([107, 101, 103])),
        ("GET", "/similar/104?genre=Rock", json!([106])),
    ] {
        assert_eq!(tracks(&router, method, uri).await, expected, "{uri}");
    }
    let (status, body) = ask(&router, "GET", "/top_popular?genre=polka").await;
    assert_eq!((status.as_u16(), &body["code"]), (422, &json!("invalid_parameter")));
    assert_eq!(body["message"], "`genre` must be the name of a genre in the items table, found `polka`");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_has_at_most_so_many_of_an_artist_and_of_a_song() {
    let router = Project::new().router();
    ok(&router, "POST", "/put?user_id=1&track_id=104").await;
    for (method, uri, expected) in [
        ("GET", "/top_popular/4?max_per_artist=1", json!([100, 103, 104, 105])),
        ("GET", "/top_popular/4?max_per_artist=2", json!([100, 101, 103, 104])),
        ("GET", "/top_popular/6?max_per_track_group=1", json!([100, 101, 102, 103, 104, 106])),
        ("GET", "/top_popular/3?max_per_artist=1&max_per_track_group=1", json!([100, 103, 104])),
        ("POST", "/get_recs?user_id=1&max_per_artist=1", json!([101, 103])),
        // Online 105 and 106, personal 101 to 103, then popular: 100 is a version of 105.
        ("GET", "/recommendations/1/6?max_per_track_group=1", json!([105, 101, 106, 102, 103, 107])),
        ("GET", "/recommendations/1/6?max_per_artist=1", json!([105, 101, 106, 103, 107, 108])),
    ] {
        assert_eq!(tracks(&router, method, uri).await, expected, "{uri}");
    }
    let (status, body) = ask(&router, "GET", "/top_popular?max_per_artist=0").await;
    assert_eq!((status.as_u16(), &body["field"]), (422, &json!("max_per_artist")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_without_its_column_is_refused() {
    use polars::prelude::*;

    let project = Project::new();
    project.write(&project.service.artifacts.items, df!("track_id" => (100i64..110).collect::<Vec<_>>()));
    let router = project.router();
    for (filter, field) in [
        ("genre=Pop", "genre"),
        ("max_per_artist=1", "max_per_artist"),
        ("max_per_track_group=1", "max_per_track_group"),
    ] {
        let (status, body) = ask(&router, "GET", &format!("/top_popular?{filter}")).await;
        assert_eq!(status.as_u16(), 422);
        assert_eq!((&body["code"], &body["field"]), (&json!("unsupported_filter"), &json!(field)));
    }
    assert_eq!(tracks(&router, "GET", "/top_popular/2?exclude=100").await, json!([101, 102]));
}

/// Half of the users get the online list first, half the offline one.
const VARIANTS: &str = "\
variants:
  - { name: online_first, share: 0.5 }
  - { name: offline_first, share: 0.5, blending: { first: offline } }
";

fn service(project: &Project, text: &str) -> Service {
    let path = project.folder.path().join("service.yaml");
    std::fs::write(&path, text).unwrap();
    Service::read(&path).unwrap().under(project.folder.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_variant_of_a_user_makes_the_answer_and_is_named() {
    let mut project = Project::new();
    let lists = (1i64..=20).collect::<Vec<_>>();
    project.write(
        &project.service.artifacts.recommendations,
        polars::df!("user_id" => &lists, "track_id" => [101i64; 20], "score" => [0.5f32; 20], "rank" => [1u32; 20]),
    );
    project.service = service(&project, VARIANTS);
    let router = project.router();
    let mut counts = [0; 2];
    for user_id in lists {
        ok(&router, "POST", &format!("/put?user_id={user_id}&track_id=105")).await;
        let answer = ok(&router, "GET", &format!("/recommendations/{user_id}/2")).await;
        let is_online = answer["recommendations"] == json!([104, 101]);
        assert_eq!(answer["variant"], if is_online { "online_first" } else { "offline_first" });
        counts[usize::from(is_online)] += 1;
        for uri in ["get_recs", "recommendations_online"] {
            let other = ok(&router, "POST", &format!("/{uri}?user_id={user_id}")).await;
            assert_eq!(other["variant"], answer["variant"]);
        }
    }
    assert!(counts[0] > 0 && counts[1] > 0, "{counts:?}");
    assert_eq!(ok(&router, "GET", "/top_popular/1").await["variant"], Value::Null, "it is for no user");
    assert_eq!(project.service.blending.first, First::Online);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_an_id_and_a_line_in_the_log() {
    let mut project = Project::new();
    project.service = service(&project, &format!("impressions: {{ path: shown.jsonl }}\n{VARIANTS}"));
    let (router, state) = project.router_and_state();
    ok(&router, "POST", "/put?user_id=1&track_id=105").await;
    let mut answers = Vec::new();
    for uri in ["/recommendations/1/3", "/recommendations/1/3", "/similar/104", "/top_popular/1?names=true"] {
        answers.push(ok(&router, "GET", uri).await);
    }
    ok(&router, "POST", "/put?user_id=1&track_id=104").await;
    state.impressions().close().await;

    let log = project.folder.path().join("shown.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&lines[0]["listened"], &lines[5]["listened"]), (&json!([105]), &json!([104])));
    let lines = &lines[1..5];
    for (line, answer) in lines.iter().zip(&answers) {
        for key in ["impression_id", "user_id", "track_id", "variant", "source"] {
            assert_eq!(line[key], answer[key], "{key}");
        }
        assert_eq!(of_items(line, "track_id"), *answer["recommendations"].as_array().unwrap());
        assert_eq!(of_items(line, "source"), of_items(answer, "source"));
        assert!(line["at"].as_str().unwrap().ends_with('Z'));
    }
    assert_ne!(answers[0]["impression_id"], answers[1]["impression_id"]);
    assert_eq!(answers[0]["impression_id"].as_str().unwrap().len(), 32);
    assert_eq!((&lines[0]["user_id"], &lines[3]["user_id"]), (&json!(1), &Value::Null));

    let feedback = recsys::codec::feedback::read(&log).unwrap();
    assert_eq!((feedback.answers.len(), feedback.listens.len(), feedback.unreadable), (2, 2, 0));
    let report = feedback.report(1.0, 0, 1);
    assert_eq!((report.variants["all"].clicks.shown, report.variants["all"].clicks.chosen), (6, 1));
}
