//! From the text to the tree, within limits that a hostile file cannot pass.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::refusal::{refuse, span_of};
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
        Ok(spanned) => Ok(place(spanned, text, source)),
        Err(error) => Err(refuse(&error, text, source)),
    }
}

fn place(spanned: Spanned<Raw>, text: &str, source: SourceId) -> Node {
    let span = Span::new(source, span_of(spanned.referenced, text));
    let value = match spanned.value {
        Raw::Null => Value::Null,
        Raw::Bool(value) => Value::Bool(value),
        Raw::Integer(value) => Value::Integer(value),
        Raw::Real(value) => Value::Real(value),
        Raw::Text(text) => Value::Text(text),
        Raw::List(items) => Value::List(items.into_iter().map(|item| place(item, text, source)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, node)| Entry {
                    key_span: Span::new(source, span_of(key.referenced, text)),
                    key: key.value,
                    node: place(node, text, source),
                })
                .collect(),
        ),
    };
    Node { value, span }
}

enum Raw {
    Null,
    Bool(bool),
    Integer(i64),
    Real(f64),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
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
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}
