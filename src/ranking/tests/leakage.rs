//! Leakage: what happens from the label date on changes labels, and nothing that the ranker sees.
//!
//! 1. Whatever the later events are, no candidate, feature or null of the training side changes.
//! 2. Labels do, so the later events were read.
//! 3. The same comparison notices every kind of change before the label date, and a target period that
//!    is taken for the past.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

use super::*;
use crate::data::split::{EventColumns, Period, Plan, take};

const N_USERS: u32 = 60;
const N_ITEMS: u32 = 5;
/// Days since 1970.
const LABEL_DAY: i32 = 50;
const TEST_DAY: i32 = 70;
const END_DAY: i32 = 90;

/// `(user, item, listens, first day, last day)`; a pair is heard on one day.
type Row = (u32, u32, u32, i32, i32);

/// Pairs of all periods, each once; about half before the label date.
fn world() -> Vec<Row> {
    let mut rng = Pcg64Mcg::seed_from_u64(4);
    let mut rows = Vec::new();
    for (user, item) in (0..N_USERS).flat_map(|user| (0..N_ITEMS).map(move |item| (user, item))) {
        if rng.random_bool(0.8) {
            let day = rng.random_range(10..END_DAY);
            rows.push((user, item, rng.random_range(1..9), day, day));
        }
    }
    rows
}

fn is_later(row: &Row) -> bool {
    row.3 >= LABEL_DAY
}

/// The training side: a row for each candidate of each user.
#[derive(Debug, PartialEq)]
struct Seen {
    candidates: Vec<(usize, u32)>,
    /// By rows, as bits, so that a null is equal to a null.
    features: Vec<Vec<u32>>,
    /// Of users with a chosen candidate; 0 for all others.
    labels: Vec<f32>,
}

/// What the ranker sees when the past is made of these periods.
fn seen(events_of_all_periods: &[Row], past: &[Period]) -> Seen {
    let (past, target) = periods(events_of_all_periods, past);
    let catalog = catalog();
    let stats = stats(&catalog, &past);
    let block = Block {
        users: 0..N_USERS as usize,
        history: history(N_USERS as usize, &past),
        proposals: proposed(&past),
    };
    let past = Past { catalog: &catalog, stats: &stats };
    let set = set(&FeatureGroup::ALL);
    let rows = set.compute(past, &block, 0..N_USERS as usize);
    let bits = |features: &Features, row: usize| {
        let bits = |column: &Feature| match &column.values {
            Values::Real(values) => values[row].to_bits(),
            Values::Category { hashes, .. } => hashes[row],
        };
        features.columns().iter().map(bits).collect::<Vec<u32>>()
    };
    let features: Vec<_> = (0..rows.items.len()).map(|row| bits(&rows.features, row)).collect();
    let mut labels = vec![0.0; rows.items.len()];
    let target = history(N_USERS as usize, &target);
    let sampler = Sampler { negatives_per_user: None, seed: 0 };
    let training = sampler.label(&set, past, &block, &target, usize::MAX);
    for (&user, group) in training.users.iter().zip(&training.groups) {
        for (row, own) in (rows.starts[user]..rows.starts[user + 1]).zip(group.clone()) {
            assert_eq!(
                bits(&training.features, own),
                features[row],
                "training describes rows as scoring does"
            );
            labels[row] = training.labels[own];
        }
    }
    let user_of = |user: usize| std::iter::repeat_n(user, rows.starts[user + 1] - rows.starts[user]);
    let users = (0..N_USERS as usize).flat_map(user_of);
    Seen { candidates: users.zip(rows.items.iter().copied()).collect(), features, labels }
}

/// The events of the past, and those of the target, as `split` parts them.
fn periods(all: &[Row], past: &[Period]) -> (DataFrame, DataFrame) {
    let mut table = events(all);
    for (id, index) in [("user_id", "user_idx"), ("track_id", "item_idx")] {
        let ids = table.column(index).unwrap().cast(&DataType::Int64).unwrap();
        table.with_column(ids.with_name(id.into())).unwrap();
    }
    let table = table.lazy().select(EventColumns::selection()).collect().unwrap();
    let from = |day: i32| i64::from(day) * 86_400_000_000;
    let plan = Plan::Time { target_from: Some(from(LABEL_DAY)), test_from: from(TEST_DAY) };
    let assigned = plan.assign(&EventColumns::from_frame(&table).unwrap());
    let of =
        |wanted: &[Period]| take(&table, &assigned, wanted, plan.end_of(wanted[wanted.len() - 1])).unwrap();
    (of(past), of(&[Period::Target]))
}

