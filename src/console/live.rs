//! Live lines on a terminal: one per running step, with progress from inside the step.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::outcome::Outcome;
use super::plain;
use super::say::say;
use super::style::Colors;
use crate::workflow::event::{Event, Listener};
use crate::workflow::kind::Progress;
use crate::workflow::units::{bytes, seconds};

/// Draws the running steps and scrolls what is finished above them.
pub struct Live {
    screen: MultiProgress,
    colors: Colors,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bars: BTreeMap<String, ProgressBar>,
    outcome: Outcome,
    width: usize,
}

impl Live {
    /// A screen without steps.
    pub fn new() -> Self {
        Self { screen: MultiProgress::new(), colors: Colors::detect(), state: Mutex::default() }
    }

    fn say(&self, text: &str) {
        // A terminal that cannot be written to shows nothing; the logs have it all.
        let _ = self.screen.println(text);
    }

    fn begin(&self, state: &mut State, step: &str, message: String) {
        let bar = self.screen.add(ProgressBar::new_spinner());
        bar.set_style(style("{spinner:.cyan} {prefix}  {msg:.dim} {elapsed:.dim}"));
        bar.set_prefix(format!("{step:width$}", width = state.width));
        bar.set_message(message);
        bar.enable_steady_tick(Duration::from_millis(120));
        if let Some(old) = state.bars.insert(step.to_owned(), bar) {
            old.finish_and_clear();
        }
    }

    fn line(&self, event: &Event, width: usize) -> Option<String> {
        match event {
            Event::StepStarted { .. } | Event::StepFetchBegan { .. } => None,
            Event::StepFinished { step, elapsed, .. } => Some(format!(
                "{} {step:width$}  {}",
                self.colors.green("✓"),
                self.colors.dim(&seconds(*elapsed))
            )),
            Event::StepFailed { .. } => plain::line(event).map(|line| self.colors.red(&line)),
            Event::StepWarned { .. } | Event::ArtifactRestored { .. } => {
                plain::line(event).map(|line| self.colors.yellow(&line))
            }
            other => plain::line(other).map(|line| self.colors.dim(&line)),
        }
    }
}

impl Listener for Live {
    fn hear(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.outcome.hear(event);
        match event {
            Event::RunStarted { steps, .. } => state.width = steps.iter().map(String::len).max().unwrap_or(0),
            Event::StepStarted { step, reason, .. } => self.begin(&mut state, step, reason.to_string()),
            Event::StepFetchBegan { step, from, bytes: size } => {
                self.begin(&mut state, step, format!("fetching {} from {from}", bytes(*size)));
            }
            Event::StepProgressed { step, progress } => {
                if let Some(bar) = state.bars.get(step) {
                    show(bar, progress);
                }
            }
            Event::StepFinished { step, .. }
            | Event::StepFailed { step, .. }
            | Event::StepReused { step, .. } => {
                if let Some(bar) = state.bars.remove(step) {
                    bar.finish_and_clear();
                }
            }
            _ => {}
        }
        if let Some(line) = self.line(event, state.width) {
            self.say(&line);
        }
        if let Event::RunFinished { tally } = event {
            // A service that was stopped leaves its line.
            for bar in std::mem::take(&mut state.bars).into_values() {
                bar.finish_and_clear();
            }
            say(&state.outcome.render(tally));
        }
    }
}

fn show(bar: &ProgressBar, progress: &Progress) {
    bar.set_position(progress.done);
    if progress.unit == "bytes" {
        bar.set_message(progress.note.clone());
        let of = if progress.total.is_some() {
            "{bar:24.cyan/dim} {binary_bytes}/{binary_total_bytes}"
        } else {
            "{binary_bytes}"
        };
        if bar.length() != progress.total || progress.total.is_none() {
            bar.set_style(style(&format!("{{spinner:.cyan}} {{prefix}}  {of}  {{msg}} {{elapsed:.dim}}")));
            progress.total.into_iter().for_each(|total| bar.set_length(total));
        }
        return;
    }
    bar.set_message(format!("{}  {}", progress.unit, progress.note));
    match progress.total {
        Some(total) => {
            if bar.length() != Some(total) {
                bar.set_style(style("{spinner:.cyan} {prefix}  {bar:24.cyan/dim} {human_pos}/{human_len} {msg} {elapsed:.dim} (ETA {eta})"));
                bar.set_length(total);
            }
        }
        None => bar.set_style(style("{spinner:.cyan} {prefix}  {human_pos} {msg} {elapsed:.dim}")),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
