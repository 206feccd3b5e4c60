//! The one way to standard output and standard error: printing never panics and never breaks a run.
//!
//! A reader that went away (`recsys kinds | head -1`) has seen enough: the command goes on in silence
//! and its exit code is what it would have been. A device that refuses (`> /dev/full`) is an error of
//! its own: nothing that runs is disturbed, and [`unsaid`] tells `main`, which exits with code 1.

use std::io::{self, ErrorKind, Write};
use std::sync::OnceLock;

use miette::Diagnostic;
use thiserror::Error;

/// The first failure; nothing is printed to standard output after it.
static FAILURE: OnceLock<Failure> = OnceLock::new();

#[derive(Debug, Clone)]
struct Failure {
    stream: &'static str,
    kind: ErrorKind,
    message: String,
}

/// What was to be printed could not be.
#[derive(Debug, Error, Diagnostic)]
#[error("not everything could be written to {stream}: {message}")]
#[diagnostic(help("what the command did is done and kept; make room there, or send its output elsewhere"))]
pub struct Unsaid {
    stream: &'static str,
    message: String,
}

/// Prints a result to standard output, with a line end when it has none; tells whether to go on.
pub fn say(text: &str) -> bool {
    if FAILURE.get().is_none()
        && let Err(error) = write(&mut io::stdout().lock(), text)
    {
        fail("standard output", &error);
    }
    FAILURE.get().is_none()
}

/// Prints to standard error what accompanies the work; what nobody can read is dropped.
pub fn remark(text: &str) {
    let _ = write(&mut io::stderr().lock(), text);
}

/// Prints to standard error what a program waits for; a failure counts as one of standard output.
pub fn report(text: &str) {
    if let Err(error) = write(&mut io::stderr().lock(), text) {
        fail("standard error", &error);
    }
}

/// Why not everything could be printed, unless the reader just went away.
pub fn unsaid() -> Option<Unsaid> {
    let failure = FAILURE.get().filter(|failure| failure.kind != ErrorKind::BrokenPipe)?;
    Some(Unsaid { stream: failure.stream, message: failure.message.clone() })
}

fn fail(stream: &'static str, error: &io::Error) {
    // Only the first failure is kept: the others follow from it.
    let _ = FAILURE.set(Failure { stream, kind: error.kind(), message: error.to_string() });
}

fn write(stream: &mut impl Write, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        stream.write_all(b"\n")?;
    }
    stream.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_with_one_line_end() {
        for text in ["a", "a\n"] {
            let mut written = Vec::new();
            write(&mut written, text).unwrap();
            assert_eq!(written, b"a\n");
        }
    }
}
