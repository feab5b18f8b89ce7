//! Which grammars compile in a time and in memory that their size tells.
//!
//! llguidance counts what it does, and stops. But where several things have to hold at once it multiplies their alternatives
//! before it counts: 20 patterns in one `allOf` are a million pairs in a single step, and ten times ten alternatives of
//! schemas are ten thousand million schemas. Such grammars are not wrong, and most are harmless. So they are tried where they
//! can do no harm ([`Trial`](super::trial::Trial)).

use serde_json::{Map, Value};

use super::schema::{NAMED, SILENT, VALUES};

/// Keywords that llguidance makes intersections, complements or long divisions of.
const COMBINING: [&str; 12] = [
    "not",
    "if",
    "then",
    "else",
    "contains",
    "dependentSchemas",
    "multipleOf",
    "patternProperties",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "$dynamicRef",
];

/// Keywords that stand for other schemas. What stands beside them has to hold at the same time.
const STANDING_FOR: [&str; 4] = ["$ref", "allOf", "anyOf", "oneOf"];

/// Keywords about a text, by what they become: a text that several are about has to match each.
const TEXT: [&[&str]; 3] = [&["pattern"], &["format"], &["minLength", "maxLength"]];

/// Whether this is so for a JSON Schema as the client wrote it.
pub(super) fn schema(schema: &Value) -> bool {
    schema.as_object().is_none_or(|keywords| alone(keywords) && keywords.iter().all(below))
}

/// Whether it is so for a grammar in Lark. Grammars in it, `%json`, are taken not to be.
pub(super) fn lark(text: &str) -> bool {
    !text.contains(['&', '~', '%'])
}

/// Whether nothing has to hold at the same time as something else.
fn alone(keywords: &Map<String, Value>) -> bool {
    let has = |key: &&str| keywords.contains_key(*key);
    if COMBINING.iter().any(has) {
        return false;
    }
    if let Some(standing) = STANDING_FOR.iter().find(|key| has(key)) {
        let nothing_else =
            keywords.keys().all(|key| key == standing || key == "type" || SILENT.contains(&key.as_str()));
        let single = *standing != "allOf" || keywords["allOf"].as_array().is_some_and(|all| all.len() <= 1);
        return nothing_else && single;
    }
    TEXT.iter().filter(|kind| kind.iter().any(has)).count() <= 1
}

/// Whether it is so for what stands behind a keyword.
fn below((keyword, value): (&String, &Value)) -> bool {
    let keyword = keyword.as_str();
    match value {
        Value::Object(named) if NAMED.contains(&keyword) => named.values().all(schema),
        _ if VALUES.contains(&keyword) => true,
        Value::Array(schemas) => schemas.iter().all(schema),
        other => schema(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    #[test]
    fn what_libraries_write_every_day_is_tame() {
        let schemas = [
            json!(true),
            json!({ "type": "object", "properties": { "allOf": { "type": "string", "pattern": "^a+$" } } }),
            json!({ "anyOf": [{ "type": "string", "format": "date" }, { "type": "null" }], "title": "When", "default": null }),
            json!({ "$defs": { "A": { "enum": ["allOf", { "allOf": [1, 2] }] } }, "items": { "$ref": "#/$defs/A" } }),
            json!({ "allOf": [{ "$ref": "#/$defs/A" }], "description": "as pydantic 1 wrote it" }),
            json!({ "type": "integer", "minimum": 1, "maximum": 9 }),
        ];
        for schema in schemas {
            assert!(super::schema(&schema), "{schema}");
        }
        assert!(super::lark("start: \"a\" | /b+/\n"));
    }

    #[test]
    fn what_has_to_hold_at_once_is_not() {
        let text = |more: Value| json!({ "type": "array", "items": more });
        let schemas = [
            json!({ "allOf": [{ "pattern": "a" }, { "pattern": "b" }] }),
            json!({ "allOf": [{ "pattern": "a" }], "pattern": "b" }),
            json!({ "$ref": "#/$defs/A", "maxLength": 3 }),
            json!({ "anyOf": [{ "type": "string" }], "properties": {} }),
            json!({ "properties": { "a": { "not": { "const": 1 } } } }),
            text(json!({ "type": "string", "pattern": "a", "maxLength": 3 })),
            json!({ "$defs": { "A": { "multipleOf": 7 } } }),
        ];
        for schema in schemas {
            assert!(!super::schema(&schema), "{schema}");
        }
        for lark in ["start: T\nT: /a/ & /b/", "start: T\nT: ~/a/", "start: %json {\"allOf\": []}"] {
            assert!(!super::lark(lark), "{lark}");
        }
    }
}
