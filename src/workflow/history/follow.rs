//! Following a run that another process does: its events as they are written.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use super::EVENTS;
use super::read::Recorded;
use crate::workflow::event::Event;

/// Reads the events of a run from the beginning to where it is now, and further each time.
pub struct Follower {
    path: PathBuf,
    reader: Option<BufReader<File>>,
    /// The beginning of a line whose end is not written yet.
    part: String,
}

impl Follower {
    /// For the run with its record in `folder`, which may not be there yet.
    pub fn new(folder: &Path) -> Self {
        Self { path: folder.join(EVENTS), reader: None, part: String::new() }
    }

    /// What was told since the last time.
    pub fn news(&mut self) -> Vec<Event> {
        if self.reader.is_none() {
            self.reader = File::open(&self.path).ok().map(BufReader::new);
        }
        let mut events = Vec::new();
        while let Some(reader) = &mut self.reader
            && reader.read_line(&mut self.part).is_ok_and(|read| read > 0)
            && self.part.ends_with('\n')
        {
            events.extend(serde_json::from_str::<Recorded>(&self.part).ok().map(|line| line.event));
            self.part.clear();
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::workflow::history::line;

    #[test]
    fn a_line_is_read_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut follower = Follower::new(folder.path());
        assert!(follower.news().is_empty());
        let event = Event::StepSkipped { step: "als".to_owned() };
        let line = line(&event);
        let (start, end) = line.split_at(9);
        let mut file = File::create(folder.path().join(EVENTS)).unwrap();
        file.write_all(start.as_bytes()).unwrap();
        assert!(follower.news().is_empty());
        file.write_all(end.as_bytes()).unwrap();
        assert_eq!(follower.news(), [event]);
    }
}
