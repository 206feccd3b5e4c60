//! Which period each event belongs to: train, target or test.
//!
//! The time of an event is its first listen: a track is in the test period only for users who had not
//! heard it before. Events come in the order of users, a batch of whole users at a time.

pub mod boundaries;
pub mod periods;
pub mod report;

use std::path::Path;

use polars::prelude::*;

use super::columns as c;
use super::error::DataError;
use super::hash;

/// The period of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// What base models learn from.
    Train,
    /// Labels of the ranker.
    Target,
    /// Evaluation.
    Test,
}

/// How events are laid into periods.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Plan {
    /// By time: before `target_from`, before `test_from`, and from then on; microseconds since 1970.
    Time {
        /// Where the target period begins; none when there is none.
        target_from: Option<i64>,
        /// Where the test period begins.
        test_from: i64,
    },
    /// The last events of each user with a longer history than `more_than`; all events of the others train.
    LeaveLast {
        /// Last events that are the target, before those that are the test.
        target_n: usize,
        /// Last events that are the test.
        test_n: usize,
        /// Users with so many events or fewer are not split.
        more_than: usize,
        /// Orders events of the same time.
        seed: u64,
    },
    /// A seeded share of all events.
    Random {
        /// The share that is the target.
        target_share: f64,
        /// The share that is the test.
        test_share: f64,
        /// Which events they are.
        seed: u64,
    },
}

/// The columns of a batch of events that a split looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventColumns {
    /// Users from outside.
    pub user_ids: Vec<i64>,
    /// Tracks from outside.
    pub track_ids: Vec<i64>,
    /// Dense users, rising.
    pub users: Vec<u32>,
    /// Dense items, rising within a user.
    pub items: Vec<u32>,
    /// How often.
    pub counts: Vec<u32>,
    /// First listens, in microseconds since 1970.
    pub first: Vec<i64>,
    /// Last listens.
    pub last: Vec<i64>,
}

impl EventColumns {
    /// The columns that a split reads, in the types of the table of events.
    pub fn selection() -> [Expr; 7] {
        let time = |name| col(name).cast(DataType::Datetime(TimeUnit::Microseconds, None));
        [
            col(c::USER_ID).strict_cast(DataType::Int64),
            col(c::TRACK_ID).strict_cast(DataType::Int64),
            col(c::USER_IDX).strict_cast(DataType::UInt32),
            col(c::ITEM_IDX).strict_cast(DataType::UInt32),
            col(c::LISTEN_COUNT).strict_cast(DataType::UInt32),
            time(c::FIRST_LISTEN),
            time(c::LAST_LISTEN),
        ]
    }

    /// Takes a batch of [`selection`](Self::selection).
    ///
    /// # Errors
    /// The name of a column that holds nulls, and how many, or what Polars says.
    pub fn from_frame(batch: &DataFrame) -> PolarsResult<Self> {
        let integers = |name: &str| -> PolarsResult<Vec<i64>> {
            let column = batch.column(name)?;
            polars_ensure!(
                column.null_count() == 0,
                ComputeError: "column `{name}`: expected a value in every row, found {} nulls", column.null_count()
            );
            Ok(column.cast(&DataType::Int64)?.i64()?.iter().flatten().collect())
        };
        let small = |name: &str| -> PolarsResult<Vec<u32>> {
            Ok(integers(name)?.into_iter().map(|value| value as u32).collect())
        };
        Ok(Self {
            user_ids: integers(c::USER_ID)?,
            track_ids: integers(c::TRACK_ID)?,
            users: small(c::USER_IDX)?,
            items: small(c::ITEM_IDX)?,
            counts: small(c::LISTEN_COUNT)?,
            first: integers(c::FIRST_LISTEN)?,
            last: integers(c::LAST_LISTEN)?,
        })
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }
}

impl Plan {
    /// Where a later period begins, for a split by time; microseconds since 1970.
    pub fn end_of(&self, period: Period) -> Option<i64> {
        match (*self, period) {
            (Self::Time { target_from: Some(target_from), .. }, Period::Train) => Some(target_from),
            (Self::Time { test_from, .. }, Period::Train | Period::Target) => Some(test_from),
            _ => None,
        }
    }

