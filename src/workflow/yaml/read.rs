//! From the text to the tree, within limits that a hostile file cannot pass.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::refusal::{refuse, within_line};
use super::{Entry, Node, Value};
use crate::workflow::fault::Fault;
use crate::workflow::source::{SourceId, Span};

/// Keys and values that a file may have: several times those of a pipeline of 10,000 steps.
pub const MOST_VALUES: usize = 1_000_000;

/// Keys and values that aliases may repeat: some for each of 10,000 steps; the rest would be a bomb.
const MOST_REPEATED: usize = 300_000;

/// Reads a whole text.
pub fn read(text: &str, source: SourceId) -> Result<Node, Fault> {
    let budget = serde_saphyr::budget! { max_nodes: MOST_VALUES, max_events: 2 * MOST_VALUES };
    let alias_limits = serde_saphyr::alias_limits! { max_total_replayed_events: MOST_REPEATED };
    let options =
        serde_saphyr::options! { strict_booleans: true, budget: budget, alias_limits: alias_limits };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(spanned) => {
            let mut root = place(spanned);
            settle(&mut root, text, source);
            Ok(root)
        }
        Err(error) => Err(refuse(&error, text, source)),
    }
}

/// A value with its bytes as the parser tells them; made at once, while the file is read, because a second tree of
/// everything costs as much as the reading.
fn place(spanned: Spanned<Raw>) -> Node {
    let span = bytes_of(spanned.referenced);
    let value = match spanned.value {
        Raw::Null => Value::Null,
        Raw::Bool(value) => Value::Bool(value),
        Raw::Integer(value) => Value::Integer(value),
        Raw::Real(value) => Value::Real(value),
        Raw::Text(text) => Value::Text(text),
        Raw::List(items) => Value::List(items),
        Raw::Map(entries) => Value::Map(entries),
    };
    Node { value, span }
}

fn bytes_of(location: Location) -> Span {
    let span = location.span();
    let start = span.byte_offset().map_or(0, |offset| offset as usize);
    Span::from(start..start + span.byte_len().map_or(1, |length| length as usize))
}

/// Says which source the places are in, and ends each with its line.
fn settle(node: &mut Node, text: &str, source: SourceId) {
    node.span = first_line(&node.span, text, source);
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| settle(item, text, source)),
        Value::Map(entries) => {
            for entry in entries {
                entry.key_span = first_line(&entry.key_span, text, source);
                settle(&mut entry.node, text, source);
            }
        }
        _ => {}
    }
}

fn first_line(span: &Span, text: &str, source: SourceId) -> Span {
    Span::new(source, within_line(span.start, span.len(), text))
}

enum Raw {
    Null,
    Bool(bool),
    Integer(i64),
    Real(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(i64::try_from(value).map_or(Raw::Real(value as f64), Raw::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Real(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element::<Spanned<Raw>>()? {
            items.push(place(item));
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = access.next_entry::<Spanned<String>, Spanned<Raw>>()? {
            entries.push(Entry { key_span: bytes_of(key.referenced), key: key.value, node: place(value) });
        }
        Ok(Raw::Map(entries))
    }
}
