//! What a command says: every line to the step's log, the last ones kept for an error.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::workflow::history::now;
use crate::workflow::process::{Output, Stream};

/// Lines of the command's output that an error repeats.
const LAST_LINES: usize = 10;
/// Characters of such a line; the log has the rest.
const SHOWN: usize = 500;

/// Writes to the log as JSON lines: one write for all lines that came at once.
pub struct StepOutput {
    path: PathBuf,
    file: Option<File>,
    entries: Vec<u8>,
    last: VecDeque<String>,
}

#[derive(Serialize)]
struct Entry<'a> {
    time: &'a str,
    level: &'static str,
    stream: &'static str,
    message: &'a str,
}

impl StepOutput {
    /// For a command that has not started; the log is opened with its first line.
    pub fn new(log: &Path) -> Self {
        Self { path: log.to_owned(), file: None, entries: Vec::new(), last: VecDeque::new() }
    }

    /// The last lines, as an error shows them.
    pub fn into_last_lines(self) -> Vec<String> {
        self.last.into()
    }
}

impl Output for StepOutput {
    fn line(&mut self, stream: Stream, line: &str) {
        let entry = Entry { time: &now(), level: "INFO", stream: stream.name(), message: line };
        serde_json::to_writer(&mut self.entries, &entry).expect("text always has a JSON form");
        self.entries.push(b'\n');
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(shown(line));
    }

    fn caught_up(&mut self) {
        if self.entries.is_empty() {
            return;
        }
        if self.file.is_none() {
            self.file = OpenOptions::new().create(true).append(true).open(&self.path).ok();
        }
        if let Some(file) = &mut self.file {
            // The command matters more than its log: a full disk shows when it commits.
            let _ = file.write_all(&self.entries);
        }
        self.entries.clear();
    }
}

/// A line as a terminal leaves it: what a progress bar overwrote is gone, and it ends somewhere.
fn shown(line: &str) -> String {
    let line = line.rsplit('\r').next().unwrap_or(line);
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_has_every_line_and_an_error_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log.jsonl");
        let mut output = StepOutput::new(&log);
        output.caught_up();
        assert!(!log.exists(), "a silent command needs no log");
        for n in 0..12 {
            output.line(Stream::Stderr, &format!("{n}"));
        }
        output.line(Stream::Stdout, "10%\r100%");
        output.caught_up();
        output.line(Stream::Stdout, &"é".repeat(600));
        output.caught_up();
        let text = std::fs::read_to_string(&log).unwrap();
        let entries: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(entries.len(), 14);
        assert_eq!((&entries[3]["message"], &entries[3]["stream"]), (&"3".into(), &"stderr".into()));
        assert_eq!(entries[12]["message"], "10%\r100%");
        let last = output.into_last_lines();
        assert_eq!(last.len(), LAST_LINES);
        assert_eq!((last[0].as_str(), last[8].as_str()), ("4", "100%"));
        assert_eq!(last[9], format!("{} …", "é".repeat(500)));
    }
}
