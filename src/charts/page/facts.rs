//! What a report tells: counts of the data, and what other steps wrote about their work, as far as the page
//! shows it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::data::distribution::Distribution;
use crate::data::overview::Overview;
use crate::data::top::Tops;
use crate::eval::segments::Segment;

/// Everything on the page; what is not there leaves its section out.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The heading.
    pub title: String,
    /// Counts of the events.
    pub overview: Overview,
    /// Tracks of a user.
    pub activity: Distribution,
    /// Users of a track.
    pub popularity: Distribution,
    /// What is popular.
    pub tops: Tops,
    /// What `preprocess` reports.
    pub cleaning: Option<Cleaning>,
    /// What `split` reports.
    pub split: Option<Split>,
    /// What `evaluate` reports.
    pub evaluation: Option<Evaluation>,
    /// NDCG by how much is known of users.
    pub segments: Option<Segments>,
    /// Features of the ranker and what they matter, in percent, falling.
    pub importances: Vec<(String, f64)>,
    /// What `rank` reports.
    pub ranking: Option<Ranking>,
    /// The steps that made all this.
    pub steps: Vec<Step>,
    /// Their picture, as SVG.
    pub graph: String,
}

/// What `preprocess` reports.
#[derive(Debug, Clone, Deserialize)]
pub struct Cleaning {
    /// Rows of the catalogue of names.
    pub catalog: CatalogRows,
    /// From raw tracks to items.
    pub tracks: Rules,
    /// From raw users to users.
    pub users: Rules,
    /// From raw interactions to events.
    pub interactions: Rules,
    /// Versions of songs.
    pub track_groups: TrackGroups,
    /// The limit on the position in a user's history.
    pub max_track_seq: Option<MaxTrackSeq>,
    /// First and last date of the raw interactions.
    pub period: Period,
    /// Whether ids rise with the date.
    pub ids_in_time_order: TimeOrder,
}

/// Rows of the catalogue of names.
#[derive(Debug, Clone, Deserialize)]
pub struct CatalogRows {
    /// Rows of the file.
    pub rows_in: u64,
    /// Repeated rows.
    pub repeated: u64,
    /// Rows of unknown types.
    pub other_types: u64,
}

/// Rows that went into a chain of rules and came out of it.
#[derive(Debug, Clone, Deserialize)]
pub struct Rules {
    /// Rows before the first rule.
    pub rows_in: u64,
    /// Rows after the last rule.
    pub rows_out: u64,
    /// Each rule in its order.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Debug, Clone, Deserialize)]
pub struct Rule {
    /// Its name.
    pub rule: String,
    /// Rows that it dropped or joined with others.
    pub dropped: u64,
    /// Rows after it.
    pub left: u64,
}

/// Versions of songs.
#[derive(Debug, Clone, Deserialize)]
pub struct TrackGroups {
    /// Songs.
    pub groups: u64,
    /// Tracks that are one of several versions.
    pub tracks_in_groups_of_several: u64,
}

/// The limit on the position in a user's history.
#[derive(Debug, Clone, Deserialize)]
pub struct MaxTrackSeq {
    /// The quantile that was asked for.
    pub quantile: f64,
    /// The highest position that is kept.
    pub value: i64,
}

/// The first and the last date.
#[derive(Debug, Clone, Deserialize)]
pub struct Period {
    /// The first date.
    pub first: String,
    /// The last date.
    pub last: String,
}

/// Whether ids rise with the date.
#[derive(Debug, Clone, Deserialize)]
pub struct TimeOrder {
    /// The share of users whose ids are monotone in time.
    pub monotone_share: f64,
    /// Whether dates seem to be made up.
    pub suspicious: bool,
}

/// What `split` reports.
#[derive(Debug, Clone, Deserialize)]
pub struct Split {
    /// `time`, `leave_last_n` or `random`.
    pub strategy: String,
    /// Where the target period begins.
    pub target_from: Option<String>,
    /// Where the test period begins.
    pub test_from: Option<String>,
    /// What lies in each period.
    pub periods: Periods,
    /// Users and items that were not there before.
    pub cold: ColdReports,
}

/// What lies in each period.
#[derive(Debug, Clone, Deserialize)]
pub struct Periods {
    /// What base models learn from.
    pub train: PeriodFacts,
    /// Labels of the ranker.
    pub target: PeriodFacts,
    /// Evaluation.
    pub test: PeriodFacts,
    /// Train and target.
    pub history: PeriodFacts,
}

/// What lies in one period.
#[derive(Debug, Clone, Deserialize)]
pub struct PeriodFacts {
    /// Pairs of a user and a track.
    pub events: u64,
    /// Of all events.
    pub share: f64,
    /// Users with an event.
    pub users: u64,
    /// Items with an event.
    pub items: u64,
    /// The first date.
    pub first: Option<String>,
    /// The last date.
    pub last: Option<String>,
}

/// Cold users and items between periods.
#[derive(Debug, Clone, Deserialize)]
pub struct ColdReports {
    /// Of the target period, not in train.
    pub target_to_train: Cold,
    /// Of the test period, neither in train nor in target.
    pub test_to_history: Cold,
}

/// Users and items that were not there before.
#[derive(Debug, Clone, Deserialize)]
pub struct Cold {
    /// Users.
    pub users: u64,
    /// Items.
    pub items: u64,
    /// Events of those users.
    pub events_of_cold_users: u64,
    /// Events with those items.
    pub events_of_cold_items: u64,
}

/// What `evaluate` reports.
#[derive(Debug, Clone, Deserialize)]
pub struct Evaluation {
    /// The model that the others are tested against.
    pub baseline: String,
    /// The cut of the headline numbers.
    pub compare_at: usize,
    /// The best model against the second best.
    pub lead: Option<Lead>,
    /// Each model by name.
    pub models: BTreeMap<String, Model>,
}

/// The best model against the second best.
#[derive(Debug, Clone, Deserialize)]
pub struct Lead {
    /// The best.
    pub best: String,
    /// The second.
    pub second: String,
    /// Mean of the differences of NDCG, best − second.
    pub mean_difference: f64,
    /// Of a paired t-test.
    pub p_t_test: Option<f64>,
}

/// One model.
#[derive(Debug, Clone, Deserialize)]
pub struct Model {
    /// Who and what counted.
    pub protocol: Protocol,
    /// How many took part.
    pub counts: Counts,
    /// Evaluated users whose list is empty.
    pub users_without_list: u64,
    /// By `ndcg@10`.
    pub metrics: BTreeMap<String, Value>,
    /// Differences of NDCG to the baseline, one a cut.
    pub against_baseline: Vec<Versus>,
}

/// A value with its 95 % interval.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Value {
    /// The value.
    pub value: f64,
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
}

