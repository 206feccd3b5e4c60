//! What the files of a synthetic data set promise, read back from the files.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use polars::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::{Sink, Synthetic, World, catalog_schema, interactions_schema, tracks_schema};
use crate::codec::CodecError;
use crate::codec::table::{self, ColumnType};
use crate::codec::table_writer::TableWriter;

const FILES: [&str; 3] = ["tracks.parquet", "catalog_names.parquet", "interactions.parquet"];
const INTERACTIONS: [(&str, ColumnType); 4] = [
    ("user_id", ColumnType::Integer),
    ("track_id", ColumnType::Integer),
    ("track_seq", ColumnType::Integer),
    ("started_at", ColumnType::Date),
];

/// A listen as read back.
struct Row {
    user: i32,
    track: i32,
    position: i16,
    day: i64,
}

#[test]
fn the_same_seed_gives_the_same_bytes_at_any_number_of_threads() {
    let parameters = Synthetic { interactions: 400_000, ..Synthetic::default() };
    let folder = tempfile::tempdir().unwrap();
    let bytes = |parameters: &Synthetic, n_threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| make(parameters, folder.path()));
        FILES.map(|file| fs::read(folder.path().join(file)).unwrap())
    };
    let alone = bytes(&parameters, 1);
    assert!(alone == bytes(&parameters, 2));
    assert!(alone == bytes(&parameters, 3));
    let other = bytes(&Synthetic { seed: 43, ..parameters }, 2);
    assert!(alone.iter().zip(&other).all(|(one, two)| one != two));
}

#[test]
fn the_files_have_the_raw_schema() {
    let folder = tempfile::tempdir().unwrap();
    make(&small(), folder.path());
    let types = |file: &str, columns: &[(&str, ColumnType)]| {
        let table = table::read(&folder.path().join(file), columns).unwrap();
        table.columns().iter().map(|column| column.dtype().clone()).collect::<Vec<_>>()
    };
    let list = DataType::List(Box::new(DataType::Int64));
    let tracks = [
        ("track_id", ColumnType::Integer),
        ("albums", ColumnType::IntegerList),
        ("artists", ColumnType::IntegerList),
        ("genres", ColumnType::IntegerList),
    ];
    assert_eq!(types(FILES[0], &tracks), [DataType::Int64, list.clone(), list.clone(), list]);
    let names = [("id", ColumnType::Integer), ("type", ColumnType::Text), ("name", ColumnType::Text)];
    assert_eq!(types(FILES[1], &names), [DataType::Int64, DataType::String, DataType::String]);
    let time = DataType::Datetime(TimeUnit::Nanoseconds, None);
    assert_eq!(types(FILES[2], &INTERACTIONS), [DataType::Int32, DataType::Int32, DataType::Int16, time]);
}

#[test]
fn a_history_holds_a_track_once_and_counts_by_date() {
    for parameters in [
        small(),
        Synthetic { interactions: 1_000, ..Synthetic::default() },
        Synthetic { interactions: 1_000, users: Some(40), tracks: Some(100), ..Synthetic::default() },
    ] {
        let rows = listens(&parameters);
        assert_eq!(rows.len() as u64, parameters.interactions);
        let pairs: HashSet<(i32, i32)> = rows.iter().map(|row| (row.user, row.track)).collect();
        assert_eq!(pairs.len(), rows.len());
        for pair in rows.windows(2) {
            let same_user = pair[0].user == pair[1].user;
            assert_eq!(pair[1].position, if same_user { pair[0].position + 1 } else { 1 });
            assert!(if same_user { pair[0].day <= pair[1].day } else { pair[0].user < pair[1].user });
        }
        assert!(rows.iter().all(|row| (0..365).contains(&row.day)));
    }
}

#[test]
fn listens_grow_over_the_year_and_have_long_tails() {
    let rows = listens(&Synthetic::default());
    let in_days = |from: i64, to: i64| rows.iter().filter(|row| (from..to).contains(&row.day)).count() as f64;
    let growth = in_days(334, 365) / in_days(0, 31);
    assert!((4.5..8.0).contains(&growth), "{growth}");

    let mut users: Vec<usize> = count(rows.iter().map(|row| row.user)).into_values().collect();
    users.sort_unstable();
    let ratio = rows.len() as f64 / users.len() as f64 / users[users.len() / 2] as f64;
    assert!((2.3..4.0).contains(&ratio), "mean is {ratio} medians");

    let mut tracks: Vec<usize> = count(rows.iter().map(|row| row.track)).into_values().collect();
    tracks.sort_unstable_by(|a, b| b.cmp(a));
    let share = tracks[..tracks.len() / 10].iter().sum::<usize>() as f64 / rows.len() as f64;
    assert!((0.35..0.7).contains(&share), "a tenth of the tracks has {share}");
}

#[test]
fn ids_rise_with_the_date_only_when_asked() {
    let rising = |ids_rise_with_date| {
        let rows = listens(&Synthetic { ids_rise_with_date, ..small() });
        let steps: Vec<bool> = rows
            .windows(2)
            .filter(|pair| pair[0].user == pair[1].user)
            .map(|pair| pair[0].track < pair[1].track)
            .collect();
        steps.iter().filter(|&&step| step).count() as f64 / steps.len() as f64
    };
    assert!(rising(true) == 1.0);
    assert!((0.45..0.6).contains(&rising(false)));
}

