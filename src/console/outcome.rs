//! The end of a run: what each step did, the texts that steps leave, one closing line.

use std::path::PathBuf;
use std::time::Duration;

use comfy_table::CellAlignment;

use super::style::{bytes, plain_table, seconds};
use crate::workflow::event::{Event, Reused, Tally};

/// Collects what the closing table needs.
#[derive(Debug, Default)]
pub struct Outcome {
    rows: Vec<Row>,
    summaries: Vec<String>,
    reused: usize,
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
            Event::StepReused { step, reason } => {
                self.reused += 1;
                let result = match reason {
                    Reused::Unchanged => "unchanged",
                    Reused::Restored => "from the store",
                    Reused::AsReleased => "as released",
                };
                row(step, result, None, &[]);
            }
            Event::StepFinished { step, elapsed, outputs, summary } => {
                row(step, "ran", Some(*elapsed), outputs);
                self.summaries.extend(summary.clone());
            }
            Event::StepFailed { step, will_retry: false, .. } => row(step, "FAILED", None, &[]),
            Event::StepSkipped { step } => row(step, "not run", None, &[]),
            _ => {}
        }
    }

    /// The texts of steps, the table of steps, and the closing line.
    pub fn render(&self, tally: &Tally) -> String {
        let all = self.rows.len();
        if tally.finished + tally.failed + tally.skipped == 0 && !tally.stopped {
            return format!("nothing to do: {all} steps are up to date ({})\n", seconds(tally.elapsed));
        }
        let mut text = table(&self.rows);
        for summary in &self.summaries {
            text.push('\n');
            text.push_str(summary.trim_end());
            text.push('\n');
        }
        let mut parts = vec![format!("{} ran", tally.finished)];
        for (count, what) in [(tally.reused, "reused"), (tally.failed, "failed"), (tally.skipped, "not run")]
        {
            if count > 0 {
                parts.push(format!("{count} {what}"));
            }
        }
        let end = if tally.stopped && tally.failed + tally.skipped > 0 { "stopped" } else { "done" };
        text.push_str(&format!("\n{end} in {}: {}\n", seconds(tally.elapsed), parts.join(", ")));
        text
    }
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
