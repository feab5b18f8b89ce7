//! What [`super::request`] takes in, as `/openapi.json` has it.
#![expect(dead_code, reason = "these types are read by `JsonSchema` alone; no request is ever made into one")]

use schemars::JsonSchema;

use crate::openai::schema::Shared;

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Request {
    prompt: Prompts,
    #[schemars(flatten)]
    shared: Shared,
    /// 0 only reads the prompt, for the log probabilities of its tokens.
    #[schemars(range(min = 0))]
    max_tokens: Option<u64>,
    #[schemars(range(min = 0, max = 20))]
    logprobs: Option<u32>,
    /// Each answer begins with its prompt, and so do its `logprobs`.
    echo: Option<bool>,
    /// The same as `n`.
    #[schemars(range(min = 1, max = 128))]
    best_of: Option<u32>,
    #[schemars(extend("enum" = ["", null]))]
    suffix: Option<String>,
    #[schemars(extend("enum" = [true, null]))]
    add_special_tokens: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Prompts {
    Text(String),
    Tokens(#[schemars(length(min = 1))] Vec<u32>),
    Several(#[schemars(length(min = 1, max = 128))] Vec<Prompt>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Prompt {
    Text(String),
    Tokens(#[schemars(length(min = 1))] Vec<u32>),
}
