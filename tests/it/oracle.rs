//! Metrics and tests equal those of independent libraries (RecTools, RePlay, implicit, SciPy) to 1e-9.
//!
//! 1. every accuracy metric at k = 1, 5, 10;
//! 2. novelty, popularity bias, serendipity, coverage, diversity of vectors and of categories;
//! 3. the paired t-test and the Wilcoxon test on their own per-user values and p-values.
//!
//! The values lie beside the repository in `../shared/oracle`; without them the tests say so.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use recsys::eval::diversity::ItemVectors;
use recsys::eval::significance::PairedTest;
use recsys::eval::{
    Catalog, Evaluation, Evaluator, ItemsCounted, Lists, Metric, Protocol, SeenItems, UsersCounted,
};
use recsys::interactions::Interactions;
use serde_json::Value;

use crate::project::shared;

const CUTS: [usize; 3] = [1, 5, 10];

/// Header and rows of a file of numbers.
fn csv(path: PathBuf) -> (Vec<String>, Vec<Vec<f64>>) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines = text.lines();
    let header = lines.next().unwrap().split(',').map(str::to_owned).collect();
    (header, lines.map(|line| line.split(',').map(|cell| cell.parse().unwrap()).collect()).collect())
}

fn json(path: PathBuf) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Dense indices of the ids in a column, in rising order.
fn index(rows: &[Vec<f64>], column: usize) -> BTreeMap<u64, u32> {
    let ids: std::collections::BTreeSet<u64> = rows.iter().map(|row| row[column] as u64).collect();
    ids.into_iter().zip(0..).collect()
}

struct Data {
    train: Interactions,
    test: Interactions,
    catalog: Catalog,
    lists: [Lists; 2],
}

impl Data {
    fn read(folder: &Path) -> Self {
        let (_, test) = csv(folder.join("test.csv"));
        let (_, train) = csv(folder.join("train.csv"));
        let (_, items) = csv(folder.join("catalog.csv"));
        let users = index(&[train.as_slice(), test.as_slice()].concat(), 0);
        let items = index(&items, 0);
        let matrix = |rows: &[Vec<f64>]| {
            let pairs = rows.iter().map(|row| (users[&(row[0] as u64)], items[&(row[1] as u64)], 1.0));
            Interactions::from_triplets(users.len(), items.len(), pairs).unwrap()
        };
        let lists = ["recs_a.csv", "recs_b.csv"].map(|file| {
            let (_, rows) = csv(folder.join(file));
            let users: Vec<u32> = rows.iter().map(|row| users[&(row[0] as u64)]).collect();
            let chosen: Vec<u32> = rows.iter().map(|row| items[&(row[1] as u64)]).collect();
            let ranks: Vec<u32> = rows.iter().map(|row| row[2] as u32).collect();
            Lists::from_rows(200, items.len(), &users, &chosen, &ranks).unwrap()
        });
        let by_item = |file: &str, id_column: usize| {
            let (_, rows) = csv(folder.join(file));
            rows.into_iter().map(|row| (items[&(row[id_column] as u64)], row)).collect::<BTreeMap<_, _>>()
        };
        let vectors =
            ItemVectors::new(8, by_item("item_emb.csv", 8).into_values().map(|row| (0..8).zip(row)));
        let categories =
            by_item("item_category.csv", 0).into_values().map(|row| Some(row[1] as u32)).collect();
        let track_groups = (0..items.len() as u32).map(Some).collect();
        let catalog = Catalog { track_groups, categories, vectors };
        Self { train: matrix(&train), test: matrix(&test), catalog, lists }
    }

    fn evaluate(&self) -> [Evaluation; 2] {
        let protocol = Protocol {
            k: CUTS.to_vec(),
            novel_only: false,
            users: UsersCounted::All,
            items: ItemsCounted::All,
            seen_items: SeenItems::Keep,
            bootstrap_samples: 200,
            seed: 1,
        };
        let evaluator = Evaluator::new(protocol, &self.test, &self.train, &self.catalog).unwrap();
        assert_eq!(evaluator.counts().evaluated_users, 200);
        self.lists.each_ref().map(|lists| evaluator.evaluate(lists).unwrap())
    }
}

fn assert_equal(what: &str, found: f64, expected: &Value) {
    let expected = expected.as_f64().unwrap_or_else(|| panic!("{what} is not among the values"));
    assert!((found - expected).abs() <= 1e-9, "{what}: {found} is not {expected}");
}

