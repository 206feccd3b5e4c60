//! Layouts of services. What is checked:
//!
//! 1. each layout of the project is one that `recsys serve` takes, whole and service by service;
//! 2. what is wrong with a layout is said with its place;
//! 3. one process hosts a whole layout, each service on its port with its own routes;
//! 4. each service alone answers the same as all together;
//! 5. whatever part of a layout is gone, recommendations are answered, say what they lack, and are whole
//!    again when the part is back.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use recsys::serve::Service;
use recsys::serve::layout::Resource;
use serde_json::{Value, json};

use crate::serve_project::{Project, Running, call, free_port};

fn shipped(name: &str) -> Service {
    Service::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("services").join(name)).unwrap()
}

fn ports(service: &Service) -> Vec<(String, u16)> {
    service.members().into_iter().map(|member| (member.name, member.port)).collect()
}

#[test]
fn the_layouts_of_the_project_are_taken_whole_and_service_by_service() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("services");
    let mut n_layouts = 0;
    for file in std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        n_layouts += 1;
        let service = Service::read(&file).unwrap();
        for resource in Resource::ALL {
            assert!(service.answers(resource), "{}: {}", file.display(), resource.name());
            assert_eq!(service.peer(resource), None, "a whole layout asks nobody");
        }
        for member in &service.services {
            let alone = service.clone().only(std::slice::from_ref(&member.name)).unwrap();
            assert_eq!(alone.members(), std::slice::from_ref(member));
        }
        assert_eq!((service.host.as_str(), service.cors_origins.len()), ("127.0.0.1", 0));
    }
    assert!(n_layouts >= 3);
    let named = |pairs: &[(&str, u16)]| -> Vec<(String, u16)> {
        pairs.iter().map(|&(name, port)| (name.to_owned(), port)).collect()
    };
    assert_eq!(ports(&shipped("default.yaml")), named(&[("recsys", 8000)]));
    assert_eq!(
        ports(&shipped("four.yaml")),
        named(&[("final", 8000), ("offline", 8001), ("events", 8002), ("similar", 8003)])
    );
    assert_eq!(
        ports(&shipped("three.yaml")),
        named(&[("recommendations", 8000), ("similar", 8010), ("events", 8020)])
    );
    let alone = shipped("four.yaml").only(&["final".to_owned()]).unwrap();
    let peers = [Resource::Offline, Resource::Events, Resource::Similar].map(|one| alone.peer(one).unwrap());
    assert_eq!(peers, ["http://127.0.0.1:8001", "http://127.0.0.1:8002", "http://127.0.0.1:8003"]);
    assert_eq!(alone.peer(Resource::Popular), None, "every process with recommendations has them");
}

#[test]
fn what_is_wrong_with_a_layout_is_said_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layout.yaml");
    for (services, place, message) in [
        ("a: { port: 1, answers: [] }", "line 1, column 11", "`answers` of `a`"),
        ("a: { port: 1, answers: [finale] }", "line 1, column 37", "finale"),
        ("a: { port: 70000, answers: [events] }", "line 1, column 24", "expected a port from 0 to 65535"),
        ("a: { answers: [events] }", "line 1", "port"),
        (
            "a: { port: 1, answers: [events] }, b: { port: 1, answers: [similar] }",
            "line 1, column 11",
            "found 1 for `a` and `b`",
        ),
        (
            "a: { port: 1, answers: [events] }, b: { port: 2, answers: [events] }",
            "line 1, column 11",
            "one service to answer `events`, found `a` and `b`",
        ),
        (
            "a: { port: 1, answers: [online, similar] }",
            "line 1, column 11",
            "a service that answers `events`, which `online` of `a` needs",
        ),
        (
            "a: { port: 1, answers: [events], url: 'ftp://x' }",
            "line 1, column 51",
            "expected http://host:port, found `ftp://x`",
        ),
    ] {
        std::fs::write(&path, format!("services: {{ {services} }}\n")).unwrap();
        let error = Service::read(&path).unwrap_err().to_string();
        assert!(error.contains(place) && error.contains(message), "{services}: {error}");
    }
    let unknown = shipped("four.yaml").only(&["event".to_owned()]).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no service `event` in this layout");
    assert!(shipped("default.yaml").only(&["events".to_owned()]).is_err());
    let many = shipped("four.yaml").listening(None, Some(9000)).unwrap_err();
    assert_eq!(many.to_string(), "one port cannot be given to 4 services: final, offline, events, similar");
    let one = shipped("four.yaml").only(&["events".to_owned()]).unwrap().listening(None, Some(9000)).unwrap();
    assert_eq!(ports(&one), [("events".to_owned(), 9000)]);
}

