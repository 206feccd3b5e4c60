//! Online recommendations: tracks similar to what the user listened to last.
//!
//! score(c) = Σⱼ decayʲ · similarity(eⱼ, c) over the last events e₀, e₁, … (newest first, repeated
//! tracks once), so that a track close to several recent events, or to the newest, comes first.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

use super::blend::{Pick, Source};
use super::catalog::IdHasher;
use super::lists::List;
use super::service::Blending;

/// Tracks similar to the newest of `history` (newest first), the best `k` first, of those that `allows`
/// lets in; `similar` says what is similar to a track.
pub fn similar_to_events<'a>(
    similar: impl Fn(i64) -> Option<List<'a>>,
    history: &[i64],
    blending: &Blending,
    allows: impl Fn(u32) -> bool,
    k: usize,
) -> Vec<Pick> {
    let mut started = HashSet::new();
    let starts = history.iter().filter(|&&track_id| started.insert(track_id));
    let mut scores: HashMap<u32, f32, BuildHasherDefault<IdHasher>> = HashMap::default();
    let mut weight = 1.0;
    for &track_id in starts.take(blending.online_events.get()) {
        for (item, similarity) in similar(track_id).unwrap_or_default().iter() {
            *scores.entry(item).or_default() += weight * similarity;
        }
        weight *= blending.recency_decay as f32;
    }
    let mut picks: Vec<Pick> = scores
        .into_iter()
        .filter(|(item, _)| allows(*item))
        .map(|(item, score)| Pick { item, score, source: Source::Online })
        .collect();
    let best_first = |a: &Pick, b: &Pick| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item));
    if picks.len() > k {
        picks.select_nth_unstable_by(k, best_first);
        picks.truncate(k);
    }
    picks.sort_unstable_by(best_first);
    picks
}
