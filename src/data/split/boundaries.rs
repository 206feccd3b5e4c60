//! Where periods begin, from dates or from quantiles of the time of events.

use miette::Diagnostic;
use polars::prelude::*;
use thiserror::Error;

use crate::data::columns::FIRST_LISTEN;
use crate::data::dates;

const ROWS: &str = "rows";

/// How many events there are at each point in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Times {
    /// Times, rising, and the number of events at each.
    counts: Vec<(i64, u64)>,
    /// All events.
    n_events: u64,
}

/// Why events cannot be cut where it was asked for.
#[derive(Debug, Error, Diagnostic, PartialEq, Eq)]
pub enum BoundaryError {
    /// There is nothing to split.
    #[error("there are no events to split")]
    #[diagnostic(help("check the step that makes the events: its filters may drop everything"))]
    NoEvents,
    /// A period without events.
    #[error("the {period} period has no events: it is {span}, and the events are from {first} to {last}")]
    #[diagnostic(help("choose `target_from` and `test_from` between the first and the last event"))]
    EmptyPeriod {
        /// `train`, `target` or `test`.
        period: &'static str,
        /// From when to when.
        span: String,
        /// The first event.
        first: String,
        /// The last event.
        last: String,
    },
    /// The target period begins after the test period.
    #[error("the target period begins at {target_from}, which is not before the test period at {test_from}")]
    #[diagnostic(help(
        "set `target_from` or `target_quantile` lower, or both to null for a split without target"
    ))]
    Order {
        /// The beginning of the target period.
        target_from: String,
        /// The beginning of the test period.
        test_from: String,
    },
    /// Too few points in time.
    #[error(
        "all events have {n_times} different times, from {first} to {last}; {n_periods} periods need as many"
    )]
    #[diagnostic(help("use `strategy: leave_last_n` or `strategy: random`, or data with finer times"))]
    TooFewTimes {
        /// Distinct times.
        n_times: usize,
        /// Periods that were asked for.
        n_periods: usize,
        /// The first event.
        first: String,
        /// The last event.
        last: String,
    },
    /// No user has enough events.
    #[error("no event is left for the {period} period")]
    #[diagnostic(help("choose smaller `test_n` and `target_n`, or larger shares, or data with more events"))]
    NothingLeft {
        /// `train`, `target` or `test`.
        period: &'static str,
    },
}

/// Where a period begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Start {
    /// At a date, in microseconds since 1970.
    At(i64),
    /// At the time before which lies the share of events that is nearest to this one.
    Quantile(f64),
}

impl Times {
    /// The query to run over the events: one row per point in time.
    pub fn query(events: LazyFrame) -> LazyFrame {
        events.group_by([col(FIRST_LISTEN)]).agg([len().cast(DataType::UInt64).alias(ROWS)])
    }

    /// Takes the answer.
    ///
    /// # Errors
    /// When Polars cannot read it as times and counts.
    pub fn from_frame(frame: &DataFrame) -> PolarsResult<Self> {
        let times = frame.column(FIRST_LISTEN)?.cast(&DataType::Datetime(TimeUnit::Microseconds, None))?;
        let times = times.cast(&DataType::Int64)?;
        let rows = frame.column(ROWS)?.u64()?;
        polars_ensure!(
            times.null_count() == 0,
            ComputeError: "column `{FIRST_LISTEN}`: expected a value in every row, found nulls"
        );
        Ok(Self::new(times.i64()?.iter().flatten().zip(rows.iter().flatten()).collect()))
    }

    /// From times in any order.
    pub fn new(mut counts: Vec<(i64, u64)>) -> Self {
        counts.sort_unstable();
        let n_events = counts.iter().map(|&(_, rows)| rows).sum();
        Self { counts, n_events }
    }

