//! Tracks similar to a track.

use axum::extract::State as Extract;
use axum::routing::{get, post};
use axum::{Json, Router};

use super::answer::Answer;
use super::blend::{Pick, Source};
use super::error::ApiError;
use super::parameters::Parameters;
use super::state::State;

/// The routes of this resource.
pub fn router() -> Router<State> {
    Router::new()
        .route("/similar_tracks", post(similar))
        .route("/similar/{track_id}", get(similar))
        .route("/similar/{track_id}/{k}", get(similar))
}

/// `POST /similar_tracks?track_id&k` and `GET /similar/{track_id}/{k}`: the most similar tracks.
///
/// 200 with an [`Answer`], empty when nothing is similar; 404 when the track is not known; 422 for
/// a wrong parameter.
async fn similar(Extract(state): Extract<State>, parameters: Parameters) -> Result<Json<Answer>, ApiError> {
    let (track_id, k) = (parameters.id("track_id")?, parameters.k(state.max_k())?);
    let library = state.library();
    if library.catalog.item(track_id).is_none() {
        return Err(ApiError::UnknownTrack { track_id });
    }
    let list = library.similar.list(track_id).unwrap_or_default();
    let picks: Vec<Pick> = state.picks(list, Source::Similar).take(k).collect();
    Ok(Json(Answer::new(&library.catalog, &picks, Source::Similar).for_track(track_id)))
}
