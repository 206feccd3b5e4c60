//! What one user listens to in the year.
//!
//! A user has a few scenes and favourite artists. Each interest begins on some day, burns brightest
//! then and fades, so taste drifts; charts and new releases come in between. A listen is drawn as
//! interest × popularity, and never twice of the same track.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use super::catalogue::Catalogue;
use super::stream::{Room, generator};
use super::{DAYS, Day};

/// Growth of the listens inside a history: on the last day `1 + GROWTH` times the first day's. Users who join
/// during the year add to it.
const GROWTH: f64 = 2.4;
/// Share of users who join during the year.
const LATE_USERS: f64 = 0.35;
/// Days after which a new interest has lost most of its strength.
const FADING_DAYS: f64 = 40.0;
/// What remains of an interest in the end, against its strength on the first day.
const LASTING: f64 = 0.12;
/// Days for which a track is new.
const NEW_DAYS: Day = 30;
/// Draws of one sort before a wider one is tried: the listener may know all of it already.
const ATTEMPTS: usize = 4;

/// A listen: the day, and the track by its place in the catalogue.
pub type Listen = (Day, u32);

/// A scene or an artist that a user likes from some day on.
struct Interest {
    group: u32,
    since: Day,
    weight: f64,
}

/// Makes histories one after the other; the buffers are shared by all.
pub struct Listener<'a> {
    catalogue: &'a Catalogue,
    seed: u64,
    taste: f64,
    /// For each track the last user, in the order of asking, who heard it.
    heard: Vec<u32>,
    n_users: u32,
    listens: Vec<Listen>,
}

impl<'a> Listener<'a> {
    /// A listener in this catalogue; `taste` is the share of listens led by taste.
    pub fn new(catalogue: &'a Catalogue, seed: u64, taste: f64) -> Self {
        let heard = vec![0; catalogue.tracks.len()];
        Self { catalogue, seed, taste, heard, n_users: 0, listens: Vec::new() }
    }

    /// The `n` listens of a user by date; the tracks are distinct.
    ///
    /// `n` is at most a quarter of the tracks, which [`super::size::Size`] sees to.
    pub fn history(&mut self, user: usize, n: usize) -> &mut [Listen] {
        let rng = &mut generator(self.seed, Room::Listens, user as u64);
        self.n_users += 1;
        self.listens.clear();
        let joined = if rng.random_bool(LATE_USERS) { rng.random_range(0.0..0.9) } else { 0.0 };
        let scenes = self.scenes(joined, n, rng);
        let artists = self.artists(&scenes, joined, n, rng);
        for (day, count) in sessions(joined, n, rng) {
            let (scenes, artists) = (Mood::on(day, &scenes), Mood::on(day, &artists));
            for _ in 0..count {
                let track = self.choose(day, &scenes, &artists, rng);
                self.heard[track as usize] = self.n_users;
                self.listens.push((day, track));
            }
        }
        &mut self.listens
    }

    /// The more somebody listens, the more scenes, popular and odd ones; the first is there from the start.
    fn scenes(&self, joined: f64, n: usize, rng: &mut Pcg64Mcg) -> Vec<Interest> {
        let count = (2 + n / 120).min(48) + rng.random_range(0..2);
        (0..count)
            .map(|rank| {
                let track = if rng.random_bool(0.5) {
                    self.catalogue.charts.draw(0, rng)
                } else {
                    rng.random_range(0..self.catalogue.tracks.len() as u32)
                };
                Interest {
                    group: self.catalogue.tracks[track as usize].scene.into(),
                    since: if rank == 0 { 0 } else { day_after(joined, rng) },
                    weight: 0.6f64.powi(rank as i32).max(0.1),
                }
            })
            .collect()
    }

    /// Favourite artists, most of them from the user's scenes.
    fn artists(&self, scenes: &[Interest], joined: f64, n: usize, rng: &mut Pcg64Mcg) -> Vec<Interest> {
        let count = (3 + n / 8).min(300);
        (0..count)
            .map(|rank| {
                let scene = &scenes[rng.random_range(0..scenes.len())];
                let track = if rng.random_bool(0.8) {
                    self.catalogue.by_scene.draw(scene.group, rng)
                } else {
                    self.catalogue.charts.draw(0, rng)
                };
                Interest {
                    group: self.catalogue.tracks[track as usize].artist,
                    since: if rank < 2 { 0 } else { day_after(joined, rng) },
                    weight: (rank as f64 + 1.0).powf(-0.7),
                }
            })
            .collect()
    }

