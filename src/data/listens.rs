//! The raw interactions: a first look at all of them, and the way of each into a bucket of users.
//!
//! There may be hundreds of millions of rows, so that nothing here holds them: they come in batches and
//! leave in buckets, each of which holds all rows of its users and fits into memory.

use std::path::Path;

use polars::prelude::*;

use super::columns::{STARTED_AT, TRACK_ID, TRACK_SEQ, USER_ID};
use super::error::DataError;
use super::hash;
use super::report::Rules;
use super::tracks::Tracks;

/// How many interactions a bucket holds, about.
pub const BUCKET_ROWS: u64 = 2 << 20;
const ROWS: &str = "rows";
const TIME: &str = "time";

/// One raw interaction on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listen {
    /// The user.
    pub user_id: i64,
    /// The raw track, by its place in the order of ids.
    pub track: u32,
    /// Microseconds since 1970.
    pub time: i64,
}

/// Ids, positions and times as 64-bit integers, whatever their width; times in microseconds.
///
/// # Errors
/// When the schema of the file cannot be resolved.
pub fn columns(mut scan: LazyFrame) -> PolarsResult<LazyFrame> {
    let schema = scan.collect_schema()?;
    let zone = match schema.get(STARTED_AT) {
        Some(DataType::Datetime(_, zone)) => zone.clone(),
        _ => None,
    };
    let time = col(STARTED_AT).cast(DataType::Datetime(TimeUnit::Microseconds, zone)).cast(DataType::Int64);
    let integer = |name| col(name).strict_cast(DataType::Int64);
    Ok(scan.select([integer(USER_ID), integer(TRACK_ID), integer(TRACK_SEQ), time.alias(TIME)]))
}

/// What a first look at all interactions finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Survey {
    /// Rows.
    pub n_rows: u64,
    /// The highest `track_seq` that is kept.
    pub max_track_seq: Option<i64>,
    /// The first time, in microseconds since 1970.
    pub first: i64,
    /// The last time.
    pub last: i64,
}

impl Survey {
    /// The query to run over [`columns`]: one row per `track_seq`.
    pub fn query(columns: LazyFrame) -> LazyFrame {
        let nulls = |name: &str| col(name).null_count().cast(DataType::UInt64);
        columns.group_by([col(TRACK_SEQ)]).agg([
            len().cast(DataType::UInt64).alias(ROWS),
            nulls(TIME).alias("null_times"),
            col(TIME).min().alias("first"),
            col(TIME).max().alias("last"),
        ])
    }

    /// Checks the answer and finds the `quantile` of `track_seq`: the smallest value at or under which
    /// lies at least that share of the rows.
    ///
    /// # Errors
    /// When there are no rows, a null time, a null position that the quantile needs, or a negative one.
    pub fn from_frame(frame: &DataFrame, quantile: Option<f64>, path: &Path) -> Result<Self, DataError> {
        let wrong = DataError::frame(path);
        let unsigned = |name: &str| -> Result<Vec<u64>, DataError> {
            let column = frame.column(name).map_err(&wrong)?;
            Ok(column.u64().map_err(&wrong)?.iter().map(Option::unwrap_or_default).collect())
        };
        let rows = unsigned(ROWS)?;
        let n_rows: u64 = rows.iter().sum();
        if n_rows == 0 {
            return Err(DataError::NoRows { path: path.to_owned() });
        }
        let null_times: u64 = unsigned("null_times")?.iter().sum();
        if null_times > 0 {
            return Err(DataError::nulls(path, STARTED_AT, null_times as usize, n_rows as usize));
        }
        let positions = frame.column(TRACK_SEQ).and_then(|column| column.i64()).map_err(&wrong)?;
        let mut counts: Vec<(Option<i64>, u64)> = positions.iter().zip(rows).collect();
        counts.sort_unstable();
        if let Some(&(None, nulls)) = counts.first()
            && quantile.is_some()
        {
            return Err(DataError::nulls(path, TRACK_SEQ, nulls as usize, n_rows as usize));
        }
        if let Some(&(Some(position), _)) =
            counts.iter().find(|(position, _)| position.is_some_and(|p| p < 0))
        {
            return Err(DataError::Value {
                path: path.to_owned(),
                column: TRACK_SEQ.to_owned(),
                expected: "positions in a user's history, from 1",
                found: position.to_string(),
                help: "number each user's tracks from 1 when you write the file",
            });
        }
        let mut at_or_under = 0;
        let max_track_seq = quantile.and_then(|quantile| {
            counts.iter().find_map(|&(position, rows)| {
                at_or_under += rows;
                (at_or_under as f64 >= quantile * n_rows as f64).then_some(position).flatten()
            })
        });
        let bound =
            |name: &str| frame.column(name).and_then(|column| Ok(column.i64()?.clone())).map_err(&wrong);
        let first = bound("first")?.min().unwrap_or_default();
        let last = bound("last")?.max().unwrap_or_default();
        Ok(Self { n_rows, max_track_seq, first, last })
    }
}

