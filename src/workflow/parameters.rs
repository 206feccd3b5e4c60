//! Checks values from a file against the schema of a parameter struct, with the place of each fault.
//!
//! The schema comes from the struct itself, so that a range or a name is written once. The checks
//! cover what `schemars` derives for plain structs: objects, lists, numbers with bounds, texts,
//! enumerations, optional values and references to definitions.

use std::collections::HashSet;

use serde_json::Value as Schema;

use super::fault::{Fault, did_you_mean, nearest};
use super::source::Span;
use super::values::is_template;
use super::yaml::{Entry, Node, Value, short};

/// Every place where `node` does not fit `schema`; `noun` is what a name in it is called.
pub fn check(node: &Node, schema: &Schema, noun: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    Checker { root: schema, noun, templates: false, faults: &mut faults }.check(node, schema, "");
    faults
}

/// The same for a part of a schema, the value of the key `name`.
pub fn check_part(node: &Node, root: &Schema, part: &Schema, name: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    Checker { root, noun: "key", templates: false, faults: &mut faults }.check(node, part, name);
    faults
}

/// Checks a file whose templates are not rendered yet: a template may become anything. What does not
/// fit is made unknown, so that nothing that only follows from it is reported later.
pub fn check_unrendered(node: &mut Node, schema: &Schema, noun: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    Checker { root: schema, noun, templates: true, faults: &mut faults }.check(node, schema, "");
    if !faults.is_empty() {
        forget(node, &faults.iter().map(|fault| &fault.span).collect());
    }
    faults
}

fn forget(node: &mut Node, faulty: &HashSet<&Span>) {
    match &mut node.value {
        Value::Map(entries) => {
            for entry in entries {
                if faulty.contains(&entry.key_span) || faulty.contains(&entry.node.span) {
                    entry.node.value = Value::Unknown;
                } else {
                    forget(&mut entry.node, faulty);
                }
            }
        }
        Value::List(items) => {
            for item in items {
                if faulty.contains(&item.span) {
                    item.value = Value::Unknown;
                } else {
                    forget(item, faulty);
                }
            }
        }
        _ => {}
    }
}

/// The properties of an object schema, references resolved, in the order of the struct.
pub fn properties(schema: &Schema) -> Vec<(&str, &Schema)> {
    let known = schema.get("properties").and_then(Schema::as_object);
    known.into_iter().flatten().map(|(name, property)| (name.as_str(), property)).collect()
}

/// What a schema allows, in words: `a whole number ≥ 1`, `one of cg, cholesky`.
pub fn describe(schema: &Schema, root: &Schema) -> String {
    let schema = resolve(schema, root);
    if let Some((inner, _)) = nullable(schema) {
        return format!("{} or null", describe(inner, root));
    }
    if let Some(variants) = schema.get("anyOf").and_then(Schema::as_array) {
        let said: Vec<String> = variants.iter().map(|variant| describe(variant, root)).collect();
        return said.join(" or ");
    }
    if let Some(choices) = choices(schema) {
        return format!("one of {}", choices.join(", "));
    }
    match type_names(schema).first().copied() {
        Some("integer") => format!("a whole number{}", bounds(schema)),
        Some("number") => format!("a number{}", bounds(schema)),
        Some("string") => "text".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("array") => match schema.get("items") {
            Some(items) if items.is_object() => format!("a list, each {}", describe(items, root)),
            _ => "a list".to_owned(),
        },
        Some("object") => "a map".to_owned(),
        _ => "a value".to_owned(),
    }
}

struct Checker<'a> {
    root: &'a Schema,
    noun: &'a str,
    /// Whether a text with a template in it fits everything.
    templates: bool,
    faults: &'a mut Vec<Fault>,
}

