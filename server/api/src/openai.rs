//! OpenAI's dialect: <https://platform.openai.com/docs/api-reference>.

pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod error;
mod fields;
pub(crate) mod models;
mod options;
mod wire;