    /// A track that is out and not yet heard: by taste, else from the charts, else whatever is left.
    fn choose(&self, day: Day, scenes: &Mood, artists: &Mood, rng: &mut Pcg64Mcg) -> u32 {
        let catalogue = self.catalogue;
        let released = catalogue.released_until(day);
        let fits = |track: &u32| *track < released && self.heard[*track as usize] != self.n_users;
        let sort = rng.random::<f64>();
        let by_taste = sort < self.taste;
        for _ in 0..ATTEMPTS {
            let track = match sort / self.taste {
                ..0.45 => catalogue.by_artist.draw(artists.draw(rng), rng),
                ..0.90 => catalogue.by_scene.draw(scenes.draw(rng), rng),
                _ if by_taste => match self.new_in_scene(day, scenes.draw(rng), rng) {
                    Some(track) => track,
                    None => continue,
                },
                _ => catalogue.charts.draw(0, rng),
            };
            if fits(&track) {
                return track;
            }
        }
        for _ in 0..ATTEMPTS {
            let track = if by_taste {
                catalogue.by_scene.draw(scenes.draw(rng), rng)
            } else {
                catalogue.charts.draw(0, rng)
            };
            if fits(&track) {
                return track;
            }
        }
        let start = rng.random_range(0..released.max(1));
        (start..released)
            .chain(0..start)
            .find(fits)
            .or_else(|| {
                (0..self.heard.len() as u32).find(|&track| self.heard[track as usize] != self.n_users)
            })
            .expect("a history holds at most a quarter of the tracks")
    }

    /// A track of the last weeks in a scene, the more popular of two.
    fn new_in_scene(&self, day: Day, scene: u32, rng: &mut Pcg64Mcg) -> Option<u32> {
        let members = self.catalogue.by_scene.members(scene);
        let old = self.catalogue.released_until(day.saturating_sub(NEW_DAYS));
        let out = self.catalogue.released_until(day);
        let new = &members[members.partition_point(|&track| track < old)..];
        let new = &new[..new.partition_point(|&track| track < out)];
        if new.is_empty() {
            return None;
        }
        let (one, two) = (new[rng.random_range(0..new.len())], new[rng.random_range(0..new.len())]);
        let weights = &self.catalogue.weights;
        Some(if weights[one as usize] >= weights[two as usize] { one } else { two })
    }
}

/// How strong each interest is on one day, ready to draw from.
struct Mood<'a> {
    interests: &'a [Interest],
    /// Running sums of the strengths.
    sums: Vec<f64>,
}

impl<'a> Mood<'a> {
    /// `weight · (LASTING + exp(−age / FADING_DAYS))` for interests that have begun.
    fn on(day: Day, interests: &'a [Interest]) -> Self {
        let mut sum = 0.0;
        let sums = interests
            .iter()
            .map(|interest| {
                if let Some(age) = day.checked_sub(interest.since) {
                    sum += interest.weight * (LASTING + (-f64::from(age) / FADING_DAYS).exp());
                }
                sum
            })
            .collect();
        Self { interests, sums }
    }

    /// The group of an interest; the first one has always begun.
    fn draw(&self, rng: &mut Pcg64Mcg) -> u32 {
        let point = rng.random::<f64>() * self.sums[self.sums.len() - 1];
        let at = self.sums.partition_point(|&sum| sum <= point).min(self.sums.len() - 1);
        self.interests[at].group
    }
}

/// Days with a number of listens each, in order, `n` listens in all.
fn sessions(joined: f64, n: usize, rng: &mut Pcg64Mcg) -> Vec<(Day, usize)> {
    let length = rng.random_range(3..13);
    let n_sessions = (n / length + 1).min(DAYS.into());
    let mut sessions: Vec<(Day, usize)> = (0..n_sessions).map(|_| (day_after(joined, rng), 0)).collect();
    sessions.sort_unstable();
    for _ in 0..n {
        sessions[rng.random_range(0..n_sessions)].1 += 1;
    }
    sessions
}

/// A day at or after the point `joined` of the year (0..1), later ones likelier by [`GROWTH`].
///
/// The density is `1 + GROWTH · x`; its integral `x + GROWTH · x² / 2` is inverted.
fn day_after(joined: f64, rng: &mut Pcg64Mcg) -> Day {
    let integral = |x: f64| x + 0.5 * GROWTH * x * x;
    let point = rng.random_range(integral(joined)..integral(1.0));
    let x = ((1.0 + 2.0 * GROWTH * point).sqrt() - 1.0) / GROWTH;
    ((x * f64::from(DAYS)) as Day).min(DAYS - 1)
}
