//! The parameters that routes take: name, meaning, and what values can be.

use serde_json::{Value, json};

use crate::serve::parameters::{DEFAULT_K, MAX_IDS};
use crate::serve::service::Service;

/// A parameter of the query, or of the path where the path names it.
#[derive(Debug, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub about: &'static str,
    /// What values can be.
    pub shape: Shape,
    /// Whether the route needs it.
    pub required: bool,
}

/// What the values of a parameter can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// An integer of 64 bits.
    Id,
    /// The length of a list.
    K,
    /// `true` or `false`; `false` when it is not given.
    Flag,
    /// `true` or `false`; `true` when it is not given.
    FlagOn,
    /// An integer from 1 up.
    Count,
    /// Ids separated by commas.
    Ids,
    /// A text, given any number of times.
    Texts,
    /// A text with at most so many letters.
    Text(usize),
    /// One of these words.
    OneOf(&'static [&'static str]),
}

impl Parameter {
    /// A parameter that the route needs.
    pub const fn needed(name: &'static str, shape: Shape, about: &'static str) -> Self {
        Self { name, about, shape, required: true }
    }

    /// A parameter that may be left out.
    pub const fn optional(name: &'static str, shape: Shape, about: &'static str) -> Self {
        Self { name, about, shape, required: false }
    }

    /// Its Parameter Object; `in_path` where the path names it.
    pub fn object(&self, service: &Service, in_path: bool) -> Value {
        let mut object = json!({
            "name": self.name,
            "in": if in_path { "path" } else { "query" },
            "description": self.about,
            "required": in_path || self.required,
            "schema": self.shape.schema(service),
        });
        if self.shape == Shape::Ids {
            object["style"] = "form".into();
            object["explode"] = false.into();
        }
        object
    }
}

impl Shape {
    /// The JSON Schema of the values.
    fn schema(self, service: &Service) -> Value {
        let id = json!({ "type": "integer", "format": "int64", "minimum": i64::MIN, "maximum": i64::MAX });
        match self {
            Self::Id => id,
            Self::K => {
                let max = service.max_k.get();
                json!({ "type": "integer", "minimum": 1, "maximum": max, "default": DEFAULT_K.min(max) })
            }
            Self::Flag => json!({ "type": "boolean", "default": false }),
            Self::FlagOn => json!({ "type": "boolean", "default": true }),
            Self::Count => json!({ "type": "integer", "minimum": 1, "maximum": usize::MAX }),
            Self::Ids => json!({ "type": "array", "items": id, "maxItems": MAX_IDS }),
            Self::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Self::Text(most) => json!({ "type": "string", "maxLength": most }),
            Self::OneOf(words) => json!({ "type": "string", "enum": words }),
        }
    }

    /// A value that cannot be and what would be, for the example of an error.
    pub(super) fn refusal(self, service: &Service) -> Option<(String, &'static str)> {
        match self {
            Self::Id => Some(("an integer of 64 bits".to_owned(), "anna")),
            Self::K => Some((format!("an integer from 1 to {}", service.max_k), "0")),
            Self::Flag | Self::FlagOn => Some(("true or false".to_owned(), "yes")),
            Self::Count => Some(("an integer from 1 up".to_owned(), "0")),
            Self::Ids => Some(("integers of 64 bits, separated by commas".to_owned(), "1;2")),
            // A text in a path that names nothing is not found.
            Self::Text(_) | Self::Texts | Self::OneOf(_) => None,
        }
    }
}
