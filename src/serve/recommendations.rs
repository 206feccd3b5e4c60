//! Recommendations for a user: final, offline, online.

use axum::extract::State as Extract;
use axum::response::Response;

use super::answer::{Answer, AnswerShape};
use super::ask::Ask;
use super::blend::{Case, Pick, Source, blend};
use super::catalog::ItemSet;
use super::error::ApiError;
use super::library::Library;
use super::online::{self, Listened, listened};
use super::openapi::{Operation, Routes, USER_ID};
use super::parameters::Parameters;
use super::peers::sources::Gathered;
use super::reason::Grounds;
use super::service::Blending;
use super::state::State;
use super::variants::Assigned;

/// The path that nearly all requests ask for.
pub const POSTED: &str = "/recommendations";

/// Answers `POST /recommendations` as the router does, where everything that it takes is at hand.
pub fn at_once(state: &State, query: &str) -> Option<Result<Response, ApiError>> {
    let library = &*state.library();
    let asked =
        || -> Result<Asked<'_>, ApiError> { Asked::new(state, library, &Parameters::of_query(query)) };
    match asked() {
        Err(error) => Some(Err(error)),
        Ok(asked) => {
            let gathered = state.process().sources.at_once(state, asked.user_id)?;
            Some(Ok(asked.final_list(&gathered)))
        }
    }
}

/// The routes of final recommendations.
pub fn final_routes() -> Routes {
    let operation = of_user(
        "Final recommendations of a user",
        "The precomputed list and the one from the user's last events, blended and filled up with popular \
         tracks. `source` is `default` for a new user, `similar` with events only, `personal` with a \
         precomputed list only, `blend` with both.",
    );
    Routes::tagged("recommendations")
        .post("/recommendations", final_list, &operation)
        .get("/recommendations/{user_id}", final_list, &operation)
        .get("/recommendations/{user_id}/{k}", final_list, &operation)
}

/// The routes of precomputed recommendations.
pub fn offline_routes() -> Routes {
    let operation = of_user(
        "The precomputed list of a user",
        "`source` is `personal`, or `default` for a user without a list, who gets the popular tracks.",
    );
    Routes::tagged("recommendations").post("/recommendations_offline", offline, &operation).post(
        "/get_recs",
        offline,
        &operation,
    )
}

/// The routes of recommendations from the last events.
pub fn online_routes() -> Routes {
    let operation = of_user(
        "Recommendations from a user's last events alone",
        "Tracks similar to the last events, without those; empty for a user without events.",
    );
    Routes::tagged("recommendations").post("/recommendations_online", online, &operation)
}

fn of_user(summary: &'static str, about: &'static str) -> Operation {
    Operation::new(summary, about)
        .takes(&[&USER_ID])
        .lists_tracks()
        .answers::<AnswerShape<'_>>("The list, and what it was made of.")
}

