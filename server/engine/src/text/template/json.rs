//! The `tojson` filter: Python's `json.dumps` with the keywords that transformers passes on.

use std::fmt::Write;

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use super::python;

/// Containers nested deeper than this are refused, as Python's own recursion limit does.
const MAX_DEPTH: usize = 200;

/// `tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
#[expect(clippy::needless_pass_by_value, reason = "minijinja hands keyword arguments over by value only")]
pub(super) fn tojson(value: &Value, positional: Rest<Value>, keywords: Kwargs) -> Result<String, Error> {
    let mut positional = positional.0.into_iter();
    let mut argument = |name: &str| -> Result<Option<Value>, Error> {
        let value = match positional.next() {
            Some(value) => Some(value),
            None => keywords.get(name)?,
        };
        Ok(value.filter(|value| !value.is_none() && !value.is_undefined()))
    };
    let ensure_ascii = argument("ensure_ascii")?.is_some_and(|value| value.is_true());
    let indent = argument("indent")?.as_ref().map(indentation).transpose()?;
    let separators = argument("separators")?.as_ref().map(separators).transpose()?;
    let sort_keys = argument("sort_keys")?.is_some_and(|value| value.is_true());
    keywords.assert_all_used()?;

    let item = if indent.is_some() { "," } else { ", " };
    let (item_separator, key_separator) = separators.unwrap_or_else(|| (item.to_owned(), ": ".to_owned()));
    let mut writer = Writer {
        text: String::new(),
        ensure_ascii,
        indent,
        item_separator,
        key_separator,
        sort_keys,
        depth: 0,
    };
    writer.value(value)?;
    Ok(writer.text)
}

/// The `fromjson` filter. transformers has none; some templates expect one of their server.
pub(super) fn fromjson(text: &str) -> Result<Value, Error> {
    serde_json::from_str(text)
        .map(|value: serde_json::Value| python::from_json(&value))
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("fromjson: {error}")))
}

/// The white space that `indent` stands for, in the filters that take one.
pub(super) fn indentation(indent: &Value) -> Result<String, Error> {
    if let Some(text) = indent.as_str() {
        return Ok(text.to_owned());
    }
    let width = indent.as_i64().ok_or_else(|| invalid("an indent is a number of spaces or a string"))?;
    usize::try_from(width.max(0))
        .ok()
        .filter(|width| *width <= 64)
        .map(|width| " ".repeat(width))
        .ok_or_else(|| invalid("an indent of more than 64 spaces is refused"))
}

fn separators(pair: &Value) -> Result<(String, String), Error> {
    let texts: Vec<String> =
        pair.try_iter()?.filter_map(|separator| separator.as_str().map(str::to_owned)).collect();
    let [item, key] = <[String; 2]>::try_from(texts)
        .map_err(|_| invalid("tojson: separators are two strings, between items and after keys"))?;
    Ok((item, key))
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

struct Writer {
    text: String,
    ensure_ascii: bool,
    indent: Option<String>,
    item_separator: String,
    key_separator: String,
    sort_keys: bool,
    depth: usize,
}

impl Writer {
    fn value(&mut self, value: &Value) -> Result<(), Error> {
        match value.kind() {
            ValueKind::None => self.text.push_str("null"),
            ValueKind::Bool => self.text.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.text.push_str(&number(value)),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                self.container('[', ']', value.try_iter()?, |writer, item| writer.value(&item))?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if self.sort_keys {
                    keys.sort();
                }
                self.container('{', '}', keys.into_iter(), |writer, key| {
                    writer.key(&key)?;
                    writer.text.push_str(&writer.key_separator.clone());
                    writer.value(&value.get_item(&key)?)
                })?;
            }
            kind => {
                return Err(Error::new(
                    ErrorKind::BadSerialization,
                    format!("tojson: {kind} cannot be written as JSON"),
                ));
            }
        }
        Ok(())
    }

    fn container(
        &mut self,
        open: char,
        close: char,
        items: impl Iterator<Item = Value>,
        mut write: impl FnMut(&mut Self, Value) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(invalid("tojson: the value is nested too deeply"));
        }
        self.text.push(open);
        let mut empty = true;
        for item in items {
            if !empty {
                self.text.push_str(&self.item_separator.clone());
            }
            empty = false;
            self.line();
            write(self, item)?;
        }
        self.depth -= 1;
        if !empty {
            self.line();
        }
        self.text.push(close);
        Ok(())
    }

    /// Starts a line, where the layout has lines.
    fn line(&mut self) {
        if let Some(indent) = &self.indent {
            self.text.push('\n');
            for _ in 0..self.depth {
                self.text.push_str(indent);
            }
        }
    }

    /// Python's `json` writes keys that are not strings as strings.
    fn key(&mut self, key: &Value) -> Result<(), Error> {
        match key.kind() {
            ValueKind::String => self.string(key.as_str().unwrap_or_default()),
            ValueKind::None | ValueKind::Bool | ValueKind::Number => {
                self.text.push('"');
                self.value(key)?;
                self.text.push('"');
            }
            kind => {
                return Err(Error::new(
                    ErrorKind::BadSerialization,
                    format!("tojson: {kind} cannot be a key"),
                ));
            }
        }
        Ok(())
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for character in text.chars() {
            match character {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                '\u{8}' => self.text.push_str("\\b"),
                '\u{c}' => self.text.push_str("\\f"),
                '\0'..='\u{1f}' => self.escape(character),
                '\u{7f}'.. if self.ensure_ascii => self.escape(character),
                _ => self.text.push(character),
            }
        }
        self.text.push('"');
    }

    fn escape(&mut self, character: char) {
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string cannot fail.
            let _ = write!(self.text, "\\u{unit:04x}");
        }
    }
}

fn number(value: &Value) -> String {
    match python::float(value) {
        Some(float) if float.is_nan() => "NaN".to_owned(),
        Some(float) if float.is_infinite() => if float > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        Some(float) => python::float_repr(float),
        None => value.to_string(),
    }
}
