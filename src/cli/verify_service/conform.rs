//! Whether a value is what a JSON Schema of the service's description says.
//!
//! The part of JSON Schema that the description uses is small: types, properties, items, references,
//! alternatives, enumerations. Keys that a schema does not name are a mistake here, since the service and its
//! description come from one program.

use serde_json::Value;

/// The first thing that is wrong with `value`, or nothing.
pub fn mistake(schema: &Value, value: &Value, document: &Value) -> Option<String> {
    at("", schema, value, document)
}

fn at(place: &str, schema: &Value, value: &Value, document: &Value) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let found = document.pointer(reference.trim_start_matches('#'));
        let Some(found) = found else {
            return Some(format!("the description refers to {reference}, which it has not"));
        };
        return at(place, found, value, document);
    }
    let wrong =
        |what: String| Some(format!("{}: {what}", if place.is_empty() { "the answer" } else { place }));
    if let Some(all) = schema["allOf"].as_array()
        && let Some(mistake) = all.iter().find_map(|one| at(place, one, value, document))
    {
        return Some(mistake);
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(any) = schema[key].as_array()
            && !any.iter().any(|one| at(place, one, value, document).is_none())
        {
            return wrong("it is none of the alternatives".to_owned());
        }
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        return wrong(format!("{value} is none of {}", schema["enum"]));
    }
    if schema.get("const").is_some_and(|constant| constant != value) {
        return wrong(format!("{value} is not {}", schema["const"]));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(some) => some.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|name| is(name, value)) {
        return wrong(format!("{value} is no {}", types.join(" or ")));
    }
    match value {
        Value::Object(fields) => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            if let Some(missing) = required.into_iter().find(|key| !fields.contains_key(*key)) {
                return wrong(format!("`{missing}` is missing"));
            }
            let properties = schema["properties"].as_object();
            fields.iter().find_map(|(key, field)| {
                let place = format!("{place}.{key}");
                match properties.and_then(|properties| properties.get(key)) {
                    Some(schema) => at(&place, schema, field, document),
                    None if !types.is_empty()
                        && properties.is_some()
                        && schema.get("additionalProperties").is_none() =>
                    {
                        Some(format!("{place}: the description does not name it"))
                    }
                    None => None,
                }
            })
        }
        Value::Array(items) => {
            let schema = schema.get("items")?;
            items
                .iter()
                .enumerate()
                .find_map(|(index, item)| at(&format!("{place}[{index}]"), schema, item, document))
        }
        _ => None,
    }
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn mistakes_are_found_and_named() {
        let document = json!({"components": {"schemas": {
            "Item": {"type": "object", "required": ["id"], "properties": {
                "id": {"type": "integer"}, "name": {"type": ["string", "null"]},
            }},
        }}});
        let schema = json!({"type": "array", "items": {"$ref": "#/components/schemas/Item"}});
        let of = |value: Value| mistake(&schema, &value, &document);
        assert_eq!(of(json!([{"id": 1}, {"id": -2, "name": null}])), None);
        assert_eq!(of(json!({})).unwrap(), "the answer: {} is no array");
        assert_eq!(of(json!([{"id": 1}, {}])).unwrap(), "[1]: `id` is missing");
        assert_eq!(of(json!([{"id": 1.5}])).unwrap(), "[0].id: 1.5 is no integer");
        assert_eq!(of(json!([{"id": 1, "more": 2}])).unwrap(), "[0].more: the description does not name it");
        let error = json!({"allOf": [{"$ref": "#/components/schemas/Item"}, {"properties": {"id": {"enum": [1, 2]}}}]});
        assert_eq!(mistake(&error, &json!({"id": 2}), &document), None);
        assert_eq!(mistake(&error, &json!({"id": 3}), &document).unwrap(), ".id: 3 is none of [1,2]");
        let any = json!({"anyOf": [{"type": "string"}, {"const": 4}]});
        assert_eq!(mistake(&any, &json!(4), &document), None);
        assert!(mistake(&any, &json!(5), &document).is_some());
        assert!(mistake(&json!({"$ref": "#/nowhere"}), &json!(5), &document).is_some());
    }
}
