//! `recsys logs`: what a step said when it ran, or says while it runs.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::CommandError;
use crate::console::{log_line, say};
use crate::workflow::history::account::StepEnd;
use crate::workflow::history::read::{self, RecordedRun};

/// How often `--follow` looks for more.
const POLL: Duration = Duration::from_millis(100);

/// Show the last log of a step.
///
/// Of all recorded runs the newest in which the step ran, or that of `--run`. What a command printed
/// is shown as it is, everything else with its time.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  recsys logs als
  recsys logs als --follow                 and what it says from now on, until it ends
  recsys logs als --run last               only when it ran in the last run
  recsys logs als --format json | jq .message")]
pub struct LogsArgs {
    /// The step
    step: String,

    /// The run: its id, the beginning of it, or `last`
    #[arg(long, value_name = "RUN")]
    run: Option<String>,

    /// Wait for more until the step ends, or Ctrl-C
    #[arg(short, long)]
    follow: bool,

    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// The log as it is: one JSON object a line
    Json,
}

/// Prints the log.
///
/// # Errors
/// When there is no such run or the step did not run in it.
pub fn logs(args: &LogsArgs, root: &Path) -> Result<(), CommandError> {
    let folder = read::folder(root);
    let runs = match &args.run {
        None => read::runs(&folder),
        Some(run) => vec![read::find(&folder, run).map_err(|error| CommandError::Usage(error.into()))?],
    };
    let awaited = runs.iter().find(|run| args.follow && run.is_live() && !is_over(run, &args.step));
    let run = match awaited {
        Some(run) => run,
        None => read::last_with_log(&runs, &args.step).map_err(|error| CommandError::Usage(error.into()))?,
    };
    let mut log = Tail { path: run.log(&args.step), open: None, line: String::new() };
    loop {
        // Asked before reading: what a step says last is read after it has ended.
        let over = !args.follow || is_over(run, &args.step);
        if !log.print_new(args.format) || over {
            break;
        }
        std::thread::sleep(POLL);
    }
    // A step that was waited for may have been reused in the end.
    let ran = read::last_with_log(std::slice::from_ref(run), &args.step);
    ran.map(|_| ()).map_err(|error| CommandError::Usage(error.into()))
}

/// Whether the step will say nothing more in this run.
fn is_over(run: &RecordedRun, step: &str) -> bool {
    let account = run.account();
    let step = account.steps.iter().find(|account| account.step == step);
    step.is_none_or(|step| !matches!(step.ended, StepEnd::Waiting | StepEnd::Running))
}

/// The lines of a log that have not been printed.
struct Tail {
    path: std::path::PathBuf,
    open: Option<BufReader<File>>,
    /// A line whose end is not written yet.
    line: String,
}

impl Tail {
    /// Prints what is new; tells whether anybody reads.
    fn print_new(&mut self, format: Format) -> bool {
        if self.open.is_none() {
            self.open = File::open(&self.path).ok().map(BufReader::new);
        }
        let Some(file) = &mut self.open else { return true };
        let mut text = String::new();
        let mut bytes = Vec::new();
        while file.read_until(b'\n', &mut bytes).is_ok_and(|n| n > 0) {
            self.line.push_str(&String::from_utf8_lossy(&bytes));
            bytes.clear();
            if self.line.ends_with('\n') {
                match format {
                    Format::Text => text.push_str(&(log_line(self.line.trim_end()) + "\n")),
                    Format::Json => text.push_str(&self.line),
                }
                self.line.clear();
            }
        }
        text.is_empty() || say(&text)
    }
}
