//! The ranking room on small tables by hand: features, labels, what leaks and what does not.

mod leakage;

use std::ops::ControlFlow;

use polars::prelude::*;

use super::block::{Block, Event, History, Proposals};
use super::catalog::Catalog;
use super::columns;
use super::features::{FeatureGroup, FeatureSet, Past, Rows};
use super::item_stats::{self, ItemStats};
use super::ranker::{Ranker, rank};
use super::training::{Sampler, TrainingSet};
use crate::models::boosting::{Boosting, Feature, Features, Loss, Scorer, Values, category_hash};

fn lists(values: &[&[i64]]) -> Column {
    let lists: Vec<Series> = values.iter().map(|list| Series::new("".into(), list)).collect();
    Series::new("list".into(), lists).into()
}

/// Five items: 0 and 1 of artist 10 and one track group, 2 of artists 10 and 11, 3 of 12, 4 of nobody.
pub fn catalog() -> Catalog {
    let mut items = df!(
        "item_idx" => [0u32, 1, 2, 3, 4],
        "track_id" => [100i64, 101, 102, 103, 104],
        "track_group_id" => [100i64, 100, 102, 103, 104],
        "genre_name" => [Some("rock"), Some("rock"), Some("jazz"), Some("jazz"), None]
    )
    .unwrap();
    let artists = lists(&[&[10], &[10], &[10, 11], &[12], &[]]);
    let genres = lists(&[&[1], &[1], &[1, 2], &[2], &[]]);
    items.with_column(artists.with_name("artist_ids".into())).unwrap();
    items.with_column(genres.with_name("genre_ids".into())).unwrap();
    Catalog::from_table(&items).unwrap()
}

/// `(user, item, listens, first day, last day)`, sorted by user.
fn events(rows: &[(u32, u32, u32, i32, i32)]) -> DataFrame {
    let date = |days: Vec<i32>| Column::new("date".into(), days).cast(&DataType::Date).unwrap();
    let mut table = df!(
        "user_idx" => rows.iter().map(|row| row.0).collect::<Vec<_>>(),
        "item_idx" => rows.iter().map(|row| row.1).collect::<Vec<_>>(),
        "listen_count" => rows.iter().map(|row| row.2).collect::<Vec<_>>()
    )
    .unwrap();
    let first = rows.iter().map(|row| row.3).collect();
    let last = rows.iter().map(|row| row.4).collect();
    table.with_column(date(first).with_name("first_listen".into())).unwrap();
    table.with_column(date(last).with_name("last_listen".into())).unwrap();
    table
}

/// `(user, item, score, rank)`, sorted by user.
fn proposals(users: usize, rows: &[(u32, u32, f32, u32)]) -> Proposals {
    let table = df!(
        "user_idx" => rows.iter().map(|row| row.0).collect::<Vec<_>>(),
        "item_idx" => rows.iter().map(|row| row.1).collect::<Vec<_>>(),
        "score" => rows.iter().map(|row| row.2).collect::<Vec<_>>(),
        "rank" => rows.iter().map(|row| row.3).collect::<Vec<_>>()
    );
    Proposals::from_table(&(0..users), &table.unwrap(), 5).unwrap()
}

fn history(users: usize, table: &DataFrame) -> History {
    let table = table.clone().lazy().select(History::columns()).collect().unwrap();
    History::from_tables(&(0..users), &[table], 5).unwrap()
}

fn stats(catalog: &Catalog, table: &DataFrame) -> ItemStats {
    let day = item_stats::reference_day(table.clone().lazy()).collect().unwrap();
    let day = columns::i32s(&day, "day").unwrap()[0];
    let counts = item_stats::counts(table.clone().lazy(), day).collect().unwrap();
    ItemStats::new(catalog, &counts, day).unwrap()
}

fn column(rows: &Rows, name: &str) -> Vec<f32> {
    let found = rows.features.columns().iter().find(|column| column.name == name);
    match &found.unwrap_or_else(|| panic!("no feature `{name}`")).values {
        Values::Real(values) => values.clone(),
        Values::Category { .. } => panic!("`{name}` is a category"),
    }
}

/// Equal, NaN being equal to NaN.
fn same(found: &[f32], expected: &[f32]) {
    let equal = |(a, b): (&f32, &f32)| (a.is_nan() && b.is_nan()) || (a - b).abs() < 1e-6;
    assert!(
        found.len() == expected.len() && found.iter().zip(expected).all(equal),
        "{found:?}, expected {expected:?}"
    );
}

fn set(groups: &[FeatureGroup]) -> FeatureSet {
    FeatureSet { models: vec!["als".to_owned(), "popularity".to_owned()], groups: groups.to_vec() }
}