/// Users, rising by id, and how many raw rows each has.
#[derive(Debug, Clone, Default)]
pub struct RawUsers {
    /// Users of the file.
    pub n_users: usize,
    /// Users of the sample.
    pub n_sampled: usize,
    /// The first user of each bucket but the first one.
    bounds: Vec<i64>,
}

impl RawUsers {
    /// The query to run over [`columns`]: one row per user.
    pub fn query(columns: LazyFrame) -> LazyFrame {
        columns
            .filter(col(USER_ID).is_not_null())
            .group_by([col(USER_ID)])
            .agg([len().cast(DataType::UInt64).alias(ROWS)])
    }

    /// Lays the users of the sample into buckets of neighbouring ids.
    ///
    /// # Errors
    /// When there are more users than an index can number.
    pub fn from_frame(
        frame: &DataFrame,
        sample: Sample,
        bucket_rows: u64,
        path: &Path,
    ) -> Result<Self, DataError> {
        let wrong = DataError::frame(path);
        let users = frame.column(USER_ID).and_then(|column| column.i64()).map_err(&wrong)?;
        let rows = frame.column(ROWS).and_then(|column| column.u64()).map_err(&wrong)?;
        let mut users: Vec<(i64, u64)> = users.iter().flatten().zip(rows.iter().flatten()).collect();
        let n_users = users.len();
        if u32::try_from(n_users).is_err() {
            return Err(DataError::TooMany { what: "users", count: n_users });
        }
        users.retain(|&(user, _)| sample.contains(user));
        users.sort_unstable();
        let (mut bounds, mut filled) = (Vec::new(), 0);
        for &(user, rows) in &users {
            if filled > 0 && filled + rows > bucket_rows {
                bounds.push(user);
                filled = 0;
            }
            filled += rows;
        }
        Ok(Self { n_users, n_sampled: users.len(), bounds })
    }

    /// How many buckets there are.
    pub fn n_buckets(&self) -> usize {
        self.bounds.len() + 1
    }

    fn bucket_of(&self, user: i64) -> usize {
        self.bounds.partition_point(|&bound| bound <= user)
    }
}

/// A seeded share of the users.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// The share that is kept; 1 keeps everyone.
    pub rate: f64,
    /// Which users they are.
    pub seed: u64,
}

impl Sample {
    fn contains(self, user: i64) -> bool {
        self.rate >= 1.0 || hash::uniform(self.seed, user, 0) < self.rate
    }
}

/// Sends each interaction that passes the rules into the bucket of its user.
pub struct Router<'a> {
    tracks: &'a Tracks,
    users: &'a RawUsers,
    sample: Sample,
    max_track_seq: Option<i64>,
    number_of: PlHashMap<i64, u32>,
    dropped: [u64; 5],
}

impl<'a> Router<'a> {
    /// `raw_ids` are the ids of the raw tracks, rising.
    pub fn new(
        raw_ids: &[i64],
        tracks: &'a Tracks,
        users: &'a RawUsers,
        sample: Sample,
        survey: &Survey,
    ) -> Self {
        let number_of = raw_ids.iter().enumerate().map(|(number, &id)| (id, number as u32)).collect();
        Self { tracks, users, sample, max_track_seq: survey.max_track_seq, number_of, dropped: [0; 5] }
    }

    /// Sends the rows of a batch of [`columns`] on their way.
    ///
    /// # Errors
    /// When a column has another type, or `put` fails.
    pub fn route<E: From<DataError>>(
        &mut self,
        batch: &DataFrame,
        path: &Path,
        mut put: impl FnMut(usize, Listen) -> Result<(), E>,
    ) -> Result<(), E> {
        let column = |name: &str| {
            batch.column(name).and_then(|column| Ok(column.i64()?.clone())).map_err(DataError::frame(path))
        };
        let (users, tracks) = (column(USER_ID)?, column(TRACK_ID)?);
        let (positions, times) = (column(TRACK_SEQ)?, column(TIME)?);
        let rows = users.iter().zip(tracks.iter()).zip(positions.iter().zip(times.iter()));
        for ((user, track), (position, time)) in rows {
            let listen = self.accept(user, track, position, time.unwrap_or_default());
            match listen {
                Ok(listen) => put(self.users.bucket_of(listen.user_id), listen)?,
                Err(rule) => self.dropped[rule] += 1,
            }
        }
        Ok(())
    }

