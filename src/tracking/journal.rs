//! How far a spool is sent: `journal.jsonl` beside it, to which only is appended, so that a crash at any moment
//! leaves what was known before.
//!
//! A run is announced before the server is asked to create it. One that is announced but not known to be there may
//! have been created by a request whose answer was lost: it is looked for before it is created again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

const JOURNAL: &str = "journal.jsonl";

/// What is known of a run on the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// Its id there.
    pub run_id: String,
    /// Where its artifacts go.
    pub artifacts: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Note {
    /// Entries up to this offset are sent.
    Sent(u64),
    /// The id of the experiment.
    Experiment(String),
    /// The server is asked to create this run.
    Announced(String),
    /// It did.
    Created(String, Created),
    /// The request for this run may have come twice.
    Doubtful(String),
    /// The server will never take this.
    Refused(String),
}

/// How far a spool is sent.
pub struct Journal {
    file: File,
    /// Entries up to this offset are sent.
    pub sent: u64,
    /// The id of the experiment.
    pub experiment: Option<String>,
    /// Runs on the server by their names in the spool.
    pub created: BTreeMap<String, Created>,
    /// Runs that the server was asked to create.
    pub announced: BTreeSet<String>,
    /// Runs that may be there twice.
    pub doubtful: BTreeSet<String>,
    /// What the server refused.
    pub refused: Vec<String>,
}

impl Journal {
    /// The journal in the folder of a spool.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(JOURNAL);
        let text = std::fs::read(&path).unwrap_or_default();
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        if !text.is_empty() && !text.ends_with(b"\n") {
            file.write_all(b"\n")?;
        }
        let mut journal = Self {
            file,
            sent: 0,
            experiment: None,
            created: BTreeMap::new(),
            announced: BTreeSet::new(),
            doubtful: BTreeSet::new(),
            refused: Vec::new(),
        };
        text.split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .for_each(|note| journal.take(note));
        Ok(journal)
    }

    fn take(&mut self, note: Note) {
        match note {
            Note::Sent(end) => self.sent = self.sent.max(end),
            Note::Experiment(id) => self.experiment = Some(id),
            Note::Announced(run) => _ = self.announced.insert(run),
            Note::Created(run, created) => _ = self.created.insert(run, created),
            Note::Doubtful(run) => _ = self.doubtful.insert(run),
            Note::Refused(message) => self.refused.push(message),
        }
    }

    fn note(&mut self, note: Note) -> io::Result<()> {
        let mut line = serde_json::to_vec(&note)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.take(note);
        Ok(())
    }

    /// Entries up to this offset are sent.
    ///
    /// # Errors
    /// When the disk refuses; so for all that follow.
    pub fn note_sent(&mut self, end: u64) -> io::Result<()> {
        if end > self.sent { self.note(Note::Sent(end)) } else { Ok(()) }
    }

    /// The experiment is known.
    ///
    /// # Errors
    /// See [`Journal::note_sent`].
    pub fn note_experiment(&mut self, id: &str) -> io::Result<()> {
        self.note(Note::Experiment(id.to_owned()))
    }

    /// The server will be asked to create a run.
    ///
    /// # Errors
    /// See [`Journal::note_sent`].
    pub fn announce(&mut self, run: &str) -> io::Result<()> {
        self.note(Note::Announced(run.to_owned()))
    }

    /// The run is there.
    ///
    /// # Errors
    /// See [`Journal::note_sent`].
    pub fn note_created(&mut self, run: &str, created: Created) -> io::Result<()> {
        self.note(Note::Created(run.to_owned(), created))
    }

    /// The run may be there twice.
    ///
    /// # Errors
    /// See [`Journal::note_sent`].
    pub fn doubt(&mut self, run: &str) -> io::Result<()> {
        self.note(Note::Doubtful(run.to_owned()))
    }

    /// The server will never take something.
    ///
    /// # Errors
    /// See [`Journal::note_sent`].
    pub fn note_refused(&mut self, message: &str) -> io::Result<()> {
        self.note(Note::Refused(message.to_owned()))
    }
}

/// The offset up to which the spool in a folder is sent, without opening its journal for writing.
pub fn sent(folder: &Path) -> u64 {
    let text = std::fs::read(folder.join(JOURNAL)).unwrap_or_default();
    let notes = text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let ends = notes.filter_map(|note| if let Note::Sent(end) = note { Some(end) } else { None });
    ends.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_known_again_and_half_a_line_hides_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let created =
            Created { run_id: "r".to_owned(), artifacts: "mlflow-artifacts:/1/r/artifacts".to_owned() };
        let mut journal = Journal::open(folder.path()).unwrap();
        journal.note_sent(70).unwrap();
        journal.note_experiment("1").unwrap();
        journal.announce("als").unwrap();
        journal.note_created("", created.clone()).unwrap();
        journal.file.write_all(b"{\"sent\": 9").unwrap();
        let mut again = Journal::open(folder.path()).unwrap();
        again.note_refused("no").unwrap();
        let again = Journal::open(folder.path()).unwrap();
        assert_eq!((again.sent, again.experiment.as_deref()), (70, Some("1")));
        assert_eq!(again.created, [(String::new(), created)].into());
        assert!(again.announced.contains("als") && again.refused == ["no"]);
    }
}
