//! The column names of every table, each written once.

/// Raw and prepared: the track from outside.
pub const TRACK_ID: &str = "track_id";
/// Raw and prepared: the user from outside.
pub const USER_ID: &str = "user_id";

/// Raw tracks: ids of the albums a track is on.
pub const ALBUMS: &str = "albums";
/// Raw tracks: ids of its artists.
pub const ARTISTS: &str = "artists";
/// Raw tracks: ids of its genres.
pub const GENRES: &str = "genres";

/// Raw catalogue: an id, unique only together with [`TYPE`].
pub const ID: &str = "id";
/// Raw catalogue: `track`, `album`, `artist` or `genre`.
pub const TYPE: &str = "type";
/// Raw catalogue and items: a name.
pub const NAME: &str = "name";

/// Raw interactions: 1-based position of the track in the user's history.
pub const TRACK_SEQ: &str = "track_seq";
/// Raw interactions: when the user listened.
pub const STARTED_AT: &str = "started_at";

/// Dense index of a user.
pub const USER_IDX: &str = "user_idx";
/// Dense index of an item.
pub const ITEM_IDX: &str = "item_idx";
/// Events: how often the user listened.
pub const LISTEN_COUNT: &str = "listen_count";
/// Events: the first listen.
pub const FIRST_LISTEN: &str = "first_listen";
/// Events: the last listen.
pub const LAST_LISTEN: &str = "last_listen";

/// Items: the smallest track id among the versions of one song.
pub const TRACK_GROUP_ID: &str = "track_group_id";
/// Items: canonical artists.
pub const ARTIST_IDS: &str = "artist_ids";
/// Items: canonical albums.
pub const ALBUM_IDS: &str = "album_ids";
/// Items: canonical genres.
pub const GENRE_IDS: &str = "genre_ids";
/// Items: names of the artists that have one.
pub const ARTIST_NAMES: &str = "artist_names";
/// Items: name of the first album that has one.
pub const ALBUM_NAME: &str = "album_name";
/// Items: name of the first genre that has one.
pub const GENRE_NAME: &str = "genre_name";
