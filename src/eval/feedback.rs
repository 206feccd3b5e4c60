//! What users did with the lists they were shown: answers of a service, and the listens after them.
//!
//! A listen belongs to the newest answer before it that showed the user this track, if that is not older
//! than the window; so a track shown ten times and chosen once was chosen once. The rates say how a service
//! is used, not what would have been used: a track that was not shown could not be chosen.
//!
//! ```text
//! click rate = tracks chosen / tracks shown
//! hit rate   = mean over users of (answers with a chosen track / answers)
//! ```
//!
//! The interval is that of resampled users, whose answers are not independent of each other.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::bootstrap::{Resamples, interval_95};
use super::compare::Value;

/// The row of all answers.
const ALL: &str = "all";

/// What a log of a service says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Feedback {
    /// Lists that users were shown.
    pub answers: Vec<Answer>,
    /// What users listened to.
    pub listens: Vec<Listen>,
    /// Names of variants, as `Answer::variant` counts them.
    pub variants: Vec<String>,
    /// Names of sources, as `Answer::items` counts them.
    pub sources: Vec<String>,
    /// Lines that are not what a line should be: a kill cuts the last one short.
    pub unreadable: usize,
}

/// A list that a user was shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The user.
    pub user_id: i64,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The variant that made it.
    pub variant: Option<u32>,
    /// Tracks and their sources.
    pub items: Vec<(i64, u32)>,
}

/// Something that a user listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listen {
    /// The user.
    pub user_id: i64,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The track.
    pub track_id: i64,
}

/// What became of the answers of a service.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OnlineReport {
    /// For how long after an answer a listen may belong to it.
    pub window_hours: f64,
    /// Listens in the log, of whatever.
    pub listens: usize,
    /// Lines that could not be read.
    pub unreadable_lines: usize,
    /// `all`, and each variant by its name.
    pub variants: BTreeMap<String, Outcome>,
}

/// What became of some answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Users who were shown something.
    pub users: usize,
    /// Answers.
    pub answers: usize,
    /// Tracks and whether they were chosen.
    #[serde(flatten)]
    pub clicks: Clicks,
    /// The share of a user's answers with a chosen track, averaged over users.
    pub hit_rate: Value,
    /// The same tracks by the list that they came from.
    pub sources: BTreeMap<String, Clicks>,
}

/// Tracks shown, and those of them that were listened to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Clicks {
    /// Tracks shown.
    pub shown: usize,
    /// Those listened to.
    pub chosen: usize,
    /// The second as a share of the first; 0 when nothing was shown.
    pub click_rate: f64,
}

impl Clicks {
    fn add(&mut self, chosen: bool) {
        self.shown += 1;
        self.chosen += usize::from(chosen);
        self.click_rate = self.chosen as f64 / self.shown as f64;
    }
}

/// When a track was shown, by which answer and at which place of it.
type Showing = (i64, usize, usize);

impl OnlineReport {
    /// A line for each variant, for the end of a run.
    pub fn render(&self) -> String {
        let mut text = format!("answers of the service, and the {} h after each:", self.window_hours);
        for (variant, Outcome { users, answers, clicks, hit_rate, .. }) in &self.variants {
            let interval = hit_rate
                .low
                .zip(hit_rate.high)
                .map_or(String::new(), |(low, high)| format!(" ({:.2}–{:.2})", 100.0 * low, 100.0 * high));
            text.push_str(&format!(
                "\n  {variant}: {users} users · {answers} answers · {} of {} tracks chosen, {:.2} % · hit rate {:.2} %{interval}",
                clicks.chosen,
                clicks.shown,
                100.0 * clicks.click_rate,
                100.0 * hit_rate.value
            ));
        }
        text
    }
}

impl Feedback {
    /// Joins answers with the listens of the `window_hours` after them.
    pub fn report(&self, window_hours: f64, bootstrap_samples: usize, seed: u64) -> OnlineReport {
        let chosen = self.chosen((window_hours * 3_600_000.0) as i64);
        let outcome = |variant: Option<u32>| {
            let belongs = |answer: &Answer| variant.is_none() || answer.variant == variant;
            let answers = self.answers.iter().zip(&chosen).filter(|(answer, _)| belongs(answer));
            self.outcome(answers, bootstrap_samples, seed)
        };
        let mut variants = BTreeMap::from([(ALL.to_owned(), outcome(None))]);
        for (variant, name) in (0u32..).zip(&self.variants) {
            // A variant that somebody calls `all` keeps its numbers, under a name of its own.
            let name = if name == ALL { format!("variant `{ALL}`") } else { name.clone() };
            variants.insert(name, outcome(Some(variant)));
        }
        let (listens, unreadable_lines) = (self.listens.len(), self.unreadable);
        OnlineReport { window_hours, listens, unreadable_lines, variants }
    }

