//! What an answer looks like, for the description of the service; [`json`](super::json) writes it.
//!
//! The test of the description holds every answer against this, key by key.

use schemars::JsonSchema;

use crate::serve::blend::{Case, Source};
use crate::serve::details::Names;
use crate::serve::reason::Reason;

/// A list of tracks for a user, for a track, or for everyone.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Answer")]
#[expect(dead_code, reason = "it describes what another type writes")]
pub struct AnswerShape<'a> {
    /// Whom it is for; not there when it is the same for everyone.
    #[schemars(skip_serializing_if = "Option::is_none")]
    user_id: i64,
    /// The track that similar ones were asked for.
    #[schemars(skip_serializing_if = "Option::is_none")]
    track_id: i64,
    /// Differs between any two answers; the log of impressions has it too.
    impression_id: String,
    /// The A/B variant of the user, when the service has variants.
    #[schemars(skip_serializing_if = "Option::is_none")]
    variant: String,
    /// Sources that could not be asked, when there are such.
    #[schemars(skip_serializing_if = "Option::is_none")]
    degraded: Vec<String>,
    /// The tracks, best first.
    recommendations: Vec<i64>,
    /// What the answer was made of.
    source: Case,
    /// The same tracks with their scores and sources; not there with `items=false`.
    #[schemars(skip_serializing_if = "Option::is_none")]
    items: Vec<AnswerItem<'a>>,
}

/// A track of a list.
#[derive(Debug, JsonSchema)]
#[expect(dead_code, reason = "it describes what another type writes")]
struct AnswerItem<'a> {
    /// The track.
    track_id: i64,
    /// How strongly it is recommended; comparable within one source only.
    score: f32,
    /// The list that it comes from.
    source: Source,
    /// What it is called, with `names=true`.
    #[schemars(skip_serializing_if = "Option::is_none")]
    names: Names<'a>,
    /// Why it is there, with `explain=true`.
    #[schemars(skip_serializing_if = "Option::is_none")]
    reason: Reason<'a>,
}
