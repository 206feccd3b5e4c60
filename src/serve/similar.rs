//! Tracks similar to a track.

use axum::extract::State as Extract;
use axum::response::Response;

use super::answer::{Answer, AnswerShape};
use super::ask::Ask;
use super::blend::{Case, Source};
use super::error::ApiError;
use super::openapi::{Operation, Routes, TRACK_ID};
use super::parameters::Parameters;
use super::reason::Grounds;
use super::state::State;

/// The routes of this resource.
pub fn routes() -> Routes {
    let operation = Operation::new("The tracks most similar to a track", "Empty when nothing is similar.")
        .takes(&[&TRACK_ID])
        .lists_tracks()
        .answers::<AnswerShape<'_>>("The list.")
        .fails(ApiError::UnknownTrack { track_id: 7 });
    Routes::tagged("tracks")
        .post("/similar_tracks", similar, &operation)
        .get("/similar/{track_id}", similar, &operation)
        .get("/similar/{track_id}/{k}", similar, &operation)
}

/// `POST /similar_tracks?track_id&k` and `GET /similar/{track_id}/{k}`: the most similar tracks.
///
/// 200 with an [`Answer`], empty when nothing is similar; 404 when the track is not known; 422 for
/// a wrong parameter.
async fn similar(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, ApiError> {
    let library = &*state.library();
    let (track_id, ask) = (parameters.id("track_id")?, Ask::new(&parameters, library, state.max_k())?);
    let track = Some(library.catalog.item(track_id).ok_or(ApiError::UnknownTrack { track_id })?);
    let list = library.similar.list(track_id).unwrap_or_default();
    let picks = ask.cut(library, library.picks(list, Source::Similar));
    let grounds = Grounds { track, ..Grounds::default() };
    Ok(Answer::new(library, &ask, &picks, Case::Similar, &grounds)
        .for_track(track_id)
        .give(state.impressions()))
}
