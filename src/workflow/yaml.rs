//! A YAML file as a tree in which every key and value knows its place.
//!
//! Values stay untyped until templates are rendered, so the tree is our own; the text is read by
//! `serde-saphyr`, which resolves anchors and merge keys, refuses duplicate keys and bounds what a
//! hostile file can cost.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::fault::Fault;

/// A value and its place in the text, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What stands there.
    pub value: Value,
    /// Where, in bytes of the text.
    pub span: Range<usize>,
}

/// What stands at a place of a YAML file.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction or an exponent.
    Real(f64),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Range<usize>,
    /// The value.
    pub node: Node,
}

impl Node {
    /// Reads a whole file.
    ///
    /// # Errors
    /// When the text is not YAML; the fault has the place.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let options = serde_saphyr::options! { strict_booleans: true, budget: serde_saphyr::budget! { max_nodes: 4_000_000 } };
        match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
            Ok(spanned) => Ok(place(spanned, text)),
            Err(error) => {
                let span = error.location().map_or(0..0, |location| span_of(location, text));
                let message = error.without_snippet().to_string();
                let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
                Err(Fault::new(span, message).help("correct the YAML at this place"))
            }
        }
    }

    /// A value that stands nowhere in the file, such as one from the command line, with the place to blame.
    pub fn new(value: Value, span: Range<usize>) -> Self {
        Self { value, span }
    }

    /// From JSON, every part at the same place.
    pub fn from_json(json: &serde_json::Value, span: &Range<usize>) -> Self {
        use serde_json::Value as Json;
        let value = match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => match number.as_i64() {
                Some(value) => Value::Integer(value),
                None => Value::Real(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::Text(text.clone()),
            Json::Array(items) => Value::List(items.iter().map(|item| Self::from_json(item, span)).collect()),
            Json::Object(map) => Value::Map(
                map.iter()
                    .map(|(key, json)| Entry {
                        key: key.clone(),
                        key_span: span.clone(),
                        node: Self::from_json(json, span),
                    })
                    .collect(),
            ),
        };
        Self::new(value, span.clone())
    }

    /// The same value without places.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Integer(value) => (*value).into(),
            Value::Real(value) => (*value).into(),
            Value::Text(text) => text.clone().into(),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect()
            }
        }
    }

    /// The value of a key, when this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node),
            _ => None,
        }
    }

    /// What this is, for messages: `the text "many"`, `a map`.
    pub fn found(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Integer(value) => format!("`{value}`"),
            Value::Real(value) => format!("`{value}`"),
            Value::Text(text) => format!("the text `{text}`"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }
}

fn place(spanned: Spanned<Raw>, text: &str) -> Node {
    let span = span_of(spanned.referenced, text);
    let value = match spanned.value {
        Raw::Null => Value::Null,
        Raw::Bool(value) => Value::Bool(value),
        Raw::Integer(value) => Value::Integer(value),
        Raw::Real(value) => Value::Real(value),
        Raw::Text(text) => Value::Text(text),
        Raw::List(items) => Value::List(items.into_iter().map(|item| place(item, text)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, node)| Entry {
                    key_span: span_of(key.referenced, text),
                    key: key.value,
                    node: place(node, text),
                })
                .collect(),
        ),
    };
    Node { value, span }
}

fn span_of(location: Location, text: &str) -> Range<usize> {
    let start = location.span().byte_offset().map_or(0, |offset| offset as usize).min(text.len());
    let length = location.span().byte_len().map_or(1, |length| length as usize).max(1);
    // A map or a long block would underline half the file: its first line is enough.
    let rest = &text[start..];
    let line = rest.find('\n').unwrap_or(rest.len()).max(1);
    start..(start + length.min(line)).min(text.len())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_value_knows_its_place() {
        let text = "a: 1\nb:\n  - x\n  - {c: 2.5}\n";
        let root = Node::parse(text).unwrap();
        let Value::Map(entries) = &root.value else { panic!("expected a map") };
        assert_eq!(&text[entries[1].key_span.clone()], "b");
        let Value::List(items) = &entries[1].node.value else { panic!("expected a list") };
        assert_eq!(&text[items[0].span.clone()], "x");
        assert_eq!(&text[items[1].get("c").unwrap().span.clone()], "2.5");
    }

    #[test]
    fn dates_and_words_stay_text() {
        let root = Node::parse("d: 2022-12-16\nw: no\n").unwrap();
        assert_eq!(root.get("d").unwrap().value, Value::Text("2022-12-16".into()));
        assert_eq!(root.get("w").unwrap().value, Value::Text("no".into()));
    }

    #[test]
    fn merge_keys_are_resolved_and_duplicate_keys_refused() {
        let root = Node::parse("base: &b {x: 1}\nuse:\n  <<: *b\n  y: 2\n").unwrap();
        assert_eq!(root.get("use").unwrap().get("x").unwrap().value, Value::Integer(1));
        let fault = Node::parse("a: 1\na: 2\n").unwrap_err();
        assert_eq!(fault.span, 5..6);
    }
}
