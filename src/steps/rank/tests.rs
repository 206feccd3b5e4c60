//! The step on a small made-up world: what it writes, what it must not know, what it refuses.

use std::path::{Path, PathBuf};

use polars::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::tables::Tables;
use super::*;
use crate::codec::table::ColumnType;

const N_USERS: u32 = 300;
const N_ITEMS: u32 = 40;

/// What the files of a run are made from.
struct World {
    /// Seed of the target period.
    target_seed: u64,
    /// Events per user in the target period.
    target_size: u32,
    /// External ids fall while `user_idx` rises.
    falling_ids: bool,
}

impl Default for World {
    fn default() -> Self {
        Self { target_seed: 1, target_size: 3, falling_ids: false }
    }
}

/// Users like items of their own parity, and the ranker has to find that in the genres.
fn events(seed: u64, first_day: i32, per_user: u32) -> DataFrame {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let mut rows: Vec<(u32, u32)> = Vec::new();
    for user in 0..N_USERS {
        for _ in 0..per_user {
            let item = rng.random_range(0..N_ITEMS / 2) * 2;
            rows.push((user, if rng.random_bool(0.9) { item + user % 2 } else { item + 1 - user % 2 }));
        }
    }
    rows.sort_unstable();
    rows.dedup();
    let days: Vec<i32> = rows.iter().map(|row| first_day + (row.1 * 7 % 20) as i32).collect();
    let mut table = df!(
        "user_id" => rows.iter().map(|row| i64::from(row.0)).collect::<Vec<_>>(),
        "track_id" => rows.iter().map(|row| i64::from(row.1) + 1000).collect::<Vec<_>>(),
        "user_idx" => rows.iter().map(|row| row.0).collect::<Vec<_>>(),
        "item_idx" => rows.iter().map(|row| row.1).collect::<Vec<_>>(),
        "listen_count" => vec![1u32; rows.len()]
    )
    .unwrap();
    let days = Column::new("days".into(), days).cast(&DataType::Date).unwrap();
    let days = days.cast(&DataType::Datetime(TimeUnit::Microseconds, None)).unwrap();
    for name in ["first_listen", "last_listen"] {
        table.with_column(days.clone().with_name(name.into())).unwrap();
    }
    table
}

fn items() -> DataFrame {
    let ids: Vec<i64> = (0..i64::from(N_ITEMS)).collect();
    let lists = |values: Vec<i64>| -> Column {
        let lists: Vec<Series> = values.into_iter().map(|value| Series::new("".into(), [value])).collect();
        Series::new("list".into(), lists).into()
    };
    let mut table = df!(
        "item_idx" => ids.iter().map(|&id| id as u32).collect::<Vec<_>>(),
        "track_id" => ids.iter().map(|id| id + 1000).collect::<Vec<_>>(),
        "track_group_id" => ids.iter().map(|id| id + 1000).collect::<Vec<_>>(),
        "genre_name" => ids.iter().map(|id| if id % 2 == 0 { "even" } else { "odd" }).collect::<Vec<_>>()
    )
    .unwrap();
    let artists = lists(ids.iter().map(|id| id / 4).collect());
    let genres = lists(ids.iter().map(|id| id % 2).collect());
    table.with_column(artists.with_name("artist_ids".into())).unwrap();
    table.with_column(genres.with_name("genre_ids".into())).unwrap();
    table
}

/// Every item for every user, in an order that says nothing.
fn candidates(seed: u64) -> DataFrame {
    let mut rng = Pcg64Mcg::seed_from_u64(seed);
    let n_rows = N_USERS * N_ITEMS;
    let mut items: Vec<u32> = Vec::new();
    for _ in 0..N_USERS {
        let mut list: Vec<u32> = (0..N_ITEMS).collect();
        (1..list.len()).for_each(|at| list.swap(at, rng.random_range(0..=at)));
        items.extend(list);
    }
    df!(
        "user_idx" => (0..n_rows).map(|row| row / N_ITEMS).collect::<Vec<_>>(),
        "item_idx" => items,
        "score" => (0..n_rows).map(|row| 1.0 / (row % N_ITEMS + 1) as f32).collect::<Vec<_>>(),
        "rank" => (0..n_rows).map(|row| row % N_ITEMS + 1).collect::<Vec<_>>()
    )
    .unwrap()
}