impl Value {
    /// Both ends of the interval.
    pub fn interval(&self) -> Option<(f64, f64)> {
        self.low.zip(self.high)
    }
}

/// A model against the baseline.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Versus {
    /// The cut.
    pub k: usize,
    /// Mean of the differences of NDCG, model − baseline.
    pub mean_difference: f64,
    /// The p-value, corrected for the number of models.
    pub p_holm: Option<f64>,
}

/// Who and what counted.
#[derive(Debug, Clone, Deserialize)]
pub struct Protocol {
    /// Cuts of the lists.
    pub k: Vec<usize>,
    /// Whether known items are no hits.
    pub novel_only: bool,
    /// `warm` or `all`.
    pub users: String,
    /// Resamples of the users.
    pub bootstrap_samples: usize,
}

/// How many took part.
#[derive(Debug, Clone, Deserialize)]
pub struct Counts {
    /// Users with relevant items but without a history.
    pub cold_users: u64,
    /// Users that every mean is taken over.
    pub evaluated_users: u64,
    /// Items that may be recommended.
    pub catalogue: u64,
}

/// NDCG by how much is known of users.
#[derive(Debug, Clone)]
pub struct Segments {
    /// The cut.
    pub k: usize,
    /// The models, in the order of the means.
    pub models: Vec<String>,
    /// Users by the size of their history.
    pub segments: Vec<Segment>,
}

/// What `rank` reports.
#[derive(Debug, Clone, Deserialize)]
pub struct Ranking {
    /// Training and how well it went.
    pub training: Training,
}

/// Training and how well it went.
#[derive(Debug, Clone, Deserialize)]
pub struct Training {
    /// Rows, chosen and not.
    pub rows: u64,
    /// Chosen ones among them.
    pub positives: u64,
    /// Trees of the model.
    pub trees: u64,
    /// Quality on users that were held out.
    pub validation: Option<Validation>,
}

/// Quality on users that were held out.
#[derive(Debug, Clone, Deserialize)]
pub struct Validation {
    /// Whether the ranker is better than the best base model.
    pub verdict: Option<Verdict>,
}

/// Whether the ranker is better than the best base model.
#[derive(Debug, Clone, Deserialize)]
pub struct Verdict {
    /// In words.
    pub words: String,
}

/// A step that came before the report.
#[derive(Debug, Clone, Default)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// The version of the kind.
    pub version: u32,
    /// Parameters after defaults.
    pub parameters: Json,
    /// The name of its result.
    pub fingerprint: Option<String>,
    /// How long it took.
    pub seconds: Option<f64>,
    /// When it was done.
    pub finished: Option<String>,
    /// Bytes of its outputs.
    pub bytes: Option<u64>,
    /// The most memory that it held.
    pub memory: Option<u64>,
    /// Numbers that changed while it worked.
    pub curves: BTreeMap<String, Vec<(u64, f64)>>,
    /// Things that a person should know.
    pub warnings: Vec<String>,
}