/// `four.yaml` for a project, on free ports and quick to try again what has failed.
fn four(project: &Project, ports: [u16; 4]) -> Service {
    let text = format!(
        "calls: {{ timeout_ms: 5000, failures_until_pause: 2, pause_ms: 1 }}\n\
         services:\n  \
           final: {{ port: {}, answers: [final, online] }}\n  \
           offline: {{ port: {}, answers: [offline, popular] }}\n  \
           events: {{ port: {}, answers: [events] }}\n  \
           similar: {{ port: {}, answers: [similar] }}\n",
        ports[0], ports[1], ports[2], ports[3]
    );
    let path = project.folder.path().join("layout.yaml");
    std::fs::write(&path, text).unwrap();
    Service::read(&path).unwrap().under(project.folder.path())
}

#[test]
fn one_process_hosts_a_layout_each_service_on_its_port() {
    let project = Project::new();
    let running = Running::start(&four(&project, [0; 4]));
    let names: Vec<&str> = running.services.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["final", "offline", "events", "similar"]);
    assert_eq!(call(running.at("events"), "POST /put?user_id=1&track_id=105").status, 200);
    let both = call(running.at("final"), "GET /recommendations/1/4").body;
    assert_eq!((&both["source"], &both["recommendations"]), (&json!("blend"), &json!([104, 101, 107, 102])));
    for (name, request, status) in [
        ("final", "POST /recommendations_online?user_id=1", 200),
        ("final", "POST /get_recs?user_id=1", 404),
        ("final", "GET /history/1", 404),
        ("offline", "POST /get_recs?user_id=1", 200),
        ("offline", "GET /top_popular", 200),
        ("offline", "GET /recommendations/1", 404),
        ("events", "GET /history/1", 200),
        ("events", "GET /similar/104", 404),
        ("similar", "GET /similar/104", 200),
        ("similar", "POST /put?user_id=1&track_id=105", 404),
    ] {
        assert_eq!(call(running.at(name), request).status, status, "{name}: {request}");
    }
    for (name, address) in &running.services {
        for path in ["/", "/healthy", "/ready", "/stats", "/metrics"] {
            assert_eq!(call(*address, &format!("GET {path}")).status, 200, "{name}: {path}");
        }
    }
}

/// The answer for user 1 without what differs from answer to answer.
fn recommendations(running: &Running) -> Value {
    let mut answer = call(running.at("final"), "GET /recommendations/1/4").body;
    answer.as_object_mut().unwrap().remove("impression_id").unwrap();
    answer
}

#[test]
fn a_service_alone_answers_the_same_and_does_without_what_is_gone() {
    let project = Project::new();
    let layout = four(&project, std::array::from_fn(|_| free_port()));
    let together = {
        let running = Running::start(&layout);
        assert_eq!(call(running.at("events"), "POST /put?user_id=1&track_id=105").status, 200);
        recommendations(&running)
    };
    let alone = |name: &str| Running::start(&layout.clone().only(&[name.to_owned()]).unwrap());
    let [finals, offline, events, similar] = ["final", "offline", "events", "similar"].map(alone);
    assert_eq!(recommendations(&finals), together);
    let online = |k| call(finals.at("final"), &format!("POST /recommendations_online?user_id=1&k={k}")).body;
    assert_eq!(online(9)["recommendations"], json!([104, 107]));
    let new = call(finals.at("final"), "GET /recommendations/2/2").body;
    assert_eq!((&new["source"], &new["degraded"]), (&json!("default"), &Value::Null));

    let lacks = |what: Value, source: &str, tracks: Value| {
        let answer = recommendations(&finals);
        assert_eq!(
            (&answer["degraded"], &answer["source"], &answer["recommendations"]),
            (&what, &json!(source), &tracks)
        );
    };
    drop(similar);
    lacks(json!(["similar"]), "personal", json!([101, 102, 103, 100]));
    assert_eq!((&online(9)["degraded"], &online(9)["recommendations"]), (&json!(["similar"]), &json!([])));
    drop(offline);
    lacks(json!(["similar", "offline"]), "default", json!([100, 101, 102, 103]));
    drop(events);
    lacks(json!(["events", "offline"]), "default", json!([100, 101, 102, 103]));
    assert_eq!(call(finals.at("final"), "GET /ready").status, 200, "it answers as well as it can");
    let metrics = call(finals.at("final"), "GET /metrics").body;
    let metrics = metrics.as_str().unwrap();
    assert!(metrics.contains("recsys_degraded_answers_total{lacking=\"offline\"} 2\n"), "{metrics}");
    assert!(metrics.contains("recsys_calls_failed_total{service=\"events\"}"), "{metrics}");

    let _back = ["offline", "events", "similar"].map(alone);
    // A service that failed twice is left alone for a millisecond; then one call finds it well.
    while recommendations(&finals) != together {
        std::thread::yield_now();
    }
}