    /// The period of each event of whole users.
    pub fn assign(&self, events: &EventColumns) -> Vec<Period> {
        match *self {
            Self::Time { target_from, test_from } => {
                let period = |&time: &i64| match time {
                    time if time >= test_from => Period::Test,
                    time if target_from.is_some_and(|from| time >= from) => Period::Target,
                    _ => Period::Train,
                };
                events.first.iter().map(period).collect()
            }
            Self::Random { target_share, test_share, seed } => {
                let period = |row: usize| {
                    let draw = hash::uniform(seed, events.user_ids[row], events.track_ids[row]);
                    match draw {
                        draw if draw < test_share => Period::Test,
                        draw if draw < test_share + target_share => Period::Target,
                        _ => Period::Train,
                    }
                };
                (0..events.len()).map(period).collect()
            }
            Self::LeaveLast { target_n, test_n, more_than, seed } => {
                let mut periods = vec![Period::Train; events.len()];
                let mut rows: Vec<usize> = (0..events.len()).collect();
                for history in rows.chunk_by_mut(|&a, &b| events.users[a] == events.users[b]) {
                    if history.len() <= more_than {
                        continue;
                    }
                    history.sort_unstable_by_key(|&row| {
                        let tie = hash::mix(seed, events.user_ids[row], events.track_ids[row]);
                        (std::cmp::Reverse(events.first[row]), tie, row)
                    });
                    for (place, &row) in history.iter().take(test_n + target_n).enumerate() {
                        periods[row] = if place < test_n { Period::Test } else { Period::Target };
                    }
                }
                periods
            }
        }
    }
}

/// The rows of the wanted periods, as they are known before `end`: a later last listen is cut to the
/// microsecond before it.
///
/// # Errors
/// When the columns are not those of a table of events.
pub fn take(
    rows: &DataFrame,
    periods: &[Period],
    wanted: &[Period],
    end: Option<i64>,
) -> PolarsResult<DataFrame> {
    let mask: BooleanChunked = periods.iter().map(|period| Some(wanted.contains(period))).collect();
    let mut taken = rows.filter(&mask)?;
    if let Some(end) = end {
        let last = taken.column(c::LAST_LISTEN)?.cast(&DataType::Int64)?;
        let cut =
            last.i64()?.apply_values(|time| time.min(end - 1)).into_datetime(TimeUnit::Microseconds, None);
        taken.with_column(cut.into_column().with_name(c::LAST_LISTEN.into()))?;
    }
    Ok(taken)
}

/// The last pair that was seen, to know that rows are sorted.
#[derive(Debug, Default)]
pub struct RowOrder(Option<(u32, u32)>);

impl RowOrder {
    /// Looks at the next batch.
    ///
    /// # Errors
    /// When a pair does not come after the one before it.
    pub fn check(&mut self, path: &Path, events: &EventColumns) -> Result<(), DataError> {
        for pair in events.users.iter().copied().zip(events.items.iter().copied()) {
            if let Some(before) = self.0.filter(|&before| before >= pair) {
                return Err(DataError::Value {
                    path: path.to_owned(),
                    column: c::ITEM_IDX.to_owned(),
                    expected: "rows sorted by `user_idx` and `item_idx`, each pair once",
                    found: format!(
                        "user {}, item {} after user {}, item {}",
                        pair.0, pair.1, before.0, before.1
                    ),
                    help: "use the events of `preprocess`, or sort the rows",
                });
            }
            self.0 = Some(pair);
        }
        Ok(())
    }
}

/// Cuts batches at the borders of users: what belongs to a user who may go on is kept for the next batch.
#[derive(Debug, Default)]
pub struct WholeUsers {
    rest: Option<DataFrame>,
}

impl WholeUsers {
    /// Takes the next batch and returns the rows of users that are complete.
    ///
    /// # Errors
    /// When the batch has no column `user_idx` of type u32.
    pub fn push(&mut self, batch: DataFrame) -> PolarsResult<DataFrame> {
        let mut rows = match self.rest.take() {
            Some(rest) => rest.vstack(&batch)?,
            None => batch,
        };
        rows.rechunk_mut();
        let users = rows.column(c::USER_IDX)?.u32()?;
        let last = users.last();
        let n_complete = users.iter().rev().position(|user| user != last).map_or(0, |n| users.len() - n);
        self.rest = Some(rows.slice(n_complete as i64, rows.height() - n_complete));
        Ok(rows.slice(0, n_complete))
    }