fn context(folder: &Path, world: &World) -> Context<'static> {
    context_with(folder, world, &["als"])
}

/// `models` are those refitted on train + target; train has `als` alone.
fn context_with(folder: &Path, world: &World, models: &[&str]) -> Context<'static> {
    for sub in ["work", "train", "history"] {
        std::fs::create_dir_all(folder.join(sub)).unwrap();
    }
    let save = |name: &str, mut rows: DataFrame| -> PathBuf {
        let path = folder.join(format!("{name}.parquet"));
        table::write(&path, &mut rows).unwrap();
        path
    };
    let ids = (0..i64::from(N_USERS)).map(|user| if world.falling_ids { 9000 - user } else { user });
    let users = df!("user_idx" => (0..N_USERS).collect::<Vec<_>>(), "user_id" => ids.collect::<Vec<_>>());
    let mut inputs = vec![
        ("train_events", save("train_events", events(0, 100, 6))),
        ("target_events", save("target_events", events(world.target_seed, 130, world.target_size))),
        ("items", save("items", items())),
        ("users", save("users", users.unwrap())),
        ("train_candidates", save("train/als", candidates(2))),
    ];
    for model in models {
        inputs.push(("candidates", save(&format!("history/{model}"), candidates(3 + world.target_seed))));
    }
    let outputs: Vec<_> = made().map(|port| (port.name, folder.join(port.name))).collect();
    Context::standalone(inputs, outputs, folder.join("work"))
}

/// Outputs that need no other program.
fn made() -> impl Iterator<Item = &'static OutputPort> {
    Rank::OUTPUTS.iter().filter(|port| !port.on_request)
}

fn rank_step() -> Rank {
    Rank { n: 10, iterations: 40, ..Rank::default() }
}

#[test]
fn it_writes_a_model_lists_and_importances_and_the_lists_follow_taste() {
    let folder = tempfile::tempdir().unwrap();
    let ctx = context(folder.path(), &World::default());
    Step::run(&rank_step(), &ctx).unwrap();
    let columns = ["user_id", "track_id", "rank"].map(|name| (name, ColumnType::Integer));
    let lists = table::read(ctx.output("recommendations"), &columns).unwrap();
    assert_eq!(lists.height(), (N_USERS * 10) as usize);
    let column = |name: &str| lists.column(name).unwrap().cast(&DataType::Int64).unwrap();
    let (users, tracks, ranks) = (column("user_id"), column("track_id"), column("rank"));
    let rows = users.i64().unwrap().into_no_null_iter().zip(tracks.i64().unwrap().into_no_null_iter());
    let own = rows.filter(|(user, track)| user % 2 == track % 2).count();
    assert!(own as f64 > 0.9 * lists.height() as f64, "{own} of {}", lists.height());
    assert!(
        ranks.i64().unwrap().into_no_null_iter().enumerate().all(|(at, rank)| rank == at as i64 % 10 + 1)
    );

    let model = catboost_json::read(ctx.output("model")).unwrap();
    assert_eq!(model.features.last().unwrap().name, "genre_name");
    let importances = table::read(ctx.output("importances"), &[("importance", ColumnType::Number)]).unwrap();
    let importances = importances.column("importance").unwrap().f64().unwrap().clone();
    assert!((importances.sum().unwrap() - 100.0).abs() < 1e-6);
    assert!(importances.into_no_null_iter().is_sorted_by(|a, b| a >= b));
    assert!(std::fs::read(ctx.output("importances_plot")).unwrap().starts_with(b"\x89PNG"));
    let report: serde_json::Value = json::read(ctx.output("report")).unwrap();
    let quality = |name: &str| report["training"]["validation"][name].as_f64().unwrap();
    let base = report["training"]["validation"]["base_ndcg_at_10"]["als"].as_f64().unwrap();
    assert!(quality("ndcg_at_10") > 1.5 * base);
    assert!(quality("auc") > 0.7);
    let verdict = &report["training"]["validation"]["verdict"];
    assert_eq!((verdict["best_base"].as_str(), verdict["beats"].as_bool()), (Some("als"), Some(true)));
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let run = |threads| -> Vec<Vec<u8>> {
        let folder = tempfile::tempdir().unwrap();
        let ctx = context(folder.path(), &World::default());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| Step::run(&rank_step(), &ctx)).unwrap();
        made().map(|port| std::fs::read(ctx.output(port.name)).unwrap()).collect()
    };
    assert!(run(1) == run(3));
}

