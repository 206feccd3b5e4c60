//! `shell`: any command as a step.
//!
//! The command sees its inputs and outputs as paths, a private environment with only what it
//! declares, and cannot outlive the runner. Its output goes to the step's log.

pub(super) mod output;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use miette::Diagnostic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::output::StepOutput;
use crate::workflow::kind::{Context, InputPort, OutputPort, ParameterFault, Step, StepError};
use crate::workflow::process::{self, ShellCommand};
use crate::workflow::spec::placeholder;

/// Linux takes 128 KiB; paths and what the runner adds need some of it.
const LONGEST: usize = 100 << 10;

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
    #[diagnostic(help("{}its whole output is in `{}`", meaning.unwrap_or_default(), log.display()))]
    Failed {
        /// Exit code or signal.
        how: String,
        /// What that end usually means, and what to do.
        meaning: Option<&'static str>,
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

    fn check(&self) -> Result<(), ParameterFault> {
        if self.command.len() <= LONGEST {
            return Ok(());
        }
        let message = format!(
            "the command has {} KiB, and the system takes {}: put it into a script, and declare that as an input",
            self.command.len() >> 10,
            LONGEST >> 10
        );
        Err(ParameterFault { parameter: "command", message })
    }

    fn run(&self, ctx: &Context<'_>) -> Result<(), StepError> {
        let command = with_paths(&self.command, ctx);
        let command = ShellCommand { command: &command, folder: ctx.root(), environment: ctx.environment() };
        let mut output = StepOutput::new(ctx.log());
        let ended = command.run(&mut output, &|| ctx.is_cancelled()).map_err(ShellError::System)?;
        ctx.used(ended.usage);
        ctx.check_cancelled()?;
        if ended.status.success() {
            return Ok(());
        }
        let (how, meaning) = (process::describe(ended.status), meaning(ended.status));
        Err(ShellError::Failed { how, meaning, output: output.into_last_lines(), log: ctx.log().to_owned() }
            .into())
    }
}

/// What an end that the command did not choose usually means.
fn meaning(status: ExitStatus) -> Option<&'static str> {
    // A shell tells the signal that ended a program as an exit code of 128 and more.
    match status.code().or_else(|| status.signal().map(|signal| 128 + signal))? {
        126 => Some("126 means that a program was found but cannot be executed: `chmod +x` it; "),
        127 => Some(
            "127 means that a program, or what the first line of a script names, was not found: install it, or \
             write its path (commands run in the project folder, with the `PATH` of the runner); ",
        ),
        137 => Some(
            "SIGKILL did not come from the runner: most often the system ran out of memory and chose this \
             process (`dmesg` tells); give the step less data, or run fewer steps at a time (`-j 1`); ",
        ),
        _ => None,
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

/// A path as the shell reads it back.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.chars().all(|c| c.is_alphanumeric() || "/._-+=:@".contains(c));
    if plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

fn last_lines(output: &[String]) -> String {
    output.iter().map(|line| format!("\n    {line}")).collect()
}
