//! What everybody listens to: the baseline, and the fallback for users and items without factors.

use miette::Diagnostic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::lists::Block;
use super::recommender::{Recommender, Request, recommend_each};
use crate::interactions::Interactions;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Listens.
    Listens,
    /// Distinct users, so that one devoted user counts no more than another.
    #[default]
    Users,
    /// Listens that lose half of their weight every `half_life_days`, counted back from the last
    /// listen in the data; all listens of a user to an item are dated by the last of them.
    Recency,
}

/// Parameters of the model and of the candidates made with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Popularity {
    /// What is counted.
    pub by: By,
    /// Days after which a listen counts half; `by: recency` only.
    #[schemars(range(min = 0.01, max = 100_000))]
    pub half_life_days: f64,
    /// Length of the overall list and of each user's candidates.
    #[schemars(range(min = 1, max = 100_000))]
    pub n: usize,
    /// Whether items of the user's own training history are left out of the candidates.
    pub filter_seen: bool,
}

impl Default for Popularity {
    fn default() -> Self {
        Self { by: By::Users, half_life_days: 30.0, n: 100, filter_seen: true }
    }
}

/// Who listened to what, how often and when last.
#[derive(Debug, Clone, PartialEq)]
pub struct Listens {
    /// Listens of each user to each item.
    pub counts: Interactions,
    /// When each stored pair was last listened to, in microseconds; in the order of the values.
    pub last_listens: Vec<i64>,
}

/// A fitted model.
#[derive(Debug, Clone, PartialEq)]
pub struct PopularityModel {
    /// Score of every item.
    pub scores: Vec<f64>,
    /// Every item, best first; ties by the smaller index, items without listens last.
    pub ranking: Vec<u32>,
    /// How many of the ranking have listens.
    pub n_heard: usize,
}

/// Why no model could be fitted.
#[derive(Debug, Error, Diagnostic)]
pub enum PopularityError {
    /// Nothing to count.
    #[error("there are no events to count")]
    #[diagnostic(help("look at the filters and dates of the steps before: they left nothing to train on"))]
    Empty,
}

impl Popularity {
    /// Counts.
    ///
    /// # Errors
    /// When there is nothing to count.
    pub fn fit(&self, listens: &Listens) -> Result<PopularityModel, PopularityError> {
        const MICROSECONDS_PER_DAY: f64 = 86_400e6;
        let newest = listens.last_listens.iter().max().ok_or(PopularityError::Empty)?;
        let mut scores = vec![0.0; listens.counts.n_items()];
        let pairs = listens.counts.items().iter().zip(listens.counts.values());
        for ((&item, &count), last) in pairs.zip(&listens.last_listens) {
            scores[item as usize] += match self.by {
                By::Listens => f64::from(count),
                By::Users => 1.0,
                By::Recency => {
                    let age_days = (newest - last) as f64 / MICROSECONDS_PER_DAY;
                    f64::from(count) * (-age_days / self.half_life_days).exp2()
                }
            };
        }
        let heard = listens.counts.item_counts();
        let mut ranking: Vec<u32> = (0..scores.len() as u32).collect();
        ranking.sort_by(|&a, &b| {
            let order = |item: u32| (heard[item as usize] > 0, scores[item as usize]);
            order(b).0.cmp(&order(a).0).then(order(b).1.total_cmp(&order(a).1))
        });
        let n_heard = heard.iter().filter(|&&count| count > 0).count();
        Ok(PopularityModel { scores, ranking, n_heard })
    }
}

/// A user without history gets the overall list: this model knows something for everybody.
impl Recommender for PopularityModel {
    fn recommend<E>(
        &self,
        request: &Request<'_>,
        emit: impl FnMut(Block<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let list = |(): &mut (), user: u32| {
            let seen = request.excluded(user);
            let new = self.top().filter(|item| seen.binary_search(item).is_err());
            new.take(request.n).map(|item| (item, self.scores[item as usize] as f32)).collect()
        };
        recommend_each(request, || (), list, emit)
    }
}

impl PopularityModel {
    /// The items with listens, best first.
    pub fn top(&self) -> impl Iterator<Item = u32> {
        self.ranking[..self.n_heard].iter().copied()
    }

    /// The 1-based rank of every item.
    pub fn ranks(&self) -> Vec<u32> {
        let mut ranks = vec![0; self.ranking.len()];
        for (rank, &item) in (1..).zip(&self.ranking) {
            ranks[item as usize] = rank;
        }
        ranks
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const DAY: i64 = 86_400_000_000;

    /// Item 0: one old devotee; item 1: two users of late; item 2: nobody; item 3: two users long ago.
    fn listens() -> Listens {
        let pairs = [(0, 0, 9.0), (0, 1, 1.0), (1, 1, 2.0), (1, 3, 2.0), (3, 3, 3.0)];
        let counts = Interactions::from_triplets(4, 4, pairs).unwrap();
        Listens { counts, last_listens: vec![0, 100 * DAY, 100 * DAY, 40 * DAY, 40 * DAY] }
    }

    fn fit(by: By) -> PopularityModel {
        Popularity { by, ..Popularity::default() }.fit(&listens()).unwrap()
    }

    #[test]
    fn it_counts_listens_users_or_recent_listens() {
        assert_eq!(fit(By::Listens).scores, [9.0, 3.0, 0.0, 5.0]);
        assert_eq!(fit(By::Users).scores, [1.0, 2.0, 0.0, 2.0]);
        // 60 days are two half-lives.
        assert_eq!(fit(By::Recency).scores[1..], [3.0, 0.0, 5.0 / 4.0]);
    }

    #[test]
    fn ties_go_to_the_smaller_index_and_unheard_items_come_last() {
        let model = fit(By::Users);
        assert_eq!(model.ranking, [1, 3, 0, 2]);
        assert_eq!(model.ranks(), [3, 1, 4, 2]);
        assert_eq!(model.top().collect::<Vec<_>>(), [1, 3, 0]);
    }

    #[test]
    fn a_user_gets_what_is_new_and_a_stranger_gets_the_overall_list() {
        let (history, mut lists) = (listens().counts, Vec::new());
        let request = Request { users: &[0, 1, 2], history: &history, n: 2, filter_seen: true };
        let Ok(()) = fit(By::Users).recommend(&request, |block| {
            lists.extend(block.lists.iter().map(|(items, _)| items.to_vec()));
            Ok::<(), Infallible>(())
        });
        assert_eq!(lists, [vec![3], vec![0], vec![1, 3]]);
    }

    #[test]
    fn no_events_are_an_error() {
        let counts = Interactions::from_triplets(2, 2, []).unwrap();
        assert!(Popularity::default().fit(&Listens { counts, last_listens: vec![] }).is_err());
    }
}
