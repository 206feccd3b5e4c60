//! The most popular tracks.

use axum::extract::State as Extract;
use axum::response::Response;

use super::answer::{Answer, AnswerShape};
use super::ask::Ask;
use super::blend::Case;
use super::error::ApiError;
use super::openapi::{Operation, Routes};
use super::parameters::Parameters;
use super::reason::Grounds;
use super::state::State;

/// The routes of this resource.
pub fn routes() -> Routes {
    let operation = Operation::new("The most popular tracks", "The same for everyone.")
        .lists_tracks()
        .answers::<AnswerShape<'_>>("The list.");
    Routes::tagged("tracks").get("/top_popular", top_popular, &operation).get(
        "/top_popular/{k}",
        top_popular,
        &operation,
    )
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
