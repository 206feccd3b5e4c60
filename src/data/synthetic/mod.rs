//! A music service that never was: raw tables of any size, for demos, tests and load.
//!
//! The tables have the raw schema, the long tails and the dirt of real ones. Taste is latent: users
//! like scenes and artists and drift between them, so a model can beat popularity, and artist,
//! genre and recency carry signal beyond what co-listening shows. Memory holds the catalogue and
//! two bytes a user, never the interactions.

mod alias;
mod catalogue;
mod catalogue_tables;
mod ids;
mod interactions_table;
mod listening;
mod names;
mod pieces;
mod size;
mod stream;
#[cfg(test)]
mod tests;
mod words;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use pieces::{Sink, catalog_schema, interactions_schema, tracks_schema};
pub use size::{ImpossibleSize, Size};

use catalogue::Catalogue;

/// A day of the year, from 0.
type Day = u16;
/// Days of 2022.
const DAYS: Day = 365;

/// Makes a music data set: tracks, their names, and a year of listens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Synthetic {
    /// Rows of the interactions, exactly. The default makes a demo that a whole pipeline finishes in seconds.
    #[schemars(range(min = 1_000, max = 200_000_000))]
    pub interactions: u64,
    /// Number of users; by default it follows from `interactions` (300 thousand: about 3,500; 200 million: 1.25 million).
    #[schemars(range(min = 1, max = 10_000_000))]
    pub users: Option<u32>,
    /// Number of tracks; by default it follows from `interactions` (300 thousand: about 10,000; 200 million: 1 million).
    #[schemars(range(min = 100, max = 10_000_000))]
    pub tracks: Option<u32>,
    /// The same seed gives the same files, at any number of threads.
    pub seed: u64,
    /// Share of listens led by the user's own taste; the rest follow the charts. At 0 nothing beats popularity.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub taste: f64,
    /// Imitates a fault of some real data: inside a user's history track ids rise together with the date.
    pub ids_rise_with_date: bool,
}

impl Default for Synthetic {
    fn default() -> Self {
        Self {
            interactions: 300_000,
            users: None,
            tracks: None,
            seed: 42,
            taste: 0.8,
            ids_rise_with_date: false,
        }
    }
}

/// A data set that can be written: its catalogue, and how active each user is.
pub struct World {
    catalogue: Catalogue,
    activity: Vec<u16>,
    seed: u64,
    taste: f64,
    ids_rise_with_date: bool,
}

impl World {
    /// Makes the catalogue.
    ///
    /// # Errors
    /// When the numbers of interactions, users and tracks do not go together.
    pub fn new(parameters: &Synthetic) -> Result<Self, ImpossibleSize> {
        let size = Size::of(parameters)?;
        let &Synthetic { seed, taste, ids_rise_with_date, .. } = parameters;
        Ok(Self {
            catalogue: Catalogue::new(&size, seed),
            activity: size.activity(seed),
            seed,
            taste,
            ids_rise_with_date,
        })
    }
}
