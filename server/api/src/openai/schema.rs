//! What the readers of this dialect take in, as `/openapi.json` has it. The readers are in `options`, `grammar` and `chat`.
#![expect(dead_code, reason = "these types are read by `JsonSchema` alone; no request is ever made into one")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// What chat completions and completions share.
#[derive(JsonSchema)]
pub(super) struct Shared {
    /// A served name. Left out, it is the first model.
    #[schemars(length(max = 512))]
    model: Option<String>,
    #[schemars(range(min = 0, max = 2))]
    temperature: Option<f64>,
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    top_p: Option<f64>,
    /// 0 and -1 are off.
    #[schemars(range(min = -1, max = 4_294_967_295_u32))]
    top_k: Option<i64>,
    #[schemars(range(min = 0, max = 1))]
    min_p: Option<f64>,
    /// Any 64-bit integer.
    #[schemars(extend("minimum" = i64::MIN, "maximum" = u64::MAX))]
    seed: Option<i64>,
    #[schemars(range(max = 100), extend("exclusiveMinimum" = 0))]
    repetition_penalty: Option<f64>,
    #[schemars(range(min = -2, max = 2))]
    presence_penalty: Option<f64>,
    #[schemars(range(min = -2, max = 2))]
    frequency_penalty: Option<f64>,
    logit_bias: Option<BTreeMap<TokenId, Bias>>,
    stop: Option<Stop>,
    /// Answers to each prompt.
    #[schemars(range(min = 1, max = 128))]
    n: Option<u32>,
    response_format: Option<ResponseFormat>,
    structured_outputs: Option<StructuredOutputs>,
    guided_json: Option<AnySchema>,
    guided_regex: Option<String>,
    guided_grammar: Option<String>,
    #[schemars(length(min = 1))]
    guided_choice: Option<Vec<String>>,
    stream: Option<bool>,
    /// Only with `stream`.
    stream_options: Option<StreamOptions>,
    /// Whom the client asks for.
    #[schemars(length(max = 256))]
    user: Option<String>,
    #[schemars(length(max = 256))]
    safety_identifier: Option<String>,
    service_tier: Option<ServiceTier>,
    #[schemars(extend("enum" = [false, null]))]
    store: Option<bool>,
    #[schemars(flatten)]
    cache: CacheHints,
    #[schemars(extend("maxProperties" = 16))]
    metadata: Option<BTreeMap<String, Option<String>>>,
    #[schemars(flatten)]
    vllm: Vllm,
}

/// Fields of vLLM's. Some are taken only with the value that changes nothing.
#[derive(JsonSchema)]
struct Vllm {
    #[schemars(length(max = 0))]
    bad_words: Option<Vec<String>>,
    /// The model's own end does not end the answer. Not with a grammar.
    ignore_eos: Option<bool>,
    /// The stop string or token that ends the answer is part of its text.
    include_stop_str_in_output: Option<bool>,
    #[schemars(extend("enum" = [1, null]))]
    length_penalty: Option<f64>,
    /// At most as many as the answer can have.
    #[schemars(range(min = 0, max = 4_294_967_295_u32))]
    min_tokens: Option<u32>,
    #[schemars(extend("enum" = [0, null]))]
    priority: Option<i64>,
    return_token_ids: Option<bool>,
    #[schemars(extend("enum" = [false, null]))]
    return_tokens_as_token_ids: Option<bool>,
    /// `false` has special tokens in the text, by their names.
    skip_special_tokens: Option<bool>,
    spaces_between_special_tokens: Option<bool>,
    #[schemars(length(max = 128))]
    stop_token_ids: Option<Vec<u32>>,
    /// Longer prompts lose their beginning; -1 is what the model can read.
    #[schemars(range(min = -1, max = 4_294_967_295_u32), extend("not" = { "const": 0 }))]
    truncate_prompt_tokens: Option<i64>,
    #[schemars(extend("enum" = [false, null]))]
    use_beam_search: Option<bool>,
}

/// Hints about what to cache of a prompt, of no effect.
#[derive(JsonSchema)]
pub(super) struct CacheHints {
    #[schemars(length(max = 256), rename = "prompt_cache_key")]
    key: Option<String>,
    #[schemars(rename = "prompt_cache_retention")]
    retention: Option<Retention>,
    #[schemars(rename = "prompt_cache_options")]
    options: Option<CacheOptions>,
}

#[derive(JsonSchema)]
enum Retention {
    #[schemars(rename = "in_memory")]
    InMemory,
    #[schemars(rename = "24h")]
    Day,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct CacheOptions {
    #[schemars(extend("enum" = ["implicit", "explicit", null]))]
    mode: Option<String>,
    #[schemars(length(max = 256))]
    ttl: Option<String>,
}

/// A hint about what to cache of a prompt, of no effect.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct CacheBreakpoint {
    #[schemars(extend("enum" = ["explicit", null]))]
    mode: Option<String>,
    #[schemars(length(max = 256))]
    ttl: Option<String>,
}

