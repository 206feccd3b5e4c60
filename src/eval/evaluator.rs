//! Measures lists against what users chose in the test period.
//!
//! The truth of every counted user, the popularity of every item and the resamples of users are made
//! once; then every model is measured on exactly the same users. All values of a user stand in one
//! row of a table, `values[user][metric × k]`, which the bootstrap multiplies.

use miette::Diagnostic;
use rayon::prelude::*;
use serde::Serialize;
use thiserror::Error;

use super::accuracy::{average_precision, hit_rate, ndcg, precision, recall, reciprocal_rank};
use super::beyond_accuracy::{Popularity, novelty, popularity_bias, serendipity, unseen};
use super::bootstrap::{Resamples, interval_95};
use super::coverage::{self, Coverage};
use super::diversity::{distinct_share, intra_list_diversity};
use super::lists::Lists;
use super::metric::Metric;
use super::protocol::{Catalog, ItemsCounted, Protocol, SeenItems, UsersCounted};
use crate::interactions::Interactions;

/// The truth and everything else that all models share.
pub struct Evaluator<'a> {
    protocol: Protocol,
    history: &'a Interactions,
    catalog: &'a Catalog,
    popularity: Popularity,
    users: Vec<u32>,
    relevant: Vec<u32>,
    relevant_starts: Vec<usize>,
    counts: Counts,
    resamples: Resamples,
    kept: &'a [Metric],
}

/// How many of whom took part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Users of the matrices.
    pub users: usize,
    /// Users with at least one test item.
    pub users_with_test_items: usize,
    /// Of these, users all of whose test items are in their history or outside the catalogue.
    pub users_without_relevant_items: usize,
    /// Users with relevant items but without a history.
    pub cold_users: usize,
    /// Users that every mean is taken over.
    pub evaluated_users: usize,
    /// Pairs of an evaluated user and a relevant item.
    pub relevant_items: usize,
    /// Of these, items that nobody has in the history: no model of the history can find them.
    pub relevant_items_without_history: usize,
    /// Items that may be recommended.
    pub catalogue: usize,
}

/// Why nothing could be measured.
#[derive(Debug, Error, Diagnostic)]
pub enum EvalError {
    /// Tables of different data.
    #[error("{what} has {found} {unit}, but {expected_by} has {expected}")]
    #[diagnostic(help(
        "make all inputs of one evaluation from the same `preprocess` step, over all its users and items"
    ))]
    Shape {
        /// What does not fit.
        what: String,
        /// `users` or `items`.
        unit: &'static str,
        /// How many it has.
        found: usize,
        /// What it was compared with.
        expected_by: &'static str,
        /// How many it should have.
        expected: usize,
    },
    /// The test matrix is empty, or filters leave nobody.
    #[error(
        "nobody to evaluate: {} of {} users have test items, {} of these only items that do not count \
         (in their history or outside the catalogue), {} have no history",
        counts.users_with_test_items, counts.users, counts.users_without_relevant_items, counts.cold_users
    )]
    #[diagnostic(help("{}", nobody_help(counts)))]
    Nobody {
        /// Who was there.
        counts: Counts,
    },
}

fn nobody_help(counts: &Counts) -> &'static str {
    if counts.users_with_test_items == 0 {
        "the test matrix is empty: move `split.test_from` to an earlier date, or use `strategy: leave_last_n`"
    } else if counts.cold_users > 0 {
        "set `users: all` to count users without a history, or split later so that more users have one"
    } else {
        "set `novel_only: false` to count items of the history as relevant, or `items: all`"
    }
}

/// One metric at one cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// What was measured.
    pub metric: Metric,
    /// The cut.
    pub k: usize,
    /// The value.
    pub value: f64,
    /// Its 95 % interval over users, when asked for.
    pub interval: Option<(f64, f64)>,
}

