//! A small project for the tests of the service: a release whose every answer is known by heart.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use polars::prelude::*;
use recsys::codec::table;
use recsys::serve::events::EventStore;
use recsys::serve::impressions::Impressions;
use recsys::serve::library::Library;
use recsys::serve::service::Service;
use recsys::serve::{ServiceError, Started, State, router, start};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

/// Tracks 100..=109; user 1 has a list of 101, 102, 103; 104 is similar to 105 and 106, 105 to 104
/// and 107; popular: 100, 101, …, 109.
///
/// Even tracks are Rock, odd ones Pop, 109 has no genre. Ann (1) made 100, 101 and, with Bob (2), 102; every
/// other track has an artist of its own. 100 and 105 are versions of one song.
pub struct Project {
    pub folder: TempDir,
    pub service: Service,
}

impl Project {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Port 0: tests run beside each other, and the port of the default belongs to one at a time.
        let service = Service { port: 0, ..Service::default() }.under(folder.path());
        let project = Self { folder, service };
        let artifacts = &project.service.artifacts;
        project.write(&artifacts.items, items());
        project.write(
            &artifacts.recommendations,
            df!("user_id" => [1i64, 1, 1], "track_id" => [101i64, 102, 103],
                "score" => [0.9f32, 0.5, 0.25], "rank" => [1u32, 2, 3]),
        );
        project.write(
            &artifacts.similar,
            df!("track_id" => [105i64, 105, 104, 104], "similar_track_id" => [104i64, 107, 105, 106],
                "score" => [0.75f32, 0.5, 0.75, 0.25], "rank" => [1u32, 2, 1, 2]),
        );
        project.write(
            &artifacts.top_popular,
            df!("track_id" => (100i64..110).collect::<Vec<_>>(),
                "score" => (0..10).map(|rank| f64::from(10 - rank)).collect::<Vec<_>>(),
                "rank" => (1u32..11).collect::<Vec<_>>()),
        );
        project
    }

    pub fn write(&self, path: &Path, rows: PolarsResult<DataFrame>) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        table::write(path, &mut rows.unwrap()).unwrap();
    }

    pub fn router(&self) -> Router {
        self.router_and_state().0
    }

    pub fn router_and_state(&self) -> (Router, State) {
        let library = Library::load(&self.service).unwrap();
        let events = EventStore::open(&self.service.events.path, 1000, 1000).unwrap();
        let impressions = Impressions::open(&self.service.impressions).unwrap();
        let state = State::new(self.service.clone(), library, events, impressions);
        (router(state.clone()), state)
    }

    /// Why the service does not start.
    pub fn refusal(&self) -> ServiceError {
        let start = || start(&self.service, |_| (), std::future::pending()).unwrap_err();
        // A service brings its own runtime, and must not be started inside that of a test.
        std::thread::scope(|scope| scope.spawn(start).join().unwrap())
    }
}

/// A service on a thread of its own, stopped when it is dropped.
pub struct Running {
    /// The services of the process by name.
    pub services: Vec<(String, SocketAddr)>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServiceError>>>,
}

impl Running {
    /// Starts a service and waits until it answers.
    pub fn start(service: &Service) -> Self {
        let (services_to, services) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let service = service.clone();
        let thread = std::thread::spawn(move || {
            let started = |started: &Started| services_to.send(started.services.clone()).unwrap();
            start(&service, started, async { drop(stopped.await) })
        });
        let services = services.recv().expect("the service starts");
        Self { services, stop: Some(stop), thread: Some(thread) }
    }

    /// Where a service listens.
    pub fn at(&self, name: &str) -> SocketAddr {
        self.services.iter().find(|(other, _)| other == name).unwrap().1
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        let result = self.thread.take().unwrap().join();
        if !std::thread::panicking() {
            result.unwrap().unwrap();
        }
    }
}

/// A port that was free a moment ago, below those that the system hands out by itself: between now and
/// its use nobody else gets it, neither another test here nor a connection that goes out.
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let salt = u16::try_from(std::process::id() % 100).unwrap() * 100;
    let mut ports = (0..100).map(|_| 20_000 + salt + NEXT.fetch_add(1, Ordering::Relaxed) % 100);
    ports.find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok()).expect("one port of a hundred is free")
}

/// An answer over a real connection.
#[derive(Debug)]
pub struct Heard {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: Value,
}

/// One request on a connection of its own: `METHOD /path`, then header lines.
pub fn call(address: SocketAddr, request: &str) -> Heard {
    try_call(address, request).expect("somebody listens")
}

/// The same, where nobody may listen.
pub fn try_call(address: SocketAddr, request: &str) -> std::io::Result<Heard> {
    let mut connection = TcpStream::connect(address)?;
    let (line, headers) = request.split_once('\n').unwrap_or((request, ""));
    let headers: String = headers.lines().map(|line| format!("{line}\r\n")).collect();
    let fixed = "host: x\r\nconnection: close\r\ncontent-length: 0\r\n";
    connection.write_all(format!("{line} HTTP/1.1\r\n{fixed}{headers}\r\n").as_bytes())?;
    let mut text = String::new();
    connection.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    Ok(Heard {
        status: head[9..12].parse().unwrap(),
        head: head.to_lowercase(),
        body: serde_json::from_str(body).unwrap_or_else(|_| body.into()),
    })
}

pub async fn ask(router: &Router, method: &str, uri: &str) -> (StatusCode, Value) {
    send(router, Request::builder().method(method).uri(uri).body(Body::empty()).unwrap()).await
}

pub async fn post_json(router: &Router, uri: &str, body: impl Into<Body>) -> (StatusCode, Value) {
    let request = Request::post(uri).header("content-type", "application/json");
    send(router, request.body(body.into()).unwrap()).await
}

pub async fn send(router: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

pub async fn ok(router: &Router, method: &str, uri: &str) -> Value {
    let (status, body) = ask(router, method, uri).await;
    assert_eq!(status, StatusCode::OK, "{method} {uri}: {body}");
    body
}

fn items() -> PolarsResult<DataFrame> {
    let track_ids: Vec<i64> = (100..110).collect();
    let artists = |id: i64| match id {
        100 | 101 => vec![(1, "Ann".to_owned())],
        102 => vec![(1, "Ann".to_owned()), (2, "Bob".to_owned())],
        _ => vec![(id, format!("Artist {id}"))],
    };
    let ids = |id: &i64| Series::new("".into(), artists(*id).iter().map(|one| one.0).collect::<Vec<i64>>());
    let names =
        |id: &i64| Series::new("".into(), artists(*id).into_iter().map(|one| one.1).collect::<Vec<String>>());
    let genre = |&id: &i64| (id != 109).then_some(if id % 2 == 0 { "Rock" } else { "Pop" });
    df!(
        "item_idx" => (0u32..10).collect::<Vec<_>>(),
        "track_id" => &track_ids,
        "track_group_id" => track_ids.iter().map(|&id| if id == 105 { 100 } else { id }).collect::<Vec<i64>>(),
        "artist_ids" => track_ids.iter().map(ids).collect::<Vec<Series>>(),
        "name" => track_ids.iter().map(|id| format!("Track {id}")).collect::<Vec<String>>(),
        "artist_names" => track_ids.iter().map(names).collect::<Vec<Series>>(),
        "album_name" => track_ids.iter().map(|&id| (id < 105).then_some("Early")).collect::<Vec<_>>(),
        "genre_name" => track_ids.iter().map(genre).collect::<Vec<Option<&str>>>(),
    )
}
