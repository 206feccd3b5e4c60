//! What a step made, as recorded: one JSON document under a line with its digest, so that a record
//! which was cut short or changed is told from a whole one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::workflow::digest::Digest;
use crate::workflow::fingerprint::Fingerprint;
use crate::workflow::history::now;
use crate::workflow::kind::Notes;

/// What a step made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    /// What it depends on.
    pub fingerprint: Fingerprint,
    /// Its outputs by port.
    pub outputs: BTreeMap<String, Object>,
    /// Metrics, summary, warnings, use of the machine.
    pub notes: Notes,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// When it was recorded.
    pub finished: String,
}

/// The bytes of one artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Hash of the bytes.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
}

/// Why a record is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Whoever wrote it was killed; or it is being written.
    Unfinished,
    /// It is whole, but not what was written.
    Damaged,
}

impl StepResult {
    /// A result that is recorded now.
    pub fn new(
        fingerprint: Fingerprint,
        outputs: BTreeMap<String, Object>,
        notes: Notes,
        seconds: f64,
    ) -> Self {
        Self { fingerprint, outputs, notes, seconds, finished: now() }
    }

    /// The record.
    ///
    /// # Errors
    /// When a part of it has no JSON form.
    pub fn sealed(&self) -> serde_json::Result<Vec<u8>> {
        let document = serde_json::to_vec(self)?;
        let seal = Digest::of(&document);
        Ok([format!("\"{seal}\"\n").as_bytes(), &document, b"\n"].concat())
    }

    /// From a record.
    ///
    /// # Errors
    /// When it is not whole.
    pub fn unsealed(record: &[u8]) -> Result<Self, Unusable> {
        let body = record.strip_suffix(b"\n").ok_or(Unusable::Unfinished)?;
        let line = body.iter().position(|byte| *byte == b'\n').ok_or(Unusable::Unfinished)?;
        let (seal, document) = (&body[..line], &body[line + 1..]);
        let seal: Digest = serde_json::from_slice(seal).map_err(|_| Unusable::Damaged)?;
        if seal != Digest::of(document) {
            return Err(Unusable::Damaged);
        }
        serde_json::from_slice(document).map_err(|_| Unusable::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workflow::fingerprint::Definition;

    #[test]
    fn a_record_with_any_byte_changed_or_cut_off_is_none() {
        let definition = Definition::new(
            "shell",
            1,
            json!({"command": "true"}),
            &BTreeMap::new(),
            vec![],
            BTreeMap::new(),
        );
        let fingerprint = Fingerprint { definition, inputs: BTreeMap::new() };
        let mut notes = Notes::default();
        notes.metrics.insert("ndcg@10".to_owned(), 0.1 + 0.2);
        let result = StepResult::new(fingerprint, BTreeMap::new(), notes, 1.0 / 3.0);
        let record = result.sealed().unwrap();
        assert_eq!(StepResult::unsealed(&record), Ok(result));
        for position in 0..record.len() {
            assert_eq!(StepResult::unsealed(&record[..position]), Err(Unusable::Unfinished));
            let mut changed = record.clone();
            changed[position] ^= 1;
            assert!(StepResult::unsealed(&changed).is_err(), "{position}");
        }
    }
}