impl Checker<'_> {
    fn check(&mut self, node: &Node, schema: &Schema, name: &str) {
        if node.value == Value::Unknown
            || (self.templates && matches!(&node.value, Value::Text(text) if is_template(text)))
        {
            return;
        }
        let schema = resolve(schema, self.root);
        if let Some((inner, _)) = nullable(schema) {
            if node.value != Value::Null {
                self.check(node, inner, name);
            }
            return;
        }
        if let Some(variants) = schema.get("anyOf").and_then(Schema::as_array)
            && let Some(variant) = variants.iter().find(|variant| suits(node, resolve(variant, self.root)))
        {
            return self.check(node, variant, name);
        }
        let types = type_names(schema);
        if types.contains(&"null") && node.value == Value::Null {
            return;
        }
        let fits = match (&node.value, types.first().copied()) {
            (Value::Text(text), _) if choices(schema).is_some() => {
                choices(schema).is_some_and(|choices| choices.contains(&text.as_str()))
            }
            (_, _) if choices(schema).is_some() => false,
            (_, None) => schema.get("anyOf").is_none(),
            (Value::Integer(value), Some("integer" | "number")) => within(*value as f64, schema),
            (Value::Real(value), Some("number")) => value.is_finite() && within(*value, schema),
            (Value::Text(_), Some("string")) | (Value::Bool(_), Some("boolean")) => true,
            (Value::List(items), Some("array")) => {
                if let Some(inner) = schema.get("items") {
                    for item in items {
                        self.check(item, inner, name);
                    }
                }
                let least = schema.get("minItems").and_then(Schema::as_u64).unwrap_or(0);
                items.len() as u64 >= least
            }
            (Value::Map(_) | Value::Null, Some("object")) => {
                self.check_object(node, schema);
                true
            }
            _ => false,
        };
        if !fits {
            let subject = if name.is_empty() { String::new() } else { format!("`{name}` must be ") };
            let expected = describe(schema, self.root);
            let message = format!("{subject}{expected}, found {}", node.found());
            let mut fault = Fault::new(node.span.clone(), message);
            if let (Value::Text(text), Some(choices)) = (&node.value, choices(schema)) {
                fault = fault.help(did_you_mean(text, choices));
            }
            self.faults.push(fault);
        }
    }

    /// Adds the example of a schema to the faults since `before` that are about the whole value of `entry`.
    fn give_example(&mut self, before: usize, entry: &Entry, schema: &Schema) {
        let Some(example) = example(schema) else { return };
        for fault in &mut self.faults[before..] {
            if fault.span == entry.node.span && fault.help.is_none() {
                fault.help = Some(format!("for example `{}: {example}`", short(&entry.key)));
            }
        }
    }

    fn check_object(&mut self, node: &Node, schema: &Schema) {
        let known = properties(schema);
        let entries: &[_] = match &node.value {
            Value::Map(entries) => entries,
            _ => &[],
        };
        for entry in entries {
            match known.iter().find(|(name, _)| *name == entry.key) {
                Some((name, property)) => {
                    let before = self.faults.len();
                    self.check(&entry.node, property, name);
                    self.give_example(before, entry, property);
                }
                None if schema.get("properties").is_none() => {
                    if let Some(inner) = schema.get("additionalProperties") {
                        let before = self.faults.len();
                        self.check(&entry.node, inner, &entry.key);
                        self.give_example(before, entry, resolve(inner, self.root));
                    }
                }
                None => self.faults.push(
                    Fault::new(
                        entry.key_span.clone(),
                        format!("unknown {} `{}`", self.noun, short(&entry.key)),
                    )
                    .help(did_you_mean(&entry.key, known.iter().map(|(name, _)| *name))),
                ),
            }
        }
        for name in schema.get("required").and_then(Schema::as_array).into_iter().flatten() {
            let Some(name) = name.as_str() else { continue };
            // A key that is misspelt is not missing as well.
            let misspelt = entries
                .iter()
                .filter(|entry| known.iter().all(|(name, _)| *name != entry.key))
                .any(|entry| nearest(&entry.key, known.iter().map(|(name, _)| *name)) == Some(name));
            if !misspelt && !entries.iter().any(|entry| entry.key == name) {
                self.faults
                    .push(Fault::new(node.span.clone(), format!("the {} `{name}` is missing", self.noun)));
            }
        }
    }
}

