//! Events of users: adding them, and reading them newest first.

use axum::extract::State as Extract;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

use super::details::Names;
use super::error::ApiError;
use super::events::{NewEvents, Stored};
use super::parameters::Parameters;
use super::service::UnknownTracks;
use super::state::State;

const MAX_ITEMS: usize = 1000;
const MAX_ID_BYTES: usize = 128;

/// The routes of this resource.
pub fn router() -> Router<State> {
    Router::new()
        .route("/put", post(add_one))
        .route("/add_event", post(add_one))
        .route("/events", post(add_many))
        .route("/get", post(history))
        .route("/get_events", post(history))
        .route("/history/{user_id}", get(history))
        .route("/history/{user_id}/{k}", get(history))
}

/// The body of `POST /events`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    user_id: i64,
    /// Track ids, the last of them the newest.
    items: Vec<i64>,
    /// What tells a retry of this request from another request of the user.
    #[serde(default)]
    event_id: Option<String>,
}

/// The answer when events are durable; a retry stores nothing more.
#[derive(Debug, Serialize)]
struct Acknowledged {
    result: &'static str,
    stored: usize,
}

/// The events of a user, newest first.
#[derive(Debug, Serialize)]
struct History<'a> {
    user_id: i64,
    events: Vec<i64>,
    items: Vec<HistoryItem<'a>>,
}

#[derive(Debug, Serialize)]
struct HistoryItem<'a> {
    track_id: i64,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    names: Option<Names<'a>>,
}

/// `POST /put?user_id&track_id`, `POST /add_event?user_id&track_id`: one listen, with `event_id` stored once
/// however often the request comes.
///
/// 200 when it is durable; 422 for a wrong parameter; 404 for an unknown track where those are
/// refused; 503 when it could not be stored.
async fn add_one(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Json<Acknowledged>, ApiError> {
    let (user_id, track_ids) = (parameters.id("user_id")?, vec![parameters.id("track_id")?]);
    let event_id = parameters.all("event_id").next().map(str::to_owned);
    store(&state, NewEvents { user_id, track_ids, event_id }).await
}

/// `POST /events` with `{"user_id": 1, "items": [10, 20]}`: several listens, all or none.
///
/// 200 when they are durable; 400, 413, 415 or 422 for a wrong body; 404 for an unknown track where
/// those are refused; 503 when they could not be stored.
async fn add_many(
    Extract(state): Extract<State>,
    body: Result<Json<Body>, JsonRejection>,
) -> Result<Json<Acknowledged>, ApiError> {
    let Json(Body { user_id, items, event_id }) = body?;
    if !(1..=MAX_ITEMS).contains(&items.len()) {
        let expected = format!("a list of 1 to {MAX_ITEMS} track ids");
        let found = format!("{} ids", items.len());
        return Err(ApiError::InvalidParameter { field: "items", expected, found });
    }
    store(&state, NewEvents { user_id, track_ids: items, event_id }).await
}

/// `POST /get?user_id&k`, `POST /get_events?user_id&k`, `GET /history/{user_id}/{k}`: newest first.
///
/// 200, with an empty list for a user without events, and with names where `names=true`; 422 for a wrong parameter.
async fn history(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, ApiError> {
    let (user_id, k) = (parameters.id("user_id")?, parameters.k(state.max_k())?);
    let (library, names) = (state.library(), parameters.flag("names")?);
    let recent = state.events().recent(user_id, k).await?;
    let at = |ms| DateTime::from_timestamp_millis(ms).unwrap_or_default();
    let items = recent.iter().map(|event| HistoryItem {
        track_id: event.track_id,
        at: at(event.at_ms).to_rfc3339_opts(SecondsFormat::Millis, true),
        names: names.then(|| library.details.names(library.catalog.item(event.track_id))),
    });
    let events = recent.iter().map(|event| event.track_id).collect();
    Ok(Json(History { user_id, events, items: items.collect() }).into_response())
}

async fn store(state: &State, new: NewEvents) -> Result<Json<Acknowledged>, ApiError> {
    if let Some(id) = &new.event_id
        && !(1..=MAX_ID_BYTES).contains(&id.len())
    {
        return Err(ApiError::invalid("event_id", &format!("a text of 1 to {MAX_ID_BYTES} bytes"), id));
    }
    let library = state.library();
    let is_unknown = |track_id: &&i64| library.catalog.item(**track_id).is_none();
    let n_unknown = new.track_ids.iter().filter(is_unknown).count();
    if n_unknown > 0 {
        let accepted = state.service().events.unknown_tracks == UnknownTracks::Accept;
        state.events().unknown(n_unknown, accepted);
        if let Some(&track_id) = new.track_ids.iter().find(is_unknown).filter(|_| !accepted) {
            return Err(ApiError::UnknownTrack { track_id });
        }
    }
    let (user_id, track_ids) = (new.user_id, new.track_ids.clone());
    let stored = match state.events().append(new).await? {
        Stored::Now => {
            state.impressions().listened(user_id, &track_ids);
            track_ids.len()
        }
        Stored::Before => 0,
    };
    Ok(Json(Acknowledged { result: "ok", stored }))
}
