//! Online recommendations: from what the user listened to last.
//!
//! `similar` adds up the precomputed similar tracks of the last events,
//!
//! ```text
//! score(c) = Σⱼ decayʲ · similarity(eⱼ, c)
//! ```
//!
//! over the last different tracks e₀, e₁, … (newest first), so that a track close to several recent events,
//! or to the newest, comes first. `fold_in` solves the user's vector of a factor model from the same
//! tracks, with `count · decayʲ` in the place of the counts it was fitted on, and searches it exactly.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::blend::{Pick, Source};
use super::catalog::IdHasher;
use super::library::Library;
use super::peers::sources::Gathered;
use super::service::{Blending, Online};

/// A track of the release that a user listened to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Listened {
    /// Index in the catalogue.
    pub item: u32,
    /// How often.
    pub count: f32,
    /// What it counts for compared with the newest.
    pub weight: f32,
}

/// The last different tracks of a history (newest first) that online recommendations start from.
pub fn listened(library: &Library, history: &[i64], blending: &Blending) -> Vec<Listened> {
    let mut last: Vec<Listened> = Vec::new();
    let mut places: HashMap<u32, usize, BuildHasherDefault<IdHasher>> = HashMap::default();
    let decay = blending.recency_decay as f32;
    for item in history.iter().filter_map(|&track_id| library.catalog.item(track_id)) {
        if let Some(&place) = places.get(&item) {
            last[place].count += 1.0;
        } else if last.len() < blending.online_events.get() {
            places.insert(item, last.len());
            let weight = last.last().map_or(1.0, |newer| newer.weight * decay);
            last.push(Listened { item, count: 1.0, weight });
        }
    }
    last
}

/// The best `n` tracks for somebody who listened to these, of those that `allows` lets in.
pub fn recommend(
    library: &Library,
    gathered: &Gathered,
    listened: &[Listened],
    online: Online,
    allows: impl Fn(u32) -> bool,
    n: usize,
) -> Vec<Pick> {
    match &library.model {
        Some(model) if online == Online::FoldIn => model.recommend(listened, allows, n),
        _ => similar_to(library, gathered, listened, allows, n),
    }
}

/// What each of the tracks adds to the score that [`recommend`] gives each of `items`, most first.
pub fn contributions(
    library: &Library,
    gathered: &Gathered,
    listened: &[Listened],
    online: Online,
    items: &[u32],
) -> Vec<Vec<(u32, f32)>> {
    match &library.model {
        Some(model) if online == Online::FoldIn => {
            let explanations = model.explain(listened, items).into_iter();
            explanations.map(|explanation| explanation.contributions).collect()
        }
        _ => items.iter().map(|&item| similarities(library, gathered, listened, item)).collect(),
    }
}

fn similar_to(
    library: &Library,
    gathered: &Gathered,
    listened: &[Listened],
    allows: impl Fn(u32) -> bool,
    n: usize,
) -> Vec<Pick> {
    let mut scores: HashMap<u32, f32, BuildHasherDefault<IdHasher>> = HashMap::default();
    for &Listened { item, weight, .. } in listened {
        for (other, similarity) in gathered.similar(library, item).iter() {
            *scores.entry(other).or_default() += weight * similarity;
        }
    }
    let mut picks: Vec<Pick> = scores
        .into_iter()
        .filter(|(item, _)| allows(*item))
        .map(|(item, score)| Pick { item, score, source: Source::Online })
        .collect();
    let best_first = |a: &Pick, b: &Pick| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item));
    if picks.len() > n {
        picks.select_nth_unstable_by(n, best_first);
        picks.truncate(n);
    }
    picks.sort_unstable_by(best_first);
    picks
}

fn similarities(library: &Library, gathered: &Gathered, listened: &[Listened], item: u32) -> Vec<(u32, f32)> {
    let share = |one: &Listened| {
        let found = gathered.similar(library, one.item).iter().find(|(other, _)| *other == item)?;
        Some((one.item, one.weight * found.1))
    };
    let mut shares: Vec<(u32, f32)> = listened.iter().filter_map(share).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    shares
}
