//! What [`super::request`] takes in, as `/openapi.json` has it.
#![expect(dead_code, reason = "these types are read by `JsonSchema` alone; no request is ever made into one")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

use crate::openai::schema::{AllowedMode, CacheBreakpoint, CacheHints, Mode};

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Request {
    input: Input,
    /// A served name. Left out, it is the first model.
    #[schemars(length(max = 512))]
    model: Option<String>,
    /// The system's turn.
    instructions: Option<String>,
    tools: Option<Vec<Tool>>,
    tool_choice: Option<ToolChoice>,
    parallel_tool_calls: Option<bool>,
    reasoning: Option<Reasoning>,
    text: Option<Text>,
    #[schemars(range(min = 0, max = 2))]
    temperature: Option<f64>,
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    top_p: Option<f64>,
    #[schemars(range(min = 1))]
    max_output_tokens: Option<u64>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    #[schemars(length(max = 256))]
    safety_identifier: Option<String>,
    #[schemars(length(max = 256))]
    user: Option<String>,
    include: Option<Vec<Include>>,
    /// Only where `include` asks for log probabilities.
    #[schemars(range(min = 0, max = 20))]
    top_logprobs: Option<u32>,
    #[schemars(extend("enum" = [false, null]))]
    background: Option<bool>,
    #[schemars(extend("enum" = [false, null]))]
    store: Option<bool>,
    #[schemars(extend("enum" = ["disabled", null]))]
    truncation: Option<String>,
    previous_response_id: Option<()>,
    conversation: Option<()>,
    prompt: Option<()>,
    #[schemars(flatten)]
    cache: CacheHints,
    #[schemars(extend("maxProperties" = 16))]
    metadata: Option<BTreeMap<String, Option<String>>>,
    client_metadata: Option<BTreeMap<String, Option<String>>>,
    #[schemars(range(min = 1))]
    max_tool_calls: Option<u64>,
    #[schemars(extend("enum" = ["auto", "default", null]))]
    service_tier: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Input {
    Text(String),
    Items(#[schemars(length(min = 1))] Vec<Item>),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Item {
    Message(Message),
    Other(OtherItem),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Message {
    #[schemars(extend("enum" = ["message", null]))]
    r#type: Option<String>,
    role: Role,
    content: Content,
    id: Option<String>,
    status: Option<Status>,
    phase: Option<Phase>,
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum OtherItem {
    FunctionCall {
        call_id: String,
        name: String,
        namespace: Option<String>,
        /// An object, as JSON text.
        arguments: String,
        id: Option<String>,
        status: Option<Status>,
        caller: Option<Caller>,
        #[schemars(extend("enum" = [false, null]))]
        r#async: Option<bool>,
    },
    FunctionCallOutput {
        /// That of an earlier `function_call`.
        call_id: String,
        output: Content,
        name: Option<String>,
        namespace: Option<String>,
        id: Option<String>,
        status: Option<Status>,
        caller: Option<Caller>,
    },
    Reasoning {
        id: Option<String>,
        status: Option<Status>,
        summary: Option<Vec<SummaryPart>>,
        content: Option<Vec<ReasoningPart>>,
        encrypted_content: Option<String>,
    },
}

/// Who called a function.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Caller {
    Direct {},
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Role {
    User,
    Assistant,
    System,
    Developer,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Status {
    InProgress,
    Completed,
    Incomplete,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Phase {
    Commentary,
    FinalAnswer,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Content {
    Text(String),
    /// Each becomes a paragraph.
    Parts(Vec<Part>),
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Part {
    InputText(PartText),
    OutputText(PartText),
    Text(PartText),
    Refusal {
        refusal: String,
        #[schemars(length(max = 0))]
        annotations: Option<Vec<Value>>,
        logprobs: Option<Vec<Value>>,
    },
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct PartText {
    text: String,
    #[schemars(length(max = 0))]
    annotations: Option<Vec<Value>>,
    logprobs: Option<Vec<Value>>,
    prompt_cache_breakpoint: Option<CacheBreakpoint>,
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum SummaryPart {
    SummaryText { text: String },
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum ReasoningPart {
    ReasoningText { text: String },
}

#[derive(JsonSchema)]
#[schemars(untagged)]
enum Tool {
    Function(Box<FunctionTool>),
    Namespace(NamespaceTool),
    Hosted(HostedTool),
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum FunctionTool {
    Function {
        #[schemars(regex(pattern = "^[A-Za-z0-9_.-]{1,128}$"))]
        name: String,
        description: Option<String>,
        /// A JSON Schema.
        parameters: Option<Map<String, Value>>,
        /// Holds the arguments to `parameters`.
        strict: Option<bool>,
        #[schemars(extend("enum" = [["direct"], null]))]
        allowed_callers: Option<Vec<String>>,
        #[schemars(extend("enum" = [false, null]))]
        r#async: Option<bool>,
        #[schemars(extend("enum" = [false, null]))]
        defer_loading: Option<bool>,
        output_schema: Option<Map<String, Value>>,
    },
}

/// Functions that have a name in common.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum NamespaceTool {
    Namespace {
        #[schemars(regex(pattern = "^[A-Za-z0-9_.-]{1,128}$"))]
        name: String,
        description: Option<String>,
        tools: Vec<FunctionTool>,
    },
}

/// A tool that OpenAI's servers run. It is not offered to the model; the header `x-tools-not-offered` names it.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
enum HostedTool {
    WebSearch {},
    WebSearchPreview {},
    ImageGeneration {},
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
    Function { name: String, namespace: Option<String> },
    AllowedTools { mode: AllowedMode, tools: Vec<AllowedTool> },
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum AllowedTool {
    Function { name: String, namespace: Option<String> },
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Reasoning {
    effort: Option<Effort>,
    summary: Option<Summary>,
    generate_summary: Option<Summary>,
    /// OpenRouter's: the most tokens of reasoning.
    #[schemars(range(min = 0))]
    max_tokens: Option<u64>,
    #[schemars(extend("enum" = ["auto", null]))]
    context: Option<String>,
    #[schemars(extend("enum" = ["standard", null]))]
    mode: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
    Max,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum Summary {
    Auto,
    Concise,
    Detailed,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Text {
    format: Option<Format>,
    #[schemars(extend("enum" = ["medium", null]))]
    verbosity: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Format {
    Text {},
    JsonObject {},
    JsonSchema { name: String, description: Option<String>, strict: Option<bool>, schema: Map<String, Value> },
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct StreamOptions {
    /// Deltas get random letters in `obfuscation`, which bring them to one of few sizes.
    include_obfuscation: Option<bool>,
}

#[derive(JsonSchema)]
enum Include {
    #[schemars(rename = "reasoning.encrypted_content")]
    SealedReasoning,
    #[schemars(rename = "message.output_text.logprobs")]
    Logprobs,
}
