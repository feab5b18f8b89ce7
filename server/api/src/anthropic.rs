//! Anthropic's dialect: <https://platform.claude.com/docs/en/api/messages>.

pub(crate) mod count_tokens;
pub(crate) mod error;
pub(crate) mod messages;
pub(crate) mod models;
mod prompt;
mod schema;
