//! The most popular tracks.

use axum::extract::State as Extract;
use axum::routing::get;
use axum::{Json, Router};

use super::answer::Answer;
use super::blend::{Pick, Source};
use super::error::ApiError;
use super::parameters::Parameters;
use super::state::State;

/// The routes of this resource.
pub fn router() -> Router<State> {
    Router::new().route("/top_popular", get(top_popular)).route("/top_popular/{k}", get(top_popular))
}

/// `GET /top_popular` and `GET /top_popular/{k}`: the same tracks for everyone.
///
/// 200 with an [`Answer`]; 422 for a wrong `k`.
async fn top_popular(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Json<Answer>, ApiError> {
    let k = parameters.k(state.max_k())?;
    let picks: Vec<Pick> = state.popular().take(k).collect();
    Ok(Json(Answer::new(&state.library().catalog, &picks, Source::Default)))
}
