//! Recommendations for a user: final, offline, online.

use std::collections::HashSet;

use axum::extract::State as Extract;
use axum::routing::{get, post};
use axum::{Json, Router};

use super::answer::Answer;
use super::blend::{Pick, Source, blend, case};
use super::error::ApiError;
use super::online::similar_to_events;
use super::parameters::Parameters;
use super::state::State;

/// The routes of this resource.
pub fn router() -> Router<State> {
    Router::new()
        .route("/recommendations", post(final_list))
        .route("/recommendations/{user_id}", get(final_list))
        .route("/recommendations/{user_id}/{k}", get(final_list))
        .route("/recommendations_offline", post(offline))
        .route("/get_recs", post(offline))
        .route("/recommendations_online", post(online))
}

/// `POST /recommendations?user_id&k` and `GET /recommendations/{user_id}/{k}`: the four cases.
///
/// 200 with an [`Answer`]; 422 for a wrong parameter. `source` is `default` for a new user,
/// `similar` with events only, `personal` with a precomputed list only, `blend` with both; items
/// that fill a short list up are `default`.
async fn final_list(
    Extract(state): Extract<State>,
    parameters: Parameters,
) -> Result<Json<Answer>, ApiError> {
    let (user_id, k) = (parameters.id("user_id")?, parameters.k(state.max_k())?);
    let (library, blending) = (state.library(), &state.service().blending);
    let history = history(&state, user_id);
    let seen = seen(&state, &history);
    let excluded = if blending.exclude_seen { &seen } else { &HashSet::new() };
    let is_new = |pick: &Pick| !excluded.contains(&pick.item);

    let list = library.recommendations.list(user_id).unwrap_or_default();
    let offline: Vec<Pick> = state.picks(list, Source::Personal).filter(is_new).take(k).collect();
    let online = online_picks(&state, &history, seen.clone(), k);
    let source = case(&online, &offline);
    let seed = user_id.cast_unsigned() ^ (history.len() as u64).rotate_left(32);
    let picks = blend(&online, &offline, state.popular().filter(is_new), k, blending, seed);
    state.count(source);
    Ok(Json(Answer::new(&library.catalog, &picks, source).for_user(user_id)))
}

/// `POST /recommendations_offline?user_id&k`, `POST /get_recs?user_id&k`: the precomputed list.
///
/// 200 with an [`Answer`], `personal`, or `default` (top popular) for a user without a list;
/// 422 for a wrong parameter.
async fn offline(Extract(state): Extract<State>, parameters: Parameters) -> Result<Json<Answer>, ApiError> {
    let (user_id, k) = (parameters.id("user_id")?, parameters.k(state.max_k())?);
    let library = state.library();
    let (picks, source): (Vec<Pick>, Source) = match library.recommendations.list(user_id) {
        Some(list) => (state.picks(list, Source::Personal).take(k).collect(), Source::Personal),
        None => (state.popular().take(k).collect(), Source::Default),
    };
    state.count(source);
    Ok(Json(Answer::new(&library.catalog, &picks, source).for_user(user_id)))
}

/// `POST /recommendations_online?user_id&k`: similar to the user's last events.
///
/// 200 with an [`Answer`], `similar`; the list is empty for a user without events. 422 for a wrong
/// parameter.
async fn online(Extract(state): Extract<State>, parameters: Parameters) -> Result<Json<Answer>, ApiError> {
    let (user_id, k) = (parameters.id("user_id")?, parameters.k(state.max_k())?);
    let history = history(&state, user_id);
    let picks = online_picks(&state, &history, seen(&state, &history), k);
    state.count(Source::Similar);
    Ok(Json(Answer::new(&state.library().catalog, &picks, Source::Similar).for_user(user_id)))
}

fn history(state: &State, user_id: i64) -> Vec<i64> {
    state.events().recent(user_id, usize::MAX).iter().map(|event| event.track_id).collect()
}

fn seen(state: &State, history: &[i64]) -> HashSet<u32> {
    history.iter().filter_map(|&track_id| state.library().catalog.item(track_id)).collect()
}

/// What a user listened to is never similar to itself in a way that helps: it is always left out.
fn online_picks(state: &State, history: &[i64], mut excluded: HashSet<u32>, k: usize) -> Vec<Pick> {
    if history.is_empty() {
        return Vec::new();
    }
    excluded.extend(state.blocked());
    similar_to_events(state.library(), history, &state.service().blending, &excluded, k)
}
