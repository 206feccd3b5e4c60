//! The JSON of answers that name tracks.
//!
//! `recommendations` holds the track ids alone, for clients that want nothing else; `items` says
//! of each where it comes from.

use serde::Serialize;

use super::blend::{Pick, Source};
use super::catalog::Catalog;

/// A list of tracks for a user, for a track, or for everyone.
#[derive(Debug, Serialize)]
pub struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    track_id: Option<i64>,
    recommendations: Vec<i64>,
    source: Source,
    items: Vec<AnswerItem>,
}

#[derive(Debug, Serialize)]
struct AnswerItem {
    track_id: i64,
    score: f32,
    source: Source,
}

impl Answer {
    /// An answer for everyone.
    pub fn new(catalog: &Catalog, picks: &[Pick], source: Source) -> Self {
        let items = picks.iter().map(|pick| AnswerItem {
            track_id: catalog.track_id(pick.item),
            score: pick.score,
            source: pick.source,
        });
        let items: Vec<AnswerItem> = items.collect();
        let recommendations = items.iter().map(|item| item.track_id).collect();
        Self { user_id: None, track_id: None, recommendations, source, items }
    }

    /// The same for one user.
    #[must_use]
    pub fn for_user(self, user_id: i64) -> Self {
        Self { user_id: Some(user_id), ..self }
    }

    /// The same for one track.
    #[must_use]
    pub fn for_track(self, track_id: i64) -> Self {
        Self { track_id: Some(track_id), ..self }
    }
}
