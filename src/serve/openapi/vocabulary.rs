//! The parameters that several resources take.

use super::operation::Operation;
use super::parameter::{Parameter, Shape};
use crate::serve::error::ApiError;

/// Whose.
pub const USER_ID: Parameter = Parameter::needed("user_id", Shape::Id, "The user; any id, known or not.");

/// Of which track.
pub const TRACK_ID: Parameter = Parameter::needed("track_id", Shape::Id, "The track.");

/// How many.
pub const K: Parameter = Parameter::optional("k", Shape::K, "The length of the list, at most.");

/// Whether to say what tracks are called.
pub const NAMES: Parameter = Parameter::optional(
    "names",
    Shape::Flag,
    "Say of each track what it is called, with artists, album and genre.",
);

const ITEMS: Parameter =
    Parameter::optional("items", Shape::FlagOn, "Tell of each track its score and source, not only its id.");
const EXPLAIN: Parameter = Parameter::optional(
    "explain",
    Shape::Flag,
    "Say why each track is there: what it is similar to, what each past track adds to its score, or its rank.",
);
const EXCLUDE: Parameter = Parameter::optional("exclude", Shape::Ids, "Tracks that the list leaves out.");
const INCLUDE: Parameter =
    Parameter::optional("include", Shape::Ids, "The only tracks that the list may name.");
const GENRE: Parameter = Parameter::optional(
    "genre",
    Shape::Texts,
    "The only genres that tracks may have, by name in any case; 422 for a genre that no track has.",
);
const MAX_PER_ARTIST: Parameter =
    Parameter::optional("max_per_artist", Shape::Count, "The most tracks of one artist.");
const MAX_PER_TRACK_GROUP: Parameter = Parameter::optional(
    "max_per_track_group",
    Shape::Count,
    "The most versions of one song: original, remixes, live, covers.",
);

/// What every route takes that lists tracks.
const LIST: [&Parameter; 9] =
    [&K, &ITEMS, &NAMES, &EXPLAIN, &EXCLUDE, &INCLUDE, &GENRE, &MAX_PER_ARTIST, &MAX_PER_TRACK_GROUP];

impl Operation {
    /// It lists tracks: it takes `k`, `items`, `names`, `explain` and the filters.
    #[must_use]
    pub fn lists_tracks(self) -> Self {
        let error = ApiError::UnsupportedFilter { field: "max_per_artist", column: "artist_ids" };
        self.takes(&LIST).fails(error)
    }
}
