//! What [`super::prompt`] and the routes around it take in, as `/openapi.json` has it.
#![expect(dead_code, reason = "these types are read by `JsonSchema` alone; no request is ever made into one")]

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// The body of `POST /v1/messages`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct MessagesRequest {
    #[schemars(range(min = 1))]
    max_tokens: u64,
    #[schemars(flatten)]
    asked: Asked,
    #[schemars(range(min = 0, max = 1))]
    temperature: Option<f64>,
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    top_p: Option<f64>,
    top_k: Option<u32>,
    stop_sequences: Option<StopSequences>,
    stream: Option<bool>,
    metadata: Option<Metadata>,
    #[schemars(extend("enum" = ["auto", "standard_only", null]))]
    service_tier: Option<String>,
}

/// The body of `POST /v1/messages/count_tokens`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct CountRequest {
    #[schemars(flatten)]
    asked: Asked,
}

/// What makes the prompt.
#[derive(JsonSchema)]
struct Asked {
    /// The last turn is a user's.
    #[schemars(length(min = 1))]
    messages: Vec<Message>,
    /// A served name. Left out, it is the first model.
    #[schemars(length(max = 512))]
    model: Option<String>,
    system: Option<Texts>,
    tools: Option<Vec<Tool>>,
    tool_choice: Option<ToolChoice>,
    thinking: Option<Thinking>,
    output_config: Option<OutputConfig>,
    /// The older name of `output_config.format`.
    output_format: Option<Format>,
    context_management: Option<ContextManagement>,
    cache_control: Option<CacheControl>,
    #[schemars(extend("enum" = ["standard", null]))]
    speed: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum StopSequences {
    One(StopText),
    Several(#[schemars(length(max = 16))] Vec<StopText>),
}

#[derive(JsonSchema)]
struct StopText(#[schemars(length(min = 1))] String);

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Metadata {
    #[schemars(length(max = 256))]
    user_id: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(tag = "role", rename_all = "snake_case", deny_unknown_fields)]
enum Message {
    User { content: UserContent },
    Assistant { content: AssistantContent },
    System { content: Texts },
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Texts {
    Text(String),
    Blocks(Vec<TextBlock>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum UserContent {
    Text(String),
    Blocks(Vec<UserBlock>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum AssistantContent {
    Text(String),
    Blocks(Vec<AssistantBlock>),
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum TextBlock {
    Text(Paragraph),
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum UserBlock {
    Text(Paragraph),
    ToolResult {
        /// That of an earlier `tool_use`.
        tool_use_id: String,
        content: Option<Texts>,
        is_error: Option<bool>,
        cache_control: Option<CacheControl>,
        toolset_name: Option<()>,
    },
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum AssistantBlock {
    Text(Paragraph),
    ToolUse {
        id: String,
        name: String,
        input: Map<String, Value>,
        cache_control: Option<CacheControl>,
        #[schemars(extend("enum" = [{ "type": "direct" }, null]))]
        caller: Option<Map<String, Value>>,
        toolset_name: Option<()>,
    },
    Thinking {
        thinking: String,
        signature: Option<String>,
        cache_control: Option<CacheControl>,
    },
    /// Accepted and left out.
    RedactedThinking {
        data: String,
        cache_control: Option<CacheControl>,
    },
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Paragraph {
    text: String,
    cache_control: Option<CacheControl>,
    #[schemars(length(max = 0))]
    citations: Option<Vec<Value>>,
}

/// Advice about what to cache, of no effect here.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
enum CacheControl {
    Ephemeral {},
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Tool {
    #[schemars(extend("enum" = ["custom", null]))]
    r#type: Option<String>,
    #[schemars(regex(pattern = "^[A-Za-z0-9_-]{1,128}$"))]
    name: String,
    description: Option<String>,
    /// A JSON Schema.
    input_schema: Map<String, Value>,
    input_examples: Option<Vec<Value>>,
    /// Holds the arguments to `input_schema`.
    strict: Option<bool>,
    cache_control: Option<CacheControl>,
    eager_input_streaming: Option<bool>,
    #[schemars(extend("enum" = [false, null]))]
    defer_loading: Option<bool>,
    #[schemars(extend("enum" = [["direct"], null]))]
    allowed_callers: Option<Vec<String>>,
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum ToolChoice {
    Auto { disable_parallel_tool_use: Option<bool> },
    Any { disable_parallel_tool_use: Option<bool> },
    Tool { name: String, disable_parallel_tool_use: Option<bool> },
    None { disable_parallel_tool_use: Option<bool> },
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Thinking {
    Enabled {
        #[schemars(range(min = 1))]
        budget_tokens: u64,
        display: Option<Display>,
    },
    Adaptive {
        display: Option<Display>,
    },
    Disabled {},
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Display {
    Summarized,
    Omitted,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct OutputConfig {
    effort: Option<Effort>,
    format: Option<Format>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Effort {
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Format {
    JsonSchema { schema: Map<String, Value> },
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct ContextManagement {
    edits: Option<Vec<Edit>>,
}

#[derive(JsonSchema)]
#[schemars(tag = "type", deny_unknown_fields)]
enum Edit {
    #[schemars(rename = "clear_thinking_20251015")]
    ClearThinking { keep: Option<Keep> },
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Keep {
    Word(All),
    Turns(KeptTurns),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum All {
    All,
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum KeptTurns {
    ThinkingTurns {
        #[schemars(range(min = 1))]
        value: u64,
    },
    All {},
}
