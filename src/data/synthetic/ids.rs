//! Raw ids: rising with the place in the catalogue, with gaps, a pure function of that place.

use super::stream::mix;

/// Entity `at` of a table has an id in `stride · at + 1 ..= stride · (at + 1)`: rising, with gaps.
fn id_with_gaps(at: u64, stride: u64) -> u64 {
    stride * at + 1 + mix(at ^ stride) % stride
}

/// Of a user.
pub fn user_id(user: usize) -> i32 {
    id_with_gaps(user as u64, 3) as i32
}

/// Of a track.
pub fn track_id(track: u32) -> i32 {
    id_with_gaps(track.into(), 97) as i32
}

/// Of an album or, after those, a compilation.
pub fn album_id(album: usize) -> i64 {
    id_with_gaps(album as u64, 31) as i64
}

/// Of an artist.
pub fn artist_id(artist: u32) -> i64 {
    id_with_gaps(artist.into(), 41) as i64
}

/// Of a genre that has a name.
pub fn genre_id(genre: usize) -> i64 {
    2 * genre as i64 + 1
}

/// An id between those of the catalogue.
pub fn unknown_genre_id(genre: usize) -> i64 {
    2 * (genre as i64 / 4) + 2
}
