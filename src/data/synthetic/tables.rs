//! The three raw tables of a world, made in pieces of a fixed number of rows.
//!
//! A piece is handed on while the next one is made; pieces are cut by rows and users, never by
//! threads, so that the files are the same at any thread count.

use std::ops::Range;

use polars::prelude::*;
use rand::RngExt;
use rayon::prelude::*;

use super::catalogue::Track;
use super::listening::Listener;
use super::names::{self, Version};
use super::stream::{Room, generator, mix};
use super::words::GENRES;
use super::{Day, World};

/// Rows of a piece, about; interactions are cut at the end of a user.
const PIECE: usize = 1 << 18;
/// Entities whose names one task makes.
const NAMES_PER_TASK: usize = 1 << 12;
/// Rows that one task generates, about.
const ROWS_PER_TASK: usize = 1 << 13;
/// 2022-01-01 in days since 1970.
const FIRST_DAY: i64 = 18_993;
const NANOSECONDS_PER_DAY: i64 = 86_400_000_000_000;

/// Takes the pieces of a table, in order.
pub type Sink<'a, E> = &'a mut (dyn FnMut(DataFrame) -> Result<(), E> + Send);

/// Columns of the tracks.
pub fn tracks_schema() -> Schema {
    let ids = DataType::List(Box::new(DataType::Int64));
    Schema::from_iter([
        Field::new("track_id".into(), DataType::Int64),
        Field::new("albums".into(), ids.clone()),
        Field::new("artists".into(), ids.clone()),
        Field::new("genres".into(), ids),
    ])
}

/// Columns of the catalogue of names.
pub fn catalog_schema() -> Schema {
    Schema::from_iter([
        Field::new("id".into(), DataType::Int64),
        Field::new("type".into(), DataType::String),
        Field::new("name".into(), DataType::String),
    ])
}

/// Columns of the interactions.
pub fn interactions_schema() -> Schema {
    Schema::from_iter([
        Field::new("user_id".into(), DataType::Int32),
        Field::new("track_id".into(), DataType::Int32),
        Field::new("track_seq".into(), DataType::Int16),
        Field::new("started_at".into(), DataType::Datetime(TimeUnit::Nanoseconds, None)),
    ])
}

impl World {
    /// Hands the rows of `tracks.parquet` on, sorted by id.
    ///
    /// # Errors
    /// What `sink` returns.
    pub fn tracks<E: Send>(&self, sink: Sink<'_, E>) -> Result<(), E> {
        self.pipe(pieces(self.catalogue.tracks.len()), sink, |piece| self.tracks_piece(piece))
    }

    /// Hands the rows of `catalog_names.parquet` on: albums, artists, genres, tracks.
    ///
    /// # Errors
    /// What `sink` returns.
    pub fn catalog<E: Send>(&self, sink: Sink<'_, E>) -> Result<(), E> {
        let catalogue = &self.catalogue;
        let n_albums = catalogue.albums.len() + catalogue.n_compilations;
        self.pipe(pieces(n_albums), sink, |piece| {
            named("album", piece, |at| Some((album_id(at), self.album_name(at))))
        })?;
        self.pipe(pieces(catalogue.artists.len()), sink, |piece| {
            named("artist", piece, |at| Some((artist_id(at as u32), self.artist_name(at as u32))))
        })?;
        self.pipe(pieces(catalogue.n_genres), sink, |piece| {
            named("genre", piece, |at| Some((genre_id(at), GENRES[at].to_owned())))
        })?;
        self.pipe(pieces(catalogue.tracks.len()), sink, |piece| {
            named("track", piece, |at| {
                catalogue.tracks[at].listed.then(|| (track_id(at as u32).into(), self.track_name(at)))
            })
        })
    }

    /// Hands the rows of `interactions.parquet` on, sorted by user and date.
    ///
    /// # Errors
    /// What `sink` returns.
    pub fn interactions<E: Send>(&self, sink: Sink<'_, E>) -> Result<(), E> {
        let users = 0..self.activity.len();
        self.pipe(self.cut_users(users, PIECE), sink, |users| self.interactions_piece(users))
    }

