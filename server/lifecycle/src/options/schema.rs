//! The part of JSON Schema that configurations need: `type`, `properties`, `required`, `additionalProperties`, `items`,
//! `enum`, `minimum` and `maximum`. The plugin itself checks what is beyond that. Options are stricter than the standard:
//! one that `properties` does not name is a mistake unless `additionalProperties` is true.

use serde_json::{Map, Value};

use crate::Problem;

/// The schema of an option.
pub(super) fn property<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    schema.get("properties").and_then(|properties| properties.get(name)).or_else(|| {
        let open = schema.get("additionalProperties");
        open.filter(|open| open.is_object() || **open == Value::Bool(true))
    })
}

/// The options there are.
pub(super) fn known(schema: &Value) -> Vec<String> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flat_map(|properties| properties.keys().cloned()).collect()
}

/// Whether a string of this format is what the schema asks for, itself or anywhere inside.
pub(super) fn has_format(schema: &Value, wanted: &str) -> bool {
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::values);
    schema.get("format").is_some_and(|format| format == wanted)
        || schema.get("items").into_iter().chain(properties).any(|inner| has_format(inner, wanted))
}

/// The strings of this format, however deep in the options they stand, each with the path of its option.
pub(super) fn values_of_format<'v>(
    format: &str,
    config: &'v Value,
    schema: &Value,
) -> Vec<(String, &'v str)> {
    let mut found = Vec::new();
    collect_of_format(format, "", config, schema, &mut found);
    found
}

fn collect_of_format<'v>(
    format: &str,
    path: &str,
    value: &'v Value,
    schema: &Value,
    found: &mut Vec<(String, &'v str)>,
) {
    match value {
        Value::String(text) if schema.get("format").is_some_and(|its| its == format) => {
            found.push((path.to_owned(), text));
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return };
            for (index, item) in items.iter().enumerate() {
                collect_of_format(format, &format!("{path}[{index}]"), item, schema, found);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                if let Some(schema) = property(schema, name) {
                    collect_of_format(format, &below(path, name), member, schema, found);
                }
            }
        }
        _ => {}
    }
}

/// Whether a value of this type may be right. A schema without a type takes anything.
pub(super) fn takes(schema: &Value, wanted: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(name)) => name == wanted,
        Some(Value::Array(names)) => names.iter().any(|name| name == wanted),
        _ => wanted == "string",
    }
}

/// What a schema asks for, in words.
pub(super) fn expected(schema: &Value) -> String {
    if let Some(choices) = schema.get("enum").and_then(Value::as_array) {
        let choices: Vec<_> = choices.iter().map(ToString::to_string).collect();
        return format!("one of {}", choices.join(", "));
    }
    let mut parts = vec![match schema.get("type") {
        Some(Value::String(name)) => with_article(name),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).map(with_article).collect::<Vec<_>>().join(" or ")
        }
        _ => "something else".to_owned(),
    }];
    parts.extend(schema.get("minimum").map(|least| format!("at least {least}")));
    parts.extend(schema.get("maximum").map(|most| format!("at most {most}")));
    parts.join(", ")
}

/// Checks a whole configuration. Errors name the path of the wrong value and never repeat the value.
pub(super) fn check(config: &Value, schema: &Value) -> Result<(), Problem> {
    check_at("", config, schema)
}

fn check_at(path: &str, value: &Value, schema: &Value) -> Result<(), Problem> {
    if !fits(value, schema) {
        return Err(Problem::BadOption { option: path.to_owned(), expected: expected(schema) });
    }
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let inner = below(path, name);
                match property(schema, name) {
                    Some(property) => check_at(&inner, member, property)?,
                    None if schema.get("properties").is_none() => {}
                    None => return Err(Problem::UnknownOption { option: inner, known: known(schema) }),
                }
            }
            let required = schema.get("required").and_then(Value::as_array);
            for name in required.into_iter().flatten().filter_map(Value::as_str) {
                if !members.contains_key(name) {
                    return Err(Problem::MissingOption(below(path, name)));
                }
            }
            Ok(())
        }
        Value::Array(items) => {
            let Some(schema) = schema.get("items") else { return Ok(()) };
            items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| check_at(&format!("{path}[{index}]"), item, schema))
        }
        _ => Ok(()),
    }
}

fn fits(value: &Value, schema: &Value) -> bool {
    let of_type = |name: &Value| match name.as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        Some("null") => value.is_null(),
        _ => false,
    };
    let right_type = match schema.get("type") {
        None => true,
        Some(Value::Array(names)) => names.iter().any(of_type),
        Some(name) => of_type(name),
    };
    let listed = schema.get("enum").and_then(Value::as_array).is_none_or(|choices| choices.contains(value));
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let in_range = value.as_f64().is_none_or(|number| {
        bound("minimum").is_none_or(|least| number >= least)
            && bound("maximum").is_none_or(|most| number <= most)
    });
    right_type && listed && in_range
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn with_article(name: &str) -> String {
    match name {
        "integer" => "a whole number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "array" | "object" => format!("an {name}"),
        "null" => name.to_owned(),
        _ => format!("a {name}"),
    }
}