/// What requests share whose texts are read whole.
#[derive(JsonSchema)]
pub(super) struct OfTexts {
    /// A served name. Left out, it is the first model.
    #[schemars(length(max = 512))]
    model: Option<String>,
    /// Longer texts are cut to so many tokens; -1 is what the model can read.
    #[schemars(range(min = -1, max = 4_294_967_295_u32), extend("not" = { "const": 0 }))]
    truncate_prompt_tokens: Option<i64>,
    /// Whom the client asks for.
    #[schemars(length(max = 256))]
    user: Option<String>,
    #[schemars(length(max = 256))]
    safety_identifier: Option<String>,
}

/// A token's id as the key of an object.
#[derive(JsonSchema, PartialEq, Eq, PartialOrd, Ord)]
struct TokenId(#[schemars(regex(pattern = "^[0-9]{1,10}$"))] String);

#[derive(JsonSchema)]
struct Bias(#[schemars(range(min = -100, max = 100))] f64);

/// Texts that end an answer and are not shown.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Stop {
    One(StopText),
    Several(#[schemars(length(max = 16))] Vec<StopText>),
}

#[derive(JsonSchema)]
pub(super) struct StopText(#[schemars(length(min = 1))] String);

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum ResponseFormat {
    Text {},
    JsonObject {},
    JsonSchema { json_schema: NamedSchema },
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct NamedSchema {
    #[schemars(regex(pattern = "^[A-Za-z0-9_-]{1,64}$"))]
    name: String,
    description: Option<String>,
    strict: Option<bool>,
    schema: AnySchema,
}

/// vLLM's field: exactly one of `json`, `json_object`, `regex`, `grammar` and `choice`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct StructuredOutputs {
    json: Option<AnySchema>,
    json_object: Option<bool>,
    regex: Option<String>,
    /// llguidance's variant of Lark.
    grammar: Option<String>,
    #[schemars(length(min = 1))]
    choice: Option<Vec<String>>,
    #[schemars(extend("enum" = [false, null]))]
    disable_any_whitespace: Option<bool>,
}

/// A JSON Schema, or its text.
#[derive(JsonSchema)]
#[schemars(untagged)]
enum AnySchema {
    Object(Map<String, Value>),
    Any(bool),
    Text(String),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct StreamOptions {
    /// A last chunk carries the usage.
    include_usage: Option<bool>,
    /// Chunks get random letters in `obfuscation`, which bring them to one of few sizes.
    include_obfuscation: Option<bool>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum ServiceTier {
    Auto,
    Default,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum Effort {
    None,
    Minimal,
    Low,
    Medium,
    High,
    XHigh,
}

/// OpenRouter's.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct Reasoning {
    effort: Option<Effort>,
    #[schemars(range(min = 0))]
    max_tokens: Option<u64>,
    enabled: Option<bool>,
    #[schemars(extend("enum" = [false, null]))]
    exclude: Option<bool>,
}

/// A `tool_choice` that names no tool.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum Mode {
    None,
    Auto,
    Required,
}

/// The mode of `allowed_tools`.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub(super) enum AllowedMode {
    Auto,
    Required,
}

/// A turn of a conversation.
#[derive(JsonSchema)]
#[schemars(tag = "role", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Message {
    System {
        content: Content,
        name: Option<String>,
    },
    /// The same as `system`.
    Developer {
        content: Content,
        name: Option<String>,
    },
    User {
        content: Content,
        name: Option<String>,
    },
    /// With `content`, `tool_calls`, or both.
    Assistant {
        content: Option<Content>,
        name: Option<String>,
        reasoning_content: Option<String>,
        /// The same as `reasoning_content`, which goes first.
        reasoning: Option<String>,
        tool_calls: Option<Vec<ToolCall>>,
        refusal: Option<()>,
        audio: Option<()>,
        function_call: Option<()>,
        #[schemars(length(max = 0))]
        annotations: Option<Vec<Value>>,
        /// LiteLLM's notes on an answer, of no effect.
        provider_specific_fields: Option<Map<String, Value>>,
    },
    Tool {
        content: Content,
        name: Option<String>,
        tool_call_id: String,
    },
}

#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum Content {
    Text(String),
    /// Each becomes a paragraph.
    Parts(Vec<TextPart>),
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum TextPart {
    Text { text: String, prompt_cache_breakpoint: Option<CacheBreakpoint> },
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ToolCall {
    id: String,
    r#type: Option<OfFunction>,
    function: CalledFunction,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
enum OfFunction {
    Function,
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct CalledFunction {
    name: String,
    /// An object, as JSON text.
    arguments: Option<String>,
}

#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Tool {
    Function { function: ToolFunction },
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(super) struct ToolFunction {
    #[schemars(regex(pattern = "^[A-Za-z0-9_.-]{1,64}$"))]
    name: String,
    description: Option<String>,
    /// A JSON Schema.
    parameters: Option<Map<String, Value>>,
    /// Holds the arguments to `parameters`.
    strict: Option<bool>,
}
