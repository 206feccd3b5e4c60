//! How the service is: alive, ready, and what it answered.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::blend::Case;
use super::state::State;

/// The routes of this resource.
pub fn router() -> Router<State> {
    Router::new()
        .route("/", get(alive))
        .route("/healthy", get(healthy))
        .route("/ready", get(ready))
        .route("/stats", get(stats))
}

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
async fn ready(Extract(state): Extract<State>) -> (StatusCode, Json<Status>) {
    if state.events().is_open() {
        (StatusCode::OK, Json(Status { status: "ready" }))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(Status { status: "not ready" }))
    }
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
