//! The rows of a range of users: their events and the lists that base models made for them.

use std::ops::Range;

use polars::prelude::*;

use super::RankingError;
use super::columns::{day, f32s, i32s, u32s};

/// Where the rows of each user lie in columns that are sorted by user.
#[derive(Debug, Clone, PartialEq)]
struct Starts(Vec<usize>);

impl Starts {
    fn new(users: &Range<usize>, rows: &[u32], table: &'static str) -> Result<Self, RankingError> {
        let inside = |&user: &u32| users.contains(&(user as usize));
        if !(rows.is_sorted() && rows.first().is_none_or(inside) && rows.last().is_none_or(inside)) {
            return Err(RankingError::Unsorted { table });
        }
        let mut starts = vec![0; users.len() + 1];
        rows.iter().for_each(|&user| starts[user as usize - users.start + 1] += 1);
        for user in 0..users.len() {
            starts[user + 1] += starts[user];
        }
        Ok(Self(starts))
    }

    fn of(&self, user: usize) -> Range<usize> {
        self.0[user]..self.0[user + 1]
    }
}

/// One (user, item) pair of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// `item_idx`.
    pub item: u32,
    /// How often.
    pub listens: u32,
    /// Day of the first listen, since 1970.
    pub first_day: i32,
    /// Day of the last listen, since 1970.
    pub last_day: i32,
}

/// Events of a range of users; users are numbered from 0 within the range.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    parts: Vec<(Starts, Vec<Event>)>,
}

impl History {
    /// What to read from an events table.
    pub fn columns() -> [Expr; 5] {
        let number = |name: &str| col(name).cast(DataType::UInt32);
        [
            number("user_idx"),
            number("item_idx"),
            number("listen_count"),
            day("first_listen").alias("first_day"),
            day("last_listen").alias("last_day"),
        ]
    }

    /// From tables with these [`columns`](Self::columns), each sorted by user, one per period.
    ///
    /// # Errors
    /// When a table is not sorted, holds users outside the range, or items outside the catalogue.
    pub fn from_tables(
        users: &Range<usize>,
        tables: &[DataFrame],
        n_items: usize,
    ) -> Result<Self, RankingError> {
        let part = |table: &DataFrame| {
            let starts = Starts::new(users, &u32s(table, "user_idx")?, "events")?;
            let items = u32s(table, "item_idx")?;
            check_items("events", &items, n_items)?;
            let columns = items.into_iter().zip(u32s(table, "listen_count")?);
            let days = i32s(table, "first_day")?.into_iter().zip(i32s(table, "last_day")?);
            let event =
                |((item, listens), (first_day, last_day))| Event { item, listens, first_day, last_day };
            Ok((starts, columns.zip(days).map(event).collect()))
        };
        Ok(Self { parts: tables.iter().map(part).collect::<Result<_, RankingError>>()? })
    }

    /// The events of a user, in no order.
    pub fn of(&self, user: usize) -> impl Iterator<Item = Event> + Clone + '_ {
        self.parts.iter().flat_map(move |(starts, events)| events[starts.of(user)].iter().copied())
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|(_, events)| events.len()).sum()
    }

    /// Whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What one base model proposes to a range of users.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposals {
    starts: Starts,
    rows: Vec<Proposal>,
}

/// One row of a base model's list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proposal {
    /// `item_idx`.
    pub item: u32,
    /// 1 for the best.
    pub rank: u32,
    /// The model's score.
    pub score: f32,
}

impl Proposals {
    /// What to read from a candidates table.
    pub fn columns() -> [Expr; 4] {
        let number = |name: &str| col(name).cast(DataType::UInt32);
        [number("user_idx"), number("item_idx"), number("rank"), col("score").cast(DataType::Float32)]
    }

    /// From a table with these [`columns`](Self::columns), sorted by user.
    ///
    /// # Errors
    /// When the table is not sorted, holds users outside the range, or items outside the catalogue.
    pub fn from_table(users: &Range<usize>, table: &DataFrame, n_items: usize) -> Result<Self, RankingError> {
        let starts = Starts::new(users, &u32s(table, "user_idx")?, "candidates")?;
        let items = u32s(table, "item_idx")?;
        check_items("candidates", &items, n_items)?;
        let rows = items.into_iter().zip(u32s(table, "rank")?).zip(f32s(table, "score")?);
        let rows = rows.map(|((item, rank), score)| Proposal { item, rank, score }).collect();
        Ok(Self { starts, rows })
    }

    /// The list of a user.
    pub fn of(&self, user: usize) -> &[Proposal] {
        &self.rows[self.starts.of(user)]
    }
}

fn check_items(table: &'static str, items: &[u32], n_items: usize) -> Result<(), RankingError> {
    match items.iter().find(|&&item| item as usize >= n_items) {
        Some(&item) => Err(RankingError::UnknownItem { table, item, n_items }),
        None => Ok(()),
    }
}

/// All tables of a range of users.
#[derive(Debug, Clone)]
pub struct Block {
    /// `user_idx` of the users, which are numbered from 0 within the block.
    pub users: Range<usize>,
    /// Their past.
    pub history: History,
    /// One list of proposals per base model.
    pub proposals: Vec<Proposals>,
}
