//! Whether ids rise together with the date inside a user's history.
//!
//! In some data sets dates were laid over lists sorted by id. A split by time then puts the larger ids
//! of a user into the test period, and anything that knows ids looks clever.

use serde::Serialize;

use super::listens::Listen;

/// Users with fewer distinct dates are not judged: five dates rise by chance in one of 120 orders.
const MIN_DATES: usize = 5;
/// The share of users from which on it is no chance.
const SUSPICIOUS: f64 = 0.2;

/// What was found, for the report.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub struct TimeOrder {
    /// Users with at least five distinct dates.
    pub users_judged: u64,
    /// Of them, users in whose history a later date never has a smaller track id.
    pub users_monotone: u64,
    /// The share of users whose ids are monotone in time.
    pub monotone_share: f64,
    /// Of steps from one track id to the next larger one on another date, the share that go forward in
    /// time; a half by chance.
    pub forward_share: f64,
    /// Whether dates seem to be assigned to lists sorted by id.
    pub suspicious: bool,
    #[serde(skip)]
    forward: u64,
    #[serde(skip)]
    backward: u64,
}

impl TimeOrder {
    /// Looks at whole users; `listens` are sorted by user, track and time.
    pub fn observe(&mut self, listens: &[Listen]) {
        let mut dates: Vec<i64> = Vec::new();
        for history in listens.chunk_by(|a, b| a.user_id == b.user_id) {
            let (mut forward, mut backward) = (0u64, 0u64);
            for pair in history.windows(2).filter(|pair| pair[0].track != pair[1].track) {
                forward += u64::from(pair[0].time < pair[1].time);
                backward += u64::from(pair[0].time > pair[1].time);
            }
            self.forward += forward;
            self.backward += backward;
            dates.clear();
            dates.extend(history.iter().map(|listen| listen.time));
            dates.sort_unstable();
            dates.dedup();
            if dates.len() >= MIN_DATES {
                self.users_judged += 1;
                self.users_monotone += u64::from(backward == 0);
            }
        }
    }

    /// The shares and the judgement.
    pub fn finish(mut self) -> Self {
        let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        self.monotone_share = share(self.users_monotone, self.users_judged);
        self.forward_share = share(self.forward, self.forward + self.backward);
        self.suspicious = self.monotone_share >= SUSPICIOUS;
        self
    }

    /// What a person should know, if there is something.
    pub fn warning(&self) -> Option<String> {
        self.suspicious.then(|| {
            format!(
                "for {:.1} % of users track ids rise with the date ({} of {} users with {MIN_DATES} dates or more): \
                 the dates seem to be laid over lists sorted by id, so that a split by time is a split by id; \
                 compare with `strategy: leave_last_n` or `random`",
                self.monotone_share * 100.0,
                self.users_monotone,
                self.users_judged,
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(user_id: i64, times: &[i64]) -> Vec<Listen> {
        times.iter().enumerate().map(|(track, &time)| Listen { user_id, track: track as u32, time }).collect()
    }

    #[test]
    fn users_whose_ids_rise_with_the_date_are_counted() {
        let mut order = TimeOrder::default();
        order.observe(
            &[history(1, &[1, 1, 2, 3, 4, 5]), history(2, &[5, 4, 1, 2, 3]), history(3, &[1, 2])].concat(),
        );
        let order = order.finish();
        assert_eq!((order.users_judged, order.users_monotone), (2, 1));
        assert!(order.suspicious);
        assert!(order.warning().unwrap().contains("50.0 % of users"));
        assert_eq!(order.forward_share, 7.0 / 9.0);
    }

    #[test]
    fn shuffled_dates_are_not_suspicious() {
        let mut order = TimeOrder::default();
        for user in 0..200 {
            let mut times: Vec<i64> = (0..12).collect();
            times.sort_by_key(|&time| super::super::hash::mix(3, user, time));
            order.observe(&history(user, &times));
        }
        let order = order.finish();
        assert!(!order.suspicious && order.warning().is_none());
        assert!((order.forward_share - 0.5).abs() < 0.05, "{order:?}");
    }
}
