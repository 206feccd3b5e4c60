//! The search for a block of queries: scan, keep candidates, score what is left.

use super::kernel::{Kernel, Scan, Work};
use super::pool::Pool;
use super::query::{Beside, Query};
use super::table::{BLOCK_PANELS, PANEL, Table};
use crate::models::lists::Lists;

/// Candidates of one query beyond a few times `n` are settled by their scores: many equal items would
/// fill the memory.
const MANY: usize = 1024;

/// Candidates between asking for a vector and using it.
const AHEAD: usize = 4;

/// One query on its way.
struct Seeker<'q> {
    vector: &'q [f32],
    query: Query,
    pool: Pool,
    /// Beside the present block.
    beside: Beside,
}

/// Queries that are searched for together.
pub struct Search<'q> {
    /// The items.
    pub table: &'q Table,
    /// How products are computed.
    pub kernel: Kernel,
    /// Each query with the items that it must not get.
    pub rows: Vec<(&'q [f32], &'q [u32])>,
    /// Items wanted.
    pub n: usize,
    /// Where scores are cut.
    pub limit: f32,
}

impl Work for Search<'_> {
    /// The best `n` items of each query, best first.
    type Output = Lists;

    #[inline(always)]
    fn run(self) -> Lists {
        search(self)
    }
}

#[inline(always)]
fn search(Search { table, kernel, rows, n, limit }: Search<'_>) -> Lists {
    let n_groups = table.n_groups();
    let mut seekers: Vec<Seeker<'_>> = Vec::with_capacity(rows.len());
    let mut words = Vec::new();
    let mut active: Vec<u32> = Vec::new();
    for (vector, excluded) in rows {
        let start = words.len();
        words.resize(start + n_groups, 0);
        let query = Query::new(kernel, vector, table, &mut words[start..]);
        let pool = if query.is_some() && n > 0 {
            active.push(seekers.len() as u32);
            let mut ranks: Vec<u32> = excluded.iter().filter_map(|&item| table.rank(item)).collect();
            ranks.sort_unstable();
            Pool::new(n, ranks)
        } else {
            Pool::default()
        };
        let query = query.unwrap_or_default();
        seekers.push(Seeker { vector, query, pool, beside: Beside::default() });
    }
    let words = kernel.words(words);
    let mut thresholds = vec![0; seekers.len()];
    let mut hits = vec![0; seekers.len()];
    let mut products = vec![[0; PANEL]; seekers.len()];
    for (block, bounds) in table.bounds.iter().enumerate() {
        active.retain(|&query| {
            let seeker = &mut seekers[query as usize];
            seeker.beside = seeker.query.beside(bounds);
            thresholds[query as usize] = seeker.query.least_product(&seeker.beside, seeker.pool.threshold());
            seeker.query.ceiling(bounds) >= seeker.pool.threshold()
        });
        if active.is_empty() {
            break;
        }
        for panel in block * BLOCK_PANELS..table.n_panels().min((block + 1) * BLOCK_PANELS) {
            let present = table.present(panel);
            kernel.scan(
                table.panel(panel),
                &mut Scan {
                    words: &words,
                    n_groups,
                    active: &active,
                    thresholds: &thresholds,
                    hits: &mut hits,
                    products: &mut products,
                },
            );
            for ((&query, &hits), products) in active.iter().zip(&hits).zip(&products) {
                let hits = hits & present;
                if hits != 0 {
                    let seeker = &mut seekers[query as usize];
                    seeker.take(panel, hits, products);
                    if seeker.pool.is_full() {
                        seeker.tighten(kernel, table);
                        let least = seeker.query.least_product(&seeker.beside, seeker.pool.threshold());
                        thresholds[query as usize] = least;
                    }
                }
            }
        }
    }
    let mut lists = Lists::new();
    for mut seeker in seekers {
        if seeker.pool.ranks().len() > n {
            seeker.tighten(kernel, table);
        }
        lists.push(
            seeker.settled(kernel, table, n).into_iter().map(|key| (entry(key).0, entry(key).1.min(limit))),
        );
    }
    lists
}

impl Seeker<'_> {
    /// Takes the hits of a panel as candidates.
    #[inline(always)]
    fn take(&mut self, panel: usize, mut hits: u64, products: &[i32; PANEL]) {
        while hits != 0 {
            let at = hits.trailing_zeros() as usize;
            hits &= hits - 1;
            self.pool.take((panel * PANEL + at) as u32, self.query.floor(&self.beside, products[at]));
        }
    }

    #[inline(always)]
    fn tighten(&mut self, kernel: Kernel, table: &Table) {
        let query = self.query;
        self.pool.tighten(&query, &table.bounds);
        let n = self.pool.n();
        if self.pool.ranks().len() > n.saturating_mul(4).saturating_add(MANY) {
            let best = self.settled(kernel, table, n);
            self.pool.replace(best.into_iter().map(|key| {
                let (item, score) = entry(key);
                let rank = table.rank(item).expect("a candidate has a rank");
                (rank, query.floor_of_score(score))
            }));
        }
    }

    /// The keys of the candidates' best `n` scores, best first.
    #[inline(always)]
    fn settled(&self, kernel: Kernel, table: &Table, n: usize) -> Vec<u64> {
        let ranks = self.pool.ranks();
        let mut keys = vec![0; ranks.len()];
        // Plain loops: a closure inside an iterator would not be compiled for the instruction set.
        for (at, (key, &rank)) in keys.iter_mut().zip(ranks).enumerate() {
            if let Some(&rank) = ranks.get(at + AHEAD) {
                kernel.prefetch(table.vectors.row(rank as usize));
            }
            let score = kernel.dot(table.vectors.row(rank as usize), self.vector) as f32;
            *key = self::key(table.items[rank as usize], score);
        }
        keys.sort_unstable_by(|a, b| b.cmp(a));
        keys.truncate(n);
        keys
    }
}

/// A scored item as one integer: greater is better, equal scores by the smaller item.
pub fn key(item: u32, score: f32) -> u64 {
    // Adding zero makes −0 and 0 the same score.
    let bits = (score + 0.0).to_bits();
    let ordered = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    u64::from(ordered) << 32 | u64::from(!item)
}

/// The item and score behind a key.
pub fn entry(key: u64) -> (u32, f32) {
    let ordered = (key >> 32) as u32;
    let bits = if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered };
    (!(key as u32), f32::from_bits(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_order_scores_of_either_sign() {
        let mut scores = [0.5, -0.5, 3.0, -7.0, 0.0];
        scores.sort_by_key(|&score| std::cmp::Reverse(key(1, score)));
        assert_eq!(scores, [3.0, 0.5, 0.0, -0.5, -7.0]);
        assert_eq!(entry(key(77, -2.5)), (77, -2.5));
    }
}
