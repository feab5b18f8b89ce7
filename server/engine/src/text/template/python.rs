//! Values as Python writes them.

use std::fmt::{self, Write};

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

/// A template value of a JSON value. Objects keep the order of their keys.
pub(in crate::text) fn from_json(value: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match value {
        Json::Null => Value::from(()),
        Json::Bool(flag) => Value::from(*flag),
        Json::Number(number) => {
            let integer = number.as_i64().map(Value::from).or_else(|| number.as_u64().map(Value::from));
            integer.or_else(|| number.as_f64().map(Value::from)).unwrap_or_default()
        }
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(from_json).collect(),
        Json::Object(keys) => {
            Value::from_pairs(keys.iter().map(|(key, value)| (key.as_str(), from_json(value))))
        }
    }
}

/// Writes what `{{ value }}` prints: Python's `str(value)`, and nothing for an undefined value.
pub(super) fn print(output: &mut impl Write, value: &Value) -> Result<(), Error> {
    let written = match value.as_str() {
        Some(text) => output.write_str(text),
        None if value.is_undefined() => Ok(()),
        None => return repr(output, value),
    };
    written.map_err(write_failure)
}

/// Python's `str(value)`.
pub(super) fn to_text(value: &Value) -> Result<String, Error> {
    let mut text = String::new();
    print(&mut text, value)?;
    Ok(text)
}

fn write_failure(_: fmt::Error) -> Error {
    Error::new(ErrorKind::WriteFailure, "the output cannot take any more")
}

/// Writes Python's `repr(value)`.
fn repr(output: &mut impl Write, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Undefined => output.write_str("Undefined").map_err(write_failure),
        ValueKind::None => output.write_str("None").map_err(write_failure),
        ValueKind::Bool => {
            output.write_str(if value.is_true() { "True" } else { "False" }).map_err(write_failure)
        }
        ValueKind::Number => match float(value) {
            Some(number) => output.write_str(&float_repr(number)),
            None => write!(output, "{value}"),
        }
        .map_err(write_failure),
        ValueKind::String => string_repr(output, value.as_str().unwrap_or_default()).map_err(write_failure),
        ValueKind::Seq | ValueKind::Iterable => {
            let (open, close) = if value.is_tuple() { ('(', ')') } else { ('[', ']') };
            output.write_char(open).map_err(write_failure)?;
            let mut count = 0;
            for item in value.try_iter()? {
                if count > 0 {
                    output.write_str(", ").map_err(write_failure)?;
                }
                repr(output, &item)?;
                count += 1;
            }
            if value.is_tuple() && count == 1 {
                output.write_char(',').map_err(write_failure)?;
            }
            output.write_char(close).map_err(write_failure)
        }
        ValueKind::Map => {
            output.write_char('{').map_err(write_failure)?;
            for (index, key) in value.try_iter()?.enumerate() {
                if index > 0 {
                    output.write_str(", ").map_err(write_failure)?;
                }
                repr(output, &key)?;
                output.write_str(": ").map_err(write_failure)?;
                repr(output, &value.get_item(&key)?)?;
            }
            output.write_char('}').map_err(write_failure)
        }
        _ => write!(output, "{value}").map_err(write_failure),
    }
}

/// The number, where Python would call it a float.
pub(super) fn float(value: &Value) -> Option<f64> {
    (value.kind() == ValueKind::Number && !value.is_integer())
        .then(|| f64::try_from(value.clone()).ok())
        .flatten()
}

/// Python's `repr` of a float: the shortest digits that give it back, in positional notation for exponents from -4 to 15
/// (`float_repr_style = 'short'`, CPython's `PyOS_double_to_string` with format `r`).
pub(super) fn float_repr(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let mut positional = number.to_string();
        if !positional.contains('.') {
            positional.push_str(".0");
        }
        return positional;
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

/// Writes Python's `repr` of a string: in single quotes, unless it holds some and no double ones.
fn string_repr(output: &mut impl Write, text: &str) -> fmt::Result {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    output.write_char(quote)?;
    for character in text.chars() {
        match character {
            '\n' => output.write_str("\\n")?,
            '\r' => output.write_str("\\r")?,
            '\t' => output.write_str("\\t")?,
            '\\' => output.write_str("\\\\")?,
            _ if character == quote => write!(output, "\\{character}")?,
            _ if character.is_control() && (character as u32) < 0x100 => {
                write!(output, "\\x{:02x}", character as u32)?;
            }
            '\u{a0}' | '\u{ad}' => write!(output, "\\x{:02x}", character as u32)?,
            '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{3000}' | '\u{feff}' => {
                write!(output, "\\u{:04x}", character as u32)?;
            }
            _ => output.write_char(character)?,
        }
    }
    output.write_char(quote)
}

#[cfg(test)]
mod tests {
    use super::{float_repr, from_json, to_text};

    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (number, text) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.5e300, "1.5e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(float_repr(number), text);
        }
    }

    #[test]
    fn containers_are_written_as_python_writes_them() {
        let value = from_json(&serde_json::json!({"a": [1, 2.5, "it's", "\"'\n"], "b": null, "c": true}));
        assert_eq!(
            to_text(&value).expect("prints"),
            r#"{'a': [1, 2.5, "it's", '"\'\n'], 'b': None, 'c': True}"#
        );
    }
}
