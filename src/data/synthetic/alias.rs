//! Drawing a member of a group by weight in constant time, for many groups at once.
//!
//! # Source
//! Vose: A linear algorithm for generating random numbers with a given distribution, IEEE TSE 1991.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

/// Members in groups, each group with an alias table over its members' weights.
pub struct GroupedAlias {
    /// Group `g` owns positions `starts[g]..starts[g + 1]`.
    starts: Vec<u32>,
    /// Ascending inside a group.
    members: Vec<u32>,
    /// Probability of staying at a position instead of going to its alias.
    keep: Vec<f32>,
    /// A position inside the same group.
    alias: Vec<u32>,
}

impl GroupedAlias {
    /// Groups `0..weights.len()` by `group_of`; weights are positive.
    pub fn new(n_groups: usize, weights: &[f64], group_of: impl Fn(usize) -> u32) -> Self {
        let mut starts = vec![0u32; n_groups + 1];
        for member in 0..weights.len() {
            starts[group_of(member) as usize + 1] += 1;
        }
        for group in 0..n_groups {
            starts[group + 1] += starts[group];
        }
        let mut next = starts.clone();
        let mut members = vec![0u32; weights.len()];
        for member in 0..weights.len() {
            let slot = &mut next[group_of(member) as usize];
            members[*slot as usize] = member as u32;
            *slot += 1;
        }
        let mut table =
            Self { keep: vec![1.0; members.len()], alias: vec![0; members.len()], starts, members };
        for group in 0..n_groups {
            table.fill(group, weights);
        }
        table
    }

    /// Vose's construction on one group.
    fn fill(&mut self, group: usize, weights: &[f64]) {
        let (from, to) = (self.starts[group] as usize, self.starts[group + 1] as usize);
        let total: f64 = self.members[from..to].iter().map(|&member| weights[member as usize]).sum();
        let scale = (to - from) as f64 / total;
        let mut share: Vec<f64> =
            self.members[from..to].iter().map(|&member| weights[member as usize] * scale).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..share.len()).partition(|&slot| share[slot] < 1.0);
        while let (Some(&poor), Some(&rich)) = (small.last(), large.last()) {
            small.pop();
            self.keep[from + poor] = share[poor] as f32;
            self.alias[from + poor] = (from + rich) as u32;
            share[rich] -= 1.0 - share[poor];
            if share[rich] < 1.0 {
                large.pop();
                small.push(rich);
            }
        }
    }

    /// The members of a group, ascending.
    pub fn members(&self, group: u32) -> &[u32] {
        &self.members[self.starts[group as usize] as usize..self.starts[group as usize + 1] as usize]
    }

    /// A member of a group that has at least one, by weight.
    pub fn draw(&self, group: u32, rng: &mut Pcg64Mcg) -> u32 {
        let position =
            rng.random_range(self.starts[group as usize]..self.starts[group as usize + 1]) as usize;
        let stays = rng.random::<f32>() < self.keep[position];
        self.members[if stays { position } else { self.alias[position] as usize }]
    }
}

#[cfg(test)]
mod tests {
    use super::GroupedAlias;
    use crate::data::synthetic::stream::{Room, generator};

    #[test]
    fn draws_follow_the_weights_inside_each_group() {
        let weights = [1.0, 8.0, 2.0, 1.0, 1.0, 5.0];
        let table = GroupedAlias::new(2, &weights, |member| (member % 2) as u32);
        assert_eq!(table.members(0), [0, 2, 4]);
        assert_eq!(table.members(1), [1, 3, 5]);
        let mut rng = generator(1, Room::Track, 0);
        let mut counts = [0u32; 6];
        for draw in 0..80_000 {
            counts[table.draw(draw % 2, &mut rng) as usize] += 1;
        }
        for (member, &count) in counts.iter().enumerate() {
            let total = if member % 2 == 0 { 4.0 } else { 14.0 };
            let expected = weights[member] / total;
            assert!((f64::from(count) / 40_000.0 - expected).abs() < 0.01, "{member}: {count}");
        }
    }
}
