//! A small typed reader of JSON objects, for messages that name the field, what was found there and what belongs there.
//!
//! Fields are taken out as they are read, so whatever is left at the end is something nobody understood, and is refused
//! by name. A field that is `null` counts as absent: clients write their unset options that way.

use std::fmt::Display;
use std::ops::{Bound, RangeBounds};

use serde_json::{Map, Number, Value};

use crate::error::{Error, clipped};

/// An object and where it stands in the request.
pub(crate) struct Fields {
    /// `messages[0].content[1]`; empty for the request itself.
    path: String,
    map: Map<String, Value>,
}

impl Fields {
    /// The request itself.
    pub(crate) fn root(value: Value) -> Result<Self, Error> {
        match value {
            Value::Object(map) => Ok(Self { path: String::new(), map }),
            other => Err(wrong_type("the request body", "an object", &other, String::new())),
        }
    }

    /// An element of an array, or anything else that has its own path.
    pub(crate) fn at(path: String, value: Value) -> Result<Self, Error> {
        match value {
            Value::Object(map) => Ok(Self { path, map }),
            other => Err(invalid_type(&path, "an object", &other)),
        }
    }

    /// Full name of a field.
    pub(crate) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Takes a field, whatever it is.
    pub(crate) fn take(&mut self, key: &str) -> Option<Value> {
        // `shift_remove` keeps the order of what remains, so the first unknown field is the one named.
        self.map.shift_remove(key).filter(|value| !value.is_null())
    }

