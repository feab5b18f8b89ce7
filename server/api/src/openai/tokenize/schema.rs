//! What `/tokenize` and `/detokenize` take in, as `/openapi.json` has it.
#![expect(dead_code, reason = "these types are read by `JsonSchema` alone; no request is ever made into one")]

use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::openai::schema::{Effort, Message, Reasoning, Tool};

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Encode {
    Text(Text),
    Chat(Box<Conversation>),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Text {
    #[schemars(length(max = 512))]
    model: Option<String>,
    prompt: String,
    add_special_tokens: Option<bool>,
    return_token_strs: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Conversation {
    #[schemars(length(max = 512))]
    model: Option<String>,
    prompt: Option<()>,
    #[schemars(length(min = 1))]
    messages: Vec<Message>,
    tools: Option<Vec<Tool>>,
    reasoning_effort: Option<Effort>,
    #[schemars(range(min = -1))]
    thinking_token_budget: Option<i64>,
    reasoning: Option<Reasoning>,
    chat_template_kwargs: Option<Map<String, Value>>,
    add_special_tokens: Option<bool>,
    return_token_strs: Option<bool>,
    #[schemars(extend("enum" = [true, null]))]
    add_generation_prompt: Option<bool>,
    #[schemars(extend("enum" = [false, null]))]
    continue_final_message: Option<bool>,
    chat_template: Option<()>,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Decode {
    #[schemars(length(max = 512))]
    model: Option<String>,
    tokens: Vec<u32>,
}