/// Everything measured of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Every metric at every cut.
    pub estimates: Vec<Estimate>,
    /// NDCG of every evaluated user, one vector a cut; compared in pairs between models.
    pub ndcg: Vec<Vec<f64>>,
    /// The same of the metrics that were asked for by [`Evaluator::keeping`].
    pub users: Vec<UserValues>,
    /// Evaluated users whose list is empty; they count as misses.
    pub users_without_list: usize,
    /// Length of the longest list, as far as lists were read: at most the largest cut.
    pub longest_list: usize,
}

/// One metric at one cut, user by user.
#[derive(Debug, Clone, PartialEq)]
pub struct UserValues {
    /// What was measured.
    pub metric: Metric,
    /// The cut.
    pub k: usize,
    /// One value an evaluated user.
    pub values: Vec<f64>,
}

impl Evaluation {
    /// The estimate of `metric` at `k`.
    pub fn get(&self, metric: Metric, k: usize) -> Option<&Estimate> {
        self.estimates.iter().find(|estimate| estimate.metric == metric && estimate.k == k)
    }
}

impl<'a> Evaluator<'a> {
    /// Collects the relevant items T_u of every user that counts.
    ///
    /// # Errors
    /// When the inputs differ in shape or nobody is left.
    pub fn new(
        protocol: Protocol,
        test: &Interactions,
        history: &'a Interactions,
        catalog: &'a Catalog,
    ) -> Result<Self, EvalError> {
        let shape = |what: &str, unit, found, expected_by, expected| {
            let error = EvalError::Shape { what: what.to_owned(), unit, found, expected_by, expected };
            if found == expected { Ok(()) } else { Err(error) }
        };
        shape("the test matrix", "users", test.n_users(), "the history (`train`)", history.n_users())?;
        shape("the test matrix", "items", test.n_items(), "the history (`train`)", history.n_items())?;
        shape("the table of items", "items", catalog.n_items(), "the history (`train`)", history.n_items())?;

        let popularity = Popularity::count(history);
        let n_warm = (0..history.n_items() as u32).filter(|&item| popularity.users_of(item) > 0).count();
        let catalogue = if protocol.items == ItemsCounted::Warm { n_warm } else { history.n_items() };
        let mut counts = Counts { users: test.n_users(), catalogue, ..Counts::default() };
        let (mut users, mut relevant, mut relevant_starts) = (Vec::new(), Vec::new(), vec![0]);
        for user in 0..test.n_users() {
            let (chosen, _) = test.row(user);
            let (before, _) = history.row(user);
            let start = relevant.len();
            relevant.extend(chosen.iter().copied().filter(|item| {
                (protocol.items == ItemsCounted::All || popularity.users_of(*item) > 0)
                    && !(protocol.novel_only && before.binary_search(item).is_ok())
            }));
            counts.users_with_test_items += usize::from(!chosen.is_empty());
            if relevant.len() == start {
                counts.users_without_relevant_items += usize::from(!chosen.is_empty());
                continue;
            }
            counts.cold_users += usize::from(before.is_empty());
            if before.is_empty() && protocol.users == UsersCounted::Warm {
                relevant.truncate(start);
                continue;
            }
            users.push(user as u32);
            relevant_starts.push(relevant.len());
        }
        counts.evaluated_users = users.len();
        counts.relevant_items = relevant.len();
        counts.relevant_items_without_history =
            relevant.iter().filter(|item| popularity.users_of(**item) == 0).count();
        if users.is_empty() {
            return Err(EvalError::Nobody { counts });
        }
        let resamples = Resamples::new(users.len(), protocol.bootstrap_samples, protocol.seed);
        Ok(Self {
            protocol,
            history,
            catalog,
            popularity,
            users,
            relevant,
            relevant_starts,
            counts,
            resamples,
            kept: &[],
        })
    }

    /// Itself, keeping what it measures of each user for these metrics, which have one value a user.
    #[must_use]
    pub fn keeping(self, kept: &'a [Metric]) -> Self {
        Self { kept, ..self }
    }