#[test]
fn what_happens_later_changes_no_training_feature() {
    let features = |world: World| {
        let folder = tempfile::tempdir().unwrap();
        let ctx = context(folder.path(), &world);
        let tables = Tables::open(&ctx).unwrap();
        let period = tables.train_period(&ctx).unwrap();
        let block = period.block(&tables, &(0..N_USERS as usize)).unwrap();
        let set = FeatureSet { models: vec!["als".to_owned()], groups: FeatureGroup::ALL.to_vec() };
        format!("{:?}", set.compute(period.past(&tables), &block, 0..N_USERS as usize).features)
    };
    let later = World { target_seed: 77, target_size: 9, ..World::default() };
    assert!(features(World::default()) == features(later));
}

#[test]
fn the_target_period_changes_the_labels_of_training_rows_and_nothing_else() {
    let training = |world: World| {
        let folder = tempfile::tempdir().unwrap();
        let ctx = context(folder.path(), &world);
        let set = FeatureSet { models: vec!["als".to_owned()], groups: FeatureGroup::ALL.to_vec() };
        let step = Rank { negatives_per_user: None, ..rank_step() };
        step.training_set(&ctx, &Tables::open(&ctx).unwrap(), &set).unwrap()
    };
    let one = training(World::default());
    let other = training(World { target_seed: 77, target_size: 9, ..World::default() });
    let rows_of = |set: &TrainingSet, at: usize| -> Vec<usize> { set.groups[at].clone().collect() };
    let (mut shared, mut relabelled) = (0, 0);
    for (at, user) in one.users.iter().enumerate() {
        let Some(same_user) = other.users.iter().position(|other| other == user) else { continue };
        let (rows, others) = (rows_of(&one, at), rows_of(&other, same_user));
        let features = [one.features.take(&rows), other.features.take(&others)];
        assert_eq!(format!("{:?}", features[0].columns()), format!("{:?}", features[1].columns()));
        shared += 1;
        relabelled += usize::from(
            !rows.iter().map(|&row| one.labels[row]).eq(others.iter().map(|&row| other.labels[row])),
        );
    }
    assert!(shared > 200 && relabelled > 200, "{shared} users in both, {relabelled} with other labels");
}

#[test]
fn lists_are_sorted_by_external_id_whatever_the_order_inside() {
    let folder = tempfile::tempdir().unwrap();
    let ctx = context(folder.path(), &World { falling_ids: true, ..World::default() });
    Step::run(&rank_step(), &ctx).unwrap();
    let lists = table::read(ctx.output("recommendations"), &[("user_id", ColumnType::Integer)]).unwrap();
    let users: Vec<i64> = lists.column("user_id").unwrap().i64().unwrap().into_no_null_iter().collect();
    assert!(users.is_sorted());
    assert_eq!((users[0], users.len()), (9000 - i64::from(N_USERS) + 1, (N_USERS * 10) as usize));
}

#[test]
fn lists_of_other_models_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let ctx = context_with(folder.path(), &World::default(), &["als", "bpr"]);
    let error = Step::run(&rank_step(), &ctx).unwrap_err();
    assert_eq!(error.to_string(), "`train_candidates` has `als`, but `candidates` has `als`, `bpr`");
    assert!(error.help().unwrap().to_string().contains("refitted on train + target"));
}

#[test]
fn a_target_period_without_hits_is_an_error_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let ctx = context(folder.path(), &World { target_size: 0, ..World::default() });
    let error = Step::run(&rank_step(), &ctx).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no candidate of the train period was chosen in the target period: 300 users, 0 events in the target \
         period"
    );
    assert!(error.help().unwrap().to_string().contains("make the target period longer"));
}

#[test]
fn no_group_of_features_is_a_fault() {
    let fault = Step::check(&Rank { features: Vec::new(), ..Rank::default() }).unwrap_err();
    assert_eq!(fault.parameter, "features");
}