    pub(crate) fn string(&mut self, key: &str) -> Result<Option<String>, Error> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(invalid_type(&self.path(key), "a string", &other)),
        }
    }

    pub(crate) fn boolean(&mut self, key: &str) -> Result<Option<bool>, Error> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(value)),
            Some(other) => Err(invalid_type(&self.path(key), "a boolean", &other)),
        }
    }

    pub(crate) fn array(&mut self, key: &str) -> Result<Option<Vec<Value>>, Error> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Array(values)) => Ok(Some(values)),
            Some(other) => Err(invalid_type(&self.path(key), "an array", &other)),
        }
    }

    pub(crate) fn object(&mut self, key: &str) -> Result<Option<Self>, Error> {
        let path = self.path(key);
        self.take(key).map(|value| Self::at(path, value)).transpose()
    }

    /// A whole number within a range.
    pub(crate) fn integer(&mut self, key: &str, range: impl RangeBounds<i64>) -> Result<Option<i64>, Error> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let path = self.path(key);
        let Value::Number(number) = &value else { return Err(invalid_type(&path, "an integer", &value)) };
        // Clients in languages with one number type write 64.0.
        let whole = |float: f64| float.fract() == 0.0 && float.abs() < 9.0e15;
        let integer = number
            .as_i64()
            .or_else(|| number.as_f64().filter(|float| whole(*float)).map(|float| float as i64));
        match integer {
            Some(integer) if range.contains(&integer) => Ok(Some(integer)),
            Some(_) => Err(out_of_range(&path, number, &bounds(&range))),
            None if number.is_u64() => Err(out_of_range(&path, number, &bounds(&range))),
            None => Err(invalid_type(&path, "an integer", &value)),
        }
    }

    /// A number within a range, as narrow as the engine computes.
    pub(crate) fn number(&mut self, key: &str, range: impl RangeBounds<f64>) -> Result<Option<f32>, Error> {
        let path = self.path(key);
        self.take(key).map(|value| number(&path, &value, range)).transpose()
    }

    /// One of several words.
    pub(crate) fn choice(
        &mut self,
        key: &str,
        choices: &[&'static str],
    ) -> Result<Option<&'static str>, Error> {
        let Some(text) = self.string(key)? else { return Ok(None) };
        match choices.iter().find(|choice| **choice == text) {
            Some(choice) => Ok(Some(choice)),
            None => Err(not_one_of(&self.path(key), &text, choices)),
        }
    }

    /// A field that must be there.
    pub(crate) fn required<T>(&self, key: &str, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| missing(&self.path(key), ""))
    }

    /// Whether a field is there and not `null`.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.map.get(key).is_some_and(|value| !value.is_null())
    }

    /// Takes a field that only one value is supported for: the one that changes nothing.
    pub(crate) fn only(&mut self, key: &str, neutral: &[Value]) -> Result<(), Error> {
        match self.take(key) {
            Some(value) if !neutral.contains(&value) => {
                let supported = neutral.iter().map(Value::to_string).collect::<Vec<_>>().join(" or ");
                Err(unsupported(
                    self.path(key),
                    format!("{} is not supported here; leave it out, or send {supported}", shown(&value)),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a field by name, with what to do instead.
    pub(crate) fn refuse(&mut self, key: &str, advice: &str) -> Result<(), Error> {
        if self.take(key).is_none() {
            return Ok(());
        }
        let path = self.path(key);
        let message = format!("unsupported parameter: '{path}'; {advice}");
        Err(Error::Field { param: path, code: "unsupported_parameter", message })
    }

    /// Refuses fields by name, each with what to do instead.
    pub(crate) fn refuse_each(&mut self, refused: &[(&str, &str)]) -> Result<(), Error> {
        refused.iter().try_for_each(|(key, advice)| self.refuse(key, advice))
    }

    /// The names of what was not read.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.map.keys().cloned().collect()
    }

    /// Refuses what was not read.
    pub(crate) fn finish(self) -> Result<(), Error> {
        let Some(key) = self.map.keys().next() else { return Ok(()) };
        let path = self.path(&clipped(key));
        let message = format!(
            "unsupported parameter: '{path}'; it would have no effect, so it is refused, not ignored"
        );
        Err(Error::Field { param: path, code: "unsupported_parameter", message })
    }

    /// Everything that is left, as it is.
    pub(crate) fn into_map(self) -> Map<String, Value> {
        self.map
    }
}

/// A field that is not there.
pub(crate) fn missing(path: &str, advice: &str) -> Error {
    let message = format!("missing required parameter: '{path}'{advice}");
    Error::Field { param: path.to_owned(), code: "missing_required_parameter", message }
}

/// A number within a range.
pub(crate) fn number(path: &str, value: &Value, range: impl RangeBounds<f64>) -> Result<f32, Error> {
    let Value::Number(number) = value else { return Err(invalid_type(path, "a number", value)) };
    match number.as_f64() {
        Some(float) if range.contains(&float) => Ok(float as f32),
        _ => Err(out_of_range(path, number, &bounds(&range))),
    }
}

pub(crate) fn invalid_type(path: &str, expected: &str, found: &Value) -> Error {
    wrong_type(&format!("'{path}'"), expected, found, path.to_owned())
}

fn wrong_type(subject: &str, expected: &str, found: &Value, param: String) -> Error {
    let found = type_name(found);
    let message = format!("invalid type for {subject}: expected {expected}, but got {found}");
    Error::Field { param, code: "invalid_type", message }
}

/// A value of the right type that cannot be meant.
pub(crate) fn invalid(path: String, problem: impl Display) -> Error {
    let message = format!("invalid '{path}': {problem}");
    Error::Field { param: path, code: "invalid_value", message }
}

/// A value that other servers may understand.
pub(crate) fn unsupported(path: String, problem: impl Display) -> Error {
    let message = format!("unsupported value for '{path}': {problem}");
    Error::Field { param: path, code: "unsupported_value", message }
}

/// A word outside the list.
pub(crate) fn not_one_of(path: &str, found: &str, choices: &[&str]) -> Error {
    let choices = choices.iter().map(|choice| format!("'{choice}'")).collect::<Vec<_>>().join(", ");
    invalid(path.to_owned(), format_args!("expected one of {choices}, but got '{}'", clipped(found)))
}

fn out_of_range(path: &str, found: &Number, bounds: &str) -> Error {
    invalid(path.to_owned(), format_args!("expected a value {bounds}, but got {found}"))
}

/// `>= 1`, `<= 2`, `from 0 to 2`, `above 0 and <= 1`.
fn bounds<T: Display>(range: &impl RangeBounds<T>) -> String {
    let low = match range.start_bound() {
        Bound::Included(low) => Some(format!(">= {low}")),
        Bound::Excluded(low) => Some(format!("above {low}")),
        Bound::Unbounded => None,
    };
    let high = match range.end_bound() {
        Bound::Included(high) => Some(format!("<= {high}")),
        Bound::Excluded(high) => Some(format!("below {high}")),
        Bound::Unbounded => None,
    };
    [low, high].into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// A value as a message shows it: short, whatever the client sent.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => type_name(value).to_owned(),
        other => clipped(&other.to_string()),
    }
}
