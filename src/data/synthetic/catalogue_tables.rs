//! The rows of the tracks and of their names.

use std::ops::Range;

use polars::prelude::*;
use rand::RngExt;
use rayon::prelude::*;

use super::World;
use super::catalogue::Track;
use super::ids::{album_id, artist_id, genre_id, track_id, unknown_genre_id};
use super::names::{self, Version};
use super::pieces::{Sink, pieces, pipe, table};
use super::stream::{Room, generator, mix};
use super::words::GENRES;

/// Entities whose names one task makes.
const NAMES_PER_TASK: usize = 1 << 12;

impl World {
    /// Hands the rows of `tracks.parquet` on, sorted by id.
    ///
    /// # Errors
    /// What `sink` returns.
    pub fn tracks<E: Send>(&self, sink: Sink<'_, E>) -> Result<(), E> {
        pipe(pieces(self.catalogue.tracks.len()), sink, |piece| self.tracks_piece(piece))
    }

    /// Hands the rows of `catalog_names.parquet` on: albums, artists, genres, tracks.
    ///
    /// # Errors
    /// What `sink` returns.
    pub fn catalog<E: Send>(&self, sink: Sink<'_, E>) -> Result<(), E> {
        let catalogue = &self.catalogue;
        let n_albums = catalogue.albums.len() + catalogue.n_compilations;
        pipe(pieces(n_albums), sink, |piece| {
            named("album", piece, |at| Some((album_id(at), self.album_name(at))))
        })?;
        pipe(pieces(catalogue.artists.len()), sink, |piece| {
            named("artist", piece, |at| Some((artist_id(at as u32), self.artist_name(at as u32))))
        })?;
        pipe(pieces(catalogue.n_genres), sink, |piece| {
            named("genre", piece, |at| Some((genre_id(at), GENRES[at].to_owned())))
        })?;
        pipe(pieces(catalogue.tracks.len()), sink, |piece| {
            named("track", piece, |at| {
                catalogue.tracks[at].listed.then(|| (track_id(at as u32).into(), self.track_name(at)))
            })
        })
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
}

/// A row of the tracks.
struct TrackRow {
    id: i64,
    albums: Vec<i64>,
    artists: Vec<i64>,
    genres: Vec<i64>,
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
