//! Headers that plugins may set, and those that are not theirs.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::{ENTRIES, TEXT, few, wrong};
use crate::Failure;

/// The rule, which plugins are held to before they are loaded as well: the SDK reads the same file.
const RESERVED: &str = include_str!("../../../../wit/0.1.0/reserved-headers.txt");

static OF_RESPONSE: LazyLock<Reserved> = LazyLock::new(|| Reserved::in_direction("response"));
static OF_UPSTREAM: LazyLock<Reserved> = LazyLock::new(|| Reserved::in_direction("upstream"));

/// Headers that are not a plugin's to set in one direction.
struct Reserved {
    names: HashSet<&'static str>,
    beginnings: Vec<&'static str>,
}

impl Reserved {
    fn in_direction(wanted: &str) -> Self {
        let entries = RESERVED.lines().filter_map(|line| line.split_once(' '));
        let entries = entries.filter(|(direction, _)| *direction == "any" || *direction == wanted);
        let (patterns, names): (Vec<_>, Vec<_>) =
            entries.map(|(_, name)| name).partition(|name| name.ends_with('*'));
        let beginnings = patterns.into_iter().map(|pattern| pattern.trim_end_matches('*'));
        Self { names: names.into_iter().collect(), beginnings: beginnings.collect() }
    }

    fn has(&self, name: &str) -> bool {
        self.names.contains(name) || self.beginnings.iter().any(|beginning| name.starts_with(beginning))
    }
}

/// Headers for the response.
pub(super) fn of_response(headers: &[(String, String)]) -> Result<(), Failure> {
    check(headers, &OF_RESPONSE)
}

/// Headers towards an upstream.
pub(super) fn to_upstream(headers: &[(String, String)]) -> Result<(), Failure> {
    check(headers, &OF_UPSTREAM)
}

pub(super) fn optional_value(what: &str, text: Option<&str>) -> Result<(), Failure> {
    text.map_or(Ok(()), |text| value(what, text))
}

fn check(headers: &[(String, String)], reserved: &Reserved) -> Result<(), Failure> {
    for (name, text) in few("headers", headers, ENTRIES)? {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if !(1..=64).contains(&name.len()) || !name.bytes().all(fits) {
            return Err(wrong("a header whose name is not 1 to 64 lower case letters, digits and `-`"));
        }
        if reserved.has(name) {
            return Err(wrong(format!("the header `{name}`, which is not a plugin's to set")));
        }
        value("a header's value", text)?;
    }
    Ok(())
}

/// Visible ASCII and spaces: with a line break a plugin could write headers of its own.
fn value(what: &str, text: &str) -> Result<(), Failure> {
    if text.len() > TEXT || !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err(wrong(format!("{what} that is not printable ASCII, or longer than {TEXT} bytes")));
    }
    Ok(())
}
