//! The JSON of answers that list tracks.
//!
//! `recommendations` holds the track ids alone, for clients that want nothing else; `items` says of
//! each where it comes from and, on request, what it is called and why it is there. An answer borrows from the release,
//! and is written out before the release may go.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::ask::Ask;
use super::blend::{Case, Pick, Source};
use super::details::Names;
use super::impressions::{Impression, Impressions, Shown, now};
use super::library::Library;
use super::reason::{Grounds, Reason, reasons};

/// A list of tracks for a user, for a track, or for everyone.
#[derive(Debug, Serialize)]
pub struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    track_id: Option<i64>,
    impression_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'a str>,
    /// Sources that could not be asked.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    degraded: &'a [&'static str],
    recommendations: Vec<i64>,
    source: Case,
    items: Vec<AnswerItem<'a>>,
}

#[derive(Debug, Serialize)]
struct AnswerItem<'a> {
    track_id: i64,
    score: f32,
    source: Source,
    #[serde(skip_serializing_if = "Option::is_none")]
    names: Option<Names<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason<'a>>,
}

impl<'a> Answer<'a> {
    /// An answer for everyone.
    pub fn new(library: &'a Library, ask: &Ask, picks: &[Pick], source: Case, grounds: &Grounds<'_>) -> Self {
        let reasons = ask.explain.then(|| reasons(library, ask, picks, grounds));
        let mut reasons = reasons.into_iter().flatten();
        let items = picks.iter().map(|pick| AnswerItem {
            track_id: library.catalog.track_id(pick.item),
            score: pick.score,
            source: pick.source,
            names: ask.names.then(|| library.details.names(Some(pick.item))),
            reason: reasons.next(),
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
