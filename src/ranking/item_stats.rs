//! What the events up to the reference day say of each item.

use polars::prelude::*;

use super::RankingError;
use super::catalog::Catalog;
use super::columns::{day, f32s, i32s, u32s};

/// Counts and days of each item; `n_items` entries each.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemStats {
    /// The last day of the events; "last 7 days" are this day and the six before it.
    pub reference_day: i32,
    /// Users of the item.
    pub users: Vec<f32>,
    /// Users whose last listen lies in the last 7 days.
    pub users_7d: Vec<f32>,
    /// Users whose last listen lies in the last 30 days.
    pub users_30d: Vec<f32>,
    /// Listens.
    pub listens: Vec<f32>,
    /// Days from the first listen to the reference day; NaN without events.
    pub days_since_first: Vec<f32>,
    /// Days from the last listen to the reference day; NaN without events.
    pub days_since_last: Vec<f32>,
    /// 1 for the item with most users; ties go to the smaller `item_idx`.
    pub popularity_rank: Vec<f32>,
    /// Listens of the most heard of the item's artists; NaN without artists.
    pub artist_listens: Vec<f32>,
    /// Listens of the most heard of the item's genres; NaN without genres.
    pub genre_listens: Vec<f32>,
}

/// The query for the last day of the events: one row, column `day`.
pub fn reference_day(events: LazyFrame) -> LazyFrame {
    events.select([day("last_listen").max().alias("day")])
}

/// The query for the counts of each item, which [`ItemStats::new`] takes.
pub fn counts(events: LazyFrame, reference_day: i32) -> LazyFrame {
    let recent = |days: i32| day("last_listen").gt(lit(reference_day - days)).sum().cast(DataType::UInt32);
    events.group_by([col("item_idx")]).agg([
        len().cast(DataType::UInt32).alias("users"),
        recent(7).alias("users_7d"),
        recent(30).alias("users_30d"),
        col("listen_count").cast(DataType::Int64).sum().alias("listens"),
        day("first_listen").min().alias("first_day"),
        day("last_listen").max().alias("last_day"),
    ])
}

impl ItemStats {
    /// From the result of [`counts`], rows in any order.
    ///
    /// # Errors
    /// When an item is not in the catalogue.
    pub fn new(catalog: &Catalog, counts: &DataFrame, reference_day: i32) -> Result<Self, RankingError> {
        let n_items = catalog.n_items();
        let items = u32s(counts, "item_idx")?;
        if let Some(&item) = items.iter().find(|&&item| item as usize >= n_items) {
            return Err(RankingError::UnknownItem { table: "events", item, n_items });
        }
        let spread = |values: Vec<f32>, missing: f32| {
            let mut all = vec![missing; n_items];
            items.iter().zip(values).for_each(|(&item, value)| all[item as usize] = value);
            all
        };
        let number = |name: &str| f32s(counts, name).map(|values| spread(values, 0.0));
        let days = |name: &str| {
            let since = |days: Vec<i32>| days.into_iter().map(|day| (reference_day - day) as f32).collect();
            i32s(counts, name).map(|days| spread(since(days), f32::NAN))
        };
        let (users, listens) = (number("users")?, number("listens")?);
        let mut by_users: Vec<u32> = catalog.items().collect();
        by_users.sort_by(|&a, &b| users[b as usize].total_cmp(&users[a as usize]));
        let mut popularity_rank = vec![0.0; n_items];
        for (rank, item) in by_users.into_iter().enumerate() {
            popularity_rank[item as usize] = rank as f32 + 1.0;
        }
        let most_heard = |groups: &super::catalog::Groups| {
            let totals = groups.totals(listens.iter().copied());
            let of =
                |item| groups.of(item).iter().map(|&group| totals[group as usize]).fold(f32::NAN, f32::max);
            catalog.items().map(of).collect()
        };
        Ok(Self {
            reference_day,
            users_7d: number("users_7d")?,
            users_30d: number("users_30d")?,
            days_since_first: days("first_day")?,
            days_since_last: days("last_day")?,
            popularity_rank,
            artist_listens: most_heard(&catalog.artists),
            genre_listens: most_heard(&catalog.genres),
            users,
            listens,
        })
    }
}
