//! Functions, filters and tests that transformers adds to Jinja2, and those of Jinja2 that minijinja lacks or defines in
//! another way.

#![expect(clippy::needless_pass_by_value, reason = "minijinja hands keyword arguments over by value only")]

use minijinja::formatting::FormatStyle;
use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Value};

use super::{Clock, json, methods, python};

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
    environment.add_filter("format", format);
    environment.add_filter("int", int);
    environment.add_filter("float", float);
    environment.add_filter("indent", indent);
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
fn default(
    value: &Value,
    default: Option<Value>,
    boolean: Option<bool>,
    keywords: Kwargs,
) -> Result<Value, Error> {
    let default = default.or(keywords.get("default_value")?).unwrap_or_else(|| Value::from(""));
    let boolean = boolean.or(keywords.get("boolean")?).unwrap_or(false);
    keywords.assert_all_used()?;
    Ok(if value.is_undefined() || (boolean && !value.is_true()) { default } else { value.clone() })
}

/// `replace(old, new, count=None)`; minijinja's own has no count.
fn replace(
    value: &Value,
    old: &str,
    new: &str,
    count: Option<usize>,
    keywords: Kwargs,
) -> Result<String, Error> {
    let count = count.or(keywords.get("count")?);
    keywords.assert_all_used()?;
    let text = python::to_text(value)?;
    Ok(count.map_or_else(|| text.replace(old, new), |count| text.replacen(old, new, count)))
}

/// `indent(width=4, first=False, blank=False)`; minijinja's own drops a newline at the end.
fn indent(
    value: &Value,
    width: Option<Value>,
    first: Option<bool>,
    blank: Option<bool>,
    keywords: Kwargs,
) -> Result<String, Error> {
    let width = width.or(keywords.get("width")?).unwrap_or_else(|| Value::from(4));
    let first = first.or(keywords.get("first")?).unwrap_or(false);
    let blank = blank.or(keywords.get("blank")?).unwrap_or(false);
    keywords.assert_all_used()?;
    let indentation = json::indentation(&width)?;
    let text = python::to_text(value)?;
    // Jinja2 adds a newline before it splits, so that one at the end of the text is kept.
    let lines = methods::lines(&text, false)
        .into_iter()
        .chain((text.is_empty() || text.ends_with(methods::is_line_end)).then_some(""));
    let mut indented = String::with_capacity(text.len());
    for (index, line) in lines.enumerate() {
        if index > 0 {
            indented.push('\n');
        }
        if if index == 0 { first } else { blank || !line.is_empty() } {
            indented.push_str(&indentation);
        }
        indented.push_str(line);
    }
    Ok(indented)
}

/// `format(*args)`, with a bound on its widths.
fn format(text: &str, arguments: Rest<Value>) -> Result<String, Error> {
    methods::check_widths(text)?;
    minijinja::formatting::format(FormatStyle::Printf, text, &arguments)
}

/// `int(default=0)`; minijinja's own fails where the text is no number.
fn int(value: &Value, default: Option<i64>) -> Value {
    let parsed = match value.as_str() {
        Some(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| {
                text.parse::<f64>().ok().filter(|float| float.is_finite()).map(|float| float as i64)
            })
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
