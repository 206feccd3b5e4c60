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
use crate::data::split::{EventColumns, Period, Plan, WholeUsers, take};
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
        writers.push((stream::Writer::create(ctx.output(port))?, wanted, plan.end_of(last)));
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

/// The last pair that was seen, to know that rows are sorted.
#[derive(Default)]
struct RowOrder(Option<(u32, u32)>);

impl RowOrder {
    fn check(&mut self, path: &Path, events: &EventColumns) -> Result<(), DataError> {
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
mod tests {
    use super::*;
    use crate::steps::preprocess::Preprocess;
    use std::path::PathBuf;

    fn run(events: &Path, out: &Path, step: &Split) -> Result<serde_json::Value, String> {
        let file = |port: &OutputPort| (port.name, out.join(format!("{}.{}", port.name, port.extension)));
        let outputs: Vec<(&'static str, PathBuf)> = Split::OUTPUTS.iter().map(file).collect();
        let ctx = Context::standalone([("events", events.to_owned())], outputs, out.to_owned());
        Step::check(step).map_err(|fault| format!("{}: {}", fault.parameter, fault.message))?;
        Step::run(step, &ctx).map_err(|error| error.to_string())?;
        Ok(json::read(&out.join("report.json")).unwrap())
    }

    fn columns(path: PathBuf) -> EventColumns {
        EventColumns::from_frame(&table::read(&path, EVENT_COLUMNS).unwrap()).unwrap()
    }

    /// Writes events of (user, item, day of the first listen, day of the last listen).
    fn events_file(folder: &Path, rows: &[(u32, u32, i64, i64)]) -> PathBuf {
        let days = |day: fn(&(u32, u32, i64, i64)) -> i64| {
            let micros: Int64Chunked = rows.iter().map(|row| Some(day(row) * 86_400_000_000)).collect();
            micros.into_datetime(TimeUnit::Microseconds, None).into_series()
        };
        let mut frame = df!(
            c::USER_ID => rows.iter().map(|row| i64::from(row.0)).collect::<Vec<_>>(),
            c::TRACK_ID => rows.iter().map(|row| i64::from(row.1)).collect::<Vec<_>>(),
            c::USER_IDX => rows.iter().map(|row| row.0).collect::<Vec<_>>(),
            c::ITEM_IDX => rows.iter().map(|row| row.1).collect::<Vec<_>>(),
            c::LISTEN_COUNT => vec![2u32; rows.len()],
            c::FIRST_LISTEN => days(|row| row.2),
            c::LAST_LISTEN => days(|row| row.3),
        )
        .unwrap();
        let path = folder.join("events.parquet");
        table::write(&path, &mut frame).unwrap();
        path
    }

    #[test]
    fn periods_by_date_are_written_with_their_matrices() {
        let folder = tempfile::tempdir().unwrap();
        let path = events_file(folder.path(), &[(0, 0, 1, 9), (0, 1, 5, 5), (1, 0, 9, 9), (1, 2, 2, 2)]);
        let step = Split {
            target_from: Some("1970-01-05".to_owned()),
            test_from: Some("1970-01-09T00:00".to_owned()),
            ..Split::default()
        };
        let report = run(&path, folder.path(), &step).unwrap();
        let train = columns(folder.path().join("train_events.parquet"));
        assert_eq!((train.users, train.items), (vec![0, 1], vec![0, 2]));
        assert_eq!(train.last, [4 * 86_400_000_000 - 1, 2 * 86_400_000_000]);
        let history = columns(folder.path().join("history_events.parquet"));
        assert_eq!(history.last[0], 8 * 86_400_000_000 - 1);
        let matrix = npz::read_matrix(&folder.path().join("test_matrix.npz")).unwrap();
        assert_eq!((matrix.n_users(), matrix.n_items()), (2, 3));
        assert_eq!((matrix.row(0).0, matrix.row(1)), (&[][..], (&[0u32][..], &[2.0f32][..])));
        assert_eq!(report["periods"]["history"]["heard_again_later"], 1);
        assert_eq!(report["cold"]["test_to_train"]["users"], 0);
        assert_eq!(report["test_from"], "1970-01-09");
    }

    #[test]
    fn parameters_that_contradict_each_other_are_named() {
        let fault = |step: Split| Step::check(&step).unwrap_err();
        let wrong = fault(Split { test_from: Some("23.12.2022".to_owned()), ..Split::default() });
        assert_eq!(wrong.parameter, "test_from");
        assert_eq!(
            wrong.message,
            "expected a date such as `2022-12-16` or `2022-12-16T12:30:00`, found `23.12.2022`"
        );
        let day = |text: &str| Some(text.to_owned());
        let wrong =
            fault(Split { target_from: day("2022-12-23"), test_from: day("2022-12-23"), ..Split::default() });
        assert_eq!(wrong.parameter, "target_from");
        assert_eq!(
            fault(Split { target_quantile: Some(0.9), ..Split::default() }).parameter,
            "target_quantile"
        );
        let random = Split { strategy: Strategy::Random, ..Split::default() };
        assert_eq!(fault(Split { test_share: 0.9, ..random.clone() }).parameter, "test_share");
        assert_eq!(fault(Split { test_from: day("2022-12-23"), ..random }).parameter, "test_from");
    }

    #[test]
    fn dates_outside_the_data_tell_its_range() {
        let folder = tempfile::tempdir().unwrap();
        let path = events_file(folder.path(), &[(0, 0, 1, 1), (0, 1, 5, 5)]);
        let step =
            Split { test_from: Some("2022-12-23".to_owned()), target_quantile: None, ..Split::default() };
        let error = run(&path, folder.path(), &step).unwrap_err();
        assert!(error.contains("the events are from 1970-01-02 to 1970-01-06"), "{error}");
    }

    #[test]
    fn rows_out_of_order_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = events_file(folder.path(), &[(0, 1, 1, 1), (0, 0, 5, 5), (1, 0, 9, 9)]);
        let error = run(&path, folder.path(), &Split::default()).unwrap_err();
        assert!(error.contains("user 0, item 0 after user 0, item 1"), "{error}");
    }

    #[test]
    fn real_data_is_split_without_leaks_and_without_losses() {
        for name in ["lastfm_hetrec2011", "movielens_100k"] {
            let raw = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
            if !raw.exists() {
                std::io::Write::write_all(&mut std::io::stderr(), b"skipped: ../shared is not here\n")
                    .unwrap();
                return;
            }
            let prepared = tempfile::tempdir().unwrap();
            let inputs = [
                ("tracks", raw.join("tracks.parquet")),
                ("catalog", raw.join("catalog_names.parquet")),
                ("interactions", raw.join("interactions.parquet")),
            ];
            let out = |port: &OutputPort| (port.name, prepared.path().join(port.name));
            let outputs = Preprocess::OUTPUTS.iter().map(out).collect::<Vec<_>>();
            let ctx = Context::standalone(inputs, outputs, prepared.path().to_owned());
            Step::run(&Preprocess::default(), &ctx).unwrap();
            let events = columns(prepared.path().join("events"));

            for strategy in [Strategy::Time, Strategy::LeaveLastN, Strategy::Random] {
                let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
                let step = Split { strategy, ..Split::default() };
                let report = run(&prepared.path().join("events"), one.path(), &step).unwrap();
                run(&prepared.path().join("events"), two.path(), &step).unwrap();
                for port in Split::OUTPUTS {
                    let file = format!("{}.{}", port.name, port.extension);
                    let bytes = |folder: &Path| std::fs::read(folder.join(&file)).unwrap();
                    assert!(
                        bytes(one.path()) == bytes(two.path()),
                        "{name}: {file} differs between two runs"
                    );
                }
                let read = |period: &str| columns(one.path().join(format!("{period}_events.parquet")));
                let [train, target, test, history] = ["train", "target", "test", "history"].map(read);
                assert_eq!(train.len() + target.len(), history.len());
                assert_eq!(history.len() + test.len(), events.len());
                for (period, events) in [("train", &train), ("test", &test), ("history", &history)] {
                    let matrix = npz::read_matrix(&one.path().join(format!("{period}_matrix.npz"))).unwrap();
                    assert_eq!(matrix.items(), events.items);
                    assert_eq!(report["matrix"]["users"], matrix.n_users());
                    assert_eq!(report["periods"][period]["events"], matrix.len());
                }
                let share = test.len() as f64 / events.len() as f64;
                match strategy {
                    Strategy::Time => {
                        assert!(history.last.iter().max() < test.first.iter().min());
                        assert!(train.last.iter().max() < target.first.iter().min());
                        assert!((0.06..0.14).contains(&share), "{name}: {share}");
                    }
                    Strategy::LeaveLastN => {
                        for history in events.users.chunk_by(|a, b| a == b) {
                            let n_test = test.users.iter().filter(|&&user| user == history[0]).count();
                            assert_eq!(n_test, if history.len() > 10 { 5 } else { 0 });
                        }
                    }
                    Strategy::Random => assert!((0.09..0.11).contains(&share), "{name}: {share}"),
                }
            }
        }
    }
}
