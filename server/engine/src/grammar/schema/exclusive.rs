use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::steps::Steps;

/// How many `$ref`s and alternatives of a schema are followed, one inside of another.
const MAX_DEPTH: u32 = 16;

/// How much is compared for one schema of a request, some milliseconds' worth: unions of a hundred kinds of objects are 5,000
/// pairs. Branches may refer to branches that refer to branches, so that a few hundred bytes can hold more pairs than anybody
/// could compare.
const STEPS: usize = 100_000;

type Keywords = Map<String, Value>;

/// Finds out which parts of a schema exclude each other, as long as it has steps left. Without any, nothing is certain.
pub(super) struct Comparison<'a> {
    /// What `$ref`s are looked up in.
    root: &'a Value,
    steps: Steps,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        Self { root, steps: Steps::new(STEPS) }
    }

    /// Writes `oneOf` as `anyOf` where that is the same: no value is valid by two of its branches. llguidance sees this by
    /// itself for some branches, and not through a `$ref`, which is how discriminated unions are written.
    pub(super) fn rewrite_one_of(&mut self, schema: &mut Keywords) {
        let Some(Value::Array(branches)) = schema.get("oneOf") else { return };
        // Both would have to hold.
        if schema.contains_key("anyOf") {
            return;
        }
        let apart = branches.iter().enumerate().all(|(index, one)| {
            branches[index + 1..].iter().all(|other| self.exclude_each_other(one, other, MAX_DEPTH))
        });
        if apart && let Some(branches) = schema.shift_remove("oneOf") {
            schema.insert("anyOf".to_owned(), branches);
        }
    }

    /// Whether it is certain that no value is valid by both schemas.
    fn exclude_each_other(&mut self, one: &Value, other: &Value, depth: u32) -> bool {
        if !self.steps.take(1) {
            return false;
        }
        let (Some(one), Some(other)) = (self.resolved(one), self.resolved(other)) else { return false };
        if one == &Value::Bool(false) || other == &Value::Bool(false) {
            return true;
        }
        let (Some(left), Some(right)) = (one.as_object(), other.as_object()) else { return false };
        if depth == 0 || !self.steps.take(size(left).saturating_add(size(right))) {
            return false;
        }
        if let (Some(left), Some(right)) = (types(left), types(right))
            && left.is_disjoint(&right)
        {
            return true;
        }
        if let (Some(left), Some(right)) = (values(left), values(right)) {
            return self.steps.take(left.len().saturating_mul(right.len()))
                && left.iter().all(|value| !right.iter().any(|also| are_equal(value, also)));
        }
        self.by_branches(left, other, depth)
            || self.by_branches(right, one, depth)
            || self.by_property(left, right, depth)
            || self.by_property(right, left, depth)
    }

    /// What a `$ref` refers to. Keywords beside it could only exclude more. `None` where there are no steps left to look.
    fn resolved<'b>(&mut self, mut schema: &'b Value) -> Option<&'b Value>
    where
        'a: 'b,
    {
        /// Bytes of a pointer that are followed in one step.
        const STRIDE: usize = 32;
        for _ in 0..MAX_DEPTH {
            let reference =
                schema.get("$ref").and_then(Value::as_str).and_then(|text| text.strip_prefix('#'));
            let Some(pointer) = reference else { break };
            if !self.steps.take(1 + pointer.len() / STRIDE) {
                return None;
            }
            let Some(target) = self.root.pointer(pointer) else { break };
            schema = target;
        }
        Some(schema)
    }

    /// Whether all branches of a schema, or one part of it that has to hold, exclude another one.
    fn by_branches(&mut self, schema: &Keywords, other: &Value, depth: u32) -> bool {
        let branches = |keyword: &str| schema.get(keyword).and_then(Value::as_array);
        let mut excludes = |branch: &Value| self.exclude_each_other(branch, other, depth - 1);
        ["anyOf", "oneOf"].into_iter().filter_map(branches).any(|branches| branches.iter().all(&mut excludes))
            || branches("allOf").is_some_and(|parts| parts.iter().any(excludes))
    }

    /// Whether an object needs a property that another one may only have in another way, or not at all.
    fn by_property(&mut self, schema: &Keywords, other: &Keywords, depth: u32) -> bool {
        let object = Some(BTreeSet::from(["object"]));
        if types(schema) != object && types(other) != object {
            return false;
        }
        let closed = other.get("additionalProperties") == Some(&Value::Bool(false))
            && !other.contains_key("patternProperties");
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        required.filter_map(Value::as_str).any(|name| match (property(schema, name), property(other, name)) {
            (_, None) => closed,
            (one, Some(other)) => {
                self.exclude_each_other(one.unwrap_or(&Value::Bool(true)), other, depth - 1)
            }
        })
    }
}

fn property<'a>(schema: &'a Keywords, name: &str) -> Option<&'a Value> {
    schema.get("properties")?.get(name)
}

/// How many things a schema names that have to be looked at one by one.
fn size(schema: &Keywords) -> usize {
    let length = |keyword: &str| schema.get(keyword).and_then(Value::as_array).map_or(0, Vec::len);
    ["type", "enum", "required"].into_iter().map(length).sum()
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