/// Lists of two models that know the past: what the user has not heard, by users and by listens.
fn proposed(past: &DataFrame) -> Vec<Proposals> {
    let users = columns::u32s(past, "user_idx").unwrap();
    let items = columns::u32s(past, "item_idx").unwrap();
    let listens = columns::u32s(past, "listen_count").unwrap();
    let known: std::collections::HashSet<(u32, u32)> = users.into_iter().zip(items.iter().copied()).collect();
    let list = |weight: &dyn Fn(usize) -> u32| {
        let mut weights = [0u32; N_ITEMS as usize];
        items.iter().enumerate().for_each(|(row, &item)| weights[item as usize] += weight(row));
        let mut order: Vec<u32> = (0..N_ITEMS).collect();
        order.sort_by_key(|&item| std::cmp::Reverse(weights[item as usize]));
        let mut rows = Vec::new();
        for user in 0..N_USERS {
            let new = order.iter().filter(|&&item| !known.contains(&(user, item)));
            rows.extend(new.zip(1..4).map(|(&item, rank)| (user, item, weights[item as usize] as f32, rank)));
        }
        proposals(N_USERS as usize, &rows)
    };
    vec![list(&|_| 1), list(&|row| listens[row])]
}

/// All rows with the later ones, or the earlier ones, made anew.
fn with(later: bool, change: impl FnOnce(Vec<Row>) -> Vec<Row>) -> Vec<Row> {
    let (mut changed, kept): (Vec<Row>, Vec<Row>) =
        world().into_iter().partition(|row| is_later(row) == later);
    changed = change(changed);
    changed.extend(kept);
    changed.sort_unstable();
    changed.dedup_by_key(|row| (row.0, row.1));
    changed
}

/// The later rows with days, listens, and who heard what, drawn anew among all pairs that the past lacks.
fn redrawn(seed: u64) -> Vec<Row> {
    with(true, |later| {
        let mut rng = Pcg64Mcg::seed_from_u64(seed);
        let past: Vec<Row> = world().into_iter().filter(|row| !is_later(row)).collect();
        let is_new = |user: u32, item: u32| !past.iter().any(|row| (row.0, row.1) == (user, item));
        let pairs = (0..N_USERS).flat_map(|user| (0..N_ITEMS).map(move |item| (user, item)));
        let mut pairs: Vec<(u32, u32)> = pairs.filter(|&(user, item)| is_new(user, item)).collect();
        pairs.shuffle(&mut rng);
        let made = pairs.into_iter().take(later.len()).map(|(user, item)| {
            let day = rng.random_range(LABEL_DAY..END_DAY + 200);
            (user, item, rng.random_range(1..1000), day, day)
        });
        made.collect()
    })
}

#[test]
fn what_happens_from_the_label_date_on_changes_labels_only() {
    let before = seen(&world(), &[Period::Train]);
    assert!(before.labels.iter().sum::<f32>() > 20.0);
    let nan = f32::NAN.to_bits();
    assert!(before.features.iter().flatten().any(|&bits| bits == nan), "nulls are among what is compared");
    for (name, later) in [
        ("nothing", with(true, |_| Vec::new())),
        ("drawn anew", redrawn(1)),
        ("drawn anew again", redrawn(2)),
        ("one user alone", with(true, |rows| rows.into_iter().filter(|row| row.0 == 7).collect())),
        ("one item alone", with(true, |rows| rows.into_iter().filter(|row| row.1 == 2).collect())),
    ] {
        let after = seen(&later, &[Period::Train]);
        assert_eq!(after.candidates, before.candidates, "later events: {name}");
        assert_eq!(after.features, before.features, "later events: {name}");
        assert_ne!(after.labels, before.labels, "later events: {name}");
    }
}

#[test]
fn the_comparison_notices_what_does_leak() {
    let before = seen(&world(), &[Period::Train]);
    let first = |change: fn(&mut Row)| {
        with(false, |mut rows| {
            change(&mut rows[0]);
            rows
        })
    };
    for (name, earlier) in [
        ("more listens", first(|row| row.2 += 1)),
        ("another day", first(|row| (row.3, row.4) = (11, 11))),
        ("one event less", with(false, |rows| rows[1..].to_vec())),
    ] {
        assert_ne!(seen(&earlier, &[Period::Train]).features, before.features, "earlier events: {name}");
    }
    let leaking = seen(&world(), &[Period::Train, Period::Target]);
    assert_ne!(leaking.features, before.features);
    assert_ne!(leaking.candidates, before.candidates);
}
