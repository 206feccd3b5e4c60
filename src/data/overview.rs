//! What lies in a table of events, counted in one pass over batches of it: memory grows with users, items
//! and days, never with events.

use std::collections::BTreeMap;
use std::path::Path;

use polars::prelude::*;

use super::columns as c;
use super::dates;
use super::error::DataError;

const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;

/// Counts of a table of events.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overview {
    /// Rows: pairs of a user and a track.
    pub rows: u64,
    /// The sum of `listen_count`.
    pub listens: u64,
    /// Rows by `user_idx`.
    pub tracks_of_user: Vec<u32>,
    /// Rows by `item_idx`: the users of each item.
    pub users_of_item: Vec<u32>,
    /// Listens by `item_idx`.
    pub listens_of_item: Vec<u64>,
    /// Rows by the day of their first listen, in days since 1970.
    pub days: BTreeMap<i32, u64>,
    /// Rows that the table has: an index of users is below.
    pub n_rows: u64,
}

impl Overview {
    /// Counts of nothing yet, for a table of `n_rows` rows and items below `n_items`.
    pub fn new(n_rows: u64, n_items: usize) -> Self {
        Self { users_of_item: vec![0; n_items], listens_of_item: vec![0; n_items], n_rows, ..Self::default() }
    }

    /// The columns that [`Overview::add`] counts, of a query on a table of events.
    pub fn query(events: LazyFrame) -> LazyFrame {
        let whole = |name| col(name).cast(DataType::Int64);
        let time = col(c::FIRST_LISTEN).cast(DataType::Datetime(TimeUnit::Microseconds, None));
        events.select([
            whole(c::USER_IDX),
            whole(c::ITEM_IDX),
            whole(c::LISTEN_COUNT),
            time.cast(DataType::Int64),
        ])
    }

    /// Counts the next rows of the table in `path`.
    ///
    /// # Errors
    /// When a value is null, or an index is none of this table.
    pub fn add(&mut self, batch: &DataFrame, path: &Path) -> Result<(), DataError> {
        let column = |name: &str| -> Result<Vec<i64>, DataError> {
            let column =
                batch.column(name).and_then(|column| column.i64()).map_err(DataError::frame(path))?;
            if column.null_count() > 0 {
                return Err(DataError::nulls(path, name, column.null_count(), column.len()));
            }
            Ok(column.into_no_null_iter().collect())
        };
        let (users, items) = (column(c::USER_IDX)?, column(c::ITEM_IDX)?);
        let (counts, times) = (column(c::LISTEN_COUNT)?, column(c::FIRST_LISTEN)?);
        // Every user has a row, so a dense index stays below the number of rows.
        let n_users = usize::try_from(self.n_rows).unwrap_or(usize::MAX);
        let mut day_now = (i32::MIN, 0);
        for (((user, item), count), time) in users.into_iter().zip(items).zip(counts).zip(times) {
            let user = index(path, c::USER_IDX, user, n_users)?;
            let item = index(path, c::ITEM_IDX, item, self.users_of_item.len())?;
            if user >= self.tracks_of_user.len() {
                self.tracks_of_user.resize(user + 1, 0);
            }
            let listens = u64::try_from(count).unwrap_or_default();
            self.tracks_of_user[user] += 1;
            self.users_of_item[item] += 1;
            self.listens_of_item[item] += listens;
            self.listens += listens;
            let day = i32::try_from(time.div_euclid(MICROSECONDS_PER_DAY)).unwrap_or(i32::MAX);
            if day_now.0 != day {
                self.add_day(day_now);
                day_now = (day, 0);
            }
            day_now.1 += 1;
        }
        self.add_day(day_now);
        self.rows += batch.height() as u64;
        Ok(())
    }

    fn add_day(&mut self, (day, rows): (i32, u64)) {
        if rows > 0 {
            *self.days.entry(day).or_default() += rows;
        }
    }

    /// Users with a row.
    pub fn n_users(&self) -> usize {
        self.tracks_of_user.iter().filter(|&&tracks| tracks > 0).count()
    }

    /// Items with a row.
    pub fn n_items(&self) -> usize {
        self.users_of_item.iter().filter(|&&users| users > 0).count()
    }

    /// Share of all possible pairs of a user and an item that occur.
    pub fn density(&self) -> f64 {
        let pairs = self.n_users() as f64 * self.n_items() as f64;
        if pairs > 0.0 { self.rows as f64 / pairs } else { 0.0 }
    }

    /// Rows by spans of time: days, else weeks (from Monday), else months, so that there are few enough spans to
    /// be seen and most of them have rows. Each span by its first day; spans without rows are there with 0.
    pub fn timeline(&self) -> Timeline {
        let by = |span| Timeline { span, rows: self.rows_by(span) };
        let is_clear = |timeline: &Timeline| {
            let n = timeline.rows.len();
            n <= MOST_SPANS && 2 * timeline.rows.iter().filter(|row| row.1 > 0).count() >= n
        };
        [Span::Day, Span::Week].map(by).into_iter().find(is_clear).unwrap_or_else(|| by(Span::Month))
    }