#[test]
fn metrics_equal_rectools_replay_and_implicit() {
    let Some(folder) = shared("oracle") else { return };
    let evaluations = Data::read(&folder).evaluate();
    let sources = [
        (
            "values_rectools.json",
            ["model_a", "model_b"],
            &[
                (Metric::Precision, "precision"),
                (Metric::Recall, "recall"),
                (Metric::HitRate, "hit_rate"),
                (Metric::Mrr, "mrr"),
                (Metric::Ndcg, "ndcg_achievable"),
                (Metric::Novelty, "miuf"),
                (Metric::Serendipity, "serendipity"),
                (Metric::PopularityBias, "arp"),
                (Metric::CoverageItems, "catalog_coverage"),
                (Metric::CoverageUsers, "covered_users"),
                (Metric::IntraListDiversity, "ild_cosine"),
            ][..],
        ),
        (
            "values_replay.json",
            ["model_a_polars", "model_b_polars"],
            &[
                (Metric::Ndcg, "ndcg"),
                (Metric::Map, "map"),
                (Metric::HitRate, "hitrate"),
                (Metric::CategoryDiversity, "categoricaldiversity"),
            ],
        ),
        ("values_implicit.json", ["model_a", "model_b"], &[(Metric::Ndcg, "ndcg"), (Metric::Map, "map")]),
    ];
    let mut n_checked = 0;
    for (file, models, metrics) in sources {
        let values = json(folder.join(file));
        for (evaluation, model) in evaluations.iter().zip(models) {
            for k in CUTS {
                for (metric, theirs) in metrics {
                    let what = format!("{file} {model} {theirs}@{k}");
                    let found = evaluation.get(*metric, k).unwrap();
                    assert_equal(&what, found.value, &values[model][format!("{theirs}@{k}")]);
                    let (low, high) = found.interval.unwrap();
                    assert!(low <= found.value && found.value <= high, "{what}: {found:?}");
                    n_checked += 1;
                }
            }
        }
    }
    assert_eq!(n_checked, 2 * 3 * (11 + 4 + 2));
}

#[test]
fn ndcg_of_every_user_equals_rectools() {
    let Some(folder) = shared("oracle") else { return };
    let evaluations = Data::read(&folder).evaluate();
    for (evaluation, file) in evaluations.iter().zip(["per_user_rectools_a.csv", "per_user_rectools_b.csv"]) {
        let (header, rows) = csv(folder.join(file));
        for (cut, k) in CUTS.iter().enumerate() {
            let column = header.iter().position(|name| *name == format!("ndcg_achievable@{k}")).unwrap();
            for (found, row) in evaluation.ndcg[cut].iter().zip(&rows) {
                assert!((found - row[column]).abs() <= 1e-9, "{file}: {found} is not {}", row[column]);
            }
        }
    }
}

#[test]
fn paired_tests_equal_scipy() {
    let Some(folder) = shared("oracle") else { return };
    let expected = &json(folder.join("values_rectools.json"))["significance_ndcg@10_a_vs_b"];
    let [a, b] = ["a", "b"].map(|model| plain_ndcg_at_10(&folder, model));
    let differences: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
    let test = PairedTest::of(&differences);
    assert_eq!(test.n, 200);
    assert_equal("mean difference", test.mean_difference, &expected["mean_diff"]);
    assert_equal("t", test.t, &expected["paired_t"]);
    assert_equal("p of the t-test", test.p_t_test, &expected["p_ttest"]);
    assert_equal("W", test.wilcoxon_w, &expected["wilcoxon_W"]);
    assert_equal("z", test.wilcoxon_z, &expected["wilcoxon_z"]);
    assert_equal("p of Wilcoxon's test", test.p_wilcoxon, &expected["p_wilcoxon_approx"]);
    // The p-values are small: they must agree in their digits too.
    for (found, name) in [(test.p_t_test, "p_ttest"), (test.p_wilcoxon, "p_wilcoxon_approx")] {
        assert!((found / expected[name].as_f64().unwrap() - 1.0).abs() < 1e-9, "{name}: {found}");
    }
}

/// RecTools' plain NDCG@10 of every user, in the order of operations that gives SciPy's ties.
///
/// Ranks of differences depend on which of them are equal to the last bit. The published per-user
/// values have 12 digits, which breaks ties (W = 6290.5); exact ties would give 6290.0; the published
/// 6289.5 belongs to the doubles of one order of summation: gains 1 / (log₂(rank + 1) · ideal),
/// added with Kahan's compensation as pandas does, the ideal added in pairs as NumPy does.
fn plain_ndcg_at_10(folder: &Path, model: &str) -> Vec<f64> {
    let (_, recommended) = csv(folder.join(format!("recs_{model}.csv")));
    let (_, test) = csv(folder.join("test.csv"));
    let relevant: std::collections::BTreeSet<[u64; 2]> =
        test.iter().map(|row| [row[0] as u64, row[1] as u64]).collect();
    let gain = |rank: usize| 1.0 / (rank as f64 + 1.0).log2();
    let pair = |rank: usize| gain(rank) + gain(rank + 1);
    let ideal = (pair(1) + pair(3)) + (pair(5) + pair(7)) + gain(9) + gain(10);
    let mut users: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for row in &recommended {
        let (sum, lost) = users.entry(row[0] as u64).or_default();
        if relevant.contains(&[row[0] as u64, row[1] as u64]) {
            let gain = 1.0 / ((row[2] + 1.0).log2() * ideal) - *lost;
            let next = *sum + gain;
            *lost = next - *sum - gain;
            *sum = next;
        }
    }
    let values: Vec<f64> = users.into_values().map(|(sum, _)| sum).collect();
    let (header, published) = csv(folder.join(format!("per_user_rectools_{model}.csv")));
    let column = header.iter().position(|name| name == "ndcg@10").unwrap();
    for (value, row) in values.iter().zip(&published) {
        assert!((value - row[column]).abs() < 1e-11, "{value} is not {}", row[column]);
    }
    values
}
