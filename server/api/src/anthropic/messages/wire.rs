//! Shapes that whole answers and streams share.

use mlx_gate_core::{FinishReason, Finished, Usage};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// What a message begins with.
#[derive(Debug, Clone)]
pub(super) struct Head {
    id: String,
    model: String,
    /// What is known of the request's size when it is queued.
    asked: Usage,
}

impl Head {
    pub(super) fn new(model: String, asked: Usage) -> Self {
        Self { id: format!("msg_{:032x}", rand::random::<u128>()), model, asked }
    }

    /// The message with this content, ended in this way or not yet.
    pub(super) fn message(&self, content: Vec<Block>, finished: Option<Finished>) -> Message<'_> {
        let usage = finished.as_ref().map_or(self.asked, |finished| finished.usage);
        Message {
            id: &self.id,
            r#type: "message",
            role: "assistant",
            model: &self.model,
            content,
            end: finished.into(),
            usage: WireUsage { tokens: usage.into(), service_tier: "standard" },
        }
    }
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Message<'a> {
    id: &'a str,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block>,
    #[serde(flatten)]
    end: End,
    usage: WireUsage,
}

/// A content block of an answer.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block {
    Thinking { thinking: String, signature: String },
    Text { text: String },
    ToolUse { id: String, name: String, input: Map<String, Value> },
}

/// How a message ended; nothing but `null` as long as it has not.
#[derive(Default, Serialize, JsonSchema)]
pub(super) struct End {
    #[schemars(extend("enum" = ["end_turn", "max_tokens", "stop_sequence", "tool_use", null]))]
    stop_reason: Option<&'static str>,
    stop_sequence: Option<String>,
}

/// The end of a message of which no block may be a call, whatever the parser announced: clients that are told of a call
/// carry one out.
pub(super) fn ended(finished: Finished, calls: bool) -> Finished {
    match finished.reason {
        FinishReason::ToolCalls if !calls => Finished { reason: FinishReason::Stop, ..finished },
        _ => finished,
    }
}

impl From<Option<Finished>> for End {
    fn from(finished: Option<Finished>) -> Self {
        let Some(Finished { reason, stop_sequence, .. }) = finished else { return Self::default() };
        match reason {
            FinishReason::Stop if stop_sequence.is_some() => {
                Self { stop_reason: Some("stop_sequence"), stop_sequence }
            }
            FinishReason::Stop => Self { stop_reason: Some("end_turn"), stop_sequence: None },
            FinishReason::Length => Self { stop_reason: Some("max_tokens"), stop_sequence: None },
            FinishReason::ToolCalls => Self { stop_reason: Some("tool_use"), stop_sequence: None },
        }
    }
}

#[derive(Serialize, JsonSchema)]
struct WireUsage {
    #[serde(flatten)]
    tokens: Totals,
    service_tier: &'static str,
}

/// `usage` as the last events of a stream have it: totals.
#[derive(Serialize, JsonSchema)]
pub(super) struct Totals {
    /// Those that were not in a cache.
    input_tokens: u32,
    cache_creation_input_tokens: u32,
    cache_read_input_tokens: u32,
    output_tokens: u32,
    output_tokens_details: OutputDetails,
}

#[derive(Serialize, JsonSchema)]
struct OutputDetails {
    thinking_tokens: u32,
}

impl From<Usage> for Totals {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens.saturating_sub(usage.cached_tokens),
            // Nobody asks for a place in the cache here, and nobody pays for one.
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: usage.cached_tokens,
            output_tokens: usage.output_tokens,
            output_tokens_details: OutputDetails { thinking_tokens: usage.reasoning_tokens },
        }
    }
}

/// The `signature` of a thinking block. Clients keep it and send it back; it is a digest of the text, and no secret is in
/// it, because a model of ours may be told anything about what it thought.
#[derive(Default)]
pub(super) struct Signature(Sha256);

impl Signature {
    pub(super) fn update(&mut self, thinking: &str) {
        self.0.update(thinking);
    }

    /// The digest, and a fresh start.
    pub(super) fn take(&mut self) -> String {
        format!("{:x}", self.0.finalize_reset())
    }
}