#[test]
fn features_of_a_small_table_are_as_computed_by_hand() {
    let catalog = catalog();
    let table = events(&[(0, 0, 3, 10, 40), (0, 3, 1, 20, 20), (1, 0, 2, 34, 34), (1, 2, 5, 5, 33)]);
    let stats = stats(&catalog, &table);
    assert_eq!(stats.reference_day, 40);
    let block = Block {
        users: 0..3,
        history: history(3, &table),
        proposals: vec![
            proposals(3, &[(0, 1, 0.8, 1), (0, 2, 0.2, 2)]),
            proposals(3, &[(0, 2, 6.0, 1), (0, 4, 3.0, 2), (2, 0, 9.0, 1)]),
        ],
    };
    let past = Past { catalog: &catalog, stats: &stats };
    let rows = set(&FeatureGroup::ALL).compute(past, &block, 0..3);
    assert_eq!(rows.items, [1, 2, 4, 0]);
    assert_eq!(rows.starts, [0, 3, 3, 4]);
    let nan = f32::NAN;
    for (name, expected) in [
        ("als_score", [0.8, 0.2, nan, nan]),
        ("als_rank", [1.0, 2.0, nan, nan]),
        ("als_score_share", [1.0, 0.25, nan, nan]),
        ("popularity_score", [nan, 6.0, 3.0, 9.0]),
        ("popularity_score_share", [nan, 1.0, 0.5, 1.0]),
        // User 0 has items 0 and 3, last heard today and 20 days ago; user 2 has no past.
        ("user_events", [2.0, 2.0, 2.0, 0.0]),
        ("user_events_7d", [1.0, 1.0, 1.0, 0.0]),
        ("user_events_30d", [2.0, 2.0, 2.0, 0.0]),
        ("user_artists", [2.0, 2.0, 2.0, 0.0]),
        ("user_days_since_first", [30.0, 30.0, 30.0, nan]),
        ("user_days_since_last", [0.0, 0.0, 0.0, nan]),
        // Item 2 was heard by user 1 alone, 35 to 7 days ago: day 33 is not one of days 34 to 40.
        ("item_users", [0.0, 1.0, 0.0, 2.0]),
        ("item_users_7d", [0.0, 0.0, 0.0, 2.0]),
        ("item_users_30d", [0.0, 1.0, 0.0, 2.0]),
        ("item_listens", [0.0, 5.0, 0.0, 5.0]),
        ("item_days_since_first", [nan, 35.0, nan, 30.0]),
        ("item_days_since_last", [nan, 7.0, nan, 0.0]),
        ("item_popularity_rank", [4.0, 2.0, 5.0, 1.0]),
        ("artist_listens", [10.0, 10.0, nan, 10.0]),
        ("genre_listens", [10.0, 10.0, nan, 10.0]),
        ("track_group_size", [2.0, 1.0, 1.0, 2.0]),
        // User 0: three listens of genre 1 and artist 10, one of genre 2 and artist 12.
        ("genre_share", [0.75, 0.5, nan, nan]),
        ("artist_share", [0.75, 0.75, nan, nan]),
        ("artist_heard", [1.0, 1.0, 0.0, 0.0]),
        ("track_group_heard", [1.0, 0.0, 0.0, 0.0]),
    ] {
        same(&column(&rows, name), &expected);
    }
    let Values::Category { hashes, .. } = &rows.features.columns().last().unwrap().values else { panic!() };
    assert_eq!(hashes[..], ["rock", "jazz", "", "rock"].map(category_hash));
}

#[test]
fn a_group_that_is_left_out_leaves_the_others_as_they_were() {
    let catalog = catalog();
    let table = events(&[(0, 0, 3, 10, 40)]);
    let stats = stats(&catalog, &table);
    let past = Past { catalog: &catalog, stats: &stats };
    let block = Block {
        users: 0..1,
        history: history(1, &table),
        proposals: vec![proposals(1, &[(0, 1, 0.8, 1)]), proposals(1, &[(0, 2, 6.0, 1)])],
    };
    let all = set(&FeatureGroup::ALL).compute(past, &block, 0..1);
    for left_out in FeatureGroup::ALL {
        let groups: Vec<FeatureGroup> = FeatureGroup::ALL.into_iter().filter(|&g| g != left_out).collect();
        let some = set(&groups).compute(past, &block, 0..1);
        assert!(some.features.columns().len() < all.features.columns().len());
        for feature in some.features.columns() {
            if let Values::Real(values) = &feature.values {
                same(values, &column(&all, &feature.name));
            }
        }
    }
}

