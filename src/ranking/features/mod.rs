//! Features of (user, item) pairs: groups that a pipeline can switch off one by one.
//!
//! Raw ids are never features. Everything is computed from events up to the reference day.

mod affinity;
mod item;
mod scores;
mod user;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::block::Block;
use super::candidates::Candidates;
use super::catalog::Catalog;
use super::item_stats::ItemStats;
use crate::models::boosting::{Feature, Features, Values};

/// Features that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeatureGroup {
    /// Each base model's score, rank, and score relative to the user's best.
    Scores,
    /// How much, how widely and how lately the user listens.
    User,
    /// How popular and how old the item, its artist and its genre are.
    Item,
    /// What the user's past says of the item's genre, artist and track group.
    Affinity,
    /// The name of the item's genre, as a category.
    Genre,
}

impl FeatureGroup {
    /// Every group, in the order of the columns.
    pub const ALL: [Self; 5] = [Self::Scores, Self::User, Self::Item, Self::Affinity, Self::Genre];
}

/// What is known on the reference day.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// The items.
    pub catalog: &'a Catalog,
    /// What the events say of them.
    pub stats: &'a ItemStats,
}

/// Which features to compute.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureSet {
    /// Names of the base models, in the order of the lists.
    pub models: Vec<String>,
    /// The groups.
    pub groups: Vec<FeatureGroup>,
}

/// Candidates of some users, with features.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    /// The users, numbered within the block.
    pub users: Vec<usize>,
    /// Where the rows of each user start; one more than users.
    pub starts: Vec<usize>,
    /// `item_idx` of each row.
    pub items: Vec<u32>,
    /// The features of each row.
    pub features: Features,
}

impl FeatureSet {
    /// The names of the numbers, group by group.
    fn names(&self) -> Vec<String> {
        let fixed = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let names = self.groups.iter().map(|group| match group {
            FeatureGroup::Scores => scores::names(&self.models),
            FeatureGroup::User => fixed(&user::NAMES),
            FeatureGroup::Item => fixed(&item::NAMES),
            FeatureGroup::Affinity => fixed(&affinity::NAMES),
            FeatureGroup::Genre => Vec::new(),
        });
        names.flatten().collect()
    }

    /// The features of every candidate of these users.
    pub fn compute(&self, past: Past<'_>, block: &Block, users: impl IntoIterator<Item = usize>) -> Rows {
        let names = self.names();
        let mut columns: Vec<Vec<f32>> = vec![Vec::new(); names.len()];
        let mut rows = Rows { starts: vec![0], ..Rows::default() };
        let mut affinity = affinity::Affinity::new(past.catalog);
        for user in users {
            let candidates = Candidates::union(&block.proposals, user);
            let mut rest = columns.as_mut_slice();
            let mut take = |count: usize| rest.split_off_mut(..count).expect("every group has its columns");
            for group in &self.groups {
                match group {
                    FeatureGroup::Scores => {
                        scores::fill(take(scores::WIDTH * self.models.len()), &candidates);
                    }
                    FeatureGroup::User => {
                        user::fill(
                            take(user::NAMES.len()),
                            past,
                            &block.history,
                            user,
                            candidates.items.len(),
                        );
                    }
                    FeatureGroup::Item => item::fill(take(item::NAMES.len()), past, &candidates.items),
                    FeatureGroup::Affinity => {
                        let columns = take(affinity::NAMES.len());
                        affinity.fill(columns, past.catalog, block.history.of(user), &candidates.items);
                    }
                    FeatureGroup::Genre => {}
                }
            }
            rows.users.push(user);
            rows.items.extend(&candidates.items);
            rows.starts.push(rows.items.len());
        }
        let mut columns: Vec<Feature> =
            names.into_iter().zip(columns).map(|(name, values)| Feature::real(name, values)).collect();
        if self.groups.contains(&FeatureGroup::Genre) {
            let hashes = rows.items.iter().map(|&item| past.catalog.genre_hashes[item as usize]).collect();
            let names = past.catalog.genre_names.clone();
            let values = Values::Category { hashes, names };
            columns.push(Feature { name: "genre_name".to_owned(), values });
        }
        rows.features = Features::new(columns);
        rows
    }
}
