//! The raw tracks joined into canonical ones, and which of them are kept.

use polars::prelude::PlHashMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::entities::{Entities, EntitySummary, album_owners, first_artist};
use super::raw::{Catalog, RawTracks};
use super::report::Rules;
use super::track::Track;
use super::track_groups;

/// Which tracks are dropped for what they lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrackRules {
    /// Drop tracks without an artist.
    pub drop_without_artist: bool,
    /// Drop tracks without a genre.
    pub drop_without_genre: bool,
    /// Drop tracks without a name.
    pub drop_without_name: bool,
}

/// Every track, raw and canonical.
#[derive(Debug, Default)]
pub struct Tracks {
    /// For each raw track, in the order of its id: its canonical track.
    pub canonical_of: Vec<u32>,
    /// Canonical tracks, rising by id.
    pub canonical: Vec<Track>,
    /// Whether each canonical track passes the rules.
    pub kept: Vec<bool>,
    /// What was dropped and why.
    pub rules: Rules,
    /// Ids and entities by type of the catalogue.
    pub entities: EntityCounts,
    /// Versions of songs.
    pub groups: track_groups::GroupSummary,
}

/// Ids and entities by type of the catalogue.
#[derive(Debug, Default, Clone, Copy, Serialize)]
pub struct EntityCounts {
    /// Artists of the catalogue.
    pub artist: EntitySummary,
    /// Genres of the catalogue.
    pub genre: EntitySummary,
    /// Albums of the catalogue; one entity only under the same first artist.
    pub album: EntitySummary,
    /// Tracks of the tracks file; one entity only under the same first artist.
    pub track: EntitySummary,
}

impl Tracks {
    /// Resolves entities, joins duplicates, groups versions and applies the rules.
    ///
    /// A canonical track has the albums, artists and genres of all its raw tracks, its own first.
    pub fn resolve(raw: &RawTracks, catalog: &Catalog, rules: TrackRules) -> Self {
        let artists = Entities::by_name(&catalog.artists);
        let genres = Entities::by_name(&catalog.genres);
        let owners = album_owners(raw, &artists);
        let albums = Entities::by_name_and_owner(catalog.albums.ids(), &catalog.albums, |album| {
            owners.get(&album).copied()
        });
        let row_of: PlHashMap<i64, usize> = raw.ids.iter().enumerate().map(|(row, &id)| (id, row)).collect();
        let duplicates = Entities::by_name_and_owner(&raw.ids, &catalog.tracks, |track| {
            first_artist(&raw.artists, row_of[&track], &artists)
        });

        let mut canonical: Vec<Track> = Vec::with_capacity(duplicates.summary.entities);
        let mut canonical_of = Vec::with_capacity(raw.ids.len());
        let mut position: PlHashMap<i64, u32> = PlHashMap::default();
        // Ids rise and the canonical one is the smallest, so that it comes before its duplicates.
        for (row, &raw_id) in raw.ids.iter().enumerate() {
            let id = duplicates.canonical(raw_id);
            let track = *position.entry(id).or_insert_with(|| {
                let name = catalog.tracks.get(id).unwrap_or_default().to_owned();
                canonical.push(Track { id, group_id: id, name, ..Track::default() });
                canonical.len() as u32 - 1
            });
            canonical_of.push(track);
            let track = &mut canonical[track as usize];
            join(&mut track.artists, artists.canonical_list(raw.artists.row(row)));
            join(&mut track.albums, albums.canonical_list(raw.albums.row(row)));
            join(&mut track.genres, genres.canonical_list(raw.genres.row(row)));
        }
        let groups = track_groups::assign(&mut canonical, &catalog.artists);

        let mut report = Rules::new(raw.n_rows as u64);
        report.drop("repeated_id", (raw.n_rows - raw.ids.len()) as u64);
        report.drop("duplicate_of_a_track", (raw.ids.len() - canonical.len()) as u64);
        let mut kept = vec![true; canonical.len()];
        let mut apply = |rule, is_on: bool, lacks: fn(&Track) -> bool| {
            let mut dropped = 0;
            for (track, kept) in canonical.iter().zip(&mut kept) {
                if is_on && *kept && lacks(track) {
                    *kept = false;
                    dropped += 1;
                }
            }
            report.drop(rule, dropped);
        };
        apply("drop_without_artist", rules.drop_without_artist, |track| track.artists.is_empty());
        apply("drop_without_genre", rules.drop_without_genre, |track| track.genres.is_empty());
        apply("drop_without_name", rules.drop_without_name, |track| track.name.is_empty());
        let entities = EntityCounts {
            artist: artists.summary,
            genre: genres.summary,
            album: albums.summary,
            track: duplicates.summary,
        };
        Self { canonical_of, canonical, kept, rules: report, entities, groups }
    }
}

fn join(list: &mut Vec<i64>, more: Vec<i64>) {
    for id in more {
        if !list.contains(&id) {
            list.push(id);
        }
    }
}
