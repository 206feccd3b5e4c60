//! Artists, albums, songs and their versions, and how popular each track is.
//!
//! The catalogue is the only thing that lies in memory: some 60 bytes a track. Tracks are sorted by
//! release, so that "released by this day" is a prefix and "released last month" a range.

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use rand_pcg::Pcg64Mcg;

use super::alias::GroupedAlias;
use super::names::Version;
use super::size::Size;
use super::stream::{Room, generator, mix, skewed};
use super::words::{GENRES, Script};
use super::{DAYS, Day};

/// Exponent of the Zipf–Mandelbrot law of popularity.
const ZIPF_EXPONENT: f64 = 1.0;
/// Versions that a song can have beside its first track: how often, by how much they appeal less.
const VERSIONS: [(Version, f64, f64); 7] = [
    (Version::Twin, 0.03, 0.8),
    (Version::Remix, 0.09, 1.0),
    (Version::Live, 0.07, 1.5),
    (Version::Acoustic, 0.04, 1.3),
    (Version::Remastered, 0.05, 0.6),
    (Version::Cover, 0.03, 1.2),
    (Version::Karaoke, 0.015, 2.5),
];

/// A track; its id follows from its place in [`Catalogue::tracks`].
#[derive(Debug, Clone, Copy)]
pub struct Track {
    /// Whose listeners it has.
    pub artist: u32,
    /// Under which artist it is filed: `artist` or that artist's twin.
    pub credited: u32,
    /// The guest, or the artist who is covered.
    pub other: Option<u32>,
    /// The song, which its versions share.
    pub song: u32,
    /// Where it came out.
    pub album: u32,
    /// The cluster of taste it belongs to.
    pub scene: u16,
    /// The first day on which it can be heard.
    pub released: Day,
    /// How the song's title is written.
    pub script: Script,
    /// Which recording of the song it is.
    pub version: Version,
    /// Whether the catalogue knows it; listens may be of tracks that it does not know.
    pub listed: bool,
}

/// An artist, or the same artist once more under another id.
#[derive(Debug, Clone, Copy)]
pub struct Artist {
    /// How the name is written.
    pub script: Script,
    /// The artist whose second entry this is.
    pub twin_of: Option<u32>,
    scene: u16,
}

/// An album of one artist.
#[derive(Debug, Clone, Copy)]
pub struct Album {
    /// How the name is written.
    pub script: Script,
    /// The song whose name it bears, when it is a single.
    pub single: Option<u32>,
}

/// Everything that can be listened to.
pub struct Catalogue {
    /// By release, otherwise in no order.
    pub tracks: Vec<Track>,
    /// Artists and twins.
    pub artists: Vec<Artist>,
    /// Albums of one artist; compilations follow them in number.
    pub albums: Vec<Album>,
    /// Albums that gather tracks of many artists.
    pub n_compilations: usize,
    /// Genres with a name.
    pub n_genres: usize,
    /// Relative popularity of each track.
    pub weights: Vec<f64>,
    /// All tracks by weight, as the one group 0.
    pub charts: GroupedAlias,
    /// Tracks of each scene by weight.
    pub by_scene: GroupedAlias,
    /// Tracks of each artist by weight.
    pub by_artist: GroupedAlias,
    released_until: Vec<u32>,
}

impl Catalogue {
    /// The catalogue of a data set.
    pub fn new(size: &Size, seed: u64) -> Self {
        let n_scenes = ((0.43 * (size.tracks as f64).powf(0.55)) as usize).clamp(6, usize::from(u16::MAX));
        let mut press = Press::new(size.tracks, n_scenes, seed);
        while press.tracks.len() < size.tracks {
            press.add_artist();
        }
        let Press { mut tracks, artists, albums, .. } = press;
        tracks.truncate(size.tracks);
        let mut order: Vec<u32> = (0..tracks.len() as u32).collect();
        order.sort_by_cached_key(|&at| (tracks[at as usize].0.released, mix(seed ^ u64::from(at))));
        let (tracks, appeal): (Vec<Track>, Vec<f32>) = order.iter().map(|&at| tracks[at as usize]).unzip();
        let weights = zipf_weights(&appeal);
        Self {
            charts: GroupedAlias::new(1, &weights, |_| 0),
            by_scene: GroupedAlias::new(n_scenes, &weights, |at| tracks[at].scene.into()),
            by_artist: GroupedAlias::new(artists.len(), &weights, |at| tracks[at].artist),
            released_until: (0..DAYS)
                .map(|day| tracks.partition_point(|track| track.released <= day) as u32)
                .collect(),
            n_compilations: size.tracks / 20 + 1,
            n_genres: (n_scenes / 2).clamp(5, GENRES.len()),
            weights,
            tracks,
            artists,
            albums,
        }
    }

    /// Tracks `0..n` are released by the end of `day`.
    pub fn released_until(&self, day: Day) -> u32 {
        self.released_until[usize::from(day)]
    }
}