    /// The users that every mean is taken over, by their row, in the order of [`Evaluation::ndcg`].
    pub fn users(&self) -> &[u32] {
        &self.users
    }

    /// Who and what counts.
    pub fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// How many of whom take part.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The resamples of the evaluated users.
    pub fn resamples(&self) -> &Resamples {
        &self.resamples
    }

    /// Measures one model.
    ///
    /// # Errors
    /// When the lists are of other users.
    pub fn evaluate(&self, lists: &Lists) -> Result<Evaluation, EvalError> {
        if lists.n_users() != self.history.n_users() {
            return Err(EvalError::Shape {
                what: "the set of lists".to_owned(),
                unit: "users",
                found: lists.n_users(),
                expected_by: "the history (`train`)",
                expected: self.history.n_users(),
            });
        }
        let columns = Columns::new(&self.protocol.k);
        let mut values = vec![0.0; self.users.len() * columns.width];
        values
            .par_chunks_exact_mut(columns.width)
            .enumerate()
            .for_each_init(Scratch::default, |scratch, (which, row)| {
                self.measure(lists, which, row, scratch)
            });
        let mut estimates = self.means(&values, &columns);
        estimates.extend(self.coverage(lists));
        estimates.sort_by_key(|estimate| (estimate.k, estimate.metric));
        let of_users = |metric, cut| -> Vec<f64> {
            values.iter().skip(columns.of(metric, cut)).step_by(columns.width).copied().collect()
        };
        let ndcg = (0..self.protocol.k.len()).map(|cut| of_users(Metric::Ndcg, cut)).collect();
        let cuts = || self.protocol.k.iter().enumerate();
        let kept = self.kept.iter().flat_map(|&metric| cuts().map(move |(cut, &k)| (metric, cut, k)));
        let users = kept.map(|(metric, cut, k)| UserValues { metric, k, values: of_users(metric, cut) });
        let with_list = values.iter().skip(columns.has_list()).step_by(columns.width).sum::<f64>();
        Ok(Evaluation {
            estimates,
            ndcg,
            users: users.collect(),
            users_without_list: self.users.len() - with_list as usize,
            longest_list: lists.longest(),
        })
    }

    /// Writes all values of one user into `row`.
    fn measure(&self, lists: &Lists, which: usize, row: &mut [f64], scratch: &mut Scratch) {
        let columns = Columns::new(&self.protocol.k);
        let (history, _) = self.history.row(self.users[which] as usize);
        let relevant = &self.relevant[self.relevant_starts[which]..self.relevant_starts[which + 1]];
        let Scratch { list, hits, groups, sums } = scratch;
        self.top(lists, which, columns.deepest, list);
        hits.clear();
        hits.extend(list.iter().map(|item| relevant.binary_search(item).is_ok()));
        row[columns.has_list()] = f64::from(!list.is_empty());
        for (cut, &k) in self.protocol.k.iter().enumerate() {
            let top = &list[..k.min(list.len())];
            for metric in Metric::per_user() {
                row[columns.of(metric, cut)] = match metric {
                    Metric::Precision => precision(hits, k),
                    Metric::Recall => recall(hits, relevant.len(), k),
                    Metric::HitRate => hit_rate(hits, k),
                    Metric::Ndcg => ndcg(hits, relevant.len(), k),
                    Metric::Map => average_precision(hits, relevant.len(), k),
                    Metric::Mrr => reciprocal_rank(hits, k),
                    Metric::CoverageItems => continue,
                    Metric::CoverageUsers => f64::from(top.len() == k),
                    Metric::Novelty => novelty(top, &self.popularity),
                    Metric::Unseen => unseen(top, history),
                    Metric::Diversity => distinct_share(top, &self.catalog.track_groups, groups),
                    Metric::CategoryDiversity => distinct_share(top, &self.catalog.categories, groups),
                    Metric::IntraListDiversity => intra_list_diversity(top, &self.catalog.vectors, sums),
                    Metric::PopularityBias => popularity_bias(top, &self.popularity),
                    Metric::Serendipity => serendipity(top, hits, k, self.counts.catalogue, &self.popularity),
                };
            }
        }
    }