fn resolve<'a>(schema: &'a Schema, root: &'a Schema) -> &'a Schema {
    let reference = schema.get("$ref").and_then(Schema::as_str).and_then(|path| path.strip_prefix('#'));
    reference.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

/// The schema inside `anyOf: [X, null]`.
fn nullable(schema: &Schema) -> Option<(&Schema, &Schema)> {
    let [first, second] = schema.get("anyOf")?.as_array()?.as_slice() else { return None };
    (second.get("type")? == "null").then_some((first, second))
}

/// What a schema gives as an example, as it stands in a file.
fn example(schema: &Schema) -> Option<String> {
    schema.get("examples")?.as_array()?.first().map(flow)
}

fn flow(value: &Schema) -> String {
    match value {
        Schema::String(text) => text.clone(),
        Schema::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Schema::Object(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{key}: {}", flow(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        scalar => scalar.to_string(),
    }
}

/// Whether a value is of the type that a schema is about, whatever its bounds.
fn suits(node: &Node, schema: &Schema) -> bool {
    let wanted: &[&str] = match &node.value {
        Value::Unknown => return true,
        Value::Null => &["null"],
        Value::Bool(_) => &["boolean"],
        Value::Integer(_) => &["integer", "number"],
        Value::Real(_) => &["number"],
        Value::Text(_) => &["string"],
        Value::List(_) => &["array"],
        Value::Map(_) => &["object"],
    };
    type_names(schema).iter().any(|name| wanted.contains(name))
}

fn type_names(schema: &Schema) -> Vec<&str> {
    match schema.get("type") {
        Some(Schema::String(name)) => vec![name],
        Some(Schema::Array(names)) => names.iter().filter_map(Schema::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The allowed texts of an enumeration, however it is written down.
fn choices(schema: &Schema) -> Option<Vec<&str>> {
    if let Some(values) = schema.get("enum").and_then(Schema::as_array) {
        return Some(values.iter().filter_map(Schema::as_str).collect());
    }
    if let Some(value) = schema.get("const").and_then(Schema::as_str) {
        return Some(vec![value]);
    }
    let variants = schema.get("oneOf")?.as_array()?;
    let lists: Option<Vec<Vec<&str>>> = variants.iter().map(choices).collect();
    lists.map(|lists| lists.into_iter().flatten().collect())
}

fn within(value: f64, schema: &Schema) -> bool {
    let bound = |name: &str| schema.get(name).and_then(Schema::as_f64);
    bound("minimum").is_none_or(|least| value >= least)
        && bound("maximum").is_none_or(|most| value <= most)
        && bound("exclusiveMinimum").is_none_or(|low| value > low)
        && bound("exclusiveMaximum").is_none_or(|high| value < high)
}

fn bounds(schema: &Schema) -> String {
    let bound = |name: &str| schema.get(name).and_then(Schema::as_f64);
    let low = bound("minimum").map(|v| format!("≥ {v}"));
    let low = low.or(bound("exclusiveMinimum").map(|v| format!("> {v}")));
    let high = bound("maximum").map(|v| format!("≤ {v}"));
    let high = high.or(bound("exclusiveMaximum").map(|v| format!("< {v}")));
    match (low, high) {
        (Some(low), Some(high)) => format!(" {low} and {high}"),
        (Some(one), None) | (None, Some(one)) => format!(" {one}"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Solver {
        /// Conjugate gradient.
        Cg,
        /// Exact.
        Cholesky,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, default)]
    struct Sample {
        #[schemars(range(min = 1, max = 512))]
        factors: usize,
        solver: Solver,
        #[schemars(range(min = 0, max = 1))]
        quantile: Option<f64>,
        k: Vec<usize>,
        maybe: Option<Solver>,
    }

    impl Default for Sample {
        fn default() -> Self {
            Self { factors: 8, solver: Solver::Cg, quantile: None, k: vec![5], maybe: None }
        }
    }

    fn messages(text: &str) -> Vec<String> {
        let schema = schemars::schema_for!(Sample).to_value();
        check(&Node::parse(text).unwrap(), &schema, "parameter")
            .into_iter()
            .map(|fault| fault.message)
            .collect()
    }

    #[test]
    fn values_that_fit_have_no_fault() {
        assert!(messages("{factors: 64, solver: cholesky, quantile: null, k: [1, 2], maybe: cg}").is_empty());
    }

    #[test]
    fn each_fault_says_what_was_expected_and_found() {
        assert_eq!(
            messages("{factor: 1, factors: 0, solver: chol, quantile: 1.5, k: many, maybe: x}"),
            [
                "unknown parameter `factor`",
                "`factors` must be a whole number ≥ 1 and ≤ 512, found `0`",
                "`solver` must be one of cg, cholesky, found the text `chol`",
                "`quantile` must be a number ≥ 0 and ≤ 1, found `1.5`",
                "`k` must be a list, each a whole number ≥ 0, found the text `many`",
                "`maybe` must be one of cg, cholesky, found the text `x`",
            ]
        );
    }
}