    /// The beginnings of the target and the test period.
    ///
    /// # Errors
    /// When a period would be empty or the target does not begin before the test.
    pub fn boundaries(
        &self,
        target: Option<Start>,
        test: Start,
    ) -> Result<(Option<i64>, i64), BoundaryError> {
        let (Some(&(first, _)), Some(&(last, _))) = (self.counts.first(), self.counts.last()) else {
            return Err(BoundaryError::NoEvents);
        };
        let n_periods = 2 + usize::from(target.is_some());
        if self.counts.len() < n_periods {
            return Err(BoundaryError::TooFewTimes {
                n_times: self.counts.len(),
                n_periods,
                first: dates::format(first),
                last: dates::format(last),
            });
        }
        // The first times are left for the periods before.
        let test_from = match test {
            Start::At(time) => time,
            Start::Quantile(share) => self.nearest(share, n_periods - 1, i64::MAX),
        };
        let target_from = match target {
            None => None,
            Some(Start::At(time)) => Some(time),
            Some(Start::Quantile(share)) => Some(match test {
                Start::Quantile(_) => self.nearest(share, 1, test_from),
                Start::At(_) => self.nearest(share, 1, i64::MAX),
            }),
        };
        if let Some(target_from) = target_from.filter(|&target_from| target_from >= test_from) {
            return Err(BoundaryError::Order {
                target_from: dates::format(target_from),
                test_from: dates::format(test_from),
            });
        }
        self.require("train", i64::MIN, target_from.unwrap_or(test_from))?;
        if let Some(target_from) = target_from {
            self.require("target", target_from, test_from)?;
        }
        self.require("test", test_from, i64::MAX)?;
        Ok((target_from, test_from))
    }

    /// Of the times from the one at place `from` on and before `until`, the one before which the share of
    /// events is nearest to `share`; the later one in a tie.
    fn nearest(&self, share: f64, from: usize, until: i64) -> i64 {
        let mut before: u64 = self.counts[..from].iter().map(|&(_, rows)| rows).sum();
        let mut best = (f64::INFINITY, self.counts[from].0);
        for &(time, rows) in self.counts[from..].iter().take_while(|&&(time, _)| time < until) {
            let distance = (before as f64 / self.n_events as f64 - share).abs();
            if distance <= best.0 {
                best = (distance, time);
            }
            before += rows;
        }
        best.1
    }

    fn require(&self, period: &'static str, from: i64, until: i64) -> Result<(), BoundaryError> {
        let start = self.counts.partition_point(|&(time, _)| time < from);
        if self.counts.get(start).is_some_and(|&(time, _)| time < until) {
            return Ok(());
        }
        let span = match (from, until) {
            (i64::MIN, until) => format!("before {}", dates::format(until)),
            (from, i64::MAX) => format!("from {} on", dates::format(from)),
            (from, until) => format!("from {} until before {}", dates::format(from), dates::format(until)),
        };
        let day = |at: Option<&(i64, u64)>| at.map_or_else(String::new, |&(time, _)| dates::format(time));
        let (first, last) = (day(self.counts.first()), day(self.counts.last()));
        Err(BoundaryError::EmptyPeriod { period, span, first, last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000;

    fn days(counts: &[u64]) -> Times {
        Times::new(counts.iter().enumerate().map(|(day, &rows)| (day as i64 * DAY, rows)).collect())
    }

    #[test]
    fn quantiles_fall_on_the_nearest_time() {
        let even = days(&[1; 10]);
        let found = even.boundaries(Some(Start::Quantile(0.8)), Start::Quantile(0.9));
        assert_eq!(found, Ok((Some(8 * DAY), 9 * DAY)));
        // Half of the events on the last day: no share before a day is nearer to 0.9 than that day's.
        let late = days(&[25, 25, 50]);
        let found = late.boundaries(Some(Start::Quantile(0.8)), Start::Quantile(0.9));
        assert_eq!(found, Ok((Some(DAY), 2 * DAY)));
        let early = days(&[98, 1, 1]);
        let found = early.boundaries(Some(Start::Quantile(0.1)), Start::Quantile(0.2));
        assert_eq!(found, Ok((Some(DAY), 2 * DAY)));
        assert_eq!(early.boundaries(None, Start::Quantile(0.2)), Ok((None, DAY)));
    }

    #[test]
    fn an_empty_period_tells_which_dates_there_are() {
        let times = days(&[1, 1, 1]);
        let message = |target, test| times.boundaries(target, test).unwrap_err().to_string();
        assert_eq!(
            message(None, Start::At(3 * DAY)),
            "the test period has no events: it is from 1970-01-04 on, and the events are from 1970-01-01 to 1970-01-03"
        );
        assert!(
            message(None, Start::At(0))
                .starts_with("the train period has no events: it is before 1970-01-01")
        );
        assert!(
            message(Some(Start::At(2 * DAY)), Start::At(DAY)).contains("which is not before the test period")
        );
        assert!(
            message(Some(Start::At(DAY + 1)), Start::At(2 * DAY))
                .starts_with("the target period has no events")
        );
        assert_eq!(Times::new(Vec::new()).boundaries(None, Start::At(0)), Err(BoundaryError::NoEvents));
        assert!(
            days(&[5])
                .boundaries(None, Start::Quantile(0.9))
                .unwrap_err()
                .to_string()
                .contains("1 different times")
        );
    }
}
