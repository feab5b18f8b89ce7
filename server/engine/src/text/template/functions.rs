//! Functions, filters and tests that transformers adds to Jinja2, and those of Jinja2 that minijinja lacks or defines in
//! another way.

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};

use super::{Clock, json, python};

/// The message a template gave to `raise_exception`.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Raised(pub(super) String);

pub(super) fn install(environment: &mut Environment<'static>, clock: Clock) {
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", move |format: &str| strftime(&clock(), format));

    environment.add_filter("tojson", json::tojson);
    environment.add_filter("fromjson", json::fromjson);
    environment.add_filter("string", python::to_text);
    environment.add_filter("join", join);
    environment.add_filter("default", default);
    environment.add_filter("d", default);
    environment.add_filter("replace", replace);
    environment.add_filter("int", int);
    environment.add_filter("float", float);
    environment.add_filter("length", length);
    environment.add_filter("count", length);

    environment.add_test("sequence", is_sequence);
    environment.add_test("iterable", is_iterable);
    environment.add_test("callable", |value: &Value| value.kind() == ValueKind::Plain);
    environment.add_test("divisibleby", is_divisible_by);
}

fn raise_exception(message: &Value) -> Result<Value, Error> {
    let message = python::to_text(message)?;
    Err(Error::new(ErrorKind::InvalidOperation, message.clone()).with_source(Raised(message)))
}

fn strftime(now: &jiff::Zoned, format: &str) -> Result<String, Error> {
    jiff::fmt::strtime::format(format, now)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("strftime_now: {error}")))
}

/// `join(d='', attribute=None)`; minijinja's own prints containers in another way.
fn join(value: &Value, separator: Option<Value>, keywords: Kwargs) -> Result<String, Error> {
    let separator = match separator {
        Some(separator) => Some(separator),
        None => keywords.get("d")?,
    };
    let separator = separator.as_ref().map(python::to_text).transpose()?.unwrap_or_default();
    let attribute: Option<Value> = keywords.get("attribute")?;
    keywords.assert_all_used()?;
    let mut joined = String::new();
    for (index, item) in value.try_iter()?.enumerate() {
        if index > 0 {
            joined.push_str(&separator);
        }
        match &attribute {
            None => python::print(&mut joined, &item)?,
            Some(attribute) => python::print(&mut joined, &item.get_item(attribute)?)?,
        }
    }
    Ok(joined)
}

/// `default(default_value='', boolean=False)`; minijinja's own takes no keywords.
fn default(value: &Value, default: Option<Value>, boolean: Option<bool>, keywords: Kwargs) -> Result<Value, Error> {
    let default = default.or(keywords.get("default_value")?).unwrap_or_else(|| Value::from(""));
    let boolean = boolean.or(keywords.get("boolean")?).unwrap_or(false);
    keywords.assert_all_used()?;
    Ok(if value.is_undefined() || (boolean && !value.is_true()) { default } else { value.clone() })
}

/// `replace(old, new, count=None)`; minijinja's own has no count.
fn replace(value: &Value, old: &str, new: &str, count: Option<usize>) -> Result<String, Error> {
    let text = python::to_text(value)?;
    Ok(count.map_or_else(|| text.replace(old, new), |count| text.replacen(old, new, count)))
}

/// `int(default=0)`; minijinja's own fails where the text is no number.
fn int(value: &Value, default: Option<i64>) -> Value {
    let parsed = match value.as_str() {
        Some(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| text.parse::<f64>().ok().filter(|float| float.is_finite()).map(|float| float as i64))
        }
        None if value.kind() == ValueKind::Bool => Some(i64::from(value.is_true())),
        None => value.as_i64().or_else(|| f64::try_from(value.clone()).ok().map(|float| float as i64)),
    };
    parsed.or(default).unwrap_or(0).into()
}

/// `float(default=0.0)`; minijinja's own fails where the text is no number.
fn float(value: &Value, default: Option<f64>) -> Value {
    let parsed = match value.as_str() {
        Some(text) => text.trim().parse().ok(),
        None if value.kind() == ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        None => f64::try_from(value.clone()).ok(),
    };
    parsed.or(default).unwrap_or(0.0).into()
}

/// Jinja2's undefined values have length 0.
fn length(value: &Value) -> Result<usize, Error> {
    if value.is_undefined() {
        return Ok(0);
    }
    value.len().ok_or_else(|| {
        Error::new(ErrorKind::InvalidOperation, format!("a value of type {} has no length", value.kind()))
    })
}

/// Jinja2 asks for a length and items by key, which strings, dictionaries and undefined values have too.
fn is_sequence(value: &Value) -> bool {
    use ValueKind::{Iterable, Map, Seq, String, Undefined};
    matches!(value.kind(), Seq | Iterable | String | Map | Undefined)
}

/// In Python `None` cannot be iterated over; undefined values can.
fn is_iterable(value: &Value) -> bool {
    !value.is_none() && value.try_iter().is_ok()
}

/// minijinja's own panics for 0.
fn is_divisible_by(value: i64, divisor: i64) -> Result<bool, Error> {
    value
        .checked_rem(divisor)
        .map(|rest| rest == 0)
        .ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "divisibleby: division by zero"))
}
