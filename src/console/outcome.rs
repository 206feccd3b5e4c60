//! The end of a run: what each step did, the texts that steps leave, one closing line.

use std::path::PathBuf;
use std::time::Duration;

use comfy_table::CellAlignment;

use super::style::plain_table;
use crate::workflow::event::{Event, Reused, Tally};
use crate::workflow::units::{bytes, seconds};

/// Collects what the closing table needs.
#[derive(Debug, Default)]
pub struct Outcome {
    rows: Vec<Row>,
    summaries: Vec<String>,
    restored: usize,
    fetched: usize,
}

#[derive(Debug)]
struct Row {
    step: String,
    result: &'static str,
    elapsed: Option<Duration>,
    outputs: Vec<(PathBuf, u64)>,
}

impl Outcome {
    /// Takes note of an event.
    pub fn hear(&mut self, event: &Event) {
        let mut row = |step: &String, result, elapsed, outputs: &[(PathBuf, u64)]| {
            self.rows.push(Row { step: step.clone(), result, elapsed, outputs: outputs.to_vec() });
        };
        match event {
            Event::StepReused { step, reason, summary, .. } => {
                self.restored += usize::from(matches!(reason, Reused::Restored { .. }));
                self.fetched += usize::from(matches!(reason, Reused::Fetched { .. }));
                self.summaries.extend(summary.clone());
                let result = match reason {
                    Reused::Unchanged => "unchanged",
                    Reused::CutOff { .. } => "same bytes before it",
                    Reused::Restored { .. } => "from the store",
                    Reused::Fetched { .. } => "fetched",
                    Reused::AsReleased => "as released",
                };
                row(step, result, None, &[]);
            }
            Event::StepFinished { step, elapsed, outputs, summary, .. } => {
                row(step, "ran", Some(*elapsed), outputs);
                self.summaries.extend(summary.clone());
            }
            Event::StepFailed { step, will_retry: false, .. } => row(step, "FAILED", None, &[]),
            Event::StepStopped { step } => row(step, "stopped", None, &[]),
            Event::StepSkipped { step } => row(step, "not run", None, &[]),
            _ => {}
        }
    }

    /// The texts of steps, the table of steps, and the closing line.
    pub fn render(&self, tally: &Tally) -> String {
        let all = self.rows.len();
        if tally.finished + tally.failed + tally.skipped + self.fetched == 0 && !tally.stopped {
            return nothing_to_do(&self.summaries, all, self.restored, tally.elapsed);
        }
        let mut text = table(&self.rows) + "\n";
        text.push_str(&texts(&self.summaries));
        let end = if tally.is_stopped() { "stopped" } else { "done" };
        text.push_str(&format!("{end} in {}: {}\n", seconds(tally.elapsed), counts(tally)));
        text
    }
}

/// The texts that steps left, and that so many steps are up to date, some of them with an earlier result.
pub fn nothing_to_do(
    summaries: &[impl AsRef<str>],
    steps: usize,
    restored: usize,
    elapsed: Duration,
) -> String {
    let steps = if steps == 1 { "1 step is" } else { &format!("{steps} steps are") };
    let restored = match restored {
        0 => String::new(),
        n => format!(", {n} of them with an earlier result from the store"),
    };
    texts(summaries) + &format!("nothing to do: {steps} up to date{restored} ({})\n", seconds(elapsed))
}

/// What steps have to say, now or when they ran.
fn texts(summaries: &[impl AsRef<str>]) -> String {
    summaries.iter().map(|summary| format!("{}\n\n", summary.as_ref().trim_end())).collect()
}

/// How many steps went which way: `3 ran, 5 reused`.
pub fn counts(tally: &Tally) -> String {
    let mut parts = vec![format!("{} ran", tally.finished)];
    for (count, what) in [(tally.reused, "reused"), (tally.failed, "failed"), (tally.skipped, "not run")] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    parts.join(", ")
}

fn table(rows: &[Row]) -> String {
    let mut table = plain_table(&["step", "result", "time", "outputs"]);
    for row in rows {
        let outputs: Vec<String> =
            row.outputs.iter().map(|(path, size)| format!("{} ({})", path.display(), bytes(*size))).collect();
        let elapsed = row.elapsed.map(seconds).unwrap_or_default();
        table.add_row([row.step.clone(), row.result.to_owned(), elapsed, outputs.join("\n")]);
    }
    if let Some(column) = table.column_mut(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}
