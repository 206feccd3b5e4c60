//! Events: one row per user and track, and the rules about how many a user and a track need.

use rayon::prelude::*;

use super::listens::Listen;
use super::time_order::TimeOrder;

/// All listens of one user to one track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// The user.
    pub user_id: i64,
    /// The canonical track, by its place in the order of ids.
    pub track: u32,
    /// How many listens.
    pub count: u32,
    /// The first one, in microseconds since 1970.
    pub first: i64,
    /// The last one.
    pub last: i64,
}

/// Joins the listens of whole users into events, sorted by user and track.
pub fn fold(mut listens: Vec<Listen>, canonical_of: &[u32], order: &mut TimeOrder) -> Vec<Event> {
    listens.par_sort_unstable();
    order.observe(&listens);
    for listen in &mut listens {
        listen.track = canonical_of[listen.track as usize];
    }
    listens.par_sort_unstable();
    let same = |a: &Listen, b: &Listen| (a.user_id, a.track) == (b.user_id, b.track);
    listens
        .chunk_by(same)
        .map(|group| Event {
            user_id: group[0].user_id,
            track: group[0].track,
            count: u32::try_from(group.len()).unwrap_or(u32::MAX),
            first: group[0].time,
            last: group[group.len() - 1].time,
        })
        .collect()
}

/// The rules `min_user_events` and `min_item_users`, applied again and again until both hold.
///
/// A pass counts the events of all buckets; [`settle`](Self::settle) then drops the tracks that have too
/// few users, which may leave a user too few events, and so on.
#[derive(Debug, Clone)]
pub struct Counts {
    min_user_events: u32,
    min_item_users: u32,
    /// Whether each track is still there.
    alive: Vec<bool>,
    users: Vec<u32>,
    listens: Vec<u64>,
    /// Users that have any event.
    pub n_users_seen: u64,
    /// Users that have enough events.
    pub n_users: u64,
    /// Events of those users with tracks that are still there.
    pub n_events: u64,
    /// Listens in those events.
    pub n_listens: u64,
    /// Events with a track that is no more there.
    pub n_track_dropped: u64,
    /// Events of users with too few, with a track that is still there.
    pub n_user_dropped: u64,
}

impl Counts {
    /// Before the first pass; `alive` says which tracks there are.
    pub fn new(alive: Vec<bool>, min_user_events: u32, min_item_users: u32) -> Self {
        let n_tracks = alive.len();
        Self {
            min_user_events,
            min_item_users,
            alive,
            users: vec![0; n_tracks],
            listens: vec![0; n_tracks],
            n_users_seen: 0,
            n_users: 0,
            n_events: 0,
            n_listens: 0,
            n_track_dropped: 0,
            n_user_dropped: 0,
        }
    }

    /// Counts a bucket.
    pub fn add(&mut self, events: &[Event]) {
        for history in events.chunk_by(|a, b| a.user_id == b.user_id) {
            self.n_users_seen += 1;
            let n_alive = history.iter().filter(|event| self.is_alive(event.track)).count();
            self.n_track_dropped += (history.len() - n_alive) as u64;
            if !self.is_enough(n_alive) {
                self.n_user_dropped += n_alive as u64;
                continue;
            }
            self.n_users += 1;
            self.n_events += n_alive as u64;
            for event in history {
                if self.alive[event.track as usize] {
                    self.users[event.track as usize] += 1;
                    self.listens[event.track as usize] += u64::from(event.count);
                    self.n_listens += u64::from(event.count);
                }
            }
        }
    }

    /// After a pass: `None` when both rules hold, else the counts for the next pass.
    pub fn settle(&mut self) -> Option<Self> {
        let mut changed = false;
        for (alive, &users) in self.alive.iter_mut().zip(&self.users) {
            if *alive && users < self.min_item_users {
                *alive = false;
                changed |= users > 0;
            }
        }
        changed.then(|| Self::new(self.alive.clone(), self.min_user_events, self.min_item_users))
    }

    /// Events before both rules.
    pub fn n_events_in(&self) -> u64 {
        self.n_events + self.n_track_dropped + self.n_user_dropped
    }

    /// The tracks that are left, most popular first: by users, then by listens, then by smaller id.
    pub fn by_popularity(&self) -> Vec<u32> {
        let mut tracks: Vec<u32> =
            (0..self.alive.len() as u32).filter(|&track| self.is_alive(track)).collect();
        tracks.par_sort_unstable_by_key(|&track| {
            let at = track as usize;
            (std::cmp::Reverse(self.users[at]), std::cmp::Reverse(self.listens[at]), track)
        });
        tracks
    }

    fn is_alive(&self, track: u32) -> bool {
        self.alive[track as usize]
    }

    /// Whether a user with so many events stays.
    pub fn is_enough(&self, n_events: usize) -> bool {
        n_events > 0 && n_events >= self.min_user_events as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(user_id: i64, track: u32) -> Event {
        Event { user_id, track, count: 1, first: 0, last: 0 }
    }

    #[test]
    fn listens_to_duplicates_of_a_track_are_one_event() {
        let listens = [(1, 2, 30), (1, 0, 20), (2, 1, 5), (1, 0, 10)].map(|(user_id, track, time)| Listen {
            user_id,
            track,
            time,
        });
        let events = fold(listens.to_vec(), &[0, 1, 0], &mut TimeOrder::default());
        assert_eq!(
            events,
            [
                Event { user_id: 1, track: 0, count: 3, first: 10, last: 30 },
                Event { user_id: 2, track: 1, count: 1, first: 5, last: 5 },
            ]
        );
    }

    #[test]
    fn both_minimums_hold_in_the_end() {
        // Track 2 has one user; without it user 3 has one event, and then track 1 has one user.
        let events =
            [event(1, 0), event(1, 3), event(2, 0), event(2, 1), event(2, 3), event(3, 1), event(3, 2)];
        let mut counts = Counts::new(vec![true; 4], 2, 2);
        loop {
            counts.add(&events);
            match counts.settle() {
                Some(next) => counts = next,
                None => break,
            }
        }
        assert_eq!((counts.n_users, counts.n_events), (2, 4));
        assert_eq!((counts.n_track_dropped, counts.n_user_dropped), (3, 0));
        assert_eq!(counts.by_popularity(), [0, 3]);
    }

    #[test]
    fn popularity_is_users_then_listens_then_the_smaller_id() {
        let mut events = vec![event(1, 0), event(1, 1), event(1, 3), event(2, 3), event(2, 2)];
        events[4].count = 5;
        let mut counts = Counts::new(vec![true; 5], 1, 1);
        counts.add(&events);
        assert!(counts.settle().is_none());
        assert_eq!(counts.by_popularity(), [3, 2, 0, 1]);
        let mut all = Counts::new(vec![true; 5], 1, 0);
        all.add(&events);
        assert!(all.settle().is_none());
        assert_eq!(all.by_popularity(), [3, 2, 0, 1, 4]);
    }
}
