//! How the service is: alive, ready, and what it answered.

use axum::Json;
use axum::extract::State as Extract;
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;

use super::blend::Case;
use super::openapi::{Operation, Routes};
use super::state::State;

/// The routes of this resource.
pub fn routes() -> Routes {
    let operation = |summary, about| Operation::new(summary, about).answers::<Status>("It is.");
    let not_ready = (StatusCode::SERVICE_UNAVAILABLE, "It is not.");
    let counts =
        Operation::new("How many answers users were given", "By what they were made of, since the start.")
            .answers::<Stats>("The counts.");
    Routes::new("status")
        .get("/healthy", healthy, &operation("Whether requests are answered", ""))
        .get(
            "/ready",
            ready,
            &operation("Whether everything is loaded and events can be stored", "")
                .answers_with::<Status>(not_ready.0, not_ready.1),
        )
        .get("/stats", stats, &counts)
}

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
