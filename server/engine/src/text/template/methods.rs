//! Python's methods on strings, lists and dictionaries, as far as an immutable sandbox allows them.

use minijinja::value::{Kwargs, Tuple, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

use super::python;

/// Answers method calls that minijinja itself does not know.
pub(super) fn call(
    state: &mut State,
    value: &Value,
    method: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    if method == "__slice__" {
        return slice(value, arguments);
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

/// `value[start:stop:step]`, by the rules of Python's `slice.indices`.
fn slice(value: &Value, arguments: &[Value]) -> Result<Value, Error> {
    let (start, stop, step): (Option<i64>, Option<i64>, Option<i64>) = from_args(arguments)?;
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(invalid("slice step cannot be zero"));
    }
    if let Some(text) = value.as_str() {
        let characters: Vec<char> = text.chars().collect();
        let picked = indices(characters.len(), start, stop, step).filter_map(|index| characters.get(index));
        return Ok(picked.collect::<String>().into());
    }
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable) {
        return Err(invalid(format!("a value of type {} cannot be sliced", value.kind())));
    }
    let items: Vec<Value> = value.try_iter()?.collect();
    let picked: Vec<Value> =
        indices(items.len(), start, stop, step).filter_map(|index| items.get(index)).cloned().collect();
    Ok(if value.is_tuple() { Tuple::from(picked).into() } else { picked.into() })
}

/// The positions of a slice in a sequence of `length` items.
fn indices(length: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> impl Iterator<Item = usize> {
    let length = length as i64;
    let backwards = step < 0;
    let (lowest, highest) = if backwards { (-1, length - 1) } else { (0, length) };
    let bound = |position: i64| {
        let position = if position < 0 { position.saturating_add(length) } else { position };
        position.clamp(lowest, highest)
    };
    let first = start.map_or(if backwards { highest } else { lowest }, bound);
    let end = stop.map_or(if backwards { lowest } else { highest }, bound);
    let inside = move |at: &i64| if backwards { *at > end } else { *at < end };
    std::iter::successors(Some(first), move |at| at.checked_add(step))
        .take_while(inside)
        .map(|at| at as usize)
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// Methods on strings that minijinja-contrib lacks, or answers in another way than Python.
fn string_method(text: &str, method: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "strip" | "lstrip" | "rstrip" => strip(text, method, arguments)?.into(),
        "split" | "rsplit" => split(text, method, arguments)?.into(),
        "splitlines" => {
            let (keep_ends, keywords): (Option<bool>, Kwargs) = from_args(arguments)?;
            let keep_ends = keep_ends.or(keywords.get("keepends")?).unwrap_or(false);
            keywords.assert_all_used()?;
            lines(text, keep_ends).into_iter().map(Value::from).collect()
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
        "find" | "rfind" | "index" | "rindex" | "count" => search(text, method, arguments)?,
        "isdecimal" => {
            from_args::<()>(arguments)?;
            (!text.is_empty() && text.chars().all(char::is_numeric)).into()
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
        "format" => {
            check_widths(text)?;
            return Ok(None);
        }
        _ => return Ok(None),
    }))
}

/// Refuses a format string with a width that would take the machine's memory: minijinja pads to whatever it reads there,
/// and a failed allocation ends the process.
pub(super) fn check_widths(format: &str) -> Result<(), Error> {
    const MAX_DIGITS: usize = 6;
    let longest =
        format.split(|character: char| !character.is_ascii_digit()).map(str::len).max().unwrap_or(0);
    if longest > MAX_DIGITS {
        return Err(invalid(format!(
            "a format string with a number of more than {MAX_DIGITS} digits is refused"
        )));
    }
    Ok(())
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
    let (separator, limit, keywords): (Option<String>, Option<i64>, Kwargs) = from_args(arguments)?;
    let separator = separator.or(keywords.get("sep")?);
    let limit = limit.or(keywords.get("maxsplit")?);
    keywords.assert_all_used()?;
    // Python counts splits, Rust counts pieces; a negative number is no limit.
    let pieces = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .map_or(usize::MAX, |limit| limit.saturating_add(1));
    let from_right = method == "rsplit";
    let mut parts: Vec<&str> = match separator.as_deref() {
        Some("") => return Err(invalid("empty separator")),
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
            rest.char_indices()
                .rfind(|(_, character)| is_space(*character))
                .map(|(at, space)| (at + space.len_utf8(), at))
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

/// What Python's `str.splitlines` takes for the end of a line.
pub(super) fn is_line_end(character: char) -> bool {
    matches!(
        character,
        '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

/// Python's `str.splitlines`.
pub(super) fn lines(text: &str, keep_ends: bool) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(is_line_end) {
        let length = if rest[at..].starts_with("\r\n") {
            2
        } else {
            rest[at..].chars().next().map_or(0, char::len_utf8)
        };
        lines.push(&rest[..if keep_ends { at + length } else { at }]);
        rest = &rest[at + length..];
    }
    if !rest.is_empty() {
        lines.push(rest);
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

/// `find`, `index`, `count` and their like, with Python's optional start and end in characters.
fn search(text: &str, method: &str, arguments: &[Value]) -> Result<Value, Error> {
    let (part, start, end): (&str, Option<i64>, Option<i64>) = from_args(arguments)?;
    let characters: Vec<char> = text.chars().collect();
    let window: Vec<usize> = indices(characters.len(), start, end, 1).collect();
    let (offset, window): (usize, String) = (
        window.first().copied().unwrap_or(0),
        window.iter().filter_map(|index| characters.get(*index)).collect(),
    );
    if method == "count" {
        return Ok(window.matches(part).count().into());
    }
    let found = if method.starts_with('r') { window.rfind(part) } else { window.find(part) };
    match found {
        Some(at) => Ok((offset + window[..at].chars().count()).into()),
        None if method.ends_with("find") => Ok((-1).into()),
        None => Err(invalid("substring not found")),
    }
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
            invalid(message)
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
        return Err(invalid(format!("{method}: the width is above {MAX_WIDTH}")));
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
    let swapped = if character.is_uppercase() {
        character.to_lowercase().next()
    } else {
        character.to_uppercase().next()
    };
    swapped.unwrap_or(character)
}

fn sequence_method(value: &Value, method: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "index" => {
            let (wanted,): (&Value,) = from_args(arguments)?;
            let at = value.try_iter()?.position(|item| item == *wanted);
            at.map(Value::from).ok_or_else(|| {
                let shown = python::to_text(wanted).unwrap_or_default();
                invalid(format!("{shown} is not in the list"))
            })?
        }
        "copy" => {
            from_args::<()>(arguments)?;
            value.clone()
        }
        "append" | "extend" | "insert" | "pop" | "remove" | "clear" | "sort" | "reverse" => {
            let message =
                format!("templates may not change lists; `{method}` is refused, as in transformers' sandbox");
            return Err(invalid(message));
        }
        _ => return Ok(None),
    }))
}