    /// The first `k` items of an evaluated user's list that the protocol lets stand.
    fn top(&self, lists: &Lists, which: usize, k: usize, top: &mut Vec<u32>) {
        let user = self.users[which] as usize;
        let (history, _) = self.history.row(user);
        let skip = self.protocol.seen_items == SeenItems::Skip;
        top.clear();
        let stands = |item: &&u32| !(skip && history.binary_search(item).is_ok());
        top.extend(lists.of(user).iter().filter(stands).take(k));
    }

    /// Means over users, and their intervals.
    fn means(&self, values: &[f64], columns: &Columns) -> Vec<Estimate> {
        let mut totals = vec![0.0; columns.width];
        for row in values.chunks_exact(columns.width) {
            totals.iter_mut().zip(row).for_each(|(total, value)| *total += value);
        }
        let sums = self.resamples.sums(values, columns.width);
        let n_users = self.users.len() as f64;
        let mean = |sums: &[f64], metric: Metric, cut: usize| {
            let divisor = if metric.needs_a_list() { sums[columns.has_list()] } else { n_users };
            sums[columns.of(metric, cut)] / divisor
        };
        let mut estimates = Vec::new();
        for (cut, &k) in self.protocol.k.iter().enumerate() {
            for metric in Metric::per_user() {
                let value = mean(&totals, metric, cut);
                // Nobody has a list: the mean over lists is 0 by decision, not NaN.
                let value = if value.is_finite() { value } else { 0.0 };
                let interval =
                    interval_95(sums.chunks_exact(columns.width).map(|sums| mean(sums, metric, cut)));
                estimates.push(Estimate { metric, k, value, interval });
            }
        }
        estimates
    }

    /// Item coverage at every cut.
    fn coverage(&self, lists: &Lists) -> Vec<Estimate> {
        let in_catalogue =
            |item: u32| self.protocol.items == ItemsCounted::All || self.popularity.users_of(item) > 0;
        let coverages: Vec<Coverage> = self
            .protocol
            .k
            .par_iter()
            .map(|&k| {
                Coverage::count(self.users.len(), self.history.n_items(), |which, top| {
                    self.top(lists, which, k, top);
                    top.retain(|&item| in_catalogue(item));
                })
            })
            .collect();
        let share = |items: f64| (items / self.counts.catalogue as f64).clamp(0.0, 1.0);
        let intervals = coverage::intervals(&coverages, &self.resamples);
        self.protocol
            .k
            .iter()
            .zip(coverages)
            .zip(intervals)
            .map(|((&k, coverage), interval)| Estimate {
                metric: Metric::CoverageItems,
                k,
                value: share(coverage.covered() as f64),
                interval: interval.map(|(low, high)| (share(low), share(high))),
            })
            .collect()
    }
}

/// Where the values of a user stand in their row; the last column says whether there is a list.
struct Columns {
    n_cuts: usize,
    deepest: usize,
    width: usize,
}

impl Columns {
    fn new(k: &[usize]) -> Self {
        let deepest = k.iter().copied().max().unwrap_or(0);
        Self { n_cuts: k.len(), deepest, width: Metric::ALL.len() * k.len() + 1 }
    }

    fn of(&self, metric: Metric, cut: usize) -> usize {
        metric as usize * self.n_cuts + cut
    }

    fn has_list(&self) -> usize {
        self.width - 1
    }
}

#[derive(Default)]
struct Scratch {
    list: Vec<u32>,
    hits: Vec<bool>,
    groups: Vec<u32>,
    sums: Vec<f64>,
}

#[cfg(test)]
mod tests;
