//! The best `n` items of each query by inner product: exact, and mostly in whole numbers.
//!
//! A scan over bytes finds for each query the few items that may be among its best, with a bound on what
//! rounding to bytes can hide; only their scores are computed from the `f32` vectors, each by one and the
//! same sum in `f64`. So nothing is approximated, a score has the same bits whatever the blocks, threads
//! or processor, and equal scores go to the smaller item index. Items are sorted by the length of their
//! vectors: thresholds are high early on, and a query is done when the next item is too short to matter.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod dense;
mod exact;
mod kernel;
mod pool;
mod query;
mod scan;
mod table;

pub use self::dense::best;

use rayon::prelude::*;

use self::kernel::Kernel;
use self::scan::Search;
use self::table::Table;
use super::factors::Factors;
use super::lists::{Block, Lists, QUERIES_AT_ONCE};

/// Queries that one thread takes at a time.
const QUERY_BLOCK: usize = 192;

/// Items that can be found. Items with vectors of zeros, those never seen in training, cannot, nor can those
/// with a factor that is not finite.
#[derive(Debug, Clone)]
pub struct TopK {
    table: Table,
    /// The items that can be found, rising.
    items: Vec<u32>,
    cosine: bool,
    kernel: Kernel,
}

impl TopK {
    /// Finds by inner product.
    pub fn inner_product(item_factors: &Factors) -> Self {
        Self::new(item_factors, false, Kernel::detect())
    }

    /// Finds by cosine, the inner product of vectors divided by their lengths.
    pub fn cosine(item_factors: &Factors) -> Self {
        Self::new(&item_factors.clone().normalized(), true, Kernel::detect())
    }

    fn new(item_factors: &Factors, cosine: bool, kernel: Kernel) -> Self {
        let table = Table::new(item_factors, kernel);
        let mut items = table.items.clone();
        items.par_sort_unstable();
        Self { table, items, cosine, kernel }
    }

    /// The items that can be found, rising.
    pub fn items(&self) -> &[u32] {
        &self.items
    }

    /// [`search`](Self::search) for chosen rows of a table, block after block, so that the lists of
    /// millions of queries need not fit into memory; `emit` may end it with an error.
    ///
    /// `excluded(at)` belongs to the query `rows[at]`.
    ///
    /// # Errors
    /// The error of `emit`.
    pub fn search_rows<'e, E>(
        &self,
        table: &Factors,
        rows: &[u32],
        n: usize,
        excluded: impl Fn(usize) -> &'e [u32] + Sync,
        mut emit: impl FnMut(Block<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for (block, queries) in rows.chunks(QUERIES_AT_ONCE).enumerate() {
            let start = block * QUERIES_AT_ONCE;
            let lists = self.search(&table.select(queries), n, |query| excluded(start + query));
            emit(Block { queries, lists: &lists, done: start + queries.len(), total: rows.len() })?;
        }
        Ok(())
    }