    /// A row that passes every rule, or the number of the first rule it fails.
    fn accept(
        &self,
        user: Option<i64>,
        track: Option<i64>,
        position: Option<i64>,
        time: i64,
    ) -> Result<Listen, usize> {
        let user_id = user.ok_or(0usize)?;
        let track = *track.and_then(|track| self.number_of.get(&track)).ok_or(1usize)?;
        if !self.tracks.kept[self.tracks.canonical_of[track as usize] as usize] {
            return Err(2);
        }
        if self.max_track_seq.is_some_and(|max| position.is_none_or(|position| position > max)) {
            return Err(3);
        }
        if !self.sample.contains(user_id) {
            return Err(4);
        }
        Ok(Listen { user_id, track, time })
    }

    /// What was dropped and why, of `rows_in` rows.
    pub fn rules(&self, rows_in: u64) -> Rules {
        const NAMES: [&str; 5] =
            ["null_user", "unknown_track", "dropped_track", "max_track_seq_quantile", "users_sample_rate"];
        let mut rules = Rules::new(rows_in);
        for (name, dropped) in NAMES.into_iter().zip(self.dropped) {
            rules.drop(name, dropped);
        }
        rules
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> &'static Path {
        Path::new("i.parquet")
    }

    fn survey(frame: DataFrame, quantile: Option<f64>) -> Result<Survey, DataError> {
        let columns = columns(frame.lazy()).unwrap();
        Survey::from_frame(&Survey::query(columns).collect().unwrap(), quantile, path())
    }

    fn raw(positions: &[Option<i32>]) -> DataFrame {
        let n = positions.len() as i64;
        df!(
            USER_ID => (0..n).collect::<Vec<i64>>(),
            TRACK_ID => (0..n).collect::<Vec<i64>>(),
            TRACK_SEQ => positions,
            STARTED_AT => Int32Chunked::from_slice("".into(), &(0..n as i32).collect::<Vec<i32>>()).into_date().into_series(),
        )
        .unwrap()
    }

    #[test]
    fn the_quantile_is_the_smallest_position_that_covers_the_share() {
        let frame = raw(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(Some));
        let found = survey(frame.clone(), Some(0.75)).unwrap();
        assert_eq!((found.max_track_seq, found.n_rows), (Some(8), 10));
        assert_eq!((found.first, found.last), (0, 9 * 86_400_000_000));
        assert_eq!(survey(frame.clone(), Some(1.0)).unwrap().max_track_seq, Some(10));
        assert_eq!(survey(frame, None).unwrap().max_track_seq, None);
    }

    #[test]
    fn positions_that_cannot_be_are_refused() {
        let message = survey(raw(&[Some(1), Some(-2)]), None).unwrap_err().to_string();
        assert_eq!(
            message,
            "`i.parquet`, column `track_seq`: expected positions in a user's history, from 1, found -2"
        );
        assert!(
            survey(raw(&[Some(1), None]), Some(0.5)).unwrap_err().to_string().contains("1 nulls in 2 rows")
        );
        assert!(survey(raw(&[Some(1), None]), None).is_ok());
        assert!(survey(raw(&[]), None).unwrap_err().to_string().contains("has no rows"));
    }

    #[test]
    fn times_of_any_unit_become_microseconds() {
        for (unit, per_second) in [
            (TimeUnit::Milliseconds, 1_000i64),
            (TimeUnit::Microseconds, 1_000_000),
            (TimeUnit::Nanoseconds, 1_000_000_000),
        ] {
            let frame = df!(
                USER_ID => [1u8], TRACK_ID => [1u16], TRACK_SEQ => [1i8],
                STARTED_AT => Int64Chunked::from_slice("".into(), &[-3 * per_second / 2]).into_datetime(unit, None).into_series(),
            )
            .unwrap();
            assert_eq!(survey(frame, None).unwrap().first, -1_500_000, "{unit:?}");
        }
    }

    #[test]
    fn buckets_hold_whole_users_in_the_order_of_ids() {
        let frame = df!(USER_ID => [30i64, 10, 20, 40], ROWS => [3u64, 3, 3, 9]).unwrap();
        let all = Sample { rate: 1.0, seed: 0 };
        let users = RawUsers::from_frame(&frame, all, 6, path()).unwrap();
        assert_eq!(users.n_buckets(), 3);
        assert_eq!([5, 10, 20, 30, 40, 99].map(|user| users.bucket_of(user)), [0, 0, 0, 1, 2, 2]);
    }

    #[test]
    fn a_sample_is_about_the_share_and_the_same_every_time() {
        let sample = Sample { rate: 0.3, seed: 7 };
        let chosen = (0..10_000).filter(|&user| sample.contains(user)).count();
        assert!((2_800..3_200).contains(&chosen), "{chosen}");
        assert_ne!(
            (0..100).map(|user| Sample { rate: 0.3, seed: 8 }.contains(user)).collect::<Vec<_>>(),
            (0..100).map(|user| sample.contains(user)).collect::<Vec<_>>()
        );
    }
}
