//! Python's methods on strings, lists and dictionaries, as far as an immutable sandbox allows them.

use minijinja::value::{Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

use super::python;

/// Answers method calls that minijinja itself does not know.
pub(super) fn call(state: &mut State, value: &Value, method: &str, arguments: &[Value]) -> Result<Value, Error> {
    if method == "__reversed__" {
        return reversed(value, arguments);
    }
    let answer = match (value.kind(), value.as_str()) {
        (ValueKind::String, Some(text)) => string_method(text, method, arguments)?,
        (ValueKind::Map, _) if method == "copy" => {
            from_args::<()>(arguments)?;
            Some(value.clone())
        }
        (ValueKind::Seq | ValueKind::Iterable, _) => sequence_method(value, method, arguments)?,
        _ => None,
    };
    match answer {
        Some(answer) => Ok(answer),
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, arguments),
    }
}

/// `value[::-1]`.
fn reversed(value: &Value, arguments: &[Value]) -> Result<Value, Error> {
    from_args::<()>(arguments)?;
    if let Some(text) = value.as_str() {
        return Ok(text.chars().rev().collect::<String>().into());
    }
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) {
        return Err(Error::new(ErrorKind::InvalidOperation, format!("a value of type {} cannot be reversed", value.kind())));
    }
    let mut items: Vec<Value> = value.try_iter()?.collect();
    items.reverse();
    Ok(if value.is_tuple() { Tuple::from(items).into() } else { items.into() })
}

/// Methods on strings that minijinja-contrib lacks, or answers in another way than Python.
fn string_method(text: &str, method: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "strip" | "lstrip" | "rstrip" => strip(text, method, arguments)?.into(),
        "split" | "rsplit" => split(text, method, arguments)?.into(),
        "splitlines" => {
            let (keep_ends,): (Option<bool>,) = from_args(arguments)?;
            split_lines(text, keep_ends.unwrap_or(false)).into()
        }
        "partition" | "rpartition" => partition(text, method, arguments)?,
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(arguments)?;
            text.strip_prefix(prefix).unwrap_or(text).into()
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(arguments)?;
            text.strip_suffix(suffix).unwrap_or(text).into()
        }
        "title" => {
            from_args::<()>(arguments)?;
            title(text).into()
        }
        "index" | "rindex" => {
            let (part,): (&str,) = from_args(arguments)?;
            let found = if method == "index" { text.find(part) } else { text.rfind(part) };
            let at = found.ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "substring not found"))?;
            text[..at].chars().count().into()
        }
        "join" => {
            let (items,): (&Value,) = from_args(arguments)?;
            join(text, items)?.into()
        }
        "ljust" | "rjust" | "center" | "zfill" => pad(text, method, arguments)?.into(),
        "casefold" => {
            from_args::<()>(arguments)?;
            text.to_lowercase().into()
        }
        "swapcase" => {
            from_args::<()>(arguments)?;
            text.chars().map(swap_case).collect::<String>().into()
        }
        _ => return Ok(None),
    }))
}

/// What Python's `str.isspace` says of one character: Unicode white space and the four separators of ASCII.
fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

fn strip<'a>(text: &'a str, method: &str, arguments: &[Value]) -> Result<&'a str, Error> {
    let (characters,): (Option<&str>,) = from_args(arguments)?;
    let goes = |character: char| characters.map_or(is_space(character), |set| set.contains(character));
    Ok(match method {
        "lstrip" => text.trim_start_matches(goes),
        "rstrip" => text.trim_end_matches(goes),
        _ => text.trim_matches(goes),
    })
}

fn split(text: &str, method: &str, arguments: &[Value]) -> Result<Vec<Value>, Error> {
    let (separator, limit): (Option<&str>, Option<i64>) = from_args(arguments)?;
    // Python counts splits, Rust counts pieces; a negative number is no limit.
    let pieces = limit.and_then(|limit| usize::try_from(limit).ok()).map_or(usize::MAX, |limit| limit.saturating_add(1));
    let from_right = method == "rsplit";
    let mut parts: Vec<&str> = match separator {
        Some("") => return Err(Error::new(ErrorKind::InvalidOperation, "empty separator")),
        Some(separator) if from_right => text.rsplitn(pieces, separator).collect(),
        Some(separator) => text.splitn(pieces, separator).collect(),
        None => split_spaces(text, pieces, from_right),
    };
    if from_right {
        parts.reverse();
    }
    Ok(parts.into_iter().map(Value::from).collect())
}

