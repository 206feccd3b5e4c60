//! `split` through its step: small tables by hand, and real data.

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
    assert_eq!(fault(Split { target_quantile: Some(0.9), ..Split::default() }).parameter, "target_quantile");
    let random = Split { strategy: Strategy::Random, ..Split::default() };
    assert_eq!(fault(Split { test_share: 0.9, ..random.clone() }).parameter, "test_share");
    assert_eq!(fault(Split { test_from: day("2022-12-23"), ..random }).parameter, "test_from");
}

#[test]
fn dates_outside_the_data_tell_its_range() {
    let folder = tempfile::tempdir().unwrap();
    let path = events_file(folder.path(), &[(0, 0, 1, 1), (0, 1, 5, 5)]);
    let step = Split { test_from: Some("2022-12-23".to_owned()), target_quantile: None, ..Split::default() };
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
            std::io::Write::write_all(&mut std::io::stderr(), b"skipped: ../shared is not here\n").unwrap();
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
                assert!(bytes(one.path()) == bytes(two.path()), "{name}: {file} differs between two runs");
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
