//! `preprocess` through its step: small tables by hand, and real data.

use super::*;
use polars::prelude::*;
use std::path::{Path, PathBuf};

const FILES: [(&str, &str); 4] = [
    ("items", "items.parquet"),
    ("events", "events.parquet"),
    ("users", "users.parquet"),
    ("report", "report.json"),
];

fn run(raw: &Path, out: &Path, step: &Preprocess) -> Result<serde_json::Value, String> {
    run_in_buckets(raw, out, step, listens::BUCKET_ROWS)
}

fn run_in_buckets(
    raw: &Path,
    out: &Path,
    step: &Preprocess,
    bucket_rows: u64,
) -> Result<serde_json::Value, String> {
    let inputs = [
        ("tracks", raw.join("tracks.parquet")),
        ("catalog", raw.join("catalog_names.parquet")),
        ("interactions", raw.join("interactions.parquet")),
    ];
    let outputs = FILES.map(|(port, file)| (port, out.join(file)));
    let ctx = Context::standalone(inputs, outputs, out.to_owned());
    step.run_in_buckets(&ctx, bucket_rows).map_err(|error| {
        format!("{error}; help: {}", error.help().map(|help| help.to_string()).unwrap_or_default())
    })?;
    Ok(json::read(&out.join("report.json")).unwrap())
}

fn read(path: PathBuf) -> DataFrame {
    LazyFrame::scan_parquet(PlRefPath::new(path.to_string_lossy()), Default::default())
        .unwrap()
        .collect()
        .unwrap()
}

fn lists(name: &str, lists: &[&[i32]]) -> Column {
    let lists: Vec<Series> = lists.iter().map(|ids| Series::new(PlSmallStr::EMPTY, ids)).collect();
    Series::new(name.into(), lists).cast(&DataType::List(Box::new(DataType::Int32))).unwrap().into()
}

/// Two spellings of one track by one artist, a remix, a track without genre, an unknown track.
fn raw_tables(folder: &Path) {
    let tracks = vec![
        Column::new("track_id".into(), [30i32, 10, 20, 40]),
        lists("albums", &[&[], &[], &[], &[]]),
        lists("artists", &[&[2], &[1], &[1, 2], &[1]]),
        lists("genres", &[&[5], &[5], &[6], &[]]),
        Column::new("extra".into(), [0.5f64; 4]),
    ];
    let mut tracks = DataFrame::new(4, tracks).unwrap();
    let mut catalog = df!(
        "id" => [10i64, 20, 30, 40, 1, 2, 5, 6],
        "type" => ["track", "track", "track", "track", "artist", "artist", "genre", "genre"],
        "name" => ["Hello", "HELLO", "Hello (Remix)", "Other", "Adele", "adèle", "pop", "soul"],
    )
    .unwrap();
    let days: Int32Chunked =
        [19_000, 19_002, 19_001, 19_003, 19_004, 19_005].iter().copied().map(Some).collect();
    let mut interactions = df!(
        "user_id" => [Some(7i64), Some(7), Some(3), Some(3), Some(3), None],
        "track_id" => [20i32, 10, 30, 40, 99, 10],
        "track_seq" => [1i16, 2, 1, 2, 3, 1],
        "started_at" => days.into_date().into_series(),
        "__index_level_0__" => [0i64, 1, 2, 3, 4, 5],
    )
    .unwrap();
    table::write(&folder.join("tracks.parquet"), &mut tracks).unwrap();
    table::write(&folder.join("catalog_names.parquet"), &mut catalog).unwrap();
    table::write(&folder.join("interactions.parquet"), &mut interactions).unwrap();
}

#[test]
fn duplicates_are_one_track_and_their_listens_add_up() {
    let folder = tempfile::tempdir().unwrap();
    raw_tables(folder.path());
    let step = Preprocess { max_track_seq_quantile: None, ..Preprocess::default() };
    let report = run(folder.path(), folder.path(), &step).unwrap();

    let items = read(folder.path().join("items.parquet"));
    let ids = |name: &str| items.column(name).unwrap().i64().unwrap().iter().flatten().collect::<Vec<_>>();
    assert_eq!(ids("track_id"), [10, 30]);
    assert_eq!(ids("track_group_id"), [10, 10]);
    let genres = items
        .column("genre_ids")
        .unwrap()
        .explode(ExplodeOptions { empty_as_null: false, keep_nulls: false });
    assert_eq!(genres.unwrap().i64().unwrap().iter().flatten().collect::<Vec<_>>(), [5, 6, 5]);
    assert_eq!(items.column("album_name").unwrap().null_count(), 2);
    assert_eq!(items.column("name").unwrap().str().unwrap().get(0), Some("Hello"));

    let events = read(folder.path().join("events.parquet"));
    assert_eq!(events.schema().get("first_listen"), Some(&DataType::Datetime(TimeUnit::Microseconds, None)));
    let column = |name: &str| events.column(name).unwrap().cast(&DataType::Int64).unwrap();
    let values = |name: &str| column(name).i64().unwrap().iter().flatten().collect::<Vec<_>>();
    assert_eq!(values("user_id"), [3, 7]);
    assert_eq!(values("user_idx"), [0, 1]);
    assert_eq!(values("track_id"), [30, 10]);
    assert_eq!(values("item_idx"), [1, 0]);
    assert_eq!(values("listen_count"), [1, 2]);
    assert_eq!(values("last_listen")[1] - values("first_listen")[1], 2 * 86_400_000_000);

    assert_eq!(report["tracks"]["rows_in"], 4);
    assert_eq!(report["tracks"]["rows_out"], 2);
    assert_eq!(report["interactions"]["rows_in"], 6);
    assert_eq!(report["interactions"]["rows_out"], 2);
    let dropped: Vec<(String, u64)> = report["interactions"]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| (rule["rule"].as_str().unwrap().to_owned(), rule["dropped"].as_u64().unwrap()))
        .filter(|(_, dropped)| *dropped > 0)
        .collect();
    let expected = [("null_user", 1), ("unknown_track", 1), ("dropped_track", 1), ("same_user_and_track", 1)];
    assert_eq!(dropped, expected.map(|(rule, dropped)| (rule.to_owned(), dropped)));
    assert_eq!(report["entities"]["artist"]["entities"], 1);
}

