//! The JSON Schema of pipeline files, for editors: what [`PipelineFile`] says, with the ports and
//! parameters of every kind where a step uses it.
//!
//! It is derived from the same structs as the checks; the tests hold it against a real validator.

use serde_json::{Map, Value as Json, json};

use super::kind::{Arity, InputPort, Kind};
use super::spec::PipelineFile;

/// The schema of a whole pipeline file, draft 2020-12.
pub fn pipeline(kinds: &[Kind]) -> Json {
    let mut schema = schemars::schema_for!(PipelineFile).to_value();
    tidy(&mut schema);
    let mut definitions = take_object(&mut schema, "$defs");
    let mut step = definitions.remove("StepFile").unwrap_or_default();
    allow_templates(&mut step);
    definitions.values_mut().for_each(allow_templates);
    // The struct takes anything, so that the checks can say what is wrong with it.
    if let Some(inputs) = step.pointer_mut("/properties/inputs") {
        let about = inputs["description"].clone();
        *inputs = or_template(
            json!({ "type": "object", "additionalProperties": { "anyOf": [reference(), references()] } }),
        );
        inputs["description"] = about;
    }
    step["properties"]["uses"] = uses(kinds, &step["properties"]["uses"]);
    step["allOf"] =
        kinds.iter().map(|kind| when_used(kind, &mut definitions)).chain([without_kind()]).collect();
    definitions.insert("StepFile".to_owned(), step);
    definitions.insert("template".to_owned(), template());
    if let Some(vars) = schema.pointer_mut("/properties/vars") {
        allow_templates(vars);
    }
    if let Some(steps) = schema.pointer_mut("/properties/steps") {
        steps["propertyNames"] = json!({ "pattern": "^[A-Za-z0-9_-]{1,100}$" });
    }
    schema["title"] = json!("recsys pipeline");
    schema["$defs"] = Json::Object(definitions);
    schema
}

/// The schema with what may stand under one more key, beside `true` and `false`.
pub fn with_section(mut schema: Json, key: &str, mut section: Json) -> Json {
    tidy(&mut section);
    for own in ["$schema", "title"] {
        section.as_object_mut().and_then(|object| object.remove(own));
    }
    allow_templates(&mut section);
    let place = &mut schema["properties"][key];
    let about = place["description"].clone();
    *place = json!({ "anyOf": [section, { "type": "boolean" }, { "$ref": "#/$defs/template" }], "description": about });
    schema
}

/// The schema of the parameters of a kind.
pub fn parameters(kind: &Kind) -> Json {
    let mut schema = kind.schema();
    tidy(&mut schema);
    schema
}

/// A text that is rendered before it is used.
fn template() -> Json {
    json!({ "type": "string", "pattern": r"\{\{|\{%", "description": "A template: `{{ vars.name }}`, `{{ env.NAME }}`." })
}

/// The names of the kinds, each with what it does.
fn uses(kinds: &[Kind], plain: &Json) -> Json {
    let names = kinds.iter().map(|kind| json!({ "const": kind.name, "description": kind.summary }));
    let mut schema =
        json!({ "anyOf": names.chain([json!({ "$ref": "#/$defs/template" })]).collect::<Vec<_>>() });
    schema["description"] = plain["description"].clone();
    schema
}

/// What holds for a step that uses this kind.
fn when_used(kind: &Kind, definitions: &mut Map<String, Json>) -> Json {
    let mut parameters = parameters(kind);
    // The definitions of all kinds share one place, so they get the name of their kind.
    let own = take_object(&mut parameters, "$defs");
    for (name, mut definition) in own {
        rename(&mut definition, kind.name);
        allow_templates(&mut definition);
        definitions.insert(format!("{}.{name}", kind.name), definition);
    }
    rename(&mut parameters, kind.name);
    for key in ["$schema", "title"] {
        parameters.as_object_mut().and_then(|object| object.remove(key));
    }
    let shell = kind.open_ports;
    if shell {
        // `run:` is the parameter `command`.
        parameters.as_object_mut().and_then(|object| object.remove("required"));
    }
    allow_templates(&mut parameters);
    let mut required = Vec::new();
    if parameters.get("required").and_then(Json::as_array).is_some_and(|names| !names.is_empty()) {
        required.push("with");
    }
    if kind.inputs.iter().any(|port| port.arity != Arity::Optional) {
        required.push("inputs");
    }
    let name = format!("{}-parameters", kind.name);
    definitions.insert(name.clone(), parameters);
    let mut then = json!({
        "properties": { "with": or_template(json!({ "$ref": format!("#/$defs/{}", name) })),
            "inputs": inputs(kind), "outputs": outputs(kind) },
        "required": required,
    });
    if !shell {
        then["properties"]["run"] = json!(false);
    }
    json!({ "if": { "properties": { "uses": { "const": kind.name } }, "required": ["uses"] }, "then": then })
}

