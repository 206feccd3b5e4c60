//! The newest events of users, in memory.
//!
//! At the start the newest events of all are read, so that it takes as long with a billion in the file as with a
//! few millions. A user of whom there may be older ones is whole after these were read, once.

use std::collections::{HashMap, VecDeque};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::serve::events::Event;

/// So many users without any event are remembered; of further ones the file is asked each time.
const MAX_EMPTY: usize = 1_000_000;

/// Events by user.
#[derive(Debug)]
pub struct Histories {
    /// At most this many of each.
    keep: usize,
    /// Older events than this one were not read at the start.
    first: i64,
    users: RwLock<Users>,
}

#[derive(Debug, Default)]
struct Users {
    by_id: HashMap<i64, History>,
    n_empty: usize,
}

#[derive(Debug, Default)]
struct History {
    /// Oldest first.
    events: VecDeque<Event>,
    /// Whether nothing older is missing.
    is_whole: bool,
}

impl Histories {
    /// No events yet, of which those before `first` are not going to be added.
    pub fn new(keep: usize, first: i64) -> Self {
        Self { keep, first, users: RwLock::default() }
    }

    /// Where the events begin that were read at the start.
    pub fn first(&self) -> i64 {
        self.first
    }

    /// The most events of a user.
    pub fn keep(&self) -> usize {
        self.keep
    }

    /// Adds newer events.
    pub fn add(&self, events: impl IntoIterator<Item = (i64, Event)>) {
        let mut users = self.write();
        for (user_id, event) in events {
            let History { events, .. } = users.by_id.entry(user_id).or_default();
            if events.len() == self.keep {
                events.pop_front();
            }
            events.push_back(event);
        }
    }

    /// The last `n` events of a user, newest first, if as many as there are lie in memory.
    pub fn at_hand(&self, user_id: i64, n: usize) -> Option<Vec<Event>> {
        let users = self.read();
        let history = users.by_id.get(&user_id);
        let is_whole = |history: &History| history.is_whole || history.events.len() >= n.min(self.keep);
        if self.first > 0 && !history.is_some_and(is_whole) {
            return None;
        }
        Some(history.map_or_else(Vec::new, |history| history.events.iter().rev().take(n).copied().collect()))
    }

    /// How many events of a user lie in memory.
    pub fn len_of(&self, user_id: i64) -> usize {
        self.read().by_id.get(&user_id).map_or(0, |history| history.events.len())
    }

    /// Adds what is older (newest first), and gives the last `n` of all.
    pub fn complete(&self, user_id: i64, older: &[Event], n: usize) -> Vec<Event> {
        let mut users = self.write();
        let is_empty = older.is_empty() && !users.by_id.contains_key(&user_id);
        if is_empty && users.n_empty >= MAX_EMPTY {
            return Vec::new();
        }
        users.n_empty += usize::from(is_empty);
        let history = users.by_id.entry(user_id).or_default();
        if !history.is_whole {
            let room = self.keep.saturating_sub(history.events.len());
            older.iter().take(room).for_each(|&event| history.events.push_front(event));
            history.is_whole = true;
        }
        history.events.iter().rev().take(n).copied().collect()
    }

    fn read(&self) -> RwLockReadGuard<'_, Users> {
        self.users.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Users> {
        self.users.write().unwrap_or_else(PoisonError::into_inner)
    }
}
