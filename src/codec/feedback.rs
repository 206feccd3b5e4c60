//! The log of impressions that a service appends to: JSON Lines, an answer or some listens a line.
//!
//! ```json
//! {"impression_id": "…", "at": "2026-01-01T00:00:00.000Z", "user_id": 7, "variant": null,
//!  "source": "blend", "items": [{"track_id": 42, "source": "online"}]}
//! {"at": "2026-01-01T00:01:00.000Z", "user_id": 7, "listened": [42]}
//! ```
//!
//! Lines of another form are counted and left out: a kill cuts the last one short.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::CodecError;
use crate::eval::feedback::{Answer, Feedback, Listen};

#[derive(Deserialize)]
struct Line<'a> {
    at: DateTime<Utc>,
    user_id: Option<i64>,
    #[serde(borrow)]
    variant: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    items: Option<Vec<Item<'a>>>,
    #[serde(default)]
    listened: Vec<i64>,
}

#[derive(Deserialize)]
struct Item<'a> {
    track_id: i64,
    source: &'a str,
}

/// Reads a log; answers that were for nobody in particular are left out.
///
/// # Errors
/// When the file cannot be read.
pub fn read(path: &Path) -> Result<Feedback, CodecError> {
    let mut lines = BufReader::new(File::open(path).map_err(CodecError::io("read", path))?);
    let (mut variants, mut sources) = (Names::default(), Names::default());
    let mut feedback = Feedback::default();
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).map_err(CodecError::io("read", path))? > 0 {
        match serde_json::from_slice::<Line<'_>>(&line) {
            Ok(Line { at, user_id: Some(user_id), variant, items, listened }) => {
                let at_ms = at.timestamp_millis();
                let listens = listened.into_iter().map(|track_id| Listen { user_id, at_ms, track_id });
                feedback.listens.extend(listens);
                if let Some(items) = items {
                    let items = items.iter().map(|item| (item.track_id, sources.number(item.source)));
                    let variant = variant.map(|name| variants.number(&name));
                    feedback.answers.push(Answer { user_id, at_ms, variant, items: items.collect() });
                }
            }
            Ok(_) => {}
            Err(_) => feedback.unreadable += 1,
        }
        line.clear();
    }
    Ok(Feedback { variants: variants.names, sources: sources.names, ..feedback })
}

/// Numbers names in the order in which they come.
#[derive(Default)]
struct Names {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_listens_are_read_and_what_was_cut_short_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let text = r#"{"impression_id":"0a","at":"1970-01-01T00:00:01.500Z","user_id":7,"track_id":null,"variant":"\u0062","source":"blend","items":[{"track_id":42,"source":"online"},{"track_id":43,"source":"popular"}]}
{"impression_id":"0b","at":"1970-01-01T00:00:02Z","user_id":null,"track_id":42,"variant":null,"source":"similar","items":[]}
{"impression_id":"0c","at":"1970-01-01T00:0
{"at":"1970-01-01T00:00:03Z","user_id":7,"listened":[43,44]}
"#;
        std::fs::write(&path, text).unwrap();
        let feedback = read(&path).unwrap();
        let items = vec![(42, 0), (43, 1)];
        assert_eq!(feedback.answers, [Answer { user_id: 7, at_ms: 1500, variant: Some(0), items }]);
        let listen = |track_id| Listen { user_id: 7, at_ms: 3000, track_id };
        assert_eq!(feedback.listens, [listen(43), listen(44)]);
        assert_eq!(
            (feedback.variants, feedback.sources),
            (vec!["b".to_owned()], vec!["online".to_owned(), "popular".to_owned()])
        );
        assert_eq!(feedback.unreadable, 1);
        assert!(read(&folder.path().join("none")).is_err());
    }
}