/// `POST /recommendations?user_id&k` and `GET /recommendations/{user_id}/{k}`: the four cases.
///
/// 200 with an [`Answer`]; 422 for a wrong parameter. `source` is `default` for a new user,
/// `similar` with events only, `personal` with a precomputed list only, `blend` with both; items
/// that fill a short list up are `popular`.
async fn final_list(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, ApiError> {
    let library = &*state.library();
    let asked = Asked::new(&state, library, &parameters)?;
    let sources = &state.process().sources;
    let gathered = sources.gather(&state, library, asked.user_id, asked.assigned.blending).await;
    Ok(asked.final_list(&gathered))
}

/// `POST /recommendations_offline?user_id&k`, `POST /get_recs?user_id&k`: the precomputed list.
///
/// 200 with an [`Answer`], `personal`, or `default` (top popular) for a user without a list;
/// 422 for a wrong parameter.
async fn offline(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, ApiError> {
    let library = &*state.library();
    let (user_id, ask) = (parameters.id("user_id")?, Ask::new(&parameters, library, state.max_k())?);
    let Assigned { name, blending } = state.variant(user_id);
    let (picks, case) = match library.recommendations.list(user_id) {
        Some(list) => (ask.cut(library, library.picks(list, Source::Personal)), Case::Personal),
        None => (ask.cut(library, library.popular()), Case::Default),
    };
    state.count(case);
    let sources = &state.process().sources;
    let gathered = if ask.explain {
        sources.with_similar(&state, library, user_id, blending).await
    } else {
        Gathered::default()
    };
    let history = History::of(&gathered, library, user_id, blending);
    let grounds = history.grounds(user_id, blending);
    Ok(Answer::new(library, &ask, &picks, case, &grounds).for_user(user_id, name).give(state.impressions()))
}

/// `POST /recommendations_online?user_id&k`: similar to the user's last events.
///
/// 200 with an [`Answer`], `similar`; the list is empty for a user without events. 422 for a wrong
/// parameter.
async fn online(Extract(state): Extract<State>, parameters: Parameters) -> Result<Response, ApiError> {
    let library = &*state.library();
    let (user_id, ask) = (parameters.id("user_id")?, Ask::new(&parameters, library, state.max_k())?);
    let Assigned { name, blending } = state.variant(user_id);
    let sources = &state.process().sources;
    let gathered = sources.with_similar(&state, library, user_id, blending).await;
    let history = History::of(&gathered, library, user_id, blending);
    let picks = ask.cut(library, history.similar(library, blending, &ask).into_iter());
    state.count(Case::Similar);
    let grounds = history.grounds(user_id, blending);
    Ok(Answer::new(library, &ask, &picks, Case::Similar, &grounds)
        .for_user(user_id, name)
        .without(&gathered.degraded)
        .give(state.impressions()))
}

/// What is asked for, of which release, for whom.
struct Asked<'a> {
    state: &'a State,
    library: &'a Library,
    user_id: i64,
    ask: Ask,
    assigned: Assigned<'a>,
}

impl<'a> Asked<'a> {
    fn new(state: &'a State, library: &'a Library, parameters: &Parameters) -> Result<Self, ApiError> {
        let user_id = parameters.id("user_id")?;
        let ask = Ask::new(parameters, library, state.max_k())?;
        Ok(Self { state, library, user_id, ask, assigned: state.variant(user_id) })
    }

    /// The final list from what it is made of.
    fn final_list(&self, gathered: &Gathered) -> Response {
        let Self { state, library, user_id, ask, assigned: Assigned { name, blending } } = self;
        let history = History::of(gathered, library, *user_id, blending);
        let takes_all = ask.takes_all(library) && (!blending.exclude_seen || history.seen.is_empty());
        let allows = |pick: &Pick| {
            takes_all
                || (ask.allows(library, pick.item)
                    && !(blending.exclude_seen && history.seen.contains(&pick.item)))
        };

        let list = gathered.offline(library, *user_id).unwrap_or_default();
        let list = if ask.items { list } else { list.unscored() };
        let mut offline = library.picks(list, Source::Personal).filter(allows).peekable();
        let mut online = history.similar(library, blending, ask).into_iter().peekable();
        let case = Case::of(online.peek().is_some(), offline.peek().is_some());
        let seed = user_id.cast_unsigned() ^ (history.n_events as u64).rotate_left(32);
        let popular = library.popular().filter(allows);
        let picks = match case {
            // Nothing to blend and nothing to leave out, which is what most requests are.
            Case::Personal if takes_all => {
                ask.cut(library, library.picks(list, Source::Personal).chain(library.popular()))
            }
            Case::Personal | Case::Default => ask.cut(library, offline.chain(popular)),
            _ => ask.cut(library, blend(&mut online, &mut offline, blending, seed).chain(popular)),
        };
        state.count(case);
        if case != Case::Default && picks.last().is_some_and(|pick| pick.source == Source::Popular) {
            state.process().filled();
        }
        let grounds = history.grounds(*user_id, blending);
        Answer::new(library, ask, &picks, case, &grounds)
            .for_user(*user_id, *name)
            .without(&gathered.degraded)
            .give(state.impressions())
    }
}

/// What a user listened to, as a release knows it.
struct History<'a> {
    gathered: &'a Gathered,
    n_events: usize,
    /// Its own events and, with `exclude_seen`, what is known from before the release.
    seen: ItemSet,
    /// What online recommendations start from.
    last: Vec<Listened>,
}

impl<'a> History<'a> {
    fn of(gathered: &'a Gathered, library: &Library, user_id: i64, blending: &Blending) -> Self {
        let track_ids: Vec<i64> = gathered.history.iter().map(|event| event.track_id).collect();
        let heard = track_ids.iter().filter_map(|&track_id| library.catalog.item(track_id));
        let before = library.past.as_ref().filter(|_| blending.exclude_seen);
        let before = before.map_or(&[][..], |past| past.items(user_id));
        let seen = heard.chain(before.iter().copied()).collect();
        let last = listened(library, &track_ids, blending);
        Self { gathered, n_events: track_ids.len(), seen, last }
    }

    /// What a user listened to is never similar to itself in a way that helps: it is always left out.
    fn similar(&self, library: &Library, blending: &Blending, ask: &Ask) -> Vec<Pick> {
        let allows = |item| ask.allows(library, item) && !self.seen.contains(&item);
        online::recommend(library, self.gathered, &self.last, blending.online, allows, ask.n_needed())
    }

    fn grounds(&self, user_id: i64, blending: &Blending) -> Grounds<'_> {
        Grounds {
            gathered: Some(self.gathered),
            listened: &self.last,
            online: blending.online,
            user_id: Some(user_id),
            track: None,
        }
    }
}