#[test]
fn a_table_that_is_not_sorted_or_has_unknown_items_is_refused() {
    let error = |rows: &[(u32, u32, u32, i32, i32)]| {
        let table = events(rows).lazy().select(History::columns()).collect().unwrap();
        History::from_tables(&(0..2), &[table], 5).unwrap_err().to_string()
    };
    assert_eq!(error(&[(1, 0, 1, 1, 1), (0, 0, 1, 1, 1)]), "events: expected rows sorted by `user_idx`");
    assert_eq!(error(&[(2, 0, 1, 1, 1)]), "events: expected rows sorted by `user_idx`");
    assert_eq!(error(&[(0, 5, 1, 1, 1)]), "events: item 5 is outside the catalogue of 5 items");
}

/// A block in which `n` users see all five items, in the same order by ALS; each chose item 3 later.
fn uniform_block(n: usize) -> (Catalog, DataFrame, Block, History) {
    let past: Vec<_> = (0..n as u32).map(|user| (user, user % 3, 1, 10, 10)).collect();
    let rows: Vec<_> = (0..n as u32)
        .flat_map(|user| (0..5).map(move |item| (user, item, 1.0 / (item + 1) as f32, item + 1)))
        .collect();
    let chosen: Vec<_> = (0..n as u32).map(|user| (user, 3, 1, 11, 11)).collect();
    let table = events(&past);
    let proposals = vec![proposals(n, &rows), proposals(n, &[])];
    let block = Block { users: 0..n, history: history(n, &table), proposals };
    (catalog(), table, block, history(n, &events(&chosen)))
}

#[test]
fn all_positives_and_a_seeded_draw_of_negatives_are_kept() {
    let (catalog, table, block, target) = uniform_block(40);
    let stats = stats(&catalog, &table);
    let past = Past { catalog: &catalog, stats: &stats };
    let set = set(&[FeatureGroup::Scores]);
    let draw = |negatives_per_user, seed, limit| -> TrainingSet {
        Sampler { negatives_per_user, seed }.label(&set, past, &block, &target, limit)
    };
    let all = draw(None, 0, 100);
    assert_eq!((all.labels.len(), all.positives(), all.users.len()), (200, 40, 40));
    let two = draw(Some(2), 0, 100);
    assert_eq!((two.labels.len(), two.positives()), (120, 40));
    assert!(two.groups.iter().all(|group| two.labels[group.clone()].iter().sum::<f32>() == 1.0));
    let ranks = |seed| match &draw(Some(2), seed, 100).features.columns()[1].values {
        Values::Real(ranks) => ranks.clone(),
        Values::Category { .. } => panic!("ranks are numbers"),
    };
    assert_eq!(ranks(0), ranks(0));
    assert_ne!(ranks(0), ranks(1));
    assert_eq!(draw(None, 0, 7).users, (0..7).collect::<Vec<_>>());
    let nobody = History::from_tables(&(0..40), &[], 5).unwrap();
    let none = Sampler { negatives_per_user: None, seed: 0 }.label(&set, past, &block, &nobody, 9);
    assert!(none.labels.is_empty());
}

#[test]
fn the_ranker_puts_what_users_chose_on_top() {
    let (catalog, table, block, target) = uniform_block(200);
    let stats = stats(&catalog, &table);
    let past = Past { catalog: &catalog, stats: &stats };
    let set = set(&FeatureGroup::ALL);
    let training = Sampler { negatives_per_user: None, seed: 0 }.label(&set, past, &block, &target, 1000);
    for loss_function in [Loss::Logloss, Loss::QuerySoftMax] {
        let boosting = Boosting { loss_function, ..Boosting::default() };
        let ranker = Ranker { trainer: boosting, validation_share: 0.2 };
        let (model, report) = ranker.fit(&set, training.clone(), |_| ControlFlow::Continue(())).unwrap();
        let validation = report.validation.unwrap();
        assert_eq!((validation.users, validation.positives), (200, 200), "every user was held out once");
        assert!(validation.ndcg_at_10 > 0.99 && validation.auc > 0.99, "{validation:?}");
        assert!((validation.base_ndcg_at_10["als"] - 1.0 / 5f64.log2()).abs() < 1e-9);
        let lists = rank(&Scorer::new(&model), &set, past, &block, 2).unwrap();
        assert_eq!(lists.users.len(), 400);
        assert!(lists.items.iter().step_by(2).all(|&item| item == 3));
        assert_eq!(lists.ranks[..4], [1, 2, 1, 2]);
    }
}

#[test]
fn events_of_several_periods_are_one_past() {
    let periods = [events(&[(0, 0, 3, 10, 40)]), events(&[(0, 3, 1, 41, 42), (1, 2, 1, 41, 41)])]
        .map(|table| table.lazy().select(History::columns()).collect().unwrap());
    let history = History::from_tables(&(0..2), &periods, 5).unwrap();
    assert_eq!(history.len(), 3);
    let last = Event { item: 3, listens: 1, first_day: 41, last_day: 42 };
    assert_eq!(history.of(0).last(), Some(last));
}