    /// The best `n` items for each row of `queries` (`n_queries × n_factors`), fewer where there are not
    /// so many.
    ///
    /// `excluded(query)` names the items that the query must not get. A query of zeros tells no items apart
    /// and finds none; neither does one with a factor that is not finite.
    ///
    /// # Panics
    /// When the queries have another number of factors than the items.
    pub fn search<'e>(
        &self,
        queries: &Factors,
        n: usize,
        excluded: impl Fn(usize) -> &'e [u32] + Sync,
    ) -> Lists {
        assert_eq!(
            queries.n_factors(),
            self.table.vectors.n_factors(),
            "queries and items share their factors"
        );
        let normalized = self.cosine.then(|| queries.clone().normalized());
        let queries = normalized.as_ref().unwrap_or(queries);
        let starts: Vec<usize> = (0..queries.n_rows()).step_by(QUERY_BLOCK).collect();
        let blocks: Vec<Lists> = starts
            .into_par_iter()
            .with_max_len(1)
            .map(|start| {
                let end = queries.n_rows().min(start + QUERY_BLOCK);
                let rows = (start..end).map(|query| (queries.row(query), excluded(query)));
                self.search_block(rows.collect(), n)
            })
            .collect();
        let mut lists = Lists::new();
        for block in &blocks {
            lists.append(block);
        }
        lists
    }

    /// [`search`](Self::search) for one query, as a service asks: on the calling thread, best first.
    ///
    /// # Panics
    /// When the query has another number of factors than the items.
    pub fn find(&self, query: &[f32], n: usize, excluded: &[u32]) -> Vec<(u32, f32)> {
        let query = Factors::new(1, query.len(), query.to_vec());
        assert_eq!(query.n_factors(), self.table.vectors.n_factors(), "query and items share their factors");
        let query = if self.cosine { query.normalized() } else { query };
        let lists = self.search_block(vec![(query.row(0), excluded)], n);
        let (items, scores) = lists.list(0);
        items.iter().copied().zip(scores.iter().copied()).collect()
    }

    fn search_block(&self, rows: Vec<(&[f32], &[u32])>, n: usize) -> Lists {
        // Rounding can lift a cosine above 1.
        let limit = if self.cosine { 1.0 } else { f32::INFINITY };
        self.kernel.run(Search { table: &self.table, kernel: self.kernel, rows, n, limit })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_pcg::Pcg64;

    use super::*;

    /// Small whole numbers: products are exact, ties abound.
    fn whole_numbers(n_rows: usize, n_factors: usize, seed: u64) -> Factors {
        let mut random = Pcg64::seed_from_u64(seed);
        let values = (0..n_rows * n_factors).map(|_| random.random_range(-2..=2) as f32).collect();
        Factors::new(n_rows, n_factors, values)
    }

    /// Sort and cut.
    fn plain(items: &Factors, query: &[f32], n: usize, excluded: &[u32]) -> Vec<(u32, f32)> {
        let mut all: Vec<(u32, f32)> = (0..items.n_rows() as u32)
            .filter(|&item| !items.is_zero(item as usize) && !excluded.contains(&item))
            .filter(|_| query.iter().any(|&value| value != 0.0))
            .map(|item| {
                (item, items.row(item as usize).iter().zip(query).map(|(a, b)| a * b).sum::<f32>() + 0.0)
            })
            .collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        all.truncate(n);
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_search_is_sort_and_cut(
            seed: u64, n_items in 1usize..2500, n_queries in 1usize..200, n_factors in 1usize..6, n in 0usize..40
        ) {
            let items = whole_numbers(n_items, n_factors, seed);
            let queries = whole_numbers(n_queries, n_factors, seed ^ 1);
            let excluded: Vec<u32> = (0..n_items as u32).filter(|item| item % 3 == (seed % 3) as u32).collect();
            let lists = TopK::inner_product(&items).search(&queries, n, |_| &excluded);
            prop_assert_eq!(lists.len(), n_queries);
            for (query, (found, scores)) in lists.iter().enumerate() {
                let found: Vec<(u32, f32)> = found.iter().copied().zip(scores.iter().copied()).collect();
                prop_assert_eq!(found, plain(&items, queries.row(query), n, &excluded));
            }
        }
    }

    #[test]
    fn ties_go_to_the_smaller_index() {
        let items = Factors::new(3000, 1, vec![1.0; 3000]);
        let lists = TopK::inner_product(&items).search(&Factors::new(1, 1, vec![2.0]), 3, |_| &[1]);
        assert_eq!(lists.list(0), (&[0, 2, 3][..], &[2.0, 2.0, 2.0][..]));
    }

    #[test]
    fn cosine_does_not_ask_for_lengths() {
        let items = Factors::new(3, 2, vec![9.0, 9.0, 0.0, 0.0, 0.1, 0.0]);
        let lists = TopK::cosine(&items).search(&Factors::new(1, 2, vec![5.0, 0.0]), 9, |_| &[]);
        assert_eq!(lists.list(0).0, [2, 0], "item 1 has no vector");
        assert_eq!(lists.list(0).1[0], 1.0);
    }

    #[test]
    fn the_lists_do_not_depend_on_the_thread_count() {
        let mut random = Pcg64::seed_from_u64(5);
        let mut table = |n_rows| Factors::new(n_rows, 9, (0..n_rows * 9).map(|_| random.random()).collect());
        let (items, queries) = (table(2100), table(400));
        let with_threads = |n_threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            pool.install(|| TopK::inner_product(&items).search(&queries, 20, |_| &[]))
        };
        assert_eq!(with_threads(1), with_threads(3));
    }
}
