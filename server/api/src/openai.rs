//! OpenAI's dialect: <https://platform.openai.com/docs/api-reference>.

pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod embeddings;
pub(crate) mod error;
mod grammar;
mod logprobs;
pub(crate) mod models;
mod obfuscation;
pub(crate) mod options;
pub(crate) mod rerank;
pub(crate) mod responses;
mod schema;
pub(crate) mod score;
pub(crate) mod tokenize;
mod vllm;
pub(crate) mod wire;

use crate::fields;
