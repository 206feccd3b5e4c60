//! The report of `preprocess`: rows in, rows out and why, and what a person should know.

use serde::Serialize;

use super::dates;
use super::events::Counts;
use super::listens::{RawUsers, Survey};
use super::raw::Catalog;
use super::report::Rules;
use super::time_order::TimeOrder;
use super::track_groups::GroupSummary;
use super::tracks::{EntityCounts, Tracks};

/// A rule that drops a larger share of the interactions is worth a warning.
const NOTABLE_SHARE: f64 = 0.1;

/// What the report is made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The catalogue of names.
    pub catalog: &'a Catalog,
    /// Tracks and what became of them.
    pub tracks: &'a Tracks,
    /// Users of the raw file.
    pub users: &'a RawUsers,
    /// Counts after both minimums.
    pub counts: &'a Counts,
    /// Items with an index.
    pub n_items: usize,
    /// The first look at the interactions.
    pub survey: Survey,
    /// The quantile of `track_seq` that was asked for.
    pub quantile: Option<f64>,
    /// What became of the interactions.
    pub interactions: Rules,
    /// Whether ids rise with the date.
    pub time_order: TimeOrder,
}

/// The content of `preprocess_report.json`.
#[derive(Debug, Clone, Serialize)]
pub struct PreprocessReport {
    /// Rows of the catalogue of names.
    pub catalog: CatalogRows,
    /// Ids and entities by type.
    pub entities: EntityCounts,
    /// From raw tracks to items.
    pub tracks: Rules,
    /// Versions of songs, before tracks are dropped.
    pub track_groups: GroupSummary,
    /// From raw users to users.
    pub users: Rules,
    /// From raw interactions to events.
    pub interactions: Rules,
    /// What is left.
    pub events: EventTotals,
    /// The limit on `track_seq`.
    pub max_track_seq: Option<MaxTrackSeq>,
    /// The dates of the raw interactions.
    pub period: Period,
    /// Whether ids rise with the date inside a user's history.
    pub ids_in_time_order: TimeOrder,
}

/// Rows of the catalogue of names.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct CatalogRows {
    /// Rows of the file.
    pub rows_in: usize,
    /// Rows beyond the first of the same id and type; the first name that is not blank stays.
    pub repeated: usize,
    /// Rows of another type than track, album, artist and genre, which are ignored.
    pub other_types: usize,
}

/// What is left.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct EventTotals {
    /// Rows of `events`: pairs of a user and a track.
    pub rows: u64,
    /// Users.
    pub users: u64,
    /// Items.
    pub items: usize,
    /// Listens: the sum of `listen_count`.
    pub listens: u64,
    /// Share of all possible pairs that occur.
    pub density: f64,
}

/// The limit on `track_seq`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct MaxTrackSeq {
    /// The quantile that was asked for.
    pub quantile: f64,
    /// The highest position that is kept.
    pub value: i64,
}

/// The first and the last date.
#[derive(Debug, Clone, Serialize)]
pub struct Period {
    /// The first date.
    pub first: String,
    /// The last date.
    pub last: String,
}

impl PreprocessReport {
    /// Puts the facts together.
    pub fn new(facts: Facts<'_>) -> Self {
        let Facts { catalog, tracks, users, counts, n_items, survey, quantile, interactions, time_order } =
            facts;
        let mut track_rules = tracks.rules.clone();
        track_rules.drop("min_item_users", track_rules.rows_out - n_items as u64);
        let mut user_rules = Rules::new(users.n_users as u64);
        user_rules.drop("users_sample_rate", (users.n_users - users.n_sampled) as u64);
        user_rules.drop("no_interaction_left", users.n_sampled as u64 - counts.n_users_seen);
        user_rules.drop("min_user_events", counts.n_users_seen - counts.n_users);
        let pairs = counts.n_users as f64 * n_items as f64;
        Self {
            catalog: CatalogRows {
                rows_in: catalog.n_rows,
                repeated: catalog.n_repeated,
                other_types: catalog.n_other_types,
            },
            entities: tracks.entities,
            tracks: track_rules,
            track_groups: tracks.groups,
            users: user_rules,
            interactions,
            events: EventTotals {
                rows: counts.n_events,
                users: counts.n_users,
                items: n_items,
                listens: counts.n_listens,
                density: counts.n_events as f64 / pairs,
            },
            max_track_seq: quantile
                .zip(survey.max_track_seq)
                .map(|(quantile, value)| MaxTrackSeq { quantile, value }),
            period: Period { first: dates::format(survey.first), last: dates::format(survey.last) },
            ids_in_time_order: time_order,
        }
    }

    /// What a person should know.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = self.ids_in_time_order.warning().into_iter().collect();
        for (rule, meaning) in [
            ("null_user", "have no user"),
            ("unknown_track", "are of tracks that the tracks file does not have"),
            ("dropped_track", "are of tracks without artist, genre or name (`drop_without_*`)"),
        ] {
            let dropped: u64 = self
                .interactions
                .rules
                .iter()
                .filter(|found| found.rule == rule)
                .map(|found| found.dropped)
                .sum();
            let share = dropped as f64 / self.interactions.rows_in as f64;
            if share > NOTABLE_SHARE {
                warnings.push(format!("{:.1} % of interactions {meaning} and were dropped", share * 100.0));
            }
        }
        warnings
    }

    /// Named numbers for comparison between runs.
    pub fn metrics(&self) -> [(&'static str, f64); 4] {
        [
            ("users", self.events.users as f64),
            ("items", self.events.items as f64),
            ("events", self.events.rows as f64),
            ("ids_monotone_in_time", self.ids_in_time_order.monotone_share),
        ]
    }
}
