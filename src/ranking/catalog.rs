//! What is known of items whatever the period: their artists, genres and track groups.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use polars::prelude::*;

use super::columns::{i64s, u32s};
use crate::models::boosting::{CategoryNames, category_hash};

/// Items by `item_idx`.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// External ids.
    pub track_ids: Vec<i64>,
    /// Artists of each item.
    pub artists: Groups,
    /// Genres of each item.
    pub genres: Groups,
    /// The one track group of each item.
    pub track_groups: Groups,
    /// How many items share the item's track group.
    pub group_sizes: Vec<u32>,
    /// Hash of the item's `genre_name`; of the empty text where there is none.
    pub genre_hashes: Vec<u32>,
    /// Texts behind the hashes.
    pub genre_names: CategoryNames,
}

/// For each item the entities of one sort that it belongs to, as dense numbers.
#[derive(Debug, Clone)]
pub struct Groups {
    starts: Vec<usize>,
    members: Vec<u32>,
    n_groups: usize,
}

impl Groups {
    /// From `(item, id)` pairs in the order of the items.
    fn new(n_items: usize, items: &[u32], ids: &[i64]) -> Self {
        let mut dense: HashMap<i64, u32> = HashMap::new();
        let mut starts = vec![0; n_items + 1];
        let mut members = Vec::with_capacity(ids.len());
        for (&item, &id) in items.iter().zip(ids) {
            let next = dense.len() as u32;
            members.push(*dense.entry(id).or_insert(next));
            starts[item as usize + 1] += 1;
        }
        for item in 0..n_items {
            starts[item + 1] += starts[item];
        }
        Self { starts, members, n_groups: dense.len() }
    }

    /// The entities of an item.
    pub fn of(&self, item: u32) -> &[u32] {
        let item = item as usize;
        &self.members[self.starts[item]..self.starts[item + 1]]
    }

    /// How many entities there are.
    pub fn n_groups(&self) -> usize {
        self.n_groups
    }

    /// Sums a value of each item over the items of each entity.
    pub fn totals(&self, values: impl Iterator<Item = f32>) -> Vec<f32> {
        let mut totals = vec![0.0; self.n_groups];
        for (item, value) in (0..).zip(values) {
            for &group in self.of(item) {
                totals[group as usize] += value;
            }
        }
        totals
    }
}

impl Catalog {
    /// From the items table.
    ///
    /// # Errors
    /// When a column is missing or of another type, or `item_idx` is not 0, 1, 2, …
    pub fn from_table(items: &DataFrame) -> PolarsResult<Self> {
        let n_items = items.height();
        let item_idx = u32s(items, "item_idx")?;
        if item_idx.iter().copied().ne(0..n_items as u32) {
            polars_bail!(ComputeError: "items: expected `item_idx` to be 0, 1, 2, … in this order");
        }
        let track_groups = Groups::new(n_items, &item_idx, &i64s(items, "track_group_id")?);
        let sizes = track_groups.totals(std::iter::repeat_n(1.0, n_items));
        let group_sizes = (0..n_items as u32).map(|item| sizes[track_groups.of(item)[0] as usize] as u32);
        let group_sizes = group_sizes.collect();
        let mut names = BTreeMap::new();
        let genre_hashes = items.column("genre_name")?.str()?.iter().map(|name| {
            let hash = category_hash(name.unwrap_or_default());
            names.entry(hash).or_insert_with(|| name.unwrap_or_default().to_owned());
            hash
        });
        let genre_hashes = genre_hashes.collect();
        Ok(Self {
            track_ids: i64s(items, "track_id")?,
            artists: exploded(items, "artist_ids")?,
            genres: exploded(items, "genre_ids")?,
            track_groups,
            group_sizes,
            genre_hashes,
            genre_names: Arc::new(names),
        })
    }

    /// Number of items.
    pub fn n_items(&self) -> usize {
        self.track_ids.len()
    }

    /// Every `item_idx`.
    pub fn items(&self) -> Range<u32> {
        0..self.n_items() as u32
    }
}

fn exploded(items: &DataFrame, column: &str) -> PolarsResult<Groups> {
    let options = ExplodeOptions { empty_as_null: false, keep_nulls: false };
    let pairs = items.select(["item_idx", column])?.explode([column], options)?;
    Ok(Groups::new(items.height(), &u32s(&pairs, "item_idx")?, &i64s(&pairs, column)?))
}
