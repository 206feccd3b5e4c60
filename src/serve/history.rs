//! Events of users: adding them, and reading them newest first.

use axum::Json;
use axum::extract::State as Extract;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::details::Names;
use super::error::ApiError;
use super::events::{NewEvents, Stored};
use super::openapi::{K, NAMES, Operation, Parameter, Routes, Shape, TRACK_ID, USER_ID};
use super::parameters::Parameters;
use super::service::UnknownTracks;
use super::state::State;

const MAX_ITEMS: usize = 1000;
const MAX_ID_BYTES: usize = 128;

const EVENT_ID: Parameter = Parameter::optional(
    "event_id",
    Shape::Text(MAX_ID_BYTES),
    "What tells a retry of this request from another one of the user: with it the events are stored once.",
);

/// The routes of this resource.
pub fn routes() -> Routes {
    let stores = |summary, about| {
        let expected = format!("a text of 1 to {MAX_ID_BYTES} bytes");
        Operation::new(summary, about)
            .fails(ApiError::invalid(EVENT_ID.name, &expected, ""))
            .answers::<Acknowledged>("The events are durable.")
            .fails(ApiError::UnknownTrack { track_id: 7 })
            .fails(ApiError::EventsUnavailable)
    };
    let one = stores("Add an event", "The user listened to the track just now. Answered when it is durable.")
        .takes(&[&USER_ID, &TRACK_ID, &EVENT_ID]);
    let many = stores("Add several events", "All or none. Answered when they are durable.")
        .takes_body::<Body>()
        .fails(ApiError::InvalidParameter {
            field: "items",
            expected: format!("a list of 1 to {MAX_ITEMS} track ids"),
            found: "0 ids".to_owned(),
        });
    let read = Operation::new("The last events of a user", "Newest first; empty for a user without events.")
        .takes(&[&USER_ID, &K, &NAMES])
        .answers::<History<'_>>("The events.")
        .fails(ApiError::EventsUnavailable);
    Routes::tagged("events")
        .post("/put", add_one, &one)
        .post("/add_event", add_one, &one)
        .post("/events", add_many, &many)
        .post("/get", history, &read)
        .post("/get_events", history, &read)
        .get("/history/{user_id}", history, &read)
        .get("/history/{user_id}/{k}", history, &read)
}

/// The body of `POST /events`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Body {
    /// The user; any id, known or not.
    #[schemars(range(min = i64::MIN, max = i64::MAX))]
    user_id: i64,
    /// Track ids, the last of them the newest.
    #[schemars(length(min = 1, max = MAX_ITEMS), inner(range(min = i64::MIN, max = i64::MAX)))]
    items: Vec<i64>,
    /// What tells a retry of this request from another request of the user.
    #[serde(default)]
    #[schemars(length(min = 1, max = MAX_ID_BYTES))]
    event_id: Option<String>,
}

/// The answer when events are durable; a retry stores nothing more.
#[derive(Debug, Serialize, JsonSchema)]
struct Acknowledged {
    /// `ok`.
    result: &'static str,
    /// How many.
    stored: usize,
}

/// The events of a user, newest first.
#[derive(Debug, Serialize, JsonSchema)]
struct History<'a> {
    /// Whose.
    user_id: i64,
    /// The tracks, newest first.
    events: Vec<i64>,
    /// The same with their times.
    items: Vec<HistoryItem<'a>>,
}

/// An event.
#[derive(Debug, Serialize, JsonSchema)]
struct HistoryItem<'a> {
    /// The track.
    track_id: i64,
    /// When it was accepted, in UTC.
    at: String,
    /// What the track is called, with `names=true`.
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
