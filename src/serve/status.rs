//! How the service is: alive, ready, what it answered, and everything that is counted.

use std::sync::Arc;

use axum::extract::State as Extract;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use schemars::JsonSchema;
use serde::Serialize;

use super::blend::Case;
use super::error::ApiError;
use super::metrics::{Metrics, Page, Refusal};
use super::openapi::{Operation, Routes};
use super::page;
use super::state::State;

/// The content type of the text format of Prometheus.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The routes of this resource.
pub fn routes() -> Routes {
    let operation = |summary, about| Operation::new(summary, about).answers::<Status>("It is.");
    let not_ready = (StatusCode::SERVICE_UNAVAILABLE, "It is not.");
    let counts =
        Operation::new("How many answers users were given", "By what they were made of, since the start.")
            .answers::<Stats>("The counts.");
    let counted = Operation::new("Everything that is counted", "In the text format of Prometheus.")
        .answers_media("text/plain", "The metrics.");
    Routes::tagged("status")
        .get("/healthy", healthy, &operation("Whether requests are answered", ""))
        .get(
            "/ready",
            ready,
            &operation("Whether everything is loaded and events can be stored", "")
                .answers_with::<Status>(not_ready.0, not_ready.1),
        )
        .get("/stats", stats, &counts)
        .get("/metrics", metrics, &counted)
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
        .route("/", get(page::index))
        .route("/page/{file}", get(page::file_of_page))
        .route("/healthy", get(healthy))
        .route("/ready", get(|| async { not_ready() }))
        .route("/metrics", get(text))
        .fallback(move || async move {
            counted.refused(Refusal::Loading);
            ApiError::Loading
        })
}

const READY: &str = "Whether recommendations are loaded and events can be stored.";

/// How the service is.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Status {
    /// In a word.
    pub status: &'static str,
}

/// How many answers users were given, by source.
#[derive(Debug, Serialize, JsonSchema)]
struct Stats {
    /// From precomputed lists.
    personal: u64,
    /// From events alone.
    similar: u64,
    /// Popular tracks, for want of anything else.
    default: u64,
    /// From both.
    blend: u64,
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
