//! How a service behaves beside its answers. What is checked:
//!
//! 1. before the artifacts are read it is alive, not ready, and says when to come again;
//! 2. every answer has the id of its request, the caller's or a new one;
//! 3. metrics count requests, sources, events and refusals, and Prometheus can read them;
//! 4. limits: query, body, requests in work, time, connections, silence; and a panic stays inside;
//! 5. keys from the environment open reading and writing, and are in no log;
//! 6. pages of other origins may call where the service file says so;
//! 7. the access log has a line for each request;
//! 8. the shortcut around the router answers as the router does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Method, Request, StatusCode};
use axum::response::Response;
use axum::routing::get;
use recsys::serve::direct::Direct;
use recsys::serve::front::Front;
use recsys::serve::layout::Resource;
use recsys::serve::service::Service;
use serde_json::{Value, json};

use crate::serve_project::{Project, Running, call, ok, try_call};

fn front(service: &Service) -> Front {
    Front::new("test", service, Arc::default()).unwrap()
}

fn open_front(project: &Project) -> Front {
    let front = front(&project.service);
    front.open(project.router(), None);
    front
}

fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let request = Request::builder().method(method).uri(uri);
    headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value))
        .body(Body::empty())
        .unwrap()
}

async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap_or_default()
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_artifacts_are_read_it_is_alive_and_not_ready() {
    let project = Project::new();
    let front = front(&project.service);
    for (uri, status, body) in [
        ("/", 200, json!({"status": "alive"})),
        ("/healthy", 200, json!({"status": "healthy"})),
        ("/ready", 503, json!({"status": "not ready"})),
    ] {
        let response = front.answer(request("GET", uri, &[])).await;
        assert_eq!((response.status().as_u16(), json_of(response).await), (status, body), "{uri}");
    }
    let response = front.answer(request("GET", "/recommendations/1", &[])).await;
    assert_eq!(
        (response.status(), header(&response, "retry-after")),
        (StatusCode::SERVICE_UNAVAILABLE, Some("1"))
    );
    assert_eq!(json_of(response).await["code"], "loading");
    front.open(project.router(), None);
    for uri in ["/ready", "/recommendations/1"] {
        assert_eq!(front.answer(request("GET", uri, &[])).await.status(), StatusCode::OK, "{uri}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_id_of_its_request() {
    let front = open_front(&Project::new());
    for uri in ["/healthy", "/recommendations/x", "/nothing"] {
        let given = front.answer(request("GET", uri, &[("x-request-id", "abc-1")])).await;
        assert_eq!(header(&given, "x-request-id"), Some("abc-1"), "{uri}");
        let made = front.answer(request("GET", uri, &[("x-request-id", "two words")])).await;
        assert_eq!(header(&made, "x-request-id").unwrap().len(), 32, "{uri}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_what_happens() {
    let project = Project::new();
    let (router, state) = project.router_and_state();
    let front = Front::new("test", &project.service, Arc::clone(&state.process().metrics)).unwrap();
    front.open(router, None);
    for (method, uri) in [
        ("GET", "/recommendations/1/4"),
        ("GET", "/recommendations/x"),
        ("POST", "/put?user_id=1&track_id=105&event_id=a"),
        ("POST", "/put?user_id=1&track_id=105&event_id=a"),
        ("POST", "/put?user_id=1&track_id=999"),
        ("GET", "/made/up/by/a/client"),
    ] {
        front.answer(request(method, uri, &[])).await;
    }
    let response = front.answer(request("GET", "/metrics", &[])).await;
    assert_eq!(header(&response, "content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap();
    for line in [
        "recsys_requests_total{route=\"/recommendations\",status=\"2xx\"} 1",
        "recsys_requests_total{route=\"/recommendations\",status=\"4xx\"} 1",
        "recsys_requests_total{route=\"other\",status=\"4xx\"} 1",
        "recsys_request_duration_seconds_count{route=\"/put\"} 3",
        "recsys_requests_in_work 1",
        "recsys_ready 1",
        "recsys_answers_total{source=\"personal\"} 1",
        "recsys_answers_total{source=\"default\"} 0",
        "recsys_filled_answers_total 1",
        "recsys_events_total{result=\"stored\"} 2",
        "recsys_events_total{result=\"stored_before\"} 1",
        "recsys_events_unknown_tracks_total{result=\"accepted\"} 1",
        "recsys_events_waiting 0",
        "recsys_event_lag_seconds_count 3",
        "recsys_impressions_total 1",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is not in\n{text}");
    }
    // Every sample belongs to a family that was announced, which is what a scraper insists on.
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(
            text.contains(&format!("# TYPE {family} ")) || text.contains(&format!("# TYPE {name} ")),
            "{line}"
        );
        assert!(line.rsplit(' ').next().unwrap().parse::<f64>().is_ok(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_is_refused() {
    let mut project = Project::new();
    project.service.limits.max_query_bytes = 20.try_into().unwrap();
    project.service.limits.max_body_bytes = 40.try_into().unwrap();
    let front = open_front(&project);
    let response = front.answer(request("GET", "/top_popular?exclude=1000000000000", &[])).await;
    assert_eq!(response.status(), StatusCode::URI_TOO_LONG);
    assert_eq!(json_of(response).await["message"], "the query must be at most 20 bytes long");

    let body = format!(r#"{{"user_id": 1, "items": [101{}]}}"#, " ".repeat(40));
    let json_type = [("content-type", "application/json")];
    let mut announced = request("POST", "/events", &json_type);
    announced.headers_mut().insert("content-length", body.len().into());
    *announced.body_mut() = body.clone().into();
    let mut unannounced = request("POST", "/events", &json_type);
    let chunks = body.into_bytes().into_iter().map(|byte| Ok::<_, std::io::Error>(Bytes::from(vec![byte])));
    *unannounced.body_mut() = Body::from_stream(Chunks(chunks.collect()));
    for request in [announced, unannounced] {
        assert_eq!(front.answer(request).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}

/// A body in pieces whose length nobody announces.
struct Chunks(std::collections::VecDeque<std::io::Result<Bytes>>);

impl futures_core::Stream for Chunks {
    type Item = std::io::Result<Bytes>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.pop_front())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_beyond_the_limit_are_told_to_come_again_and_slow_ones_end() {
    let mut project = Project::new();
    project.service.limits.max_requests = 1.try_into().unwrap();
    project.service.limits.request_timeout_ms = Duration::from_millis(200);
    let front = open_front(&project);
    let mut slow = request("POST", "/events", &[("content-type", "application/json")]);
    *slow.body_mut() = Body::from_stream(Never);
    let (slow, quick) = tokio::join!(front.answer(slow), front.answer(request("GET", "/healthy", &[])));
    assert_eq!(
        (slow.status(), quick.status()),
        (StatusCode::REQUEST_TIMEOUT, StatusCode::SERVICE_UNAVAILABLE)
    );
    assert_eq!(header(&quick, "retry-after"), Some("1"));
    assert_eq!(
        (&json_of(slow).await["code"], &json_of(quick).await["code"]),
        (&json!("too_slow"), &json!("overloaded"))
    );
    assert_eq!(front.answer(request("GET", "/healthy", &[])).await.status(), StatusCode::OK);
}

/// A body that never comes.
struct Never;

impl futures_core::Stream for Never {
    type Item = std::io::Result<Bytes>;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Pending
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_stays_inside_its_request() {
    let front = front(&Project::new().service);
    let broken = || async {
        if true {
            panic!("on purpose")
        }
    };
    front.open(
        Router::new().route("/get_recs", get(broken)).route("/healthy", get(|| async { "healthy" })),
        None,
    );
    let response = front.answer(request("GET", "/get_recs", &[("x-request-id", "mine")])).await;
    assert_eq!((response.status().as_u16(), header(&response, "x-request-id")), (500, Some("mine")));
    assert_eq!(json_of(response).await["code"], "internal");
    assert_eq!(front.answer(request("GET", "/healthy", &[])).await.status(), StatusCode::OK);
}

#[test]
fn silent_and_surplus_connections_are_dealt_with() {
    let mut project = Project::new();
    project.service.port = 0;
    project.service.limits.idle_timeout_ms = Duration::from_millis(100);
    project.service.limits.max_connections = 2.try_into().unwrap();
    let running = Running::start(&project.service);
    let address = running.at("recsys");
    let mut ended = Vec::new();
    for sent in ["", "GET /healthy HTT", "GET /healthy HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.write_all(sent.as_bytes()).unwrap();
        ended.push(connection);
    }
    // The third waits until one of the others has been silent for too long.
    let heard = ended.iter_mut().map(|connection| {
        let mut text = String::new();
        connection.read_to_string(&mut text).unwrap();
        text.starts_with("HTTP/1.1 200")
    });
    assert_eq!(heard.collect::<Vec<_>>(), [false, false, true]);
    assert_eq!(call(address, "GET /healthy").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_named_origins_may_call() {
    let mut project = Project::new();
    project.service.cors_origins = vec!["https://shop.example".to_owned()];
    let front = open_front(&project);
    let preflight = |origin| {
        let asks = ("access-control-request-method", "POST");
        request("OPTIONS", "/events", &[("origin", origin), asks])
    };
    let response = front.answer(preflight("https://shop.example")).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(header(&response, "access-control-allow-origin"), Some("https://shop.example"));
    assert_eq!(header(&response, "access-control-allow-methods"), Some("GET, POST"));
    let response = front.answer(preflight("https://other.example")).await;
    assert_eq!(header(&response, "access-control-allow-origin"), None);
    for (origin, allowed) in [("https://shop.example", true), ("https://other.example", false)] {
        let response = front.answer(request("GET", "/healthy", &[("origin", origin)])).await;
        assert_eq!(header(&response, "access-control-allow-origin"), allowed.then_some(origin));
        assert_eq!(header(&response, "vary"), Some("origin"));
    }
    let response = open_front(&Project::new()).answer(preflight("https://shop.example")).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn keys_come_from_the_environment_and_the_access_log_has_everything_but_them() {
    let project = Project::new();
    let service = "port: 0\naccess_log: true\nkeys: { read_env: SHOP_READ, write_env: SHOP_WRITE }\n";
    std::fs::write(project.folder.path().join("service.yaml"), service).unwrap();
    let command = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recsys"));
        command.args(["serve", "service.yaml", "--log-format", "json"]).current_dir(project.folder.path());
        command.env("SHOP_READ", "reads-1,reads-2").stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let refused = command().env_remove("SHOP_WRITE").output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(refused.status.code() == Some(2) && said.contains("`SHOP_WRITE` holds no API key"), "{said}");

    let mut child = command().env("SHOP_WRITE", "writes-1").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let address = lines.find_map(|line| Some(line.split_once("http://")?.1.to_owned())).unwrap();
    let address = address.split_whitespace().next().unwrap().parse().unwrap();
    for (request, status) in [
        ("GET /healthy", 200),
        ("GET /recommendations/1", 401),
        ("GET /recommendations/1\nauthorization: Bearer reads-2", 200),
        ("GET /metrics\nx-api-key: writes-1", 200),
        ("POST /put?user_id=1&track_id=105\nauthorization: Bearer reads-1", 401),
        ("POST /put?user_id=1&track_id=105\nx-api-key: writes-1\nx-request-id: put-1", 200),
    ] {
        let heard = call(address, request);
        assert_eq!(heard.status, status, "{request}: {heard:?}");
        assert_eq!(heard.head.contains("www-authenticate: bearer"), status == 401);
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::TERM)
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert!(try_call(address, "GET /healthy").is_err());

    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 6, "{log}");
    let put = &lines[5];
    for (field, value) in [
        ("request_id", json!("put-1")),
        ("method", json!("POST")),
        ("path", json!("/put")),
        ("query", json!("user_id=1&track_id=105")),
        ("status", json!(200)),
        ("service", json!("recsys")),
        ("target", json!("recsys::access")),
    ] {
        assert_eq!(put[field], value, "{field}");
    }
    assert!(put["took_us"].is_u64() && !log.contains("reads-") && !log.contains("writes-"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shortcut_around_the_router_answers_as_the_router_does() {
    let project = Project::new();
    let (router, state) = project.router_and_state();
    for (user_id, track_id) in [(1, 101), (1, 105), (9, 103)] {
        ok(&router, "POST", &format!("/put?user_id={user_id}&track_id={track_id}")).await;
    }
    let fronts = [None, Direct::new(&state, &Resource::ALL)].map(|direct| {
        let front = Front::new("test", &project.service, Arc::clone(&state.process().metrics)).unwrap();
        front.open(router.clone(), direct);
        front
    });
    let mut n_direct = 0;
    for query in [
        "user_id=1&k=5",
        "user_id=1&k=5&items=false",
        "user_id=2&k=20&names=true&explain=true",
        "user_id=9&k=5",
        "user_id=9&exclude=100,101&k=3",
        "user_id=77",
        "user_id=-1&k=3&max_per_artist=1",
        "user_id=%31&k=0",
        "user_id=1&user_id=2",
        "k=5",
        "user_id=1&k=%zz&items=maybe",
        "user_id=9223372036854775808",
        "",
    ] {
        let uri = format!("/recommendations?{query}");
        let mut told = Vec::new();
        for front in &fronts {
            let response = front.answer(request("POST", &uri, &[])).await;
            let (status, kind) = (response.status(), response.headers()["content-type"].clone());
            let mut body = json_of(response).await;
            if let Some(id) = body.get_mut("impression_id") {
                *id = "".into();
            }
            told.push((status, kind, body));
        }
        assert_eq!(told[0], told[1], "{query}");
        n_direct += usize::from(told[0].0 == StatusCode::OK);
    }
    assert!(n_direct > 6);
    let direct = Direct::new(&state, &Resource::ALL).unwrap();
    let is_for_it = |method: Method, uri: &str| direct.answer(&method, &uri.parse().unwrap()).is_some();
    assert!(is_for_it(Method::POST, "/recommendations?user_id=1"));
    for (method, uri) in [
        (Method::GET, "/recommendations?user_id=1"),
        (Method::POST, "/recommendations/1"),
        (Method::POST, "/put"),
    ] {
        assert!(!is_for_it(method, uri), "{uri}");
    }
    assert!(Direct::new(&state, &[Resource::Events]).is_none());
}
