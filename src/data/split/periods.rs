//! What lies in each period, and which of its users and items are cold: unknown to what was learned.

use serde::Serialize;

use super::{EventColumns, Period, Plan};
use crate::data::dates;

/// What lies in one period.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    n_events: u64,
    n_listens: u64,
    /// The first listens of the first and the last event.
    span: Option<(i64, i64)>,
    /// Events that were heard again in a later period.
    n_again_later: u64,
    /// Events before the test period that were heard again in it.
    n_again_in_test: u64,
    by_user: Vec<u32>,
    by_item: Vec<u32>,
}

/// What lies in one period.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PeriodReport {
    /// Pairs of a user and a track.
    pub events: u64,
    /// Of all events.
    pub share: f64,
    /// The sum of `listen_count`.
    pub listens: u64,
    /// Users with an event.
    pub users: u64,
    /// Items with an event.
    pub items: u64,
    /// The first of the first listens.
    pub first: Option<String>,
    /// The last of the first listens.
    pub last: Option<String>,
    /// Events whose last listen is in a later period: their `listen_count` knows of it, their
    /// `last_listen` is cut to the end of the period.
    pub heard_again_later: u64,
}

/// Users and items that were not there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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

impl Tally {
    fn add(&mut self, events: &EventColumns, row: usize, again_later: bool, again_in_test: bool) {
        let time = events.first[row];
        let (first, last) = self.span.unwrap_or((time, time));
        self.span = Some((first.min(time), last.max(time)));
        self.n_events += 1;
        self.n_listens += u64::from(events.counts[row]);
        self.n_again_later += u64::from(again_later);
        self.n_again_in_test += u64::from(again_in_test);
        count(&mut self.by_user, events.users[row], 1);
        count(&mut self.by_item, events.items[row], 1);
    }

    /// This period and the one after it, before the test.
    pub fn with(&self, later: &Self) -> Self {
        let mut both = self.clone();
        both.n_events += later.n_events;
        both.n_listens += later.n_listens;
        both.n_again_in_test += later.n_again_in_test;
        both.n_again_later = both.n_again_in_test;
        both.span = match (self.span, later.span) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other),
        };
        let add = |counts: &mut Vec<u32>, more: &[u32]| {
            for (index, &n) in more.iter().enumerate() {
                count(counts, index as u32, n);
            }
        };
        add(&mut both.by_user, &later.by_user);
        add(&mut both.by_item, &later.by_item);
        both
    }

    /// Number of events.
    pub fn n_events(&self) -> u64 {
        self.n_events
    }

    /// Users and items that an index must reach.
    pub fn shape(&self) -> (usize, usize) {
        (self.by_user.len(), self.by_item.len())
    }

    /// For the report, as a share of `n_events`.
    pub fn report(&self, n_events: u64) -> PeriodReport {
        let present = |counts: &[u32]| counts.iter().filter(|&&n| n > 0).count() as u64;
        PeriodReport {
            events: self.n_events,
            share: self.n_events as f64 / n_events as f64,
            listens: self.n_listens,
            users: present(&self.by_user),
            items: present(&self.by_item),
            first: self.span.map(|(first, _)| dates::format(first)),
            last: self.span.map(|(_, last)| dates::format(last)),
            heard_again_later: self.n_again_later,
        }
    }

    /// Users and items of this period that `known` does not have.
    pub fn cold(&self, known: &Self) -> Cold {
        let unknown = |here: &[u32], there: &[u32]| {
            let missing = |&(index, &n): &(usize, &u32)| n > 0 && there.get(index).is_none_or(|&n| n == 0);
            let (mut indices, mut events) = (0, 0);
            for (_, &n) in here.iter().enumerate().filter(missing) {
                indices += 1;
                events += u64::from(n);
            }
            (indices, events)
        };
        let (users, events_of_cold_users) = unknown(&self.by_user, &known.by_user);
        let (items, events_of_cold_items) = unknown(&self.by_item, &known.by_item);
        Cold { users, items, events_of_cold_users, events_of_cold_items }
    }
}

fn count(counts: &mut Vec<u32>, index: u32, n: u32) {
    let index = index as usize;
    if index >= counts.len() {
        counts.resize(index + 1, 0);
    }
    counts[index] += n;
}

/// What lies in each of the three periods.
#[derive(Debug, Clone, Default)]
pub struct Periods {
    /// What base models learn from.
    pub train: Tally,
    /// Labels of the ranker.
    pub target: Tally,
    /// Evaluation.
    pub test: Tally,
}

impl Periods {
    /// Counts a batch whose events were laid into `periods`.
    pub fn add(&mut self, plan: &Plan, events: &EventColumns, periods: &[Period]) {
        for (row, &period) in periods.iter().enumerate() {
            let tally = match period {
                Period::Train => &mut self.train,
                Period::Target => &mut self.target,
                Period::Test => &mut self.test,
            };
            let is_after = |end: Option<i64>| end.is_some_and(|end| events.last[row] >= end);
            let again_in_test = period != Period::Test && is_after(plan.end_of(Period::Target));
            tally.add(events, row, is_after(plan.end_of(period)), again_in_test);
        }
    }

    /// Train and target together: what is learned from before the test.
    pub fn history(&self) -> Tally {
        self.train.with(&self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_items_that_training_never_saw_are_cold() {
        let events = EventColumns {
            users: vec![0, 0, 1, 1, 2],
            items: vec![0, 1, 1, 2, 2],
            counts: vec![1, 2, 3, 4, 5],
            first: vec![1, 5, 2, 9, 9],
            last: vec![7, 5, 2, 9, 9],
            ..EventColumns::default()
        };
        let plan = Plan::Time { target_from: Some(5), test_from: 9 };
        let mut periods = Periods::default();
        periods.add(&plan, &events, &plan.assign(&events));
        let report = periods.train.report(5);
        assert_eq!((report.events, report.listens, report.users, report.items), (2, 4, 2, 2));
        assert_eq!(report.heard_again_later, 1);
        assert_eq!(
            periods.test.cold(&periods.train),
            Cold { users: 1, items: 1, events_of_cold_users: 1, events_of_cold_items: 2 }
        );
        assert_eq!(periods.target.cold(&periods.train).items, 0);
        let history = periods.history();
        assert_eq!((history.n_events(), history.shape()), (3, (2, 2)));
        assert_eq!(history.report(5).heard_again_later, 0);
    }
}
