//! The report of `split`: what lies in each period, and who and what is cold.

use serde::Serialize;

use super::Plan;
use super::periods::{Cold, PeriodReport, Periods};
use crate::data::dates;

/// The content of `split_report.json`.
#[derive(Debug, Clone, Serialize)]
pub struct SplitReport {
    /// `time`, `leave_last_n` or `random`.
    pub strategy: &'static str,
    /// Where the target period begins, for a split by time with a target.
    pub target_from: Option<String>,
    /// Where the test period begins, for a split by time.
    pub test_from: Option<String>,
    /// Rows and columns of every matrix.
    pub matrix: Shape,
    /// What lies in each period.
    pub periods: PeriodReports,
    /// Users and items that have no factors.
    pub cold: ColdReports,
}

/// Rows and columns of a matrix.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Shape {
    /// Rows.
    pub users: usize,
    /// Columns.
    pub items: usize,
}

/// What lies in each period.
#[derive(Debug, Clone, Serialize)]
pub struct PeriodReports {
    /// What base models learn from.
    pub train: PeriodReport,
    /// Labels of the ranker.
    pub target: PeriodReport,
    /// Evaluation.
    pub test: PeriodReport,
    /// Train and target.
    pub history: PeriodReport,
}

/// Cold users and items between periods.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ColdReports {
    /// Of the target period, not in train.
    pub target_to_train: Cold,
    /// Of the test period, not in train.
    pub test_to_train: Cold,
    /// Of the test period, neither in train nor in target.
    pub test_to_history: Cold,
}

impl SplitReport {
    /// Puts the counts together.
    pub fn new(plan: &Plan, periods: &Periods, (users, items): (usize, usize)) -> Self {
        let (strategy, target_from, test_from) = match *plan {
            Plan::Time { target_from, test_from } => ("time", target_from, Some(test_from)),
            Plan::LeaveLast { .. } => ("leave_last_n", None, None),
            Plan::Random { .. } => ("random", None, None),
        };
        let history = periods.history();
        let n_events = history.n_events() + periods.test.n_events();
        Self {
            strategy,
            target_from: target_from.map(dates::format),
            test_from: test_from.map(dates::format),
            matrix: Shape { users, items },
            periods: PeriodReports {
                train: periods.train.report(n_events),
                target: periods.target.report(n_events),
                test: periods.test.report(n_events),
                history: history.report(n_events),
            },
            cold: ColdReports {
                target_to_train: periods.target.cold(&periods.train),
                test_to_train: periods.test.cold(&periods.train),
                test_to_history: periods.test.cold(&history),
            },
        }
    }

    /// What a person should know.
    pub fn warnings(&self) -> Vec<String> {
        const NOTABLE_SHARE: f64 = 0.01;
        let mut warnings = Vec::new();
        let PeriodReport { events, heard_again_later, .. } = self.periods.history;
        let share = heard_again_later as f64 / events as f64;
        if share > NOTABLE_SHARE {
            warnings.push(format!(
                "{:.1} % of the events before the test period were heard again in it, and their `listen_count` \
                 counts that too; with `weighting: binary` models do not see it",
                share * 100.0
            ));
        }
        if self.cold.test_to_history.users == self.periods.test.users {
            warnings
                .push("no user of the test period has a history: every list will be top popular".to_owned());
        }
        warnings
    }

    /// Named numbers for comparison between runs.
    pub fn metrics(&self) -> [(&'static str, f64); 5] {
        [
            ("train_events", self.periods.train.events as f64),
            ("target_events", self.periods.target.events as f64),
            ("test_events", self.periods.test.events as f64),
            ("test_users", self.periods.test.users as f64),
            ("cold_test_users", self.cold.test_to_history.users as f64),
        ]
    }
}
