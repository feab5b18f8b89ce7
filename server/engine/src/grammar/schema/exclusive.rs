use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// How many `$ref`s and alternatives of a schema are followed, one inside of another.
const MAX_DEPTH: u32 = 16;

type Keywords = Map<String, Value>;

/// Writes `oneOf` as `anyOf` where that is the same: no value is valid by two of its branches. llguidance sees this by
/// itself for some branches, and not through a `$ref`, which is how discriminated unions are written.
pub(super) fn rewrite_one_of(schema: &mut Keywords, root: &Value) {
    let Some(Value::Array(branches)) = schema.get("oneOf") else { return };
    // Both would have to hold.
    if schema.contains_key("anyOf") {
        return;
    }
    let apart = branches.iter().enumerate().all(|(index, one)| {
        branches[index + 1..].iter().all(|other| exclude_each_other(one, other, root, MAX_DEPTH))
    });
    if apart && let Some(branches) = schema.shift_remove("oneOf") {
        schema.insert("anyOf".to_owned(), branches);
    }
}

/// Whether it is certain that no value is valid by both schemas.
fn exclude_each_other(one: &Value, other: &Value, root: &Value, depth: u32) -> bool {
    let (one, other) = (resolved(one, root), resolved(other, root));
    if one == &Value::Bool(false) || other == &Value::Bool(false) {
        return true;
    }
    let (Some(left), Some(right)) = (one.as_object(), other.as_object()) else { return false };
    if depth == 0 {
        return false;
    }
    if let (Some(left), Some(right)) = (types(left), types(right))
        && left.is_disjoint(&right)
    {
        return true;
    }
    if let (Some(left), Some(right)) = (values(left), values(right)) {
        return left.iter().all(|value| !right.iter().any(|also| are_equal(value, also)));
    }
    by_branches(left, other, root, depth)
        || by_branches(right, one, root, depth)
        || by_property(left, right, root, depth)
        || by_property(right, left, root, depth)
}

/// What a `$ref` refers to. Keywords beside it could only exclude more.
fn resolved<'a>(mut schema: &'a Value, root: &'a Value) -> &'a Value {
    for _ in 0..MAX_DEPTH {
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
        match reference.and_then(|pointer| root.pointer(pointer)) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

/// The types of values that a schema allows, as far as it says. An integer is a number.
fn types(schema: &Keywords) -> Option<BTreeSet<&str>> {
    let name = |name| if name == "integer" { "number" } else { name };
    match schema.get("type") {
        Some(Value::String(kind)) => Some(BTreeSet::from([name(kind.as_str())])),
        Some(Value::Array(kinds)) => Some(kinds.iter().filter_map(Value::as_str).map(name).collect()),
        _ => values(schema).map(|values| values.iter().map(type_of).collect()),
    }
}

const fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The only values that a schema allows, where it names them.
fn values(schema: &Keywords) -> Option<&[Value]> {
    let named = schema.get("enum").and_then(Value::as_array).map(Vec::as_slice);
    schema.get("const").map(std::slice::from_ref).or(named)
}

/// JSON Schema 2020-12, section 4.2.2: 1 and 1.0 are the same number. Whatever is not simple may be equal.
fn are_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_)) => true,
        _ => one == other,
    }
}

/// Whether all branches of a schema, or one part of it that has to hold, exclude another one.
fn by_branches(schema: &Keywords, other: &Value, root: &Value, depth: u32) -> bool {
    let branches = |keyword: &str| schema.get(keyword).and_then(Value::as_array);
    let excludes = |branch: &Value| exclude_each_other(branch, other, root, depth - 1);
    ["anyOf", "oneOf"].into_iter().filter_map(branches).any(|branches| branches.iter().all(excludes))
        || branches("allOf").is_some_and(|parts| parts.iter().any(excludes))
}

/// Whether an object needs a property that another one may only have in another way, or not at all.
fn by_property(schema: &Keywords, other: &Keywords, root: &Value, depth: u32) -> bool {
    let object = Some(BTreeSet::from(["object"]));
    if types(schema) != object && types(other) != object {
        return false;
    }
    let property = |schema: &Keywords, name: &str| schema.get("properties")?.get(name).cloned();
    let closed = other.get("additionalProperties") == Some(&Value::Bool(false))
        && !other.contains_key("patternProperties");
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    required.filter_map(Value::as_str).any(|name| {
        match (property(schema, name).unwrap_or(Value::Bool(true)), property(other, name)) {
            (_, None) => closed,
            (one, Some(other)) => exclude_each_other(&one, &other, root, depth - 1),
        }
    })
}