/// Splits at runs of white space, last piece first when going from the right.
fn split_spaces(text: &str, pieces: usize, from_right: bool) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        rest = if from_right { rest.trim_end_matches(is_space) } else { rest.trim_start_matches(is_space) };
        if rest.is_empty() {
            return parts;
        }
        if parts.len() + 1 >= pieces {
            parts.push(rest);
            return parts;
        }
        let cut = if from_right {
            rest.char_indices().rfind(|(_, character)| is_space(*character)).map(|(at, space)| (at + space.len_utf8(), at))
        } else {
            rest.char_indices().find(|(_, character)| is_space(*character)).map(|(at, _)| (at, at))
        };
        let Some((piece, other)) = cut else {
            parts.push(rest);
            return parts;
        };
        if from_right {
            parts.push(&rest[piece..]);
            rest = rest[..other].trim_end_matches(is_space);
        } else {
            parts.push(&rest[..piece]);
            rest = &rest[other..];
        }
    }
}

fn split_lines(text: &str, keep_ends: bool) -> Vec<Value> {
    let ends = |character: char| {
        matches!(character, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}')
    };
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(ends) {
        let length = if rest[at..].starts_with("\r\n") { 2 } else { rest[at..].chars().next().map_or(0, char::len_utf8) };
        lines.push(Value::from(&rest[..if keep_ends { at + length } else { at }]));
        rest = &rest[at + length..];
    }
    if !rest.is_empty() {
        lines.push(Value::from(rest));
    }
    lines
}

fn partition(text: &str, method: &str, arguments: &[Value]) -> Result<Value, Error> {
    let (separator,): (&str,) = from_args(arguments)?;
    let parts = if method == "partition" {
        text.split_once(separator).map_or([text, "", ""], |(before, after)| [before, separator, after])
    } else {
        text.rsplit_once(separator).map_or(["", "", text], |(before, after)| [before, separator, after])
    };
    Ok(Tuple::from(parts.map(Value::from).to_vec()).into())
}

/// Upper case after every character that has no case, lower case elsewhere: `it's` becomes `It'S`.
fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut inside = false;
    for character in text.chars() {
        if inside {
            titled.extend(character.to_lowercase());
        } else {
            titled.extend(character.to_uppercase());
        }
        inside = character.is_lowercase() || character.is_uppercase();
    }
    titled
}

fn join(separator: &str, items: &Value) -> Result<String, Error> {
    let mut joined = String::new();
    for (index, item) in items.try_iter()?.enumerate() {
        if index > 0 {
            joined.push_str(separator);
        }
        let text = item.as_str().ok_or_else(|| {
            let message = format!("sequence item {index}: expected str instance, {} found", item.kind());
            Error::new(ErrorKind::InvalidOperation, message)
        })?;
        joined.push_str(text);
    }
    Ok(joined)
}

fn pad(text: &str, method: &str, arguments: &[Value]) -> Result<String, Error> {
    /// Far beyond any table a prompt may hold.
    const MAX_WIDTH: usize = 10_000;
    let (width, fill): (usize, Option<&str>) = from_args(arguments)?;
    if width > MAX_WIDTH {
        return Err(Error::new(ErrorKind::InvalidOperation, format!("{method}: the width is above {MAX_WIDTH}")));
    }
    let missing = width.saturating_sub(text.chars().count());
    let fill = fill.unwrap_or(" ");
    Ok(match method {
        "ljust" => format!("{text}{}", fill.repeat(missing)),
        "rjust" => format!("{}{text}", fill.repeat(missing)),
        "zfill" => {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['+', '-'])));
            format!("{sign}{}{digits}", "0".repeat(missing))
        }
        // CPython's rule for an odd number of missing characters (`unicode_center`).
        _ => {
            let left = missing / 2 + (missing & width & 1);
            format!("{}{text}{}", fill.repeat(left), fill.repeat(missing - left))
        }
    })
}

fn swap_case(character: char) -> char {
    let swapped = if character.is_uppercase() { character.to_lowercase().next() } else { character.to_uppercase().next() };
    swapped.unwrap_or(character)
}

fn sequence_method(value: &Value, method: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "index" => {
            let (wanted,): (&Value,) = from_args(arguments)?;
            let at = value.try_iter()?.position(|item| item == *wanted);
            at.map(Value::from).ok_or_else(|| {
                let shown = python::to_text(wanted).unwrap_or_default();
                Error::new(ErrorKind::InvalidOperation, format!("{shown} is not in the list"))
            })?
        }
        "copy" => {
            from_args::<()>(arguments)?;
            value.clone()
        }
        "append" | "extend" | "insert" | "pop" | "remove" | "clear" | "sort" | "reverse" => {
            let message = format!("templates may not change lists; `{method}` is refused, as in transformers' sandbox");
            return Err(Error::new(ErrorKind::InvalidOperation, message));
        }
        _ => return Ok(None),
    }))
}
