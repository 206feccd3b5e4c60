//! The rows of the interactions, made user by user.

use std::ops::Range;

use polars::prelude::*;
use rayon::prelude::*;

use super::ids::{track_id, user_id};
use super::listening::Listener;
use super::pieces::{PIECE, Sink, pipe, table};
use super::{Day, World};

/// Rows that one task generates, about.
const ROWS_PER_TASK: usize = 1 << 13;
/// 2022-01-01 in days since 1970.
const FIRST_DAY: i64 = 18_993;
const NANOSECONDS_PER_DAY: i64 = 86_400_000_000_000;

impl World {
    /// Hands the rows of `interactions.parquet` on, sorted by user and date.
    ///
    /// # Errors
    /// What `sink` returns.
    pub fn interactions<E: Send>(&self, sink: Sink<'_, E>) -> Result<(), E> {
        let users = 0..self.activity.len();
        pipe(self.cut_users(users, PIECE), sink, |users| self.interactions_piece(users))
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

/// Columns of the interactions.
#[derive(Default)]
struct Listens {
    users: Vec<i32>,
    tracks: Vec<i32>,
    positions: Vec<i16>,
    times: Vec<i64>,
}

fn midnight(day: Day) -> i64 {
    (FIRST_DAY + i64::from(day)) * NANOSECONDS_PER_DAY
}
