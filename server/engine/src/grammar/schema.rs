//! JSON Schemas on their way to llguidance: what it cannot express is rewritten where that changes nothing, and made
//! closer where it would let too much through.

mod exclusive;
mod formats;

use mlx_gate_core::EngineError;
use serde_json::{Map, Value, json};

use super::compile::invalid;
use exclusive::Comparison;

/// White space between the tokens of JSON: one line break, and indentation. Without a bound, a model that has lost its
/// way could go on with spaces for ever.
const JSON_SPACE: &str = r"[ \t]{1,64}|\r?\n[ \t]{0,64}";

/// Options of llguidance at the root of a schema. They belong to the server.
const OPTIONS: &str = "x-guidance";

/// Keywords that hold values, not schemas.
pub(super) const VALUES: [&str; 5] = ["const", "enum", "default", "example", "examples"];

/// Keywords that hold schemas by name.
pub(super) const NAMED: [&str; 5] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/// Keywords that say nothing about what is valid, or hold what others refer to.
pub(super) const SILENT: [&str; 13] = [
    "$schema",
    "$id",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "example",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
];

/// A schema ready for llguidance, with the server's own options.
pub(super) fn schema(field: &'static str, schema: Value) -> Result<Value, EngineError> {
    let mut keywords = match schema {
        Value::Object(keywords) => keywords,
        Value::Bool(true) => Map::new(),
        _ => return Err(invalid(field, "the JSON schema is neither an object nor `true`".to_owned())),
    };
    let root = Value::Object(keywords.clone());
    rewrite(&mut keywords, &mut Comparison::new(&root));
    let options = json!({ "whitespace_pattern": JSON_SPACE });
    if keywords.insert(OPTIONS.to_owned(), options).is_some() {
        return Err(invalid(field, format!("`{OPTIONS}` in a JSON schema is not supported; leave it out")));
    }
    Ok(keywords.into())
}

/// Rewrites a schema and all below it.
fn rewrite(schema: &mut Map<String, Value>, comparison: &mut Comparison<'_>) {
    for (keyword, value) in schema.iter_mut() {
        let keyword = keyword.as_str();
        match value {
            Value::Object(named) if NAMED.contains(&keyword) => {
                named
                    .values_mut()
                    .filter_map(Value::as_object_mut)
                    .for_each(|schema| rewrite(schema, comparison));
            }
            _ if VALUES.contains(&keyword) => {}
            Value::Object(schema) => rewrite(schema, comparison),
            Value::Array(schemas) => {
                schemas
                    .iter_mut()
                    .filter_map(Value::as_object_mut)
                    .for_each(|schema| rewrite(schema, comparison));
            }
            _ => {}
        }
    }
    formats::tighten(schema);
    comparison.rewrite_one_of(schema);
    unique(schema);
    any_name(schema);
}

/// `uniqueItems` where it asks for nothing: off, or with one item at the most.
fn unique(schema: &mut Map<String, Value>) {
    let one = schema.get("maxItems").and_then(Value::as_u64).is_some_and(|most| most <= 1);
    if one || schema.get("uniqueItems") == Some(&Value::Bool(false)) {
        schema.shift_remove("uniqueItems");
    }
}

/// `propertyNames` where it asks for nothing: names are strings anyway. Libraries write it for every map.
fn any_name(schema: &mut Map<String, Value>) {
    let asks_for_nothing = match schema.get("propertyNames") {
        Some(Value::Bool(any)) => *any,
        Some(Value::Object(names)) => names.iter().all(|(key, value)| key == "type" && value == "string"),
        _ => false,
    };
    if asks_for_nothing {
        schema.shift_remove("propertyNames");
    }
}
