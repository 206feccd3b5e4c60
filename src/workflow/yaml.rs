//! A YAML file as a tree in which every key and value knows its place.
//!
//! Values stay untyped until templates are rendered, so the tree is our own; the text is read by
//! `serde-saphyr`, which resolves anchors and merge keys, refuses duplicate keys and bounds what a
//! hostile file can cost.

mod read;
mod refusal;

use super::fault::Fault;
use super::source::{SourceId, Span};

/// A value and its place in the text, in bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// What stands there.
    pub value: Value,
    /// Where.
    pub span: Span,
}

/// What stands at a place of a YAML file.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Not known: what stood here was wrong, and that has been reported.
    Unknown,
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
    pub key_span: Span,
    /// The value.
    pub node: Node,
}

impl Node {
    /// Reads a text that is a source of its own.
    ///
    /// # Errors
    /// When the text is not YAML; the fault has the place.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        Self::parse_in(text, SourceId::default())
    }

    /// Reads the text of a source.
    ///
    /// # Errors
    /// When the text is not YAML; the fault has the place.
    pub fn parse_in(text: &str, source: SourceId) -> Result<Self, Fault> {
        read::read(text, source)
    }

    /// A value that stands nowhere in the file, such as one from the command line, with the place to blame.
    pub fn new(value: Value, span: Span) -> Self {
        Self { value, span }
    }

    /// From JSON, every part at the same place.
    pub fn from_json(json: &serde_json::Value, span: &Span) -> Self {
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
            Value::Null | Value::Unknown => serde_json::Value::Null,
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

    /// Whether a part of it is not known.
    pub fn is_incomplete(&self) -> bool {
        match &self.value {
            Value::Unknown => true,
            Value::List(items) => items.iter().any(Self::is_incomplete),
            Value::Map(entries) => entries.iter().any(|entry| entry.node.is_incomplete()),
            _ => false,
        }
    }

    /// The entries of a map; none when it is no map.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The value of a key, unless it is missing or nothing.
    pub fn given(&self, key: &str) -> Option<&Self> {
        self.get(key).filter(|node| node.value != Value::Null)
    }

    /// What this is, for messages: `the text "many"`, `a map`.
    pub fn found(&self) -> String {
        match &self.value {
            Value::Null | Value::Unknown => "nothing".to_owned(),
            Value::Bool(value) => format!("`{value}`"),
            Value::Integer(value) => format!("`{value}`"),
            Value::Real(value) => format!("`{value}`"),
            Value::Text(text) if text.is_empty() => "an empty text".to_owned(),
            Value::Text(text) => format!("the text `{}`", short(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }
}

/// The beginning of a long text on one line.
pub fn short(text: &str) -> String {
    let line = text.trim_end().replace('\n', "⏎");
    match line.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_at<'a>(span: &Span, text: &'a str) -> &'a str {
        &text[span.start..span.end]
    }

    #[test]
    fn every_key_and_value_knows_its_place() {
        let text = "a: 1\nb:\n  - x\n  - {c: 2.5}\n";
        let root = Node::parse(text).unwrap();
        let Value::Map(entries) = &root.value else { panic!("expected a map") };
        assert_eq!(text_at(&entries[1].key_span, text), "b");
        let Value::List(items) = &entries[1].node.value else { panic!("expected a list") };
        assert_eq!(text_at(&items[0].span, text), "x");
        assert_eq!(text_at(&items[1].get("c").unwrap().span, text), "2.5");
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
        assert_eq!(fault.span, (5..6).into());
    }
}
