//! Why a track is recommended, where a request asks with `explain=true`.
//!
//! Reasons are exact, not stories: a contribution is the very term that the score is a sum of. A track of
//! the user's precomputed list has its rank there; where a factor model is at hand it has besides what each
//! track that the user listened to adds to the score that the model gives it: those of the latest events,
//! and those from before the release where the service has that history.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::ask::Ask;
use super::blend::{Pick, Source};
use super::details::Names;
use super::library::Library;
use super::online::{Listened, contributions};
use super::peers::sources::Gathered;
use super::service::Online;

/// At most this many tracks stand behind a reason.
const MAX_TRACKS: usize = 5;

/// Why one track is recommended.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Reason<'a> {
    /// What kind of reason it is.
    because: Because,
    /// Its place in the list that it comes from, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<usize>,
    /// What it is recommended for, the greatest contribution first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tracks: Vec<Contribution<'a>>,
}

/// What kind of reason it is.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Because {
    /// It is similar to `tracks`.
    SimilarTo,
    /// The model scores it high for somebody who listened to `tracks`.
    PastTracks,
    /// It is in the user's precomputed list.
    PersonalList,
    /// Many listen to it.
    Popular,
}

/// A track and what it adds to the score.
#[derive(Debug, Serialize, JsonSchema)]
struct Contribution<'a> {
    /// The track.
    track_id: i64,
    /// What it adds.
    contribution: f32,
    /// What it is called, with `names=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    names: Option<Names<'a>>,
}

/// What an answer was made from, as far as reasons go by it.
#[derive(Debug, Default)]
pub struct Grounds<'a> {
    /// What was made from other services' lists.
    pub gathered: Option<&'a Gathered>,
    /// What the user listened to last.
    pub listened: &'a [Listened],
    /// How the online list was made.
    pub online: Online,
    /// Whose precomputed list it is.
    pub user_id: Option<i64>,
    /// The track that similar ones were asked for.
    pub track: Option<u32>,
}

/// A reason for each track of a list.
pub fn reasons<'a>(
    library: &'a Library,
    ask: &Ask,
    picks: &[Pick],
    grounds: &Grounds<'_>,
) -> Vec<Reason<'a>> {
    let items_of = |source| picks.iter().filter(move |pick| pick.source == source).map(|pick| pick.item);
    let Grounds { gathered, listened, online, user_id, track } = grounds;
    let local = Gathered::default();
    let gathered = gathered.unwrap_or(&local);
    let shares_of = |source, listened: &[Listened], online| -> HashMap<u32, Vec<(u32, f32)>> {
        let items: Vec<u32> = items_of(source).collect();
        if listened.is_empty() || items.is_empty() {
            return HashMap::new();
        }
        let shares = contributions(library, gathered, listened, online, &items);
        items.into_iter().zip(shares).collect()
    };
    let has_model = library.model.is_some();
    let mut of_online = shares_of(Source::Online, listened, *online);
    let all = library.past.as_ref().zip(*user_id).map(|(past, user_id)| past.with(user_id, listened));
    let all = if has_model { all.as_deref().unwrap_or(listened) } else { &[] };
    let mut of_personal = shares_of(Source::Personal, all, Online::FoldIn);
    let list = user_id.and_then(|user_id| gathered.offline(library, user_id)).unwrap_or_default();
    let personal = ranks(list.items.iter().copied());
    let popular = ranks(library.top_popular.iter().map(|&(item, _)| item));
    let folds_in = has_model && *online == Online::FoldIn;
    let named = |shares: Vec<(u32, f32)>| {
        shares.into_iter().take(MAX_TRACKS).map(|share| named(library, ask, share)).collect()
    };
    let reason = |pick: &Pick| match pick.source {
        Source::Online => Reason {
            because: if folds_in { Because::PastTracks } else { Because::SimilarTo },
            rank: None,
            tracks: named(of_online.remove(&pick.item).unwrap_or_default()),
        },
        Source::Similar => Reason {
            because: Because::SimilarTo,
            rank: None,
            tracks: named(track.map(|track| (track, pick.score)).into_iter().collect()),
        },
        Source::Personal => Reason {
            because: Because::PersonalList,
            rank: personal.get(&pick.item).copied(),
            tracks: named(of_personal.remove(&pick.item).unwrap_or_default()),
        },
        Source::Popular => {
            Reason { because: Because::Popular, rank: popular.get(&pick.item).copied(), tracks: Vec::new() }
        }
    };
    picks.iter().map(reason).collect()
}

fn named<'a>(library: &'a Library, ask: &Ask, (item, contribution): (u32, f32)) -> Contribution<'a> {
    Contribution {
        track_id: library.catalog.track_id(item),
        contribution,
        names: ask.names.then(|| library.details.names(Some(item))),
    }
}

fn ranks(items: impl Iterator<Item = u32>) -> HashMap<u32, usize> {
    items.zip(1..).collect()
}