/// Zipf–Mandelbrot by rank of appeal: `1 / (rank + q)^s` with `q = 0.12 √n`, which flattens the very top.
fn zipf_weights(appeal: &[f32]) -> Vec<f64> {
    let shift = 0.12 * (appeal.len() as f64).sqrt();
    let mut order: Vec<u32> = (0..appeal.len() as u32).collect();
    order.sort_by(|&a, &b| appeal[b as usize].total_cmp(&appeal[a as usize]).then(a.cmp(&b)));
    let mut weights = vec![0.0; appeal.len()];
    for (rank, &track) in order.iter().enumerate() {
        weights[track as usize] = (rank as f64 + 1.0 + shift).powf(-ZIPF_EXPONENT);
    }
    weights
}

/// Where and when the songs of an album come out.
#[derive(Clone, Copy)]
struct Debut {
    artist: u32,
    twin: Option<u32>,
    album: u32,
    released: Day,
}

/// Makes artists one after the other.
struct Press {
    rng: Pcg64Mcg,
    scene_scripts: Vec<Script>,
    longest_discography: f64,
    tracks: Vec<(Track, f32)>,
    artists: Vec<Artist>,
    albums: Vec<Album>,
    n_songs: u32,
}

impl Press {
    fn new(n_tracks: usize, n_scenes: usize, seed: u64) -> Self {
        let mut rng = generator(seed, Room::Catalogue, 0);
        Self {
            scene_scripts: (0..n_scenes).map(|_| Script::of_share(rng.random())).collect(),
            longest_discography: (n_tracks as f64 / 40.0).clamp(3.0, 600.0),
            rng,
            tracks: Vec::with_capacity(n_tracks),
            artists: Vec::new(),
            albums: Vec::new(),
            n_songs: 0,
        }
    }

    /// An artist with a Pareto number of songs on singles and albums.
    fn add_artist(&mut self) {
        let scene = skewed(&mut self.rng, self.scene_scripts.len(), 1.3);
        let local = self.rng.random_bool(0.8);
        let script = if local { self.scene_scripts[scene] } else { Script::English };
        let artist = self.artists.len() as u32;
        self.artists.push(Artist { script, scene: scene as u16, twin_of: None });
        let twin = self.rng.random_bool(0.03).then(|| {
            self.artists.push(Artist { script, scene: scene as u16, twin_of: Some(artist) });
            artist + 1
        });
        let appeal = 1.2 * self.normal();
        let songs = (1.8 * self.rng.random::<f64>().powf(-0.65)).min(self.longest_discography) as usize;
        let mut album_room = 0;
        let mut debut = Debut { artist, twin, album: 0, released: 0 };
        for _ in 0..songs {
            if album_room == 0 {
                album_room = if self.rng.random_bool(0.55) { 1 } else { self.rng.random_range(4..15) };
                debut.released = self.release_day();
                debut.album = self.albums.len() as u32;
                let single = (album_room == 1).then_some(self.n_songs);
                self.albums.push(Album { script, single });
            }
            album_room -= 1;
            let appeal = appeal + self.normal();
            self.add_song(debut, appeal);
        }
    }

    /// A song's first track and the other versions it has.
    fn add_song(&mut self, debut: Debut, appeal: f64) {
        let Debut { artist, twin, album, released } = debut;
        let song = self.n_songs;
        self.n_songs += 1;
        let Artist { script, scene, .. } = self.artists[artist as usize];
        let featuring = self.rng.random_bool(0.07);
        let version = if featuring { Version::Featuring } else { Version::Original };
        let credited = twin.filter(|_| self.rng.random_bool(0.3)).unwrap_or(artist);
        let other = featuring.then(|| self.another_artist());
        let listed = true;
        let first = Track { artist, credited, other, song, album, scene, released, script, version, listed };
        self.add_track(first, appeal);
        for (version, probability, penalty) in VERSIONS {
            if !self.rng.random_bool(probability) {
                continue;
            }
            let by_another = matches!(version, Version::Cover | Version::Karaoke);
            let artist = if by_another { self.another_artist() } else { artist };
            let other = match version {
                Version::Cover | Version::Karaoke => Some(first.artist),
                Version::Remix => Some(self.another_artist()),
                _ => None,
            };
            let album = if version == Version::Twin {
                album
            } else {
                self.albums.push(Album { script, single: Some(song) });
                self.albums.len() as u32 - 1
            };
            let later = self.rng.random_bool(0.3);
            let released = if later { released.max(self.release_day()) } else { released };
            let scene = self.artists[artist as usize].scene;
            let credited = if by_another { artist } else { credited };
            let noise = 0.5 * self.normal();
            let track = Track { artist, credited, other, album, scene, released, version, ..first };
            self.add_track(track, appeal - penalty + noise);
        }
    }

    fn add_track(&mut self, track: Track, appeal: f64) {
        let listed = self.rng.random_bool(0.995);
        self.tracks.push((Track { listed, ..track }, appeal as f32));
    }

    /// An artist made before, or the present one; never a twin.
    fn another_artist(&mut self) -> u32 {
        let artist = self.rng.random_range(0..self.artists.len() as u32);
        self.artists[artist as usize].twin_of.unwrap_or(artist)
    }

    /// Before the year for four tracks in five, else any day of it.
    fn release_day(&mut self) -> Day {
        if self.rng.random_bool(0.8) { 0 } else { self.rng.random_range(1..DAYS) }
    }

    fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.rng)
    }
}