    fn rows_by(&self, span: Span) -> Vec<(i32, u64)> {
        let (Some((&first, _)), Some((&last, _))) = (self.days.first_key_value(), self.days.last_key_value())
        else {
            return Vec::new();
        };
        let mut rows: BTreeMap<i32, u64> = BTreeMap::new();
        for (&day, &count) in &self.days {
            *rows.entry(span.start(day)).or_default() += count;
        }
        let mut day = span.start(first);
        // Dates that are no dates of listening would make millions of spans.
        while day <= last && rows.len() < 20 * MOST_SPANS {
            rows.entry(day).or_default();
            day = span.next(day);
        }
        rows.into_iter().collect()
    }
}

/// More spans than this cannot be told apart in a picture.
const MOST_SPANS: usize = 400;

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// From midnight to midnight.
    Day,
    /// From Monday.
    Week,
    /// From the first day.
    Month,
}

/// Rows over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    /// What is counted together.
    pub span: Span,
    /// First day of each span, in days since 1970, and its rows.
    pub rows: Vec<(i32, u64)>,
}

impl Span {
    /// `day`, `week`, `month`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The first day of the span that a day lies in.
    fn start(self, day: i32) -> i32 {
        match self {
            Self::Day => day,
            // 1970 began on a Thursday.
            Self::Week => day - (day + 3).rem_euclid(7),
            Self::Month => dates::first_of_month(day),
        }
    }

    fn next(self, start: i32) -> i32 {
        match self {
            Self::Day => start + 1,
            Self::Week => start + 7,
            Self::Month => dates::first_of_month(start + 31),
        }
    }
}

fn index(path: &Path, column: &str, found: i64, bound: usize) -> Result<usize, DataError> {
    usize::try_from(found).ok().filter(|&index| index < bound).ok_or_else(|| DataError::Value {
        path: path.to_owned(),
        column: column.to_owned(),
        expected: "an index that counts from 0 without gaps",
        found: format!("{found} where there are {bound}"),
        help: "give events and items of the same `preprocess` step",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Users 0 and 1, items 0 and 2 of three; days 0 and 1, then a year later.
    fn overview() -> Overview {
        let events = df!(
            "user_idx" => [0u32, 0, 1], "item_idx" => [0u32, 2, 0], "listen_count" => [1u32, 4, 2],
            "first_listen" => [0i64, MICROSECONDS_PER_DAY, MICROSECONDS_PER_DAY + 5]
        );
        let batch = Overview::query(events.unwrap().lazy()).collect().unwrap();
        let mut overview = Overview::new(3, 3);
        overview.add(&batch.slice(0, 2), Path::new("e")).unwrap();
        overview.add(&batch.slice(2, 1), Path::new("e")).unwrap();
        overview
    }

    #[test]
    fn every_row_is_counted_once_for_its_user_item_and_day() {
        let overview = overview();
        assert_eq!((overview.rows, overview.listens), (3, 7));
        assert_eq!((overview.n_users(), overview.n_items()), (2, 2));
        assert_eq!(overview.tracks_of_user, [2, 1]);
        assert_eq!(
            (overview.users_of_item.as_slice(), overview.listens_of_item.as_slice()),
            ([2, 0, 1].as_slice(), [3, 0, 4].as_slice())
        );
        assert_eq!(overview.days, [(0, 1), (1, 2)].into());
        assert!((overview.density() - 0.75).abs() < 1e-12);
    }

    #[test]
    fn time_is_cut_into_days_then_weeks_then_months() {
        let mut overview = overview();
        let timeline = |overview: &Overview| {
            let Timeline { span, rows } = overview.timeline();
            (span, rows.len(), rows[0], rows[rows.len() - 1])
        };
        assert_eq!(timeline(&overview), (Span::Day, 2, (0, 1), (1, 2)));
        // More days than can be told apart; the first of 1970 is a Thursday, its week began three days before.
        overview.days = (0..500).map(|day| (day, 1)).collect();
        assert_eq!(timeline(&overview), (Span::Week, 72, (-3, 4), (494, 6)));
        overview.days = (0..5_000).map(|day| (day, 1)).collect();
        assert_eq!(timeline(&overview), (Span::Month, 165, (0, 31), (4_991, 9)));
        // Dates that are all the first of a month: days and weeks would be mostly empty.
        overview.days = [(0, 5), (31, 6), (90, 7)].into();
        assert_eq!(overview.timeline().rows, [(0, 5), (31, 6), (59, 0), (90, 7)]);
    }

    #[test]
    fn an_index_of_other_tables_is_refused() {
        let events = df!("user_idx" => [0u32], "item_idx" => [7u32], "listen_count" => [1u32], "first_listen" => [0i64]);
        let batch = Overview::query(events.unwrap().lazy()).collect().unwrap();
        let error = Overview::new(1, 3).add(&batch, Path::new("e")).unwrap_err().to_string();
        assert_eq!(
            error,
            "`e`, column `item_idx`: expected an index that counts from 0 without gaps, found 7 where there are 3"
        );
        let batch =
            batch.lazy().with_column(lit(NULL).cast(DataType::Int64).alias("item_idx")).collect().unwrap();
        let error = Overview::new(1, 3).add(&batch, Path::new("e")).unwrap_err().to_string();
        assert!(error.contains("found 1 nulls in 1 rows"), "{error}");
    }
}