    /// Makes each piece while the one before it is on its way.
    fn pipe<E: Send>(
        &self,
        pieces: impl Iterator<Item = Range<usize>> + Send,
        sink: Sink<'_, E>,
        make: impl Fn(Range<usize>) -> DataFrame + Sync,
    ) -> Result<(), E> {
        let mut ready: Option<DataFrame> = None;
        for piece in pieces {
            let last = ready.take();
            let (handed, next) = rayon::join(|| last.map_or(Ok(()), &mut *sink), || make(piece));
            handed?;
            ready = Some(next);
        }
        ready.map_or(Ok(()), sink)
    }

    fn tracks_piece(&self, piece: Range<usize>) -> DataFrame {
        let height = piece.len();
        let [mut albums, mut artists, mut genres] = ["albums", "artists", "genres"].map(|name| {
            ListPrimitiveChunkedBuilder::<Int64Type>::new(name.into(), height, 2 * height, DataType::Int64)
        });
        let mut ids = Vec::with_capacity(height);
        let rows: Vec<TrackRow> = piece.into_par_iter().filter_map(|at| self.track_row(at)).collect();
        for row in rows {
            ids.push(row.id);
            albums.append_slice(&row.albums);
            artists.append_slice(&row.artists);
            genres.append_slice(&row.genres);
        }
        table(vec![
            Column::new("track_id".into(), ids),
            albums.finish().into_column(),
            artists.finish().into_column(),
            genres.finish().into_column(),
        ])
    }

    /// The row of a track that the catalogue knows: most have one genre, one artist, one or two albums.
    fn track_row(&self, at: usize) -> Option<TrackRow> {
        let catalogue = &self.catalogue;
        let track: Track = catalogue.tracks[at];
        let rng = &mut generator(self.seed, Room::Track, at as u64);
        let n_compilations = if rng.random_bool(0.2) { rng.random_range(1..4) } else { 0 };
        let compilation = |n: usize| album_id(catalogue.albums.len() + n);
        let mut albums = vec![album_id(track.album as usize)];
        albums
            .extend((0..n_compilations).map(|_| compilation(rng.random_range(0..catalogue.n_compilations))));
        let mut artists = Vec::new();
        if !rng.random_bool(0.015) {
            artists.push(artist_id(track.credited));
            artists.extend(track.other.filter(|_| track.version == Version::Featuring).map(artist_id));
        }
        let genre = usize::from(track.scene) % catalogue.n_genres;
        let second = mix(u64::from(track.artist)) as usize % catalogue.n_genres;
        let genres = match rng.random_range(0..1000) {
            0..4 => Vec::new(),
            4..20 => vec![unknown_genre_id(genre)],
            20..50 => vec![genre_id(genre), unknown_genre_id(second)],
            50..400 if second != genre => vec![genre_id(genre), genre_id(second)],
            _ => vec![genre_id(genre)],
        };
        track.listed.then(|| TrackRow { id: track_id(at as u32).into(), albums, artists, genres })
    }

    fn track_name(&self, at: usize) -> String {
        let track = &self.catalogue.tracks[at];
        let rng = &mut generator(self.seed, Room::Track, !(at as u64));
        let title = names::title(self.seed, track.song, track.script);
        let other = track.other.map(|other| self.clean_artist_name(other));
        names::soiled(names::versioned(&title, track.version, other.as_deref(), rng), rng)
    }

    fn album_name(&self, at: usize) -> String {
        let Some(album) = self.catalogue.albums.get(at) else {
            return names::compilation(self.seed, at as u32);
        };
        let name = match album.single {
            Some(song) => names::title(self.seed, song, album.script),
            None => names::album(self.seed, at as u32, album.script),
        };
        names::soiled(name, &mut generator(self.seed, Room::Album, !(at as u64)))
    }

    fn artist_name(&self, at: u32) -> String {
        let rng = &mut generator(self.seed, Room::Artist, !u64::from(at));
        let name = self.clean_artist_name(at);
        match self.catalogue.artists[at as usize].twin_of {
            Some(_) => names::respelled(&name, rng),
            None => names::soiled(name, rng),
        }
    }

    /// The name as it was meant; a twin has its original's.
    fn clean_artist_name(&self, at: u32) -> String {
        let artist = self.catalogue.artists[at as usize];
        names::artist(self.seed, artist.twin_of.unwrap_or(at), artist.script)
    }

