//! One canonical track.

/// A canonical track.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Track {
    /// The smallest raw id.
    pub id: i64,
    /// The smallest track id among the versions of the song.
    pub group_id: i64,
    /// Canonical artists, the first one first.
    pub artists: Vec<i64>,
    /// Canonical albums.
    pub albums: Vec<i64>,
    /// Canonical genres.
    pub genres: Vec<i64>,
    /// The name as it was written; empty when there is none.
    pub name: String,
}