#[test]
fn a_filter_that_leaves_nothing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    raw_tables(folder.path());
    let step = Preprocess { min_user_events: 2, ..Preprocess::default() };
    let error = run(folder.path(), folder.path(), &step).unwrap_err();
    assert!(error.contains("no interactions left of"), "{error}");
    assert!(error.contains("loosen `min_user_events`"), "{error}");
}

#[test]
fn a_wrong_column_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    raw_tables(folder.path());
    let mut frame = df!("user_id" => ["a"], "track_id" => [1i64], "track_seq" => [1i64]).unwrap();
    table::write(&folder.path().join("interactions.parquet"), &mut frame).unwrap();
    let error = run(folder.path(), folder.path(), &Preprocess::default()).unwrap_err();
    assert!(error.contains("column `user_id`: expected integers, found str"), "{error}");
}

fn real(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if !path.exists() {
        std::io::Write::write_all(&mut std::io::stderr(), b"skipped: ../shared is not here\n").unwrap();
        return None;
    }
    Some(path)
}

#[test]
fn real_data_keeps_every_promise_of_the_tables() {
    for name in ["lastfm_hetrec2011", "movielens_100k"] {
        let Some(raw) = real(name) else { return };
        let all = Preprocess {
            max_track_seq_quantile: None,
            drop_without_artist: false,
            drop_without_genre: false,
            drop_without_name: false,
            ..Preprocess::default()
        };
        for step in [Preprocess::default(), all] {
            let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let report = run(&raw, one.path(), &step).unwrap();
            run(&raw, two.path(), &step).unwrap();
            for (_, file) in FILES {
                let bytes = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
                assert!(bytes(one.path()) == bytes(two.path()), "{name}: {file} differs between two runs");
            }
            let events = read(one.path().join("events.parquet"));
            let index = |name: &str| {
                events.column(name).unwrap().u32().unwrap().iter().flatten().collect::<Vec<u32>>()
            };
            let (users, items) = (index("user_idx"), index("item_idx"));
            assert!(users.iter().zip(&items).collect::<Vec<_>>().is_sorted_by(|a, b| a < b));
            let n_items = read(one.path().join("items.parquet")).height();
            let mut popularity = vec![0; n_items];
            items.iter().for_each(|&item| popularity[item as usize] += 1);
            assert!(popularity.is_sorted_by(|a, b| a >= b) && popularity.last() > Some(&0));
            assert_eq!(report["events"]["rows"], events.height());
            assert_eq!(report["interactions"]["rows_out"], events.height());
            assert_eq!(report["users"]["rows_out"], *users.last().unwrap() + 1);
            assert_eq!(report["tracks"]["rows_out"], n_items);
            assert_eq!(report["ids_in_time_order"]["suspicious"], false, "{name}");
        }
    }
}

#[test]
fn small_buckets_change_nothing_and_both_minimums_hold() {
    let Some(raw) = real("movielens_100k") else { return };
    let step = Preprocess { min_user_events: 30, min_item_users: 40, ..Preprocess::default() };
    let (one, many) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let report = run(&raw, one.path(), &step).unwrap();
    assert_eq!(run_in_buckets(&raw, many.path(), &step, 3_000).unwrap(), report);
    for table in ["items.parquet", "users.parquet", "events.parquet"] {
        assert!(read(one.path().join(table)).equals_missing(&read(many.path().join(table))), "{table}");
    }
    let events = read(one.path().join("events.parquet"));
    for (column, least) in [("user_idx", 30), ("item_idx", 40)] {
        let mut counts = std::collections::BTreeMap::new();
        for index in events.column(column).unwrap().u32().unwrap().iter().flatten() {
            *counts.entry(index).or_insert(0) += 1;
        }
        assert_eq!(counts.values().min().map(|&n: &i32| n >= least), Some(true), "{column}");
        assert_eq!(
            counts.keys().last().map(|&last| last as usize + 1),
            Some(counts.len()),
            "{column} is dense"
        );
    }
}

#[test]
fn a_sample_keeps_a_share_of_the_users() {
    let Some(raw) = real("movielens_100k") else { return };
    let folder = tempfile::tempdir().unwrap();
    let step = Preprocess { users_sample_rate: 0.25, ..Preprocess::default() };
    let report = run(&raw, folder.path(), &step).unwrap();
    let n_users = report["users"]["rows_out"].as_u64().unwrap();
    assert!((190..280).contains(&n_users), "{n_users}");
    assert_eq!(read(folder.path().join("users.parquet")).height() as u64, n_users);
}
