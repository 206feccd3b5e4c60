//! The service layer over HTTP. What is checked:
//!
//! 1. each of the four cases, and that they follow a user from new to known;
//! 2. every route, under each of its names;
//! 3. errors: status, code, field, and no panic for hostile values;
//! 4. blocked and seen tracks, limits of `k`;
//! 5. starting: missing, unreadable and mismatched artifacts, a port in use;
//! 6. a real socket: requests in flight are finished and events kept when the service is stopped;
//! 7. `recsys serve` loses no acknowledged event to kill -9 and ends well at SIGTERM.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use axum::http::StatusCode;
use polars::prelude::*;
use recsys::serve::events::EventStore;
use recsys::serve::service::UnknownTracks;
use recsys::serve::{ServiceError, start};
use serde_json::json;

use crate::serve_project::{Project, ask, ok, post_json};

#[tokio::test(flavor = "multi_thread")]
async fn the_four_cases_follow_a_user_from_new_to_known() {
    let project = Project::new();
    let router = project.router();

    let new = ok(&router, "POST", "/recommendations?user_id=2&k=3").await;
    assert_eq!(new["source"], "default");
    assert_eq!(new["recommendations"], json!([100, 101, 102]));

    ok(&router, "POST", "/put?user_id=2&track_id=105").await;
    let events_only = ok(&router, "POST", "/recommendations?user_id=2&k=4").await;
    assert_eq!(events_only["source"], "similar");
    assert_eq!(events_only["recommendations"], json!([104, 107, 100, 101]), "filled up from popular");
    assert_eq!(events_only["items"][1], json!({"track_id": 107, "score": 0.5, "source": "online"}));
    assert_eq!(events_only["items"][2]["source"], "popular");

    let offline_only = ok(&router, "POST", "/recommendations?user_id=1&k=2").await;
    assert_eq!(offline_only["source"], "personal");
    assert_eq!(offline_only["recommendations"], json!([101, 102]));

    ok(&router, "POST", "/put?user_id=1&track_id=105").await;
    let both = ok(&router, "POST", "/recommendations?user_id=1&k=4").await;
    assert_eq!(both["source"], "blend");
    assert_eq!(both["recommendations"], json!([104, 101, 107, 102]));
    let again = ok(&router, "GET", "/recommendations/1/4").await;
    assert_eq!((&again["items"], &again["source"]), (&both["items"], &both["source"]));

    let stats = ok(&router, "GET", "/stats").await;
    assert_eq!(stats, json!({"personal": 1, "similar": 1, "default": 1, "blend": 2}));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_under_each_of_its_names() {
    let project = Project::new();
    let router = project.router();
    for uri in ["/put?user_id=7&track_id=105", "/add_event?user_id=7&track_id=100"] {
        assert_eq!(ok(&router, "POST", uri).await, json!({"result": "ok", "stored": 1}));
    }
    let (status, body) = post_json(&router, "/events", r#"{"user_id": 7, "items": [101, 104]}"#).await;
    assert_eq!((status, body), (StatusCode::OK, json!({"result": "ok", "stored": 2})));

    let history = ok(&router, "GET", "/history/7").await;
    assert_eq!(history["events"], json!([104, 101, 100, 105]));
    assert!(history["items"][0]["at"].as_str().unwrap().ends_with('Z'));
    for (method, uri) in
        [("POST", "/get?user_id=7&k=2"), ("POST", "/get_events?user_id=7&k=2"), ("GET", "/history/7/2")]
    {
        assert_eq!(ok(&router, method, uri).await["events"], json!([104, 101]), "{uri}");
    }

    for (method, uri, source, tracks) in [
        ("POST", "/recommendations_offline?user_id=1", "personal", json!([101, 102, 103])),
        ("POST", "/get_recs?user_id=1&k=1", "personal", json!([101])),
        ("POST", "/get_recs?user_id=9&k=1", "default", json!([100])),
        ("POST", "/recommendations_online?user_id=7", "similar", json!([107, 106])),
        ("POST", "/recommendations_online?user_id=9", "similar", json!([])),
        ("POST", "/similar_tracks?track_id=104", "similar", json!([105, 106])),
        ("GET", "/similar/104", "similar", json!([105, 106])),
        ("GET", "/similar/104/1", "similar", json!([105])),
        ("GET", "/similar/100", "similar", json!([])),
        ("GET", "/top_popular/2", "default", json!([100, 101])),
        ("GET", "/recommendations/9", "default", json!((100..110).collect::<Vec<i64>>())),
    ] {
        let answer = ok(&router, method, uri).await;
        assert_eq!((&answer["source"], &answer["recommendations"]), (&json!(source), &tracks), "{uri}");
    }
    assert_eq!(ok(&router, "GET", "/top_popular").await["items"].as_array().unwrap().len(), 10);
    for (uri, status) in [("/", "alive"), ("/healthy", "healthy"), ("/ready", "ready")] {
        assert_eq!(ok(&router, "GET", uri).await, json!({"status": status}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_a_status_a_code_and_a_field() {
    let project = Project::new();
    let router = project.router();
    for (method, uri, status, code, field) in [
        ("POST", "/recommendations", 422, "missing_parameter", json!("user_id")),
        ("POST", "/put?user_id=1", 422, "missing_parameter", json!("track_id")),
        ("GET", "/recommendations/anna", 422, "invalid_parameter", json!("user_id")),
        ("GET", "/recommendations/9223372036854775808", 422, "invalid_parameter", json!("user_id")),
        ("GET", "/recommendations/1/0", 422, "invalid_parameter", json!("k")),
        ("GET", "/recommendations/1/1001", 422, "invalid_parameter", json!("k")),
        ("GET", "/top_popular/-1", 422, "invalid_parameter", json!("k")),
        ("POST", "/get?user_id=1&k=99999999999999999999", 422, "invalid_parameter", json!("k")),
        ("GET", "/similar/99", 404, "unknown_track", json!("track_id")),
        ("GET", "/similar/%ff", 400, "invalid_address", json!(null)),
        ("GET", "/nothing", 404, "not_found", json!(null)),
        ("GET", "/put?user_id=1&track_id=1", 405, "method_not_allowed", json!(null)),
    ] {
        let (found, body) = ask(&router, method, uri).await;
        assert_eq!(
            (found.as_u16(), &body["code"], &body["field"]),
            (status, &json!(code), &field),
            "{uri}: {body}"
        );
    }
    let (_, body) = ask(&router, "GET", "/top_popular/0").await;
    assert_eq!(body["message"], "`k` must be an integer from 1 to 1000, found `0`");

    for (body, status) in [
        ("{", 400),
        ("{}", 422),
        (r#"{"user_id": 1, "items": []}"#, 422),
        (r#"{"user_id": 1, "items": [1.5]}"#, 422),
        (r#"{"user_id": 1, "items": [1], "more": 2}"#, 422),
    ] {
        let (found, answer) = post_json(&router, "/events", body).await;
        assert_eq!(found.as_u16(), status, "{body}: {answer}");
        assert!(answer["code"].is_string());
    }
    let many = format!(r#"{{"user_id": 1, "items": [{}1]}}"#, "1,".repeat(1000));
    assert_eq!(post_json(&router, "/events", many).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let huge = vec![b' '; 10_000_000];
    assert_eq!(post_json(&router, "/events", huge).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(ask(&router, "POST", "/events").await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(ok(&router, "GET", "/history/1").await["events"], json!([]), "nothing was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_extremes_of_an_id_are_ids() {
    let router = Project::new().router();
    for id in [i64::MIN, -1, 0, i64::MAX] {
        ok(&router, "POST", &format!("/put?user_id={id}&track_id={id}")).await;
        assert_eq!(ok(&router, "GET", &format!("/history/{id}")).await["events"], json!([id]));
        let answer = ok(&router, "GET", &format!("/recommendations/{id}")).await;
        assert_eq!(answer["source"], "default", "an unknown track is similar to nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blocked_and_seen_tracks_stay_away() {
    let mut project = Project::new();
    project.service.blocked_tracks = vec![100, 101, 104, 999];
    let router = project.router();
    assert_eq!(ok(&router, "GET", "/top_popular/2").await["recommendations"], json!([102, 103]));
    assert_eq!(ok(&router, "POST", "/get_recs?user_id=1").await["recommendations"], json!([102, 103]));
    assert_eq!(ok(&router, "GET", "/similar/105").await["recommendations"], json!([107]));
    for track_id in [102, 107] {
        ok(&router, "POST", &format!("/put?user_id=1&track_id={track_id}")).await;
    }
    let answer = ok(&router, "GET", "/recommendations/1").await;
    assert_eq!(answer["recommendations"], json!([103, 105, 106, 108, 109]));
    assert_eq!(answer["source"], "personal", "107 is similar to nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn seen_tracks_may_be_recommended_again() {
    let mut project = Project::new();
    project.service.blending.exclude_seen = false;
    let router = project.router();
    ok(&router, "POST", "/put?user_id=1&track_id=101").await;
    assert_eq!(ok(&router, "GET", "/recommendations/1/2").await["recommendations"], json!([101, 102]));
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_tracks_are_refused_where_the_service_file_says_so() {
    let mut project = Project::new();
    project.service.events.unknown_tracks = UnknownTracks::Refuse;
    let router = project.router();
    let (status, body) = post_json(&router, "/events", r#"{"user_id": 7, "items": [101, 99]}"#).await;
    assert_eq!((status, &body["code"]), (StatusCode::NOT_FOUND, &json!("unknown_track")));
    assert_eq!(ok(&router, "GET", "/history/7").await["events"], json!([]), "all or none");
}

#[test]
fn what_keeps_a_service_from_starting_is_named() {
    let mut project = Project::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    project.service.port = taken.local_addr().unwrap().port();
    let refusal = project.refusal();
    assert_eq!(refusal.to_string(), format!("port {} is already in use", project.service.port));
    assert_eq!(refusal.exit_code(), 2);

    project.service.port = 0;
    project.service.host = "203.0.113.1".to_owned();
    assert!(matches!(project.refusal(), ServiceError::Listen { .. }));
    project.service.host = "127.0.0.1".to_owned();

    let path = project.service.artifacts.top_popular.clone();
    project.write(&path, df!("track_id" => [100i64, 999], "score" => [2.0, 1.0], "rank" => [1u32, 2]));
    assert!(project.refusal().to_string().ends_with("track 999 is not in the items table"));
    project.write(&path, df!("track_id" => [100i64, 101], "score" => [2.0, 1.0]));
    assert!(project.refusal().to_string().contains("has no column `rank`"));
    std::fs::write(&path, "no table").unwrap();
    assert!(matches!(project.refusal(), ServiceError::Codec(_)));
    std::fs::remove_file(&path).unwrap();
    let refusal = project.refusal();
    assert!(matches!(refusal, ServiceError::MissingArtifact { artifact: "top_popular", .. }), "{refusal}");
}

#[test]
fn a_stopped_service_finishes_what_it_began_and_keeps_the_events() {
    let mut project = Project::new();
    project.service.port = 0;
    let (address_to, address) = mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let service = project.service.clone();
    let running = std::thread::spawn(move || {
        let started = |started: &recsys::serve::Started| address_to.send(started.address).unwrap();
        start(&service, started, async { drop(stopped.await) })
    });
    let address = address.recv().unwrap();
    assert!(request(address, "POST /put?user_id=3&track_id=105").contains(r#"{"result":"ok","stored":1}"#));

    let body = r#"{"user_id": 3, "items": [101, 102]}"#;
    let head = format!(
        "POST /events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut slow = TcpStream::connect(address).unwrap();
    slow.write_all(format!("{head}{}", &body[..10]).as_bytes()).unwrap();
    // An answer on a second connection shows that the half request of the first was taken in.
    assert!(request(address, "GET /healthy").starts_with("HTTP/1.1 200"));
    stop.send(()).unwrap();
    slow.write_all(&body.as_bytes()[10..]).unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(r#"{"result":"ok","stored":2}"#), "{answer}");
    running.join().unwrap().unwrap();

    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    let kept = EventStore::open(&project.service.events.path, 10, 1000).unwrap().at_hand(3, 10).unwrap();
    assert_eq!(kept.iter().map(|event| event.track_id).collect::<Vec<_>>(), [102, 101, 105]);
    assert!(project.folder.path().join("services/state/events.sqlite").exists());
}

#[test]
fn the_command_loses_no_acknowledged_event_to_kill_9_and_ends_well_at_sigterm() {
    let project = Project::new();
    std::fs::write(project.folder.path().join("service.yaml"), "port: 0\n").unwrap();
    let (mut killed, address) = command(project.folder.path());
    for track_id in 100..110 {
        request(address, &format!("POST /put?user_id=3&track_id={track_id}"));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();

    let (mut stopped, address) = command(project.folder.path());
    let history = request(address, "GET /history/3");
    assert!(history.contains(r#""events":[109,108,107,106,105,104,103,102,101,100]"#), "{history}");
    rustix::process::kill_process(rustix::process::Pid::from_child(&stopped), rustix::process::Signal::TERM)
        .unwrap();
    assert!(stopped.wait().unwrap().success());
}

/// `recsys serve` in a project, and where it listens.
pub fn command(project: &Path) -> (Child, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_recsys"))
        .args(["serve", "service.yaml"])
        .current_dir(project)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let answering = lines.filter_map(|line| Some(line.split_once("http://")?.1.to_owned())).next().unwrap();
    (child, answering.split_whitespace().next().unwrap().parse().unwrap())
}

fn request(address: SocketAddr, method_and_path: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    let head =
        format!("{method_and_path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    connection.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}
