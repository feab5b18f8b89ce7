//! What [`super::request`] takes in, as `/openapi.json` has it.
#![expect(dead_code, reason = "these types are read by `JsonSchema` alone; no request is ever made into one")]

use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::openai::schema::{AllowedMode, Effort, Message, Mode, Reasoning, Shared, Tool};

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Request {
    #[schemars(length(min = 1))]
    messages: Vec<Message>,
    #[schemars(flatten)]
    shared: Shared,
    #[schemars(range(min = 1))]
    max_completion_tokens: Option<u64>,
    /// The older name of `max_completion_tokens`.
    #[schemars(range(min = 1))]
    max_tokens: Option<u64>,
    logprobs: Option<bool>,
    /// Only with `logprobs`.
    #[schemars(range(min = 0, max = 20))]
    top_logprobs: Option<u32>,
    tools: Option<Vec<Tool>>,
    tool_choice: Option<ToolChoice>,
    parallel_tool_calls: Option<bool>,
    reasoning_effort: Option<Effort>,
    /// The most tokens of reasoning; -1 is no bound.
    #[schemars(range(min = -1))]
    thinking_token_budget: Option<i64>,
    reasoning: Option<Reasoning>,
    /// Variables of the model's chat template.
    chat_template_kwargs: Option<Map<String, Value>>,
    #[schemars(extend("enum" = [["text"], null]))]
    modalities: Option<Vec<String>>,
    #[schemars(extend("enum" = [true, null]))]
    add_generation_prompt: Option<bool>,
    #[schemars(extend("enum" = [false, null]))]
    add_special_tokens: Option<bool>,
    #[schemars(extend("enum" = [false, null]))]
    continue_final_message: Option<bool>,
    #[schemars(extend("enum" = [false, null]))]
    echo: Option<bool>,
    #[schemars(extend("enum" = [true, null]))]
    include_reasoning: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum ToolChoice {
    Mode(Mode),
    Named(Choice),
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Choice {
    Function { function: FunctionName },
    AllowedTools { allowed_tools: Allowed },
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct FunctionName {
    name: String,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Allowed {
    mode: AllowedMode,
    tools: Vec<AllowedTool>,
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum AllowedTool {
    Function { function: FunctionName },
}
