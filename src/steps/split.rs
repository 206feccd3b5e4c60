//! `split`: events to three periods, as tables and as matrices.
//!
//! Events are read in batches of whole users and written at once; matrices are then built one at a time,
//! so that memory holds one matrix and one batch.

use std::num::NonZeroUsize;
use std::path::Path;

use polars::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::data_type;
use crate::codec::table::{self, ColumnType};
use crate::codec::{CodecError, json, npz, stream};
use crate::data::columns as c;
use crate::data::dates;
use crate::data::error::DataError;
use crate::data::split::boundaries::{BoundaryError, Start, Times};
use crate::data::split::periods::Periods;
use crate::data::split::report::SplitReport;
use crate::data::split::{EventColumns, Period, Plan, RowOrder, WholeUsers, take};
use crate::interactions::Interactions;
use crate::workflow::kind::{Context, InputPort, OutputPort, ParameterFault, Role, Step, StepError};

const BATCH_ROWS: NonZeroUsize = NonZeroUsize::new(1 << 20).expect("a constant above 0");

/// How events are laid into periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// By the time of the first listen, one date for everybody.
    Time,
    /// The last events of each user.
    LeaveLastN,
    /// A random share of all events.
    Random,
}

/// Parameters of `split`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Split {
    /// How events are laid into periods.
    pub strategy: Strategy,
    /// `time`: where the target period begins, such as `2022-12-16`; null takes `target_quantile`.
    pub target_from: Option<String>,
    /// `time`: where the test period begins, such as `2022-12-23`; null takes `test_quantile`.
    pub test_from: Option<String>,
    /// `time`: about this share of the events is before the target period; null makes no target period
    /// unless `target_from` does.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub target_quantile: Option<f64>,
    /// `time`: about this share of the events is before the test period.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub test_quantile: f64,
    /// `leave_last_n`: events of each user that are the target, just before the test; 0 makes no target.
    #[schemars(range(min = 0))]
    pub target_n: usize,
    /// `leave_last_n`: last events of each user that are the test. Only users with more events than
    /// 2 · `test_n` and than `test_n` + `target_n` are split; all events of the others are train.
    #[schemars(range(min = 1))]
    pub test_n: usize,
    /// `random`: share of the events that is the target; 0 makes no target.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub target_share: f64,
    /// `random`: share of the events that is the test.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub test_share: f64,
    /// Chooses the events of `random`, and among events of the same time the last of `leave_last_n`.
    pub seed: u64,
}

impl Default for Split {
    fn default() -> Self {
        Self {
            strategy: Strategy::Time,
            target_from: None,
            test_from: None,
            target_quantile: Some(0.8),
            test_quantile: 0.9,
            target_n: 5,
            test_n: 5,
            target_share: 0.1,
            test_share: 0.1,
            seed: 42,
        }
    }
}

