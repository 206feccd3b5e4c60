//! How the service is: alive, ready, what it answered, and everything that is counted.

use std::sync::Arc;

use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::blend::Case;
use super::error::ApiError;
use super::metrics::{Metrics, Page, Refusal};
use super::state::State;

/// The content type of the text format of Prometheus.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The routes of this resource.
pub fn router() -> Router<State> {
    Router::new()
        .route("/", get(alive))
        .route("/healthy", get(healthy))
        .route("/ready", get(ready))
        .route("/stats", get(stats))
        .route("/metrics", get(metrics))
}

/// What answers while the artifacts are read: alive, but not ready.
pub fn waiting(metrics: Arc<Metrics>) -> Router {
    let counted = Arc::clone(&metrics);
    let text = move || async move {
        let mut page = Page::default();
        metrics.write(&mut page);
        page.one("recsys_ready", "gauge", READY, 0);
        ([(header::CONTENT_TYPE, PROMETHEUS)], page.into_text())
    };
    Router::new()
        .route("/", get(alive))
        .route("/healthy", get(healthy))
        .route("/ready", get(|| async { not_ready() }))
        .route("/metrics", get(text))
        .fallback(move || async move {
            counted.refused(Refusal::Loading);
            ApiError::Loading
        })
}

const READY: &str = "Whether recommendations are loaded and events can be stored.";

#[derive(Debug, Serialize)]
struct Status {
    status: &'static str,
}

/// How many answers users were given, by source.
#[derive(Debug, Serialize)]
struct Stats {
    personal: u64,
    similar: u64,
    default: u64,
    blend: u64,
}

/// `GET /`: 200, the process runs.
async fn alive() -> Json<Status> {
    Json(Status { status: "alive" })
}

/// `GET /healthy`: 200, requests are answered.
async fn healthy() -> Json<Status> {
    Json(Status { status: "healthy" })
}

/// `GET /ready`: 200 when recommendations are loaded and events can be stored, else 503.
async fn ready(Extract(state): Extract<State>) -> Response {
    if state.events().is_open() { Json(Status { status: "ready" }).into_response() } else { not_ready() }
}

fn not_ready() -> Response {
    let body = Json(Status { status: "not ready" });
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], body).into_response()
}

/// `GET /stats`: 200, answers to users by source since the start.
async fn stats(Extract(state): Extract<State>) -> Json<Stats> {
    Json(Stats {
        personal: state.given(Case::Personal),
        similar: state.given(Case::Similar),
        default: state.given(Case::Default),
        blend: state.given(Case::Blend),
    })
}

/// `GET /metrics`: 200, everything that is counted, in the text format of Prometheus.
async fn metrics(Extract(state): Extract<State>) -> Response {
    let mut page = Page::default();
    state.process().metrics.write(&mut page);
    page.one("recsys_ready", "gauge", READY, u8::from(state.events().is_open()));
    page.family("recsys_answers_total", "counter", "Answers to users, by source.");
    for case in Case::ALL {
        page.sample(&[("source", case.name())], state.given(case));
    }
    let (taken_up, refused) = state.releases();
    page.family("recsys_reloads_total", "counter", "New releases since the start, by what became of them.");
    page.sample(&[("result", "taken_up")], taken_up);
    page.sample(&[("result", "refused")], refused);
    let age = state.library().read_at.elapsed().unwrap_or_default();
    page.one("recsys_release_age_seconds", "gauge", "Since the release was read.", age.as_secs_f64());
    state.process().write(&mut page);
    state.process().sources.write(state.events().peer(), &mut page);
    state.events().write(&mut page);
    let impressions = state.impressions();
    let help = "Answers that got an id.";
    page.one("recsys_impressions_total", "counter", help, impressions.given());
    let help = "Answers that are not in the log of impressions because the disk was too slow.";
    page.one("recsys_impressions_dropped_total", "counter", help, impressions.dropped());
    ([(header::CONTENT_TYPE, PROMETHEUS)], page.into_text()).into_response()
}
