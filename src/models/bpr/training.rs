//! A model in the making: epoch after epoch.
//!
//! Items are numbered by popularity, so that the vectors of those that are drawn most lie together. An
//! epoch takes the users in a new random order, cut into blocks of some thousand samples; what a block
//! samples depends on the seed, the epoch and the block alone. Threads take blocks as they come and change
//! the item vectors together; no two blocks share a user.

use std::sync::atomic::AtomicU32;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::{Pcg64, Pcg64Mcg};
use rayon::prelude::*;

use super::kernel::Parts;
use super::sampler::{Alias, Draw, Sampler, Scratch};
use super::table::{Table, number, read};
use super::{Bpr, BprError, BprModel, Epoch, Negatives};
use crate::interactions::Interactions;
use crate::models::factors::Factors;

/// Samples in a block of users, about.
const BLOCK_SAMPLES: usize = 8192;

/// A model in the making.
#[derive(Debug)]
pub struct Training<'a> {
    parameters: &'a Bpr,
    n_items: usize,
    /// The item of each row of the item table; items without interactions have none.
    by_popularity: Vec<u32>,
    /// Users with items, in the order of the last epoch.
    users: Vec<u32>,
    sampler: Sampler<'a>,
    parts: Parts,
    done: usize,
}

impl<'a> Training<'a> {
    /// Vectors and biases at their random start, uniform in `±½ / factors`.
    ///
    /// # Errors
    /// When there is nothing to learn from.
    pub fn new(parameters: &'a Bpr, interactions: &'a Interactions) -> Result<Self, BprError> {
        let (n_users, n_items) = (interactions.n_users(), interactions.n_items());
        if interactions.is_empty() {
            return Err(BprError::Empty { n_users, n_items });
        }
        let counts = interactions.item_counts();
        let mut by_popularity: Vec<u32> =
            (0..n_items as u32).filter(|&item| counts[item as usize] > 0).collect();
        by_popularity.sort_by_key(|&item| std::cmp::Reverse(counts[item as usize]));
        let mut row_of = vec![0; n_items];
        for (row, &item) in by_popularity.iter().enumerate() {
            row_of[item as usize] = row as u32;
        }
        let negatives = match parameters.negatives {
            Negatives::Uniform => Draw::Uniform(by_popularity.len() as u32),
            Negatives::Popularity => {
                let counts: Vec<u32> = by_popularity.iter().map(|&item| counts[item as usize]).collect();
                Draw::Popularity(Alias::new(&counts))
            }
        };
        let sampler = Sampler {
            row_starts: interactions.row_starts(),
            items: interactions.items().iter().map(|&item| row_of[item as usize]).collect(),
            n_items: by_popularity.len(),
            negatives,
            verify: parameters.verify_negatives,
        };
        let mut random = Pcg64::seed_from_u64(parameters.seed);
        let mut value = || (random.random::<f32>() - 0.5) / parameters.factors as f32;
        let parts = Parts {
            users: Table::new(n_users, parameters.factors, &mut value),
            items: Table::new(by_popularity.len(), parameters.factors, &mut value),
            biases: (0..by_popularity.len()).map(|_| number(value())).collect::<Vec<AtomicU32>>(),
            learning_rate: parameters.learning_rate as f32,
            regularization: parameters.regularization as f32,
        };
        let users = interactions.users_with_items();
        Ok(Self { parameters, n_items, by_popularity, users, sampler, parts, done: 0 })
    }

    /// One more epoch: as many samples as there are interactions.
    ///
    /// # Errors
    /// When the numbers leave the range of f32.
    pub fn epoch(&mut self) -> Result<Epoch, BprError> {
        self.done += 1;
        let epoch_seed = self.parameters.seed ^ (self.done as u64).rotate_left(32);
        self.users.shuffle(&mut Pcg64Mcg::seed_from_u64(epoch_seed));
        let blocks = self.blocks();
        let learn = |scratch: &mut Scratch, (at, users): (usize, &[u32])| {
            let mut random = Pcg64Mcg::seed_from_u64(epoch_seed ^ (at as u64 + 1).rotate_left(48));
            self.sampler.fill(users, &mut random, scratch);
            (self.parts.learn(&scratch.samples), scratch.samples.len())
        };
        let add = |a: (usize, usize), b: (usize, usize)| (a.0 + b.0, a.1 + b.1);
        let (n_correct, n_compared) = if self.parameters.deterministic {
            let mut scratch = Scratch::default();
            blocks.into_iter().enumerate().map(|block| learn(&mut scratch, block)).fold((0, 0), add)
        } else {
            let blocks = blocks.into_par_iter().enumerate();
            blocks.map_init(Scratch::default, learn).reduce(|| (0, 0), add)
        };
        if !(self.parts.users.is_finite()
            && self.parts.items.is_finite()
            && self.parts.biases.iter().all(|bias| read(bias).is_finite()))
        {
            return Err(BprError::Diverged {
                epoch: self.done,
                learning_rate: self.parameters.learning_rate,
            });
        }
        Ok(Epoch {
            done: self.done,
            total: self.parameters.iterations,
            n_samples: self.sampler.items.len(),
            n_compared,
            n_correct,
        })
    }

    /// The users in the order of this epoch, in blocks of about equal work.
    fn blocks(&self) -> Vec<&[u32]> {
        let (mut blocks, mut start, mut work) = (Vec::new(), 0, 0);
        for (at, &user) in self.users.iter().enumerate() {
            work += self.sampler.n_items_of(user);
            if work >= BLOCK_SAMPLES {
                blocks.push(&self.users[start..=at]);
                (start, work) = (at + 1, 0);
            }
        }
        blocks.push(&self.users[start..]);
        blocks
    }

    /// The model as it is now.
    pub fn model(&self) -> BprModel {
        let (factors, width) = (self.parameters.factors, self.parameters.factors + 1);
        let mut users = vec![0.0; (self.sampler.row_starts.len() - 1) * width];
        for &user in &self.users {
            let row = &mut users[user as usize * width..][..width];
            row.iter_mut()
                .zip(self.parts.users.values(user as usize).take(factors))
                .for_each(|(to, x)| *to = x);
            row[factors] = 1.0;
        }
        let mut items = vec![0.0; self.n_items * width];
        for (at, &item) in self.by_popularity.iter().enumerate() {
            let row = &mut items[item as usize * width..][..width];
            row.iter_mut().zip(self.parts.items.values(at).take(factors)).for_each(|(to, y)| *to = y);
            row[factors] = read(&self.parts.biases[at]);
        }
        BprModel {
            user_factors: Factors::new(self.sampler.row_starts.len() - 1, width, users),
            item_factors: Factors::new(self.n_items, width, items),
        }
    }
}