    fn interactions_piece(&self, users: Range<usize>) -> DataFrame {
        let tasks: Vec<Range<usize>> = self.cut_users(users, ROWS_PER_TASK).collect();
        let parts: Vec<Listens> = tasks.into_par_iter().map(|users| self.listens(users)).collect();
        let mut whole = Listens::default();
        for mut part in parts {
            whole.users.append(&mut part.users);
            whole.tracks.append(&mut part.tracks);
            whole.positions.append(&mut part.positions);
            whole.times.append(&mut part.times);
        }
        let times = Int64Chunked::from_vec("started_at".into(), whole.times);
        table(vec![
            Column::new("user_id".into(), whole.users),
            Column::new("track_id".into(), whole.tracks),
            Column::new("track_seq".into(), whole.positions),
            times.into_datetime(TimeUnit::Nanoseconds, None).into_column(),
        ])
    }

    fn listens(&self, users: Range<usize>) -> Listens {
        let mut listener = Listener::new(&self.catalogue, self.seed, self.taste);
        let mut listens = Listens::default();
        for user in users {
            let history = listener.history(user, self.activity[user].into());
            if self.ids_rise_with_date {
                let mut tracks: Vec<u32> = history.iter().map(|&(_, track)| track).collect();
                tracks.sort_unstable();
                history.iter_mut().zip(tracks).for_each(|(listen, track)| listen.1 = track);
            }
            let id = user_id(user);
            for (position, &(day, track)) in (1i16..).zip(history.iter()) {
                listens.users.push(id);
                listens.tracks.push(track_id(track));
                listens.positions.push(position);
                listens.times.push(midnight(day));
            }
        }
        listens
    }

    /// Ranges of users with at least `rows` interactions each, except the last.
    fn cut_users(&self, users: Range<usize>, rows: usize) -> impl Iterator<Item = Range<usize>> + '_ {
        let mut next = users.start;
        std::iter::from_fn(move || {
            let from = next;
            let mut filled = 0;
            while next < users.end && filled < rows {
                filled += usize::from(self.activity[next]);
                next += 1;
            }
            (from < next).then_some(from..next)
        })
    }
}

/// A row of the tracks.
struct TrackRow {
    id: i64,
    albums: Vec<i64>,
    artists: Vec<i64>,
    genres: Vec<i64>,
}

/// Columns of the interactions.
#[derive(Default)]
struct Listens {
    users: Vec<i32>,
    tracks: Vec<i32>,
    positions: Vec<i16>,
    times: Vec<i64>,
}

fn pieces(n: usize) -> impl Iterator<Item = Range<usize>> + Send {
    (0..n).step_by(PIECE).map(move |from| from..(from + PIECE).min(n))
}

fn named(
    of: &str,
    piece: Range<usize>,
    name: impl Fn(usize) -> Option<(i64, String)> + Send + Sync,
) -> DataFrame {
    let (ids, names): (Vec<i64>, Vec<String>) =
        piece.into_par_iter().with_min_len(NAMES_PER_TASK).filter_map(name).unzip();
    let kinds = StringChunked::full("type".into(), of, ids.len());
    table(vec![Column::new("id".into(), ids), kinds.into_column(), Column::new("name".into(), names)])
}

fn table(columns: Vec<Column>) -> DataFrame {
    DataFrame::new_infer_height(columns).expect("the columns of a piece have one length")
}

fn midnight(day: Day) -> i64 {
    (FIRST_DAY + i64::from(day)) * NANOSECONDS_PER_DAY
}

/// Entity `at` of a table has an id in `stride · at + 1 ..= stride · (at + 1)`: rising, with gaps.
fn id_with_gaps(at: u64, stride: u64) -> u64 {
    stride * at + 1 + mix(at ^ stride) % stride
}

fn user_id(user: usize) -> i32 {
    id_with_gaps(user as u64, 3) as i32
}

fn track_id(track: u32) -> i32 {
    id_with_gaps(track.into(), 97) as i32
}

fn album_id(album: usize) -> i64 {
    id_with_gaps(album as u64, 31) as i64
}

fn artist_id(artist: u32) -> i64 {
    id_with_gaps(artist.into(), 41) as i64
}

fn genre_id(genre: usize) -> i64 {
    2 * genre as i64 + 1
}

/// An id between those of the catalogue.
fn unknown_genre_id(genre: usize) -> i64 {
    2 * (genre as i64 / 4) + 2
}
