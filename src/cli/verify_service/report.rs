//! What was checked and how it went: for people, for the log, and as JSON.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::http::Answer;
use super::target::Target;
use crate::workflow::history::now;

/// Letters of an answer that the log keeps.
const LOGGED: usize = 2000;

/// Everything that was checked.
#[derive(Debug)]
pub struct Report {
    at: String,
    services: Vec<String>,
    checks: Vec<Check>,
}

/// How a check went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be; a few words about it.
    Passed(String),
    /// Not so: what was expected and what was found.
    Failed(String),
    /// Not tried, and why.
    Left(String),
}

#[derive(Debug)]
struct Check {
    group: &'static str,
    name: String,
    outcome: Outcome,
    took: Duration,
    exchanges: Vec<String>,
}

/// What is asked for one check: requests go into the log.
#[derive(Debug, Default)]
pub struct Asked {
    exchanges: Vec<String>,
    took: Duration,
}

impl Asked {
    /// Keeps a request and its answer.
    pub fn note(&mut self, request: &str, answer: &Answer) {
        self.took += answer.took;
        let text: String = answer.text.chars().take(LOGGED).collect();
        let cut = if text.len() < answer.text.len() { " …" } else { "" };
        self.exchanges.push(format!("{request}\n    {} {text}{cut}", answer.status));
    }
}

impl Report {
    /// Nothing checked yet.
    pub fn new(targets: &[Target]) -> Self {
        let services = targets.iter().map(|target| target.place.base.clone()).collect();
        Self { at: now(), services, checks: Vec::new() }
    }

    /// Keeps how a check went.
    pub fn add(&mut self, group: &'static str, name: impl Into<String>, outcome: Outcome, asked: Asked) {
        let Asked { exchanges, took } = asked;
        self.checks.push(Check { group, name: name.into(), outcome, took, exchanges });
    }

    /// How many checks there were.
    pub fn all(&self) -> usize {
        self.checks.len()
    }

    /// How many failed.
    pub fn failed(&self) -> usize {
        self.checks.iter().filter(|check| matches!(check.outcome, Outcome::Failed(_))).count()
    }

    /// For people.
    pub fn text(&self, log: &Path) -> String {
        let mut text = String::new();
        let width = self.checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
        let mut group = "";
        for check in &self.checks {
            if check.group != group {
                group = check.group;
                let _ = writeln!(text, "{}{group}", if text.is_empty() { "" } else { "\n" });
            }
            let (mark, words) = match &check.outcome {
                Outcome::Passed(words) => ("✓", words),
                Outcome::Failed(words) => ("✗", words),
                Outcome::Left(words) => ("–", words),
            };
            let line = format!("  {mark} {:width$}  {:>8}  {words}", check.name, took(check.took));
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let left = self.checks.iter().filter(|check| matches!(check.outcome, Outcome::Left(_))).count();
        let failed = self.failed();
        let passed = self.all() - failed - left;
        let left = if left == 0 { String::new() } else { format!(", {left} not tried") };
        let _ = write!(
            text,
            "\n{} of {}: {passed} passed, {failed} failed{left} · {} and {}",
            if failed == 0 { "in order" } else { "not in order" },
            self.services.join(", "),
            log.display(),
            log.with_extension("json").display()
        );
        text
    }

    /// Writes the log and, beside it, the JSON.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, log: &Path) -> io::Result<()> {
        if let Some(folder) = log.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder)?;
        }
        fs::write(log, self.log())?;
        fs::write(log.with_extension("json"), format!("{:#}\n", self.json()))
    }

    fn log(&self) -> String {
        let mut text = format!("{} {}\n", self.at, self.services.join(", "));
        for Check { group, name, outcome, took: time, exchanges } in &self.checks {
            let (word, words) = told(outcome);
            let _ = writeln!(text, "\n{} {group}: {name} ({}) {words}", word.to_uppercase(), took(*time));
            for exchange in exchanges {
                let _ = writeln!(text, "  {exchange}");
            }
        }
        let _ = writeln!(text, "\n{} checks, {} failed", self.all(), self.failed());
        text
    }

    fn json(&self) -> Value {
        let checks = self.checks.iter().map(|check| {
            let (word, words) = told(&check.outcome);
            json!({
                "group": check.group, "name": check.name, "outcome": word, "words": words,
                "milliseconds": (check.took.as_secs_f64() * 1e6).round() / 1e3,
            })
        });
        let checks: Vec<Value> = checks.collect();
        let passed = self.failed() == 0;
        json!({ "at": self.at, "services": self.services, "passed": passed, "failed": self.failed(), "checks": checks })
    }
}

fn told(outcome: &Outcome) -> (&'static str, &str) {
    match outcome {
        Outcome::Passed(words) => ("passed", words),
        Outcome::Failed(words) => ("failed", words),
        Outcome::Left(words) => ("left", words),
    }
}

fn took(time: Duration) -> String {
    if time.is_zero() { String::new() } else { format!("{:.1} ms", time.as_secs_f64() * 1e3) }
}
