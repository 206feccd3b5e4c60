//! The search against sorting, on every kernel, and on input that no model should hold.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use super::*;

/// Small whole numbers: ties abound.
fn whole_numbers(n_rows: usize, n_factors: usize, seed: u64) -> Factors {
    let mut random = Pcg64::seed_from_u64(seed);
    let values = (0..n_rows * n_factors).map(|_| random.random_range(-2..=2) as f32).collect();
    Factors::new(n_rows, n_factors, values)
}

/// Numbers between −1 and 1, row by row up to a thousand times smaller.
fn real_numbers(n_rows: usize, n_factors: usize, seed: u64) -> Factors {
    let mut random = Pcg64::seed_from_u64(seed);
    let mut values = Vec::new();
    for _ in 0..n_rows {
        let size = 10.0f32.powf(random.random_range(-3.0..0.0));
        values.extend((0..n_factors).map(|_| random.random_range(-1.0..1.0) * size));
    }
    Factors::new(n_rows, n_factors, values)
}

/// Sort and cut.
fn plain(items: &Factors, query: &[f32], n: usize, excluded: &[u32]) -> Vec<(u32, f32)> {
    let mut all: Vec<(u32, f32)> = (0..items.n_rows() as u32)
        .filter(|&item| !items.is_zero(item as usize) && !excluded.contains(&item))
        .filter(|_| query.iter().any(|&value| value != 0.0))
        .map(|item| (item, exact::dot(items.row(item as usize), query) as f32 + 0.0))
        .collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all.truncate(n);
    all
}

fn pairs(lists: &Lists, query: usize) -> Vec<(u32, f32)> {
    let (items, scores) = lists.list(query);
    items.iter().copied().zip(scores.iter().copied()).collect()
}

/// All kernels find what sorting finds, to the last bit.
fn assert_is_sort_and_cut(items: &Factors, queries: &Factors, n: usize, excluded: &[u32]) {
    for kernel in Kernel::all() {
        let search = TopK::new(items, false, kernel);
        let lists = search.search(queries, n, |_| excluded);
        assert_eq!(lists.len(), queries.n_rows());
        for query in 0..queries.n_rows() {
            assert_eq!(pairs(&lists, query), plain(items, queries.row(query), n, excluded), "{kernel:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_search_is_sort_and_cut(
        seed: u64, n_items in 1usize..2500, n_queries in 1usize..60, n_factors in 1usize..6, n in 0usize..40
    ) {
        let excluded: Vec<u32> = (0..n_items as u32).filter(|item| item % 3 == (seed % 3) as u32).collect();
        let queries = whole_numbers(n_queries, n_factors, seed ^ 1);
        assert_is_sort_and_cut(&whole_numbers(n_items, n_factors, seed), &queries, n, &excluded);
    }

    #[test]
    fn so_it_is_with_real_numbers(
        seed: u64, n_items in 1usize..2500, n_queries in 1usize..20, n_factors in 1usize..150, n in 1usize..400
    ) {
        let excluded: Vec<u32> = (0..n_items as u32).filter(|item| item % 7 == (seed % 7) as u32).collect();
        let queries = real_numbers(n_queries, n_factors, seed ^ 1);
        assert_is_sort_and_cut(&real_numbers(n_items, n_factors, seed), &queries, n, &excluded);
    }

    #[test]
    fn units_change_nothing(seed: u64, items_power in -90i32..90, queries_power in -90i32..90) {
        // Products from 2⁻¹⁸⁰ to 2¹⁸⁰: some scores are zero or infinite in `f32`, and ties then.
        let scaled = |table: Factors, power: i32| {
            let values = table.values().iter().map(|value| value * 2.0f32.powi(power)).collect();
            Factors::new(table.n_rows(), table.n_factors(), values)
        };
        let items = scaled(real_numbers(700, 9, seed), items_power);
        assert_is_sort_and_cut(&items, &scaled(real_numbers(3, 9, seed ^ 1), queries_power), 20, &[3, 50]);
    }
}

#[test]
fn ties_go_to_the_smaller_index() {
    let items = Factors::new(3000, 1, vec![1.0; 3000]);
    let lists = TopK::inner_product(&items).search(&Factors::new(1, 1, vec![2.0]), 3, |_| &[1]);
    assert_eq!(lists.list(0), (&[0, 2, 3][..], &[2.0, 2.0, 2.0][..]));
}

#[test]
fn more_equal_items_than_candidates_are_kept_for_lose_nothing() {
    let values = (0..20_000).flat_map(|item| [1.0, if item == 15_000 { 1.0 } else { 0.0 }]).collect();
    let items = Factors::new(20_000, 2, values);
    assert_is_sort_and_cut(&items, &Factors::new(2, 2, vec![1.0, 0.0, 1.0, 0.5]), 12, &[0, 5]);
}

#[test]
fn cosine_does_not_ask_for_lengths() {
    let items = Factors::new(3, 2, vec![9.0, 9.0, 0.0, 0.0, 0.1, 0.0]);
    let lists = TopK::cosine(&items).search(&Factors::new(1, 2, vec![5.0, 0.0]), 9, |_| &[]);
    assert_eq!(lists.list(0).0, [2, 0], "item 1 has no vector");
    assert_eq!(lists.list(0).1[0], 1.0);
}

#[test]
fn the_lists_do_not_depend_on_the_thread_count_nor_on_the_block() {
    let (items, queries) = (real_numbers(2100, 9, 5), real_numbers(400, 9, 6));
    let search = TopK::inner_product(&items);
    let with_threads = |n_threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        pool.install(|| search.search(&queries, 20, |_| &[4]))
    };
    let lists = with_threads(1);
    assert_eq!(lists, with_threads(3));
    for query in 0..400 {
        assert_eq!(search.find(queries.row(query), 20, &[4]), pairs(&lists, query));
    }
}

#[test]
fn what_is_not_finite_finds_nothing_and_is_not_found() {
    let items = Factors::new(4, 2, vec![1.0, 0.0, f32::NAN, 1.0, f32::INFINITY, 0.0, 0.5, 0.0]);
    for search in [TopK::inner_product(&items), TopK::cosine(&items)] {
        assert_eq!(search.items(), [0, 3]);
        assert_eq!(search.find(&[f32::NAN, 1.0], 3, &[]), []);
        assert_eq!(search.find(&[1.0, f32::NEG_INFINITY], 3, &[]), []);
        assert_eq!(search.find(&[0.0, 0.0], 3, &[]), []);
        let found: Vec<u32> =
            search.find(&[1.0, 0.0], usize::MAX, &[1, 77]).iter().map(|entry| entry.0).collect();
        assert_eq!(found, [0, 3], "items that are not there may be excluded");
    }
    assert_eq!(TopK::inner_product(&items).find(&[f32::MAX, 0.0], 1, &[]), [(0, f32::MAX)]);
}

#[test]
fn empty_tables_give_empty_lists() {
    let queries = Factors::new(2, 3, vec![1.0; 6]);
    let none = TopK::inner_product(&Factors::new(0, 3, vec![])).search(&queries, 5, |_| &[]);
    assert_eq!((none.len(), none.n_entries()), (2, 0));
    let without_factors = TopK::cosine(&Factors::new(4, 0, vec![]));
    assert_eq!(without_factors.search(&Factors::new(2, 0, vec![]), 5, |_| &[0]).n_entries(), 0);
    let without_queries = TopK::inner_product(&queries).search(&Factors::new(0, 3, vec![]), 5, |_| &[]);
    assert!(without_queries.is_empty());
}
