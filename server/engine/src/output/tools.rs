//! What parsing needs to know of the tools offered: their names, and the types of their parameters.

use std::sync::Arc;

use serde_json::Value;

use super::json::quoted;
use super::literal;
use crate::steps::Steps;

/// How many `$ref`s and alternatives of a schema are followed, one inside of another.
const MAX_DEPTH: u32 = 8;

/// How many are looked at in all, before it is taken to say nothing: this happens while an answer is written.
const STEPS: usize = 1000;

/// The tools of a request, as the client sent them.
pub(super) struct Tools(Arc<[Value]>);

/// The types a value may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Tools {
    pub(super) fn new(tools: Arc<[Value]>) -> Self {
        Self(tools)
    }

    /// Whether a function of this name is offered.
    pub(super) fn offer(&self, name: &str) -> bool {
        self.function(name).is_some()
    }

    /// The types of a function's parameter, as far as its schema says.
    pub(super) fn types(&self, function: &str, parameter: &str) -> Types {
        let schema = self.function(function).and_then(|function| function.get("parameters"));
        let Some(schema) = schema else { return Types::ANY };
        let property = schema.get("properties").and_then(|properties| properties.get(parameter));
        property.map_or(Types::ANY, |property| Types::of(property, schema))
    }

    fn function(&self, name: &str) -> Option<&Value> {
        // Either `{"type": "function", "function": {"name": ..}}`, or the inner object alone.
        let functions = self.0.iter().map(|tool| tool.get("function").unwrap_or(tool));
        functions.into_iter().find(|function| function.get("name").and_then(Value::as_str) == Some(name))
    }
}

/// The value that a text between tags becomes, where the schema of the parameter is `schema`, inside of `root`.
pub(crate) fn read_tagged_value(text: &str, schema: &Value, root: &Value) -> Option<Value> {
    let types = Types::of(schema, root);
    if types.are_text() { Some(text.into()) } else { serde_json::from_str(&types.json(text)).ok() }
}

impl Types {
    const ANY: Self = Self(0x7f);
    const STRING: Self = Self(1);
    const NUMBER: Self = Self(2);
    const BOOLEAN: Self = Self(4);
    const NULL: Self = Self(8);
    const OBJECT: Self = Self(16);
    const ARRAY: Self = Self(32);

    /// Reads a schema (JSON Schema 2020-12, sections 6.1.1 and 10.2.1) as far as it says something about the type.
    fn of(schema: &Value, root: &Value) -> Self {
        Self::within(schema, root, MAX_DEPTH, &mut Steps::new(STEPS))
    }

    fn within(schema: &Value, root: &Value, depth: u32, steps: &mut Steps) -> Self {
        if depth == 0 || !steps.take(1) {
            return Self::ANY;
        }
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
            return target.map_or(Self::ANY, |target| Self::within(target, root, depth - 1, steps));
        }
        match schema.get("type") {
            Some(Value::String(name)) => return Self::named(name),
            Some(Value::Array(names)) => {
                return Self::union(names.iter().filter_map(Value::as_str).map(Self::named));
            }
            _ => {}
        }
        for key in ["anyOf", "oneOf", "allOf"] {
            if let Some(schemas) = schema.get(key).and_then(Value::as_array) {
                return Self::union(
                    schemas.iter().map(|schema| Self::within(schema, root, depth - 1, steps)),
                );
            }
        }
        let values = schema.get("enum").and_then(Value::as_array).map(Vec::as_slice);
        match values.or(schema.get("const").map(std::slice::from_ref)) {
            Some(values) => Self::union(values.iter().map(Self::of_value)),
            None => Self::ANY,
        }
    }

    /// All of these types. Once these are all there are, the rest is not asked for.
    fn union(types: impl IntoIterator<Item = Self>) -> Self {
        let mut union = Self(0);
        for types in types {
            union.0 |= types.0;
            if union == Self::ANY {
                break;
            }
        }
        union
    }

    fn named(name: &str) -> Self {
        match name {
            "string" => Self::STRING,
            "number" | "integer" => Self::NUMBER,
            "boolean" => Self::BOOLEAN,
            "null" => Self::NULL,
            "object" => Self::OBJECT,
            "array" => Self::ARRAY,
            _ => Self::ANY,
        }
    }

    fn of_value(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(_) => Self::NUMBER,
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        }
    }

    fn allow(self, types: Self) -> bool {
        self.0 & types.0 != 0
    }

    /// Whether every text is a value of this type as it stands.
    pub(super) fn are_text(self) -> bool {
        self == Self::STRING
    }

    /// The JSON of a value that stands there without any quotation marks: what it is by its type, and a string where it
    /// is nothing else.
    pub(super) fn json(self, text: &str) -> String {
        let trimmed = text.trim();
        let value = match trimmed {
            "True" if self.allow(Self::BOOLEAN) => Some("true".to_owned()),
            "False" if self.allow(Self::BOOLEAN) => Some("false".to_owned()),
            "None" if self.allow(Self::NULL) => Some("null".to_owned()),
            _ => match serde_json::from_str::<Value>(trimmed) {
                Ok(Value::String(_)) => None,
                Ok(value) => self.allow(Self::of_value(&value)).then(|| trimmed.to_owned()),
                // Lists and dictionaries as Python prints them, and numbers that are larger than a 64-bit float.
                Err(_) if trimmed.starts_with('[') && self.allow(Self::ARRAY) => literal::python(trimmed),
                Err(_) if trimmed.starts_with('{') && self.allow(Self::OBJECT) => literal::python(trimmed),
                Err(_) if self.allow(Self::NUMBER) && literal::is_json_number(trimmed) => {
                    Some(trimmed.to_owned())
                }
                Err(_) => None,
            },
        };
        value.unwrap_or_else(|| quoted(text))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::Types;

    #[test]
    fn what_refers_to_too_much_says_nothing() {
        let level = |number: usize| json!({ "anyOf": vec![json!({ "$ref": format!("#/$defs/{}", number + 1) }); 50] });
        let mut levels: Map<_, _> = (0..7).map(|number| (number.to_string(), level(number))).collect();
        levels.insert("7".to_owned(), json!({ "type": "string" }));
        let root: Value = json!({ "$defs": levels });
        assert_eq!(Types::of(&json!({ "$ref": "#/$defs/0" }), &root), Types::ANY);
        assert_eq!(Types::of(&json!({ "$ref": "#/$defs/6" }), &root), Types::STRING);
    }
}
