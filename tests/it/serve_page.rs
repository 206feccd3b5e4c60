//! The page for people, in a real browser. What is checked:
//!
//! 1. browsers get the page, everyone else JSON, and the policy lets nothing in from elsewhere;
//! 2. with the keyboard alone: a user is found, the sources stand side by side, an event is added and
//!    the answer changes, and says what is new;
//! 3. the pipeline with its steps, the models, the pictures;
//! 4. the browser has nothing to complain about, and nothing sticks out of the page on a telephone;
//! 5. names are text: markup in the name of a track stays what it is;
//! 6. the documentation shows every route.
//!
//! 2 to 6 need Chromium and Python; without them the test says so and ends.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use polars::prelude::*;
use recsys::serve::project::{Pipeline, PipelineStep, Pipelines, Watched};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::serve_project::{Project, Running};

/// A name that would be an attack on a page that takes it for markup.
const HOSTILE: &str = "<img src=x onerror=\"document.title='owned'\"> & \u{1F3B5}";

#[tokio::test(flavor = "multi_thread")]
async fn browsers_get_a_page_and_everyone_else_gets_json() {
    let router = Project::new().router();
    let get = async |uri: &str, accept: Option<&str>| {
        let mut request = Request::get(uri);
        if let Some(accept) = accept {
            request = request.header("accept", accept);
        }
        let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), 200, "{uri}");
        let headers = response.headers().clone();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (headers, String::from_utf8(body.to_vec()).unwrap())
    };
    for accept in [None, Some("*/*"), Some("application/json")] {
        assert_eq!(get("/", accept).await.1, r#"{"status":"alive"}"#);
    }
    let (headers, page) = get("/", Some("text/html,application/xhtml+xml,*/*;q=0.8")).await;
    assert_eq!(headers["vary"], "accept");
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    for file in ["app.js", "charts.js", "style.css", "icon.svg"] {
        assert!(page.contains(&format!("\"page/{file}\"")), "{file}");
        let (headers, text) = get(&format!("/page/{file}"), None).await;
        assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none';"));
        let addresses = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!addresses.contains("://"), "{file} loads nothing from elsewhere");
        for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!text.contains(word), "{file} has {word}");
        }
    }
}

struct TwoSteps;

impl Pipelines for TwoSteps {
    fn now(&self) -> Result<Option<Pipeline>, String> {
        let step = |name: &str, state: &str, after: &[&str]| PipelineStep {
            name: name.to_owned(),
            kind: name.to_owned(),
            state: state.to_owned(),
            reason: "unchanged".to_owned(),
            seconds: Some(1.5),
            after: after.iter().map(|&step| step.to_owned()).collect(),
        };
        let steps = vec![step("split", "up to date", &[]), step("als", "would run", &["split"])];
        let svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"300\" height=\"80\"><rect width=\"90\" height=\"40\"/></svg>";
        Ok(Some(Pipeline {
            name: "toy".to_owned(),
            file: "pipelines/toy.yaml".to_owned(),
            steps,
            svg: svg.to_owned(),
        }))
    }
}

/// The small project with a hostile name, a report, a picture and a pipeline.
fn project() -> Project {
    let mut project = Project::new();
    let items = &project.service.artifacts.items;
    let mut table = ParquetReader::new(std::fs::File::open(items).unwrap()).finish().unwrap();
    let mut names: Vec<String> = (100..110).map(|id| format!("Track {id}")).collect();
    names[0] = HOSTILE.to_owned();
    table.with_column(Column::new("name".into(), names)).unwrap();
    project.write(items, Ok(table));
    // Of what is popular the first four tracks change nothing, and the fifth has similar ones.
    let list = df!("user_id" => [1i64; 3], "track_id" => [107i64, 108, 109], "score" => [0.9f32, 0.5, 0.25],
        "rank" => [1u32, 2, 3]);
    project.write(&project.service.artifacts.recommendations, list);
    let shown = &mut project.service.project;
    let metric = |value: f64| json!({"ndcg@10": {"value": value, "low": value - 0.01, "high": value + 0.01}});
    let report = json!({"compare_at": 10, "models": {
        "als": {"metrics": metric(0.13)}, HOSTILE: {"metrics": metric(0.08)},
    }});
    std::fs::create_dir_all(shown.evaluation.parent().unwrap()).unwrap();
    std::fs::write(&shown.evaluation, report.to_string()).unwrap();
    recsys::codec::png::write(&shown.pictures.join("bars.png"), 8, 8, &[200; 8 * 8 * 3]).unwrap();
    shown.pipelines = Watched::new(TwoSteps);
    project.service.port = 0;
    project
}

/// What is needed to look at pages: Python, and Chromium by the script that drives it.
pub fn python() -> Option<PathBuf> {
    let python = std::env::var_os("RECSYS_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/page");
    let found = Command::new(&python)
        .args(["-c", "import browser, sys; sys.exit(0 if browser.chromium() else 1)"])
        .current_dir(folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output();
    found.is_ok_and(|output| output.status.success()).then_some(python)
}

#[test]
fn a_person_finds_their_way_with_the_keyboard() {
    let Some(python) = python() else {
        eprintln!("skipped: Chromium (Debian's `chromium`) and Python are needed to look at the page");
        return;
    };
    let project = project();
    let running = Running::start(&project.service);
    let url = format!("http://{}", running.services[0].1);
    let pictures = project.folder.path().join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    let output = Command::new(python)
        .arg("scenario.py")
        .args([&url, "1"])
        .arg(&pictures)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/page"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    drop(running);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();

    assert_eq!(seen["alone"], json!(["Similar", "Popular"]), "{seen:#}");
    assert_eq!(seen["offered_users"][0], "User 1has a list");
    assert_eq!(seen["columns"], json!(["Blend", "Personal", "Online", "Similar", "Popular"]));
    assert_eq!(seen["case_before"], "precomputed list only");
    assert_eq!(seen["blend_before"][0], "Track 107");
    assert_eq!(seen["popular"][0], HOSTILE, "a name is text");
    let told = format!("Stored: user 1 listened to “{HOSTILE}”; the blend has no new track.");
    assert_eq!(seen["told"][0], told);
    assert_eq!(seen["case_after"], "list and events");
    let events: Vec<&str> = seen["events"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!((events[0], events[events.len() - 1]), ("Track 104", HOSTILE), "newest first");
    assert_eq!(seen["marked_new"], json!([]), "ten of ten tracks were there before");
    assert_ne!(seen["blend_after"], seen["blend_before"], "the event changes the answer");
    assert_eq!(seen["offered_tracks"], json!([format!("{HOSTILE}Ann · Rock")]));
    assert_eq!(seen["steps"], json!(["split", "als"]));
    assert_eq!(seen["models"], json!(["als", HOSTILE]));
    assert_eq!(seen["pictures"], json!(["bars.png"]));
    assert_eq!((&seen["mistakes"], &seen["documentation_mistakes"]), (&json!([]), &json!([])));
    assert_eq!(seen["sticks_out"], 0);
    assert!(seen["documented"].as_array().unwrap().len() > 25);
    assert_eq!(std::fs::read_dir(&pictures).unwrap().count(), 16);
}