    /// For each answer and each of its items whether a listen belongs to it.
    fn chosen(&self, window_ms: i64) -> Vec<Vec<bool>> {
        let mut shown: HashMap<(i64, i64), Vec<Showing>> = HashMap::new();
        for (index, answer) in self.answers.iter().enumerate() {
            for (place, &(track_id, _)) in answer.items.iter().enumerate() {
                shown.entry((answer.user_id, track_id)).or_default().push((answer.at_ms, index, place));
            }
        }
        shown.values_mut().for_each(|times| times.sort_unstable());
        let mut chosen: Vec<Vec<bool>> =
            self.answers.iter().map(|answer| vec![false; answer.items.len()]).collect();
        for listen in &self.listens {
            let times = shown.get(&(listen.user_id, listen.track_id)).map_or(&[][..], Vec::as_slice);
            let before = times.partition_point(|(at_ms, ..)| *at_ms <= listen.at_ms);
            if let Some(&(at_ms, answer, place)) = times[..before].last()
                && listen.at_ms.saturating_sub(at_ms) <= window_ms
            {
                chosen[answer][place] = true;
            }
        }
        chosen
    }

    fn outcome<'a>(
        &'a self,
        answers: impl Iterator<Item = (&'a Answer, &'a Vec<bool>)>,
        bootstrap_samples: usize,
        seed: u64,
    ) -> Outcome {
        let (mut n_answers, mut clicks) = (0, Clicks::default());
        let mut by_source: BTreeMap<String, Clicks> = BTreeMap::new();
        let mut by_user: BTreeMap<i64, (usize, usize)> = BTreeMap::new();
        for (answer, chosen) in answers {
            n_answers += 1;
            for (&(_, source), &chosen) in answer.items.iter().zip(chosen) {
                clicks.add(chosen);
                by_source.entry(self.sources[source as usize].clone()).or_default().add(chosen);
            }
            let of_user = by_user.entry(answer.user_id).or_default();
            of_user.0 += 1;
            of_user.1 += usize::from(chosen.contains(&true));
        }
        let shares: Vec<f64> = by_user.values().map(|&(of, hits)| hits as f64 / of as f64).collect();
        let users = shares.len();
        let mean = |sum: f64| sum / users.max(1) as f64;
        let resamples = Resamples::new(users, if users > 0 { bootstrap_samples } else { 0 }, seed);
        let (low, high) = interval_95(resamples.sums(&shares, 1).into_iter().map(mean)).unzip();
        let hit_rate = Value { value: mean(shares.iter().sum()), low, high };
        Outcome { users, answers: n_answers, clicks, hit_rate, sources: by_source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    /// User 1 sees track 10 twice and 11, chooses 10 an hour after the second answer, and 12 unasked;
    /// user 2 chooses what was shown, but too late.
    fn feedback() -> Feedback {
        let answer = |user_id, at_ms, variant, items: &[(i64, u32)]| Answer {
            user_id,
            at_ms,
            variant: Some(variant),
            items: items.to_vec(),
        };
        let listen = |user_id, at_ms, track_id| Listen { user_id, at_ms, track_id };
        Feedback {
            answers: vec![
                answer(1, HOUR, 0, &[(10, 0), (11, 1)]),
                answer(1, 0, 0, &[(10, 0)]),
                answer(2, 0, 1, &[(10, 1)]),
            ],
            listens: vec![listen(1, 2 * HOUR, 10), listen(1, 2 * HOUR, 12), listen(2, 25 * HOUR, 10)],
            variants: vec!["a".to_owned(), "all".to_owned()],
            sources: vec!["online".to_owned(), "popular".to_owned()],
            unreadable: 1,
        }
    }

    #[test]
    fn a_listen_belongs_to_the_newest_answer_that_showed_the_track_within_the_window() {
        let report = feedback().report(24.0, 200, 1);
        let all = &report.variants["all"];
        assert_eq!((all.users, all.answers, report.listens, report.unreadable_lines), (2, 3, 3, 1));
        assert_eq!((all.clicks.shown, all.clicks.chosen), (4, 1));
        assert_eq!(all.clicks.click_rate, 0.25);
        // One of two answers hit for user 1, none for user 2.
        assert_eq!(all.hit_rate.value, 0.25);
        assert_eq!((all.hit_rate.low, all.hit_rate.high), (Some(0.0), Some(0.5)));
        assert_eq!(all.sources["online"], Clicks { shown: 2, chosen: 1, click_rate: 0.5 });
        assert_eq!(all.sources["popular"].chosen, 0);
        assert_eq!(report.variants["a"].hit_rate.value, 0.5);
        let text = report.render();
        assert!(
            text.contains(
                "all: 2 users · 3 answers · 1 of 4 tracks chosen, 25.00 % · hit rate 25.00 % (0.00–50.00)"
            ),
            "{text}"
        );
        assert_eq!(report.variants["variant `all`"].hit_rate.value, 0.0);

        let longer = feedback().report(25.0, 0, 1);
        assert_eq!(longer.variants["variant `all`"].hit_rate.value, 1.0);
        assert_eq!(longer.variants["all"].hit_rate.low, None);
    }

    #[test]
    fn a_listen_before_the_answer_is_no_choice_and_an_empty_log_is_all_zeros() {
        let mut early = feedback();
        early.answers.iter_mut().for_each(|answer| answer.at_ms += 100 * HOUR);
        assert_eq!(early.report(24.0, 10, 1).variants["all"].clicks.chosen, 0);
        let nothing = Feedback::default().report(24.0, 10, 1);
        assert_eq!(nothing.variants["all"].hit_rate.value, 0.0);
    }
}
