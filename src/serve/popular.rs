//! The most popular tracks.

use axum::Router;
use axum::extract::State as Extract;
use axum::response::Response;
use axum::routing::get;

use super::answer::Answer;
use super::ask::Ask;
use super::blend::Case;
use super::error::ApiError;
use super::parameters::Parameters;
use super::reason::Grounds;
use super::state::State;

/// The routes of this resource.
pub fn router() -> Router<State> {
    Router::new().route("/top_popular", get(top_popular)).route("/top_popular/{k}", get(top_popular))
}

/// `GET /top_popular` and `GET /top_popular/{k}`: the same tracks for everyone.
///
/// 200 with an [`Answer`]; 422 for a wrong parameter.
async fn top_popular(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, ApiError> {
    let library = &*state.library();
    let ask = Ask::new(&parameters, library, state.max_k())?;
    let picks = ask.cut(library, library.popular());
    Ok(Answer::new(library, &ask, &picks, Case::Default, &Grounds::default()).give(state.impressions()))
}
