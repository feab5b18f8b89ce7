use serde_json::Value;

use crate::Problem;
use crate::guest::Info;

/// What a plugin says of itself, checked.
#[derive(Debug, Clone)]
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) schema: Value,
    /// Headers that carry credentials, lower case.
    pub(crate) credential_headers: Vec<String>,
    /// Other headers it asked for, lower case.
    pub(crate) headers: Vec<String>,
}

/// More headers than any request has a use for.
const MOST_HEADERS: usize = 64;

/// In bytes.
const LONGEST_VERSION: usize = 64;

impl Description {
    pub(super) fn new(info: Info) -> Result<Self, Problem> {
        if !is_name(&info.name) {
            return Err(unusable(format!(
                "the name `{}` is not 1 to 64 lower case letters, digits, `_` and `-`",
                info.name.escape_debug()
            )));
        }
        if info.version.len() > LONGEST_VERSION || info.version.contains(char::is_control) {
            return Err(unusable(format!(
                "its version is longer than {LONGEST_VERSION} bytes or has control characters"
            )));
        }
        let schema: Value = serde_json::from_str(&info.config_schema)
            .map_err(|error| unusable(format!("`config-schema` is not JSON: {error}")))?;
        if !schema.is_object() {
            return Err(unusable("`config-schema` is not a JSON object"));
        }
        if info.credential_headers.len() + info.headers.len() > MOST_HEADERS {
            return Err(unusable(format!("it asks for more than {MOST_HEADERS} headers")));
        }
        if let Some(wrong) = info.credential_headers.iter().chain(&info.headers).find(|name| !is_header(name))
        {
            return Err(unusable(format!(
                "`{}` is not the lower case name of a header",
                wrong.escape_debug()
            )));
        }
        if let Some(both) = info.headers.iter().find(|name| info.credential_headers.contains(name)) {
            return Err(unusable(format!("`{both}` is both a credential and another header")));
        }
        Ok(Self {
            name: info.name,
            version: info.version,
            schema,
            credential_headers: info.credential_headers,
            headers: info.headers,
        })
    }
}

fn unusable(reason: impl Into<String>) -> Problem {
    Problem::Description(reason.into())
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

/// A token by RFC 9110 section 5.6.2, without upper case letters.
fn is_header(name: &str) -> bool {
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}
