//! What was said, where, and what is wrong with it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use mlx_gate_core::Secret;
use serde_json::Value as Json;

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// On the command line; the flag's name without dashes.
    Flag(&'static str),
    /// In the environment; the variable's name.
    Variable(String),
    /// In a file.
    File {
        /// The file as it was named.
        path: Arc<Path>,
        /// Line, from 1.
        line: usize,
        /// The key.
        key: String,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(formatter, "--{name}"),
            Self::Variable(name) => formatter.write_str(name),
            Self::File { path, line, key } => write!(formatter, "{}:{line}: {key}", path.display()),
        }
    }
}

/// One value, not yet checked.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Text, or a scalar of the file as text.
    Text(String),
    /// Text of an option that is a credential.
    Secret(Secret),
    /// A table of the file.
    Table(serde_json::Map<String, Json>),
}

impl Value {
    /// A credential.
    pub(crate) fn secret(text: impl Into<String>) -> Self {
        Self::Secret(Secret::new(text))
    }
}

impl fmt::Display for Value {
    /// What a message may show of the value.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 80;
        match self {
            Self::Secret(_) => formatter.write_str("a secret value"),
            Self::Table(_) => formatter.write_str("a table"),
            Self::Text(text) if text.is_empty() => formatter.write_str("nothing"),
            Self::Text(text) if text.chars().count() > SHOWN => {
                write!(formatter, "`{}...`", text.chars().take(SHOWN).collect::<String>().escape_debug())
            }
            Self::Text(text) => write!(formatter, "`{}`", text.escape_debug()),
        }
    }
}

/// What one place says about one option.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// Where.
    pub source: Source,
    /// What. More than one only for an option that takes many.
    pub values: Vec<Value>,
}

/// Something in the configuration that cannot be honoured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Where.
    pub source: Source,
    /// What was found there and what was expected.
    pub problem: String,
}

impl Mistake {
    /// A value that is not what was expected.
    pub(crate) fn unexpected(source: &Source, found: impl fmt::Display, expected: impl fmt::Display) -> Self {
        Self { source: source.clone(), problem: format!("found {found}, expected {expected}") }
    }

    /// Any other mistake.
    pub(crate) fn new(source: &Source, problem: impl Into<String>) -> Self {
        Self { source: source.clone(), problem: problem.into() }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.source, self.problem)
    }
}
