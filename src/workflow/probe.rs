//! Commands whose output belongs to a fingerprint: the versions of tools that a step calls.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use miette::Diagnostic;
use thiserror::Error;

use super::digest::Digest;
use super::process::{Output, ShellCommand, Stream, describe};

/// A command under `fingerprint:` told nothing.
#[derive(Debug, Error, Diagnostic)]
#[error("the command `{command}` under `fingerprint:` {why}")]
#[diagnostic(
    code(recsys::fingerprint::command),
    help("it must end with exit code 0, as `python3 --version` does; try it in the project folder")
)]
pub struct ProbeError {
    command: String,
    why: String,
}

/// What a command said, both of its outputs in the order of their lines.
#[derive(Default)]
struct Said(Vec<String>);

impl Output for Said {
    fn line(&mut self, stream: Stream, line: &str) {
        self.0.push(format!("{}: {line}\n", stream.name()));
    }

    fn caught_up(&mut self) {}
}

/// The digest of what a command says.
///
/// # Errors
/// When it cannot be started or ends with an error.
pub fn ask(
    command: &str,
    folder: &Path,
    environment: &BTreeMap<String, String>,
    stopped: &dyn Fn() -> bool,
) -> Result<Digest, ProbeError> {
    let failed = |why: String| ProbeError { command: command.to_owned(), why };
    let mut said = Said::default();
    let shell = ShellCommand { command, folder, environment };
    let ended = shell.run(&mut said, stopped);
    let ended = ended.map_err(|error: io::Error| failed(format!("cannot be run: {error}")))?;
    if !ended.status.success() {
        let last = said.0.last().map_or("", |line| line.trim_end());
        return Err(failed(format!("ended with {} {last}", describe(ended.status)).trim_end().to_owned()));
    }
    // The two outputs may come in any order, each in its own.
    said.0.sort_by_key(|line| line.starts_with("stderr"));
    Ok(Digest::of(said.0.concat().as_bytes()))
}