impl Step for Split {
    const KIND: &'static str = "split";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str =
        "Lays events into three periods: train for base models, target for the ranker, test for evaluation";
    const EXAMPLE: &'static str = "\
split:
  uses: split
  inputs:
    events: preprocess.events
  with:
    strategy: time
    target_from: 2022-12-16
    test_from: 2022-12-23
";
    const INPUTS: &'static [InputPort] = &[
        InputPort::new("events", &[data_type::EVENTS], "one row per user and track, sorted by user and item"),
        InputPort::new("items", &[data_type::ITEMS], "gives matrices a column for items without events")
            .optional(),
        InputPort::new("users", &[data_type::USERS], "gives matrices a row for users without events")
            .optional(),
    ];
    const OUTPUTS: &'static [OutputPort] = &[
        events_port("train_events", Role::Train, "what base models learn from"),
        events_port("target_events", Role::Target, "labels of the ranker"),
        events_port("test_events", Role::Test, "for evaluation only"),
        events_port("history_events", Role::Target, "train and target: everything before the test"),
        matrix_port("train_matrix", Role::Train, "users × items of train_events"),
        matrix_port("target_matrix", Role::Target, "users × items of target_events"),
        matrix_port("test_matrix", Role::Test, "users × items of test_events"),
        matrix_port("history_matrix", Role::Target, "users × items of history_events"),
        OutputPort::new("report", data_type::REPORT, "json", "what lies in each period, and what is cold"),
    ];

    fn check(&self) -> Result<(), ParameterFault> {
        let fault = |parameter, message: String| Err(ParameterFault { parameter, message });
        let target_from = parse("target_from", self.target_from.as_deref())?;
        let test_from = parse("test_from", self.test_from.as_deref())?;
        if self.strategy != Strategy::Time {
            for (parameter, date) in [("target_from", &self.target_from), ("test_from", &self.test_from)] {
                if date.is_some() {
                    return fault(
                        parameter,
                        format!("`{parameter}` is for `strategy: time` only; leave it out"),
                    );
                }
            }
        }
        match self.strategy {
            Strategy::Time => match (target_from, test_from) {
                (Some(target), Some(test)) if target >= test => fault(
                    "target_from",
                    format!(
                        "expected a date before `test_from`, which is {}, found {}",
                        dates::format(test),
                        dates::format(target)
                    ),
                ),
                (None, None) if self.target_quantile.is_some_and(|share| share >= self.test_quantile) => {
                    fault(
                        "target_quantile",
                        format!("expected less than `test_quantile`, which is {}", self.test_quantile),
                    )
                }
                _ => Ok(()),
            },
            Strategy::LeaveLastN => Ok(()),
            Strategy::Random if self.test_share <= 0.0 => {
                fault("test_share", "expected more than 0, found 0: evaluation needs events".to_owned())
            }
            Strategy::Random if self.test_share + self.target_share >= 1.0 => fault(
                "test_share",
                format!(
                    "`test_share` and `target_share` must leave events to train: expected a sum under 1, found {}",
                    self.test_share + self.target_share
                ),
            ),
            Strategy::Random => Ok(()),
        }
    }

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let path = ctx.input("events");
        let events = table::scan(path, EVENT_COLUMNS)?;
        let n_items = index_size(ctx.optional_input("items"), c::ITEM_IDX)?;
        let n_users = index_size(ctx.optional_input("users"), c::USER_IDX)?;
        let plan = self.plan(path, &events)?;
        let events = events.select(EventColumns::selection());
        let periods = write_tables(ctx, &plan, events)?;
        self.require_periods(&periods)?;

        let known = periods.history().with(&periods.test).shape();
        let shape = (n_users.unwrap_or(known.0), n_items.unwrap_or(known.1));
        for (port, n, found, column) in
            [("users", shape.0, known.0, c::USER_IDX), ("items", shape.1, known.1, c::ITEM_IDX)]
        {
            if n < found {
                let other = ctx.optional_input(port).unwrap_or(path);
                return Err(foreign(path, column, other, n, found).into());
            }
        }
        for (table, matrix, n_events) in [
            ("train_events", "train_matrix", periods.train.n_events()),
            ("target_events", "target_matrix", periods.target.n_events()),
            ("test_events", "test_matrix", periods.test.n_events()),
            ("history_events", "history_matrix", periods.history().n_events()),
        ] {
            write_matrix(ctx, table, matrix, shape, n_events)?;
        }

        let report = SplitReport::new(&plan, &periods, shape);
        for warning in report.warnings() {
            ctx.warn(warning);
        }
        for (name, value) in report.metrics() {
            ctx.metric(name, value);
        }
        json::write(ctx.output("report"), &report)?;
        Ok(())
    }
}

impl Split {
    fn plan(&self, path: &Path, events: &LazyFrame) -> Result<Plan, StepError> {
        Ok(match self.strategy {
            Strategy::LeaveLastN => Plan::LeaveLast {
                target_n: self.target_n,
                test_n: self.test_n,
                more_than: self.test_n + self.test_n.max(self.target_n),
                seed: self.seed,
            },
            Strategy::Random => {
                Plan::Random { target_share: self.target_share, test_share: self.test_share, seed: self.seed }
            }
            Strategy::Time => {
                let start = |date: &Option<String>, quantile: Option<f64>| {
                    let date = date.as_deref().and_then(dates::parse).map(Start::At);
                    date.or(quantile.map(Start::Quantile))
                };
                let target = start(&self.target_from, self.target_quantile);
                let test = start(&self.test_from, None).unwrap_or(Start::Quantile(self.test_quantile));
                let answer = stream::collect(path, Times::query(events.clone()))?;
                let times = Times::from_frame(&answer).map_err(DataError::frame(path))?;
                let (target_from, test_from) = times.boundaries(target, test)?;
                Plan::Time { target_from, test_from }
            }
        })
    }

    /// Whether a target period was asked for.
    fn has_target(&self) -> bool {
        match self.strategy {
            Strategy::Time => self.target_from.is_some() || self.target_quantile.is_some(),
            Strategy::LeaveLastN => self.target_n > 0,
            Strategy::Random => self.target_share > 0.0,
        }
    }

    fn require_periods(&self, periods: &Periods) -> Result<(), BoundaryError> {
        let missing = [
            ("train", periods.train.n_events() == 0),
            ("target", periods.target.n_events() == 0 && self.has_target()),
            ("test", periods.test.n_events() == 0),
        ];
        if missing.iter().all(|&(period, is_empty)| is_empty || period == "target") {
            return Err(BoundaryError::NoEvents);
        }
        match missing.into_iter().find(|&(_, is_empty)| is_empty) {
            Some((period, _)) => Err(BoundaryError::NothingLeft { period }),
            None => Ok(()),
        }
    }
}

fn parse(parameter: &'static str, date: Option<&str>) -> Result<Option<i64>, ParameterFault> {
    date.map(|text| {
        let message = || format!("expected {}, found `{text}`", dates::EXPECTED);
        dates::parse(text).ok_or_else(|| ParameterFault { parameter, message: message() })
    })
    .transpose()
}