/// A step without `uses:` has a command and is of the kind `shell`.
fn without_kind() -> Json {
    json!({ "if": { "not": { "required": ["uses"] } },
        "then": { "required": ["run"], "properties": { "with": { "properties": { "command": false } } } } })
}

/// `step.port` or a path.
fn reference() -> Json {
    json!({ "type": "string", "minLength": 1 })
}

/// Several of them, by name.
fn references() -> Json {
    json!({ "type": "object", "additionalProperties": reference(), "minProperties": 1 })
}

fn inputs(kind: &Kind) -> Json {
    let port = |port: &InputPort| {
        let accepts = port.accepts.join(" or ");
        let mut schema = match port.arity {
            Arity::Many => json!({ "anyOf": [references(), reference()] }),
            Arity::One | Arity::Optional => reference(),
        };
        schema["description"] = json!(format!("{} ({accepts})", port.about));
        (port.name.to_owned(), schema)
    };
    let required = kind.inputs.iter().filter(|port| port.arity != Arity::Optional).map(|port| port.name);
    or_template(json!({
        "type": "object",
        "properties": kind.inputs.iter().map(port).collect::<Map<_, _>>(),
        "required": required.collect::<Vec<_>>(),
        "additionalProperties": if kind.open_ports { json!({ "anyOf": [reference(), references()] }) } else { json!(false) },
    }))
}

fn outputs(kind: &Kind) -> Json {
    let path = |about: String| json!({ "type": "string", "minLength": 1, "description": about });
    let ports = kind.outputs.iter().map(|port| {
        let place = if port.on_request {
            "made when a path is given".to_owned()
        } else {
            format!("by default artifacts/<step>/{}.{}", port.name, port.extension)
        };
        let about = format!("{} ({}); {place}", port.about, port.data);
        (port.name.to_owned(), path(about))
    });
    or_template(json!({
        "type": "object",
        "properties": ports.collect::<Map<_, _>>(),
        "additionalProperties": if kind.open_ports { path("A path inside of the project folder".to_owned()) } else { json!(false) },
    }))
}

fn or_template(schema: Json) -> Json {
    json!({ "anyOf": [schema, { "$ref": "#/$defs/template" }] })
}

/// Lets a template stand for every value that is no map of fixed keys, at any depth.
fn allow_templates(schema: &mut Json) {
    let Some(object) = schema.as_object_mut() else { return };
    for key in ["properties", "patternProperties"] {
        for property in object.get_mut(key).and_then(Json::as_object_mut).into_iter().flatten() {
            allow_templates(property.1);
            let plain = std::mem::take(property.1);
            *property.1 = around(plain);
        }
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(key).filter(|inner| inner.is_object()) {
            allow_templates(inner);
            let plain = std::mem::take(inner);
            *inner = around(plain);
        }
    }
}

/// The schema or a template, with its description where editors look for it.
fn around(mut plain: Json) -> Json {
    let is_text =
        plain.get("type").is_some_and(|kind| kind == "string" || kind == &json!(["string", "null"]));
    let bounded = ["enum", "const", "pattern", "format"].iter().any(|key| plain.get(key).is_some());
    let anything = plain.as_object().is_some_and(|object| {
        ["type", "$ref", "anyOf", "oneOf", "enum", "const"].iter().all(|key| !object.contains_key(*key))
    });
    if anything || (is_text && !bounded) {
        return plain;
    }
    let mut outer = Map::new();
    if let Some(object) = plain.as_object_mut() {
        for key in ["description", "default", "examples"] {
            outer.extend(object.remove(key).map(|value| (key.to_owned(), value)));
        }
    }
    outer.insert("anyOf".to_owned(), json!([plain, { "$ref": "#/$defs/template" }]));
    Json::Object(outer)
}

/// References to definitions, with the name of the kind in front.
fn rename(schema: &mut Json, kind: &str) {
    match schema {
        Json::Object(object) => {
            if let Some(Json::String(reference)) = object.get_mut("$ref")
                && let Some(name) = reference.strip_prefix("#/$defs/")
            {
                *reference = format!("#/$defs/{kind}.{name}");
            }
            object.values_mut().for_each(|value| rename(value, kind));
        }
        Json::Array(items) => items.iter_mut().for_each(|item| rename(item, kind)),
        _ => {}
    }
}

/// Without the formats of Rust's numbers, which editors do not know; descriptions on one line.
fn tidy(schema: &mut Json) {
    match schema {
        Json::Object(object) => {
            let foreign = ["uint", "int", "float", "double"];
            if object
                .get("format")
                .and_then(Json::as_str)
                .is_some_and(|format| foreign.iter().any(|f| format.starts_with(f)))
            {
                object.remove("format");
            }
            if let Some(Json::String(text)) = object.get_mut("description") {
                *text = text.replace('\n', " ");
            }
            object.values_mut().for_each(tidy);
        }
        Json::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

fn take_object(schema: &mut Json, key: &str) -> Map<String, Json> {
    match schema.as_object_mut().and_then(|object| object.remove(key)) {
        Some(Json::Object(map)) => map,
        _ => Map::new(),
    }
}
