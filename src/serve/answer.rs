//! The JSON of answers that list tracks.
//!
//! `recommendations` holds the track ids alone, for clients that want nothing else; `items` says of
//! each where it comes from and, on request, what it is called. An answer borrows from the release,
//! and is written out before the release may go.

use axum::Json;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::ask::Ask;
use super::blend::{Case, Pick, Source};
use super::details::Names;
use super::impressions::{Impression, Impressions, Shown, now};
use super::library::Library;

/// A list of tracks for a user, for a track, or for everyone.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Answer<'a> {
    /// Whom it is for; not there when it is the same for everyone.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<i64>,
    /// The track that similar ones were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    track_id: Option<i64>,
    /// Differs between any two answers; the log of impressions has it too.
    impression_id: String,
    /// The A/B variant of the user, when the service has variants.
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
    /// Sources that could not be asked.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    degraded: &'a [&'static str],
    /// The tracks, best first.
    recommendations: Vec<i64>,
    /// What the answer was made of.
    source: Case,
    /// The same tracks with their scores and sources.
    items: Vec<AnswerItem<'a>>,
}

/// A track of a list.
#[derive(Debug, Serialize, JsonSchema)]
struct AnswerItem<'a> {
    /// The track.
    track_id: i64,
    /// How strongly it is recommended; comparable within one source only.
    score: f32,
    /// The list that it comes from.
    source: Source,
    /// What it is called, with `names=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    names: Option<Names<'a>>,
}

impl<'a> Answer<'a> {
    /// An answer for everyone.
    pub fn new(library: &'a Library, ask: &Ask, picks: &[Pick], source: Case) -> Self {
        let items = picks.iter().map(|pick| AnswerItem {
            track_id: library.catalog.track_id(pick.item),
            score: pick.score,
            source: pick.source,
            names: ask.names.then(|| library.details.names(Some(pick.item))),
        });
        let items: Vec<AnswerItem<'a>> = items.collect();
        let recommendations = items.iter().map(|item| item.track_id).collect();
        Self {
            user_id: None,
            track_id: None,
            impression_id: String::new(),
            variant: None,
            degraded: &[],
            recommendations,
            source,
            items,
        }
    }

    /// The same for one user, whose variant is named.
    #[must_use]
    pub fn for_user(self, user_id: i64, variant: Option<&'a str>) -> Self {
        Self { user_id: Some(user_id), variant, ..self }
    }

    /// The same, made without these sources, because they could not be asked.
    #[must_use]
    pub fn without(self, degraded: &'a [&'static str]) -> Self {
        Self { degraded, ..self }
    }

    /// The same for one track.
    #[must_use]
    pub fn for_track(self, track_id: i64) -> Self {
        Self { track_id: Some(track_id), ..self }
    }

    /// Gives it an id, keeps what it shows, and writes it out.
    pub fn give(mut self, impressions: &Impressions) -> Response {
        self.impression_id = impressions.next_id();
        if impressions.is_on() {
            let shown = |item: &AnswerItem<'_>| Shown { track_id: item.track_id, source: item.source };
            impressions.keep(&Impression {
                impression_id: &self.impression_id,
                at: now(),
                user_id: self.user_id,
                track_id: self.track_id,
                variant: self.variant,
                source: self.source,
                items: self.items.iter().map(shown).collect(),
            });
        }
        Json(self).into_response()
    }
}
