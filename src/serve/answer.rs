//! The JSON of answers that list tracks.
//!
//! `recommendations` holds the track ids alone; `items`, which a request with `items=false` does
//! without, says of each where it comes from and, on request, what it is called and why it is there. An
//! answer borrows from the release, and is written out before the release may go.

mod integers;
mod json;
mod shape;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::Response;

use super::ask::Ask;
use super::blend::{Case, Pick};
use super::catalog::Catalog;
use super::details::Names;
use super::ids::{self, Id};
use super::impressions::{Impression, Impressions, Shown, now};
use super::library::Library;
use super::reason::{Grounds, Reason, reasons};

pub use shape::AnswerShape;

/// A list of tracks for a user, for a track, or for everyone.
#[derive(Debug)]
pub struct Answer<'a> {
    user_id: Option<i64>,
    track_id: Option<i64>,
    impression_id: Id,
    variant: Option<&'a str>,
    /// Sources that could not be asked.
    degraded: &'a [&'static str],
    source: Case,
    catalog: &'a Catalog,
    picks: &'a [Pick],
    tells_items: bool,
    /// One for each item, or none at all.
    names: Vec<Names<'a>>,
    /// One for each item, or none at all.
    reasons: Vec<Reason<'a>>,
}

impl<'a> Answer<'a> {
    /// An answer for everyone.
    pub fn new(
        library: &'a Library,
        ask: &Ask,
        picks: &'a [Pick],
        source: Case,
        grounds: &Grounds<'_>,
    ) -> Self {
        let reasons = ask.explain.then(|| reasons(library, ask, picks, grounds));
        let named = if ask.names { picks } else { &[] };
        let names = named.iter().map(|pick| library.details.names(Some(pick.item))).collect();
        Self {
            user_id: None,
            track_id: None,
            impression_id: [b'0'; 32],
            variant: None,
            degraded: &[],
            source,
            catalog: &library.catalog,
            picks,
            tells_items: ask.items,
            names,
            reasons: reasons.unwrap_or_default(),
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
            let track_id = |pick: &Pick| self.catalog.track_id(pick.item);
            let shown = |pick: &Pick| Shown { track_id: track_id(pick), source: pick.source };
            impressions.keep(&Impression {
                impression_id: ids::text(&self.impression_id),
                at: now(),
                user_id: self.user_id,
                track_id: self.track_id,
                variant: self.variant,
                source: self.source,
                items: self.picks.iter().map(shown).collect(),
            });
        }
        let mut response = Response::new(Body::from(json::text(&self)));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}
