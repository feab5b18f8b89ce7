//! Where in an answer the facts about a caller are: in a header, or in a JSON body.

use std::fmt;

use mlx_gate_plugin::Rejected;
use mlx_gate_plugin::http::Response;
use serde_json::Value;

/// The longest name, the longest text, and the most entries of a list that the host takes.
const LONGEST_NAME: usize = 256;
const LONGEST_TEXT: usize = 2048;
const MOST_ENTRIES: usize = 128;

/// A header by its name, or a value by its JSON pointer (RFC 6901), which begins with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Header(String),
    Body(String),
}

/// Where each fact is.
pub(crate) struct Sources {
    pub(crate) subject: Source,
    pub(crate) tenant: Source,
    pub(crate) roles: Source,
    pub(crate) scopes: Source,
    pub(crate) expires: Source,
    pub(crate) claims: Vec<Source>,
}

/// An answer with its body, where one of the sources needs it.
pub(crate) struct Document<'r> {
    pub(crate) response: &'r Response,
    pub(crate) body: Value,
}

impl Sources {
    pub(crate) fn need_body(&self) -> bool {
        let Self { subject, tenant, roles, scopes, expires, claims } = self;
        let facts = [subject, tenant, roles, scopes, expires];
        facts.into_iter().chain(claims).any(|source| matches!(source, Source::Body(_)))
    }

    /// Further facts, by the header's name or the pointer's last part.
    pub(crate) fn claims(&self, document: &Document) -> Result<Vec<(String, String)>, String> {
        let found = self.claims.iter().filter_map(|source| Some((source, source.find(document)?)));
        found
            .map(|(source, value)| {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let fits = text.len() <= LONGEST_TEXT;
                fits.then(|| (source.last_name(), text)).ok_or_else(|| source.odd("a bearable length"))
            })
            .collect()
    }
}

impl Source {
    /// Reads an option's value.
    pub(crate) fn read(option: &str, text: &str) -> Result<Self, Rejected> {
        let wrong = |what: &str| Rejected::new(format_args!("`{option}` {what}"));
        if text.starts_with('/') {
            let fits = text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
                && text.len() <= LONGEST_NAME;
            let pointer = fits.then(|| Self::Body(text.to_owned()));
            return pointer.ok_or_else(|| wrong("is no JSON pointer of at most 256 bytes (RFC 6901)"));
        }
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if text.is_empty() || text.len() > 64 || !text.bytes().all(fits) {
            return Err(wrong("is the name of a header, or a JSON pointer that begins with `/`"));
        }
        Ok(Self::Header(text.to_ascii_lowercase()))
    }

    fn find(&self, document: &Document) -> Option<Value> {
        match self {
            // An empty header says nothing, as with the servers that send every header every time.
            Self::Header(name) => {
                document.response.header(name).map(str::trim).filter(|text| !text.is_empty()).map(Value::from)
            }
            Self::Body(pointer) => document.body.pointer(pointer).filter(|value| !value.is_null()).cloned(),
        }
    }

    pub(crate) fn text(&self, document: &Document) -> Result<Option<String>, String> {
        let Some(value) = self.find(document) else { return Ok(None) };
        let text = value.as_str().filter(|text| is_name(text));
        text.map(|text| Some(text.to_owned())).ok_or_else(|| self.odd("a name of 1 to 256 bytes"))
    }

    /// An array of names, or names with commas or spaces between.
    pub(crate) fn list(&self, document: &Document) -> Result<Vec<String>, String> {
        let names: Option<Vec<String>> = match self.find(document) {
            None => return Ok(Vec::new()),
            Some(Value::String(text)) => {
                let names = text.split([',', ' ']).filter(|name| !name.is_empty());
                Some(names.map(str::to_owned).collect())
            }
            Some(Value::Array(items)) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            Some(_) => None,
        };
        let names =
            names.filter(|names| names.len() <= MOST_ENTRIES && names.iter().all(|name| is_name(name)));
        names.ok_or_else(|| self.odd("a list of at most 128 names of 1 to 256 bytes"))
    }

    /// Seconds since 1970, in milliseconds.
    pub(crate) fn unix_ms(&self, document: &Document) -> Result<Option<u64>, String> {
        let Some(value) = self.find(document) else { return Ok(None) };
        let number = value.as_f64().or_else(|| value.as_str()?.parse().ok());
        let number = number.filter(|seconds| (0.0..=1e12).contains(seconds));
        number.map(|seconds| Some((seconds * 1000.0) as u64)).ok_or_else(|| self.odd("seconds since 1970"))
    }

    fn last_name(&self) -> String {
        match self {
            Self::Header(name) => name.clone(),
            Self::Body(pointer) => pointer.rsplit('/').next().unwrap_or_default().to_owned(),
        }
    }

    /// The value itself is not repeated.
    fn odd(&self, wanted: &str) -> String {
        format!("has something else than {wanted} at {self}")
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(formatter, "the header `{name}`"),
            Self::Body(pointer) => write!(formatter, "`{pointer}` of the body"),
        }
    }
}

fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len()) && !text.contains(char::is_control)
}
