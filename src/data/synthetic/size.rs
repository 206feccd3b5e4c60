//! How many of everything there is, derived from the number of interactions.
//!
//! The curves pass near the real data set (223 M interactions, 1.4 M users with 162 each, 1 M tracks)
//! and keep small sets dense enough to learn from: 300 thousand interactions come from about 3,500
//! users with 85 each, on about 10,000 tracks.

use miette::Diagnostic;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use thiserror::Error;

use super::Synthetic;
use super::stream::{Room, generator};

/// Longest history: what a 16-bit `track_seq` holds, with room to spare.
const LONGEST_HISTORY: usize = 20_000;
/// Spread of the log-normal activity: mean = median · exp(σ²/2) ≈ 3.1 medians before the cap.
const ACTIVITY_SIGMA: f64 = 1.5;
/// Users per random stream of the activity.
const ACTIVITY_CHUNK: usize = 4096;

/// Why no data set has these sizes.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
#[error(
    "{interactions} interactions do not fit {users} users and {tracks} tracks: each user has 1 to {longest} \
     of them, because a history holds a track once and at most a quarter of all tracks"
)]
#[diagnostic(help(
    "change `interactions`, `users` or `tracks`; leave `users` and `tracks` out to have them fit"
))]
pub struct ImpossibleSize {
    interactions: u64,
    users: usize,
    tracks: usize,
    longest: usize,
}

/// Counts of a data set that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Rows of the interactions, exactly.
    pub interactions: u64,
    /// Users, each with at least one interaction.
    pub users: usize,
    /// Tracks, those missing from the catalogue included.
    pub tracks: usize,
    /// Most interactions of one user.
    pub longest_history: usize,
}

impl Size {
    /// The size that the parameters ask for.
    ///
    /// # Errors
    /// When `users` and `tracks` leave no room for `interactions`.
    pub fn of(parameters: &Synthetic) -> Result<Self, ImpossibleSize> {
        let interactions = parameters.interactions;
        let share = interactions as f64 / 2e8;
        let per_user = 160.0 * (10.0 * share).min(1.0).powf(0.15);
        let users =
            parameters.users.map_or((interactions as f64 / per_user) as usize, |users| users as usize);
        let tracks = parameters
            .tracks
            .map_or((1e6 * share.powf(0.7)).max(12.0 * per_user) as usize, |tracks| tracks as usize);
        let longest_history = (tracks / 4).min(LONGEST_HISTORY);
        if interactions < users as u64 || interactions > users as u64 * longest_history as u64 {
            return Err(ImpossibleSize { interactions, users, tracks, longest: longest_history });
        }
        Ok(Self { interactions, users, tracks, longest_history })
    }

    /// Interactions of each user: log-normal, at least one, at most the longest history, and exactly
    /// `interactions` together.
    pub fn activity(&self, seed: u64) -> Vec<u16> {
        let weights: Vec<f64> = (0..self.users.div_ceil(ACTIVITY_CHUNK))
            .into_par_iter()
            .flat_map_iter(|chunk| {
                let users = (self.users - chunk * ACTIVITY_CHUNK).min(ACTIVITY_CHUNK);
                let mut rng = generator(seed, Room::Activity, chunk as u64);
                (0..users).map(move |_| {
                    let normal: f64 = StandardNormal.sample(&mut rng);
                    (ACTIVITY_SIGMA * normal).exp()
                })
            })
            .collect();
        let longest = self.longest_history as f64;
        let scaled = |weight: f64, scale: f64| (weight * scale).clamp(1.0, longest) as u64;
        let total = |scale: f64| weights.par_iter().map(|&weight| scaled(weight, scale)).sum::<u64>();

        // The sum grows with the scale from `users` to `users · longest`, so that bisection ends just below.
        let (mut low, mut high) = (0.0, 1.0);
        while total(high) < self.interactions {
            high *= 4.0;
        }
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if total(middle) <= self.interactions { low = middle } else { high = middle }
        }
        let mut activity: Vec<u16> = weights.iter().map(|&weight| scaled(weight, low) as u16).collect();
        let mut missing = self.interactions - total(low);
        while missing > 0 {
            for count in activity.iter_mut().filter(|count| usize::from(**count) < self.longest_history) {
                if missing == 0 {
                    break;
                }
                *count += 1;
                missing -= 1;
            }
        }
        activity
    }
}

#[cfg(test)]
mod tests {
    use super::Size;
    use crate::data::synthetic::Synthetic;

    #[test]
    fn activity_sums_to_what_was_asked_and_is_log_normal() {
        for interactions in [1_000, 54_321, 3_000_000] {
            let size = Size::of(&Synthetic { interactions, ..Synthetic::default() }).unwrap();
            let mut activity = size.activity(7);
            assert_eq!(activity.iter().map(|&count| u64::from(count)).sum::<u64>(), interactions);
            activity.sort_unstable();
            assert!(activity[0] >= 1 && usize::from(activity[activity.len() - 1]) <= size.longest_history);
            let mean = interactions as f64 / activity.len() as f64;
            let ratio = mean / f64::from(activity[activity.len() / 2]);
            assert!(interactions < 50_000 || (2.3..4.0).contains(&ratio), "{ratio}");
        }
    }

    #[test]
    fn the_tightest_sizes_still_fit_and_tighter_ones_are_refused() {
        let tight =
            Synthetic { interactions: 1_000, users: Some(40), tracks: Some(100), ..Synthetic::default() };
        assert_eq!(Size::of(&tight).unwrap().activity(1), vec![25; 40]);
        let message = Size::of(&Synthetic { users: Some(39), ..tight }).unwrap_err().to_string();
        assert!(message.contains("1000 interactions do not fit 39 users and 100 tracks"), "{message}");
        let sparse = Synthetic { interactions: 1_000, users: Some(1_000), ..Synthetic::default() };
        assert_eq!(Size::of(&sparse).unwrap().activity(1), vec![1; 1_000]);
    }
}
