//! `shell`: any command as a step.
//!
//! The command sees its inputs and outputs as paths, a private environment with only what it
//! declares, and cannot outlive the runner. Its output goes to the step's log.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use miette::Diagnostic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use thiserror::Error;

use crate::workflow::history::now;
use crate::workflow::kind::{Context, InputPort, OutputPort, Step, StepError};
use crate::workflow::process::{self, ShellCommand};
use crate::workflow::spec::placeholder;

/// Lines of the command's output that an error repeats.
const LAST_LINES: usize = 10;

/// Parameters of `shell`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shell {
    /// The command line, given as `run:`; `{{ inputs.port }}` and `{{ outputs.port }}` become paths.
    pub command: String,
}

/// Why a command is no result.
#[derive(Debug, Error, Diagnostic)]
pub enum ShellError {
    /// It ended with an error.
    #[error("the command ended with {how}{}", last_lines(.output))]
    #[diagnostic(help("its whole output is in `{}`", log.display()))]
    Failed {
        /// Exit code or signal.
        how: String,
        /// Its last lines.
        output: Vec<String>,
        /// The step's log.
        log: PathBuf,
    },
    /// It could not be run.
    #[error("the command cannot be run: {0}")]
    #[diagnostic(help("check that `sh` can be started in the project folder"))]
    System(#[from] std::io::Error),
}

impl Step for Shell {
    const KIND: &'static str = "shell";
    const VERSION: u32 = 1;
    const SUMMARY: &'static str = "Runs a command that reads and writes files";
    const EXAMPLE: &'static str = "\
count:
  inputs: { events: data/events.csv }
  outputs: { lines: artifacts/lines.txt }
  run: wc -l < {{ inputs.events }} > {{ outputs.lines }}
";
    const INPUTS: &'static [InputPort] = &[];
    const OUTPUTS: &'static [OutputPort] = &[];
    const OPEN_PORTS: bool = true;

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let command = with_paths(&self.command, ctx);
        let command = ShellCommand { command: &command, folder: ctx.root(), environment: ctx.environment() };
        let mut child = command.start().map_err(ShellError::System)?;
        let last = Mutex::new(Vec::new());
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let status = std::thread::scope(|scope| {
            scope.spawn(|| record("stdout", stdout, ctx.log(), &last));
            scope.spawn(|| record("stderr", stderr, ctx.log(), &last));
            process::wait(&mut child, || ctx.is_cancelled())
        });
        let status = status.map_err(ShellError::System)?;
        ctx.check_cancelled()?;
        if status.success() {
            return Ok(());
        }
        let output = last.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        Err(ShellError::Failed { how: process::describe(status), output, log: ctx.log().to_owned() }.into())
    }
}

/// The command with every placeholder replaced by a path, quoted for the shell.
fn with_paths(command: &str, ctx: &Context<'_>) -> String {
    let mut command = command.to_owned();
    for (port, files) in ctx.all_inputs() {
        for (name, path) in files {
            let name = (!name.is_empty()).then_some(name.as_str());
            command = command.replace(&placeholder("inputs", port, name), &quoted(path));
        }
    }
    for (port, path) in ctx.all_outputs() {
        command = command.replace(&placeholder("outputs", port, None), &quoted(path));
    }
    command
}

fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.chars().all(|c| c.is_alphanumeric() || "/._-+=:@".contains(c));
    if plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// Copies a stream to the log, a line at a time, and keeps its last lines.
fn record(stream: &str, source: Option<impl Read>, log: &Path, last: &Mutex<Vec<String>>) {
    let Some(source) = source else { return };
    let mut log = OpenOptions::new().create(true).append(true).open(log).ok();
    let mut reader = BufReader::new(source);
    let mut bytes = Vec::new();
    while reader.read_until(b'\n', &mut bytes).is_ok_and(|n| n > 0) {
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        if let Some(log) = &mut log {
            let entry = json!({ "time": now(), "level": "INFO", "stream": stream, "message": line });
            // The command matters more than its log: a full disk shows when it commits.
            let _ = writeln!(log, "{entry}");
        }
        let mut last = last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.len() == LAST_LINES {
            last.remove(0);
        }
        last.push(line);
        bytes.clear();
    }
}

fn last_lines(output: &[String]) -> String {
    output.iter().map(|line| format!("\n    {line}")).collect()
}