    /// The rows of the last user.
    pub fn finish(self) -> Option<DataFrame> {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(rows: &[(u32, u32, i64)]) -> EventColumns {
        EventColumns {
            user_ids: rows.iter().map(|row| i64::from(row.0) + 100).collect(),
            track_ids: rows.iter().map(|row| i64::from(row.1) + 1000).collect(),
            users: rows.iter().map(|row| row.0).collect(),
            items: rows.iter().map(|row| row.1).collect(),
            counts: vec![1; rows.len()],
            first: rows.iter().map(|row| row.2).collect(),
            last: rows.iter().map(|row| row.2).collect(),
        }
    }

    #[test]
    fn periods_begin_at_their_dates() {
        use Period::{Target, Test, Train};
        let events = events(&[(0, 0, 9), (0, 1, 10), (1, 0, 19), (1, 1, 20)]);
        let plan = Plan::Time { target_from: Some(10), test_from: 20 };
        assert_eq!(plan.assign(&events), [Train, Target, Target, Test]);
        let plan = Plan::Time { target_from: None, test_from: 20 };
        assert_eq!(plan.assign(&events), [Train, Train, Train, Test]);
    }

    #[test]
    fn the_last_events_of_long_histories_are_left_out() {
        use Period::{Target, Test, Train};
        let events = events(&[
            (0, 0, 5),
            (0, 1, 1),
            (0, 2, 4),
            (0, 3, 2),
            (0, 4, 3),
            (1, 0, 1),
            (1, 1, 2),
            (1, 2, 3),
            (1, 3, 4),
        ]);
        let plan = Plan::LeaveLast { target_n: 2, test_n: 1, more_than: 4, seed: 1 };
        assert_eq!(plan.assign(&events), [Test, Train, Target, Train, Target, Train, Train, Train, Train]);
    }

    #[test]
    fn ties_in_time_do_not_fall_to_the_larger_id() {
        let rows: Vec<(u32, u32, i64)> =
            (0..200).flat_map(|user| (0..6).map(move |item| (user, item, 0))).collect();
        let events = events(&rows);
        let chosen = |seed| {
            let plan = Plan::LeaveLast { target_n: 0, test_n: 1, more_than: 2, seed };
            let mut by_item = [0; 6];
            for (row, period) in plan.assign(&events).into_iter().enumerate() {
                by_item[events.items[row] as usize] += usize::from(period == Period::Test);
            }
            by_item
        };
        assert!(chosen(1).iter().all(|&n| (15..55).contains(&n)), "{:?}", chosen(1));
        assert_eq!(chosen(1), chosen(1));
        assert_ne!(chosen(1), chosen(2));
    }

    #[test]
    fn random_shares_are_about_what_was_asked_for() {
        let rows: Vec<(u32, u32, i64)> =
            (0..100).flat_map(|user| (0..100).map(move |item| (user, item, 0))).collect();
        let periods = Plan::Random { target_share: 0.2, test_share: 0.1, seed: 3 }.assign(&events(&rows));
        let count = |wanted| periods.iter().filter(|&&period| period == wanted).count();
        assert!((900..1_100).contains(&count(Period::Test)));
        assert!((1_850..2_150).contains(&count(Period::Target)));
    }

    #[test]
    fn batches_are_cut_between_users() {
        let users = [0u32, 0, 1, 1, 1, 1, 2, 3, 3];
        let mut whole = WholeUsers::default();
        let mut seen: Vec<Vec<u32>> = Vec::new();
        let mut keep = |frame: DataFrame| {
            seen.push(frame.column(c::USER_IDX).unwrap().u32().unwrap().iter().flatten().collect());
        };
        for batch in users.chunks(3) {
            keep(whole.push(df!(c::USER_IDX => batch).unwrap()).unwrap());
        }
        keep(whole.finish().unwrap());
        assert_eq!(seen, [vec![0, 0], vec![], vec![1, 1, 1, 1, 2], vec![3, 3]]);
    }
}