/// Writes the tables of the periods and counts what lies in them.
fn write_tables(ctx: &Context<'_>, plan: &Plan, events: LazyFrame) -> Result<Periods, StepError> {
    use Period::{Target, Test, Train};
    let path = ctx.input("events");
    let mut writers = Vec::new();
    for (port, wanted, last) in [
        ("train_events", &[Train][..], Train),
        ("target_events", &[Target][..], Target),
        ("test_events", &[Test][..], Test),
        ("history_events", &[Train, Target][..], Target),
    ] {
        writers.push((stream::Writer::new(ctx.output(port)), wanted, plan.end_of(last)));
    }
    let mut periods = Periods::default();
    let mut whole = WholeUsers::default();
    let mut order = RowOrder::default();
    let mut done = 0;
    let mut lay = |rows: DataFrame| -> Result<(), StepError> {
        let columns = EventColumns::from_frame(&rows).map_err(DataError::frame(path))?;
        order.check(path, &columns)?;
        let assigned = plan.assign(&columns);
        periods.add(plan, &columns, &assigned);
        for (writer, wanted, end) in &mut writers {
            writer.write(&take(&rows, &assigned, wanted, *end).map_err(DataError::frame(path))?)?;
        }
        done += rows.height() as u64;
        ctx.progress(done, None, "rows", "");
        Ok(ctx.check_cancelled()?)
    };
    stream::for_each_batch(path, events, BATCH_ROWS, |batch| -> Result<(), StepError> {
        lay(whole.push(batch).map_err(DataError::frame(path))?)
    })?;
    let rest = whole.finish().ok_or(BoundaryError::NoEvents)?;
    lay(rest)?;
    for (writer, _, _) in writers {
        writer.finish()?;
    }
    Ok(periods)
}

/// Builds the matrix of a table that was just written.
fn write_matrix(
    ctx: &Context<'_>,
    table: &str,
    matrix: &str,
    (n_users, n_items): (usize, usize),
    n_events: u64,
) -> Result<(), StepError> {
    let path = ctx.output(table);
    let mut row_starts = vec![0usize; n_users + 1];
    let mut items: Vec<u32> = Vec::with_capacity(n_events as usize);
    let mut values: Vec<f32> = Vec::with_capacity(n_events as usize);
    let columns = [c::USER_IDX, c::ITEM_IDX, c::LISTEN_COUNT];
    let query =
        table::scan(path, &columns.map(|column| (column, ColumnType::Integer)))?.select(columns.map(col));
    stream::for_each_batch(path, query, BATCH_ROWS, |batch| -> Result<(), StepError> {
        let column = |name: &str| {
            batch.column(name).and_then(|column| Ok(column.u32()?.clone())).map_err(DataError::frame(path))
        };
        column(c::USER_IDX)?.iter().flatten().for_each(|user| row_starts[user as usize + 1] += 1);
        items.extend(column(c::ITEM_IDX)?.iter().flatten());
        values.extend(column(c::LISTEN_COUNT)?.iter().flatten().map(|count| count as f32));
        ctx.progress(items.len() as u64, Some(n_events), "rows", matrix);
        Ok(ctx.check_cancelled()?)
    })?;
    for user in 0..n_users {
        row_starts[user + 1] += row_starts[user];
    }
    let interactions = Interactions::new(n_users, n_items, row_starts, items, values)
        .map_err(|source| CodecError::Interactions { path: ctx.input("events").to_owned(), source })?;
    Ok(npz::write_matrix(ctx.output(matrix), &interactions)?)
}

/// How many rows a table of users or items has: the size of its index.
fn index_size(path: Option<&Path>, column: &'static str) -> Result<Option<usize>, StepError> {
    let Some(path) = path else { return Ok(None) };
    let query = table::scan(path, &[(column, ColumnType::Integer)])?;
    let largest = col(column).max().strict_cast(DataType::Int64).alias("largest");
    let answer = stream::collect(path, query.select([largest]))?;
    let largest = answer.column("largest").and_then(|column| Ok(column.i64()?.get(0)));
    Ok(largest.map_err(DataError::frame(path))?.and_then(|largest| usize::try_from(largest + 1).ok()))
}

fn foreign(path: &Path, column: &str, other: &Path, n: usize, found: usize) -> DataError {
    DataError::Value {
        path: path.to_owned(),
        column: column.to_owned(),
        expected: "an index of the table given beside it",
        found: format!("index {}, but `{}` has {n} rows", found - 1, other.display()),
        help: "take events, users and items of the same `preprocess` step",
    }
}

const fn events_port(name: &'static str, role: Role, about: &'static str) -> OutputPort {
    OutputPort::new(name, data_type::EVENTS, "parquet", about).role(role)
}

const fn matrix_port(name: &'static str, role: Role, about: &'static str) -> OutputPort {
    OutputPort::new(name, data_type::MATRIX, "npz", about).role(role)
}

const EVENT_COLUMNS: &[(&str, ColumnType)] = &[
    (c::USER_ID, ColumnType::Integer),
    (c::TRACK_ID, ColumnType::Integer),
    (c::USER_IDX, ColumnType::Integer),
    (c::ITEM_IDX, ColumnType::Integer),
    (c::LISTEN_COUNT, ColumnType::Integer),
    (c::FIRST_LISTEN, ColumnType::Date),
    (c::LAST_LISTEN, ColumnType::Date),
];

#[cfg(test)]
mod tests;
