//! Who and what counts: numbers of two evaluations compare only under one protocol, so it is written
//! beside every result.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::diversity::ItemVectors;

/// Everything that changes the value of a metric for the same lists.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Protocol {
    /// Cuts of the lists, rising.
    pub k: Vec<usize>,
    /// Whether items of the user's history are left out of the relevant set.
    pub novel_only: bool,
    /// Which users with a relevant item count.
    pub users: UsersCounted,
    /// Which items count.
    pub items: ItemsCounted,
    /// What happens to recommended items of the user's history.
    pub seen_items: SeenItems,
    /// Resamples of the users for the 95 % intervals; 0 for none.
    pub bootstrap_samples: usize,
    /// Seed of the resamples.
    pub seed: u64,
}

/// Which users with a relevant item count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UsersCounted {
    /// Users with a history. Users without one are served by fallbacks, not by the models; the report
    /// says how many there are.
    #[default]
    Warm,
    /// Users without a history too.
    All,
}

/// Which items may be relevant and make up the catalogue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ItemsCounted {
    /// Every item. A test item that nobody chose before counts as missed.
    #[default]
    All,
    /// Items with at least one user in the history.
    Warm,
}

/// What happens to recommended items of the user's own history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeenItems {
    /// Lists are judged as they are; `unseen` tells how many there were.
    #[default]
    Keep,
    /// They are taken out of the lists before the cut, and what stands below moves up.
    Skip,
}

/// What is known of the items, by `item_idx`.
#[derive(Debug, Clone, PartialEq)]
pub struct Catalog {
    /// The versions of one song share a group.
    pub track_groups: Vec<Option<u32>>,
    /// One category an item: its first genre.
    pub categories: Vec<Option<u32>>,
    /// Vectors for `intra_list_diversity`: genres, or any others.
    pub vectors: ItemVectors,
}

impl Catalog {
    /// How many items there are.
    pub fn n_items(&self) -> usize {
        self.track_groups.len()
    }
}
