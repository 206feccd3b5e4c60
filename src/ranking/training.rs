//! Labelled rows: which candidates of the train period were chosen in the target period.
//!
//! Only users with a chosen candidate teach anything about order, so only they are kept, with all
//! chosen candidates and a seeded draw of the others.

use std::collections::HashSet;
use std::ops::Range;

use rand::SeedableRng;
use rand::seq::index;
use rand_pcg::Pcg64Mcg;
use rayon::prelude::*;

use super::block::{Block, History};
use super::features::{FeatureSet, Past, Rows};
use crate::models::boosting::{Features, Samples};

/// Users whose features one thread computes at a time.
pub const USERS_PER_TASK: usize = 256;

/// How negatives are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampler {
    /// Negatives kept per user; `None` keeps all.
    pub negatives_per_user: Option<usize>,
    /// Seed of the draw, together with the user.
    pub seed: u64,
}

/// Labelled rows, user by user.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrainingSet {
    /// `user_idx` of each group of rows.
    pub users: Vec<usize>,
    /// Rows of each user.
    pub groups: Vec<Range<usize>>,
    /// Features of each row.
    pub features: Features,
    /// 1 for a chosen candidate, else 0.
    pub labels: Vec<f32>,
}

impl Sampler {
    /// The labelled rows of the users of a block, at most `limit` users; `target` holds the events of the
    /// target period.
    pub fn label(
        &self,
        set: &FeatureSet,
        past: Past<'_>,
        block: &Block,
        target: &History,
        limit: usize,
    ) -> TrainingSet {
        let users: Vec<usize> = (0..block.users.len())
            .into_par_iter()
            .filter(|&user| {
                let chosen = chosen(target, user);
                !chosen.is_empty()
                    && block.proposals.iter().flat_map(|m| m.of(user)).any(|row| chosen.contains(&row.item))
            })
            .collect();
        let tasks = users[..users.len().min(limit)].par_chunks(USERS_PER_TASK);
        let parts: Vec<TrainingSet> = tasks
            .map(|users| {
                let rows = set.compute(past, block, users.iter().copied());
                self.draw(rows, target, block.users.start)
            })
            .collect();
        let mut all = TrainingSet::default();
        parts.into_iter().for_each(|part| all.append(part));
        all
    }

    fn draw(&self, rows: Rows, target: &History, first_user: usize) -> TrainingSet {
        let mut drawn = TrainingSet::default();
        let mut keep = Vec::new();
        for (bounds, &user) in rows.starts.windows(2).zip(&rows.users) {
            let chosen = chosen(target, user);
            let (positives, negatives): (Vec<usize>, Vec<usize>) =
                (bounds[0]..bounds[1]).partition(|&row| chosen.contains(&rows.items[row]));
            let wanted = self.negatives_per_user.unwrap_or(usize::MAX).min(negatives.len());
            let seed = self.seed ^ ((first_user + user) as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let draw = index::sample(&mut Pcg64Mcg::seed_from_u64(seed), negatives.len(), wanted);
            let mut kept: Vec<(usize, f32)> = positives.into_iter().map(|row| (row, 1.0)).collect();
            kept.extend(draw.into_iter().map(|at| (negatives[at], 0.0)));
            kept.sort_unstable_by_key(|&(row, _)| row);
            drawn.users.push(first_user + user);
            drawn.groups.push(keep.len()..keep.len() + kept.len());
            for (row, label) in kept {
                keep.push(row);
                drawn.labels.push(label);
            }
        }
        drawn.features = rows.features.take(&keep);
        drawn
    }
}

/// The items that a user chose.
fn chosen(target: &History, user: usize) -> HashSet<u32> {
    target.of(user).map(|event| event.item).collect()
}

impl TrainingSet {
    /// Adds the rows of `other` below.
    pub fn append(&mut self, other: Self) {
        let shift = self.labels.len();
        self.users.extend(other.users);
        self.groups.extend(other.groups.into_iter().map(|group| group.start + shift..group.end + shift));
        self.features.append(other.features);
        self.labels.extend(other.labels);
    }

    /// Number of chosen candidates.
    pub fn positives(&self) -> usize {
        self.labels.iter().filter(|&&label| label > 0.0).count()
    }

    /// The same rows without their users.
    pub fn into_samples(self) -> Samples {
        Samples { features: self.features, labels: self.labels, groups: self.groups }
    }
}