#[test]
fn the_catalogue_has_versions_scripts_twins_and_dirt() {
    let folder = tempfile::tempdir().unwrap();
    make(&small(), folder.path());
    let columns = [("id", ColumnType::Integer), ("type", ColumnType::Text), ("name", ColumnType::Text)];
    let table = table::read(&folder.path().join(FILES[1]), &columns).unwrap();
    let kinds = table.column("type").unwrap().str().unwrap();
    let names = table.column("name").unwrap().str().unwrap();
    let ids = table.column("id").unwrap().i64().unwrap();
    let of = |wanted: &str| -> Vec<(i64, &str)> {
        let all = ids.iter().flatten().zip(kinds.iter().flatten()).zip(names.iter().flatten());
        all.filter(|((_, kind), _)| *kind == wanted).map(|((id, _), name)| (id, name)).collect()
    };
    let (tracks, artists, genres) = (of("track"), of("artist"), of("genre"));
    for part in ["feat.", "Remix", "Live", "Acoustic", "Remaster", "Cover)", "Karaoke", "\t", "  ", "\u{a0}"]
    {
        assert!(tracks.iter().any(|(_, name)| name.contains(part)), "no track with {part:?}");
    }
    assert!(tracks.iter().any(|(_, name)| name.is_empty()));
    for (from, to) in
        [('а', 'я'), ('α', 'ω'), ('一', '龥'), ('가', '힣'), ('ا', 'ي'), ('à', 'ÿ'), ('🌀', '🗿')]
    {
        let letters = |name: &str| name.chars().any(|letter| (from..=to).contains(&letter));
        assert!(tracks.iter().any(|(_, name)| letters(name)), "no track in {from}-{to}");
    }
    let plain =
        |name: &str| name.nfkd().flat_map(char::to_lowercase).filter(|c| c.is_alphanumeric()).collect();
    let spelled: HashSet<String> = artists.iter().map(|(_, name)| plain(name)).collect();
    let twins = 1.0 - spelled.len() as f64 / artists.len() as f64;
    assert!((0.01..0.08).contains(&twins), "{twins}");
    assert_eq!(tracks.iter().map(|(id, _)| id).collect::<HashSet<_>>().len(), tracks.len());

    let columns = [
        ("track_id", ColumnType::Integer),
        ("artists", ColumnType::IntegerList),
        ("genres", ColumnType::IntegerList),
    ];
    let table = table::read(&folder.path().join(FILES[0]), &columns).unwrap();
    let lists = |name: &str| -> Vec<Vec<i64>> {
        let lists = table.column(name).unwrap().list().unwrap();
        let of = |at| lists.get_as_series(at).unwrap().i64().unwrap().iter().flatten().collect();
        (0..lists.len()).map(of).collect()
    };
    let genre_ids: HashSet<i64> = genres.iter().map(|&(id, _)| id).collect();
    let artist_ids: HashSet<i64> = artists.iter().map(|&(id, _)| id).collect();
    assert!(lists("artists").iter().flatten().all(|id| artist_ids.contains(id)));
    assert!(lists("artists").iter().any(Vec::is_empty) && lists("genres").iter().any(Vec::is_empty));
    assert!(lists("genres").iter().flatten().any(|id| !genre_ids.contains(id)));
    let known: HashSet<i64> = table.column("track_id").unwrap().i64().unwrap().iter().flatten().collect();
    let unknown = listens(&small()).iter().filter(|row| !known.contains(&row.track.into())).count();
    assert!((1..1_000).contains(&unknown), "{unknown} listens of unknown tracks");
}

fn small() -> Synthetic {
    Synthetic { interactions: 50_000, ..Synthetic::default() }
}

/// Writes the three files into `folder`.
fn make(parameters: &Synthetic, folder: &Path) {
    let world = World::new(parameters).unwrap();
    write(&folder.join(FILES[0]), &tracks_schema(), |sink| world.tracks(sink));
    write(&folder.join(FILES[1]), &catalog_schema(), |sink| world.catalog(sink));
    write(&folder.join(FILES[2]), &interactions_schema(), |sink| world.interactions(sink));
}

fn write(path: &Path, schema: &Schema, make: impl FnOnce(Sink<'_, CodecError>) -> Result<(), CodecError>) {
    let mut writer = TableWriter::create(path, schema).unwrap();
    make(&mut |piece| writer.append(&piece)).unwrap();
    writer.finish().unwrap();
}

/// The rows of the interactions, in the order of the file.
fn listens(parameters: &Synthetic) -> Vec<Row> {
    let folder = tempfile::tempdir().unwrap();
    make(parameters, folder.path());
    let table = table::read(&folder.path().join(FILES[2]), &INTERACTIONS).unwrap();
    let integers = |name: &str| -> Vec<i64> {
        let column = table.column(name).unwrap().cast(&DataType::Int64).unwrap();
        column.i64().unwrap().iter().flatten().collect()
    };
    let (users, tracks) = (integers("user_id"), integers("track_id"));
    let (positions, times) = (integers("track_seq"), integers("started_at"));
    (0..table.height())
        .map(|at| {
            assert_eq!(times[at] % 86_400_000_000_000, 0, "a listen is dated at midnight");
            Row {
                user: users[at] as i32,
                track: tracks[at] as i32,
                position: positions[at] as i16,
                day: times[at] / 86_400_000_000_000 - 18_993,
            }
        })
        .collect()
}

fn count(values: impl Iterator<Item = i32>) -> HashMap<i32, usize> {
    let mut counts = HashMap::new();
    values.for_each(|value| *counts.entry(value).or_insert(0) += 1);
    counts
}
