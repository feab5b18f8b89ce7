//! Pieces of responses that chat completions and completions share.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use mlx_gate_core::{EngineError, FinishReason, Usage};
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::error;
use super::obfuscation::{self, Obfuscation};
use super::options::Streaming;
use crate::error::{Answer, Error};
use crate::sse;

/// `usage` of a response.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(crate) struct WireUsage {
    prompt_tokens: u32,
    completion_tokens: u32,
    total_tokens: u32,
    prompt_tokens_details: PromptDetails,
    completion_tokens_details: CompletionDetails,
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
struct PromptDetails {
    cached_tokens: u32,
}

#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
struct CompletionDetails {
    reasoning_tokens: u32,
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
            prompt_tokens_details: PromptDetails { cached_tokens: usage.cached_tokens },
            completion_tokens_details: CompletionDetails { reasoning_tokens: usage.reasoning_tokens },
        }
    }
}

/// `usage` of a response in which nothing is generated.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(crate) struct InputUsage {
    prompt_tokens: u32,
    total_tokens: u32,
}

impl InputUsage {
    pub(crate) const fn new(tokens: u32) -> Self {
        Self { prompt_tokens: tokens, total_tokens: tokens }
    }
}

/// What all responses and chunks of one request begin with.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Head {
    id: String,
    object: &'static str,
    created: u64,
    model: String,
    system_fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["default"]))]
    service_tier: Option<&'static str>,
}

impl Head {
    /// `prefix` is OpenAI's for this kind of object, `chatcmpl` for instance.
    pub(crate) fn new(
        prefix: &str,
        object: &'static str,
        model: String,
        service_tier: Option<&'static str>,
    ) -> Self {
        Self {
            id: format!("{prefix}-{:032x}", rand::random::<u128>()),
            object,
            created: now(),
            system_fingerprint: system_fingerprint(&model),
            model,
            service_tier,
        }
    }
}

/// The time in answers: seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Names what a seed has to meet again to give the same answer: this version of the server and this model.
fn system_fingerprint(model: &str) -> String {
    let digest = Sha256::digest(format!("mlx-gate {} {model}", env!("CARGO_PKG_VERSION")));
    let hex = digest.iter().take(5).map(|byte| format!("{byte:02x}"));
    hex.fold("fp_".to_owned(), |text, byte| text + &byte)
}

/// Writes the chunks of one stream.
pub(crate) struct ChunkWriter {
    head: Head,
    streaming: Streaming,
    /// Goes with the first chunk.
    prompt_token_ids: Option<Vec<u32>>,
}

/// A chunk; `C` is the dialect object's kind of choice.
#[derive(Serialize, JsonSchema)]
pub(super) struct Chunk<'a, C> {
    #[serde(flatten)]
    head: &'a Head,
    choices: &'a [C],
    /// Of a chat's first chunk, with `return_token_ids`.
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_token_ids: Option<Vec<u32>>,
    #[serde(skip_serializing_if = "ChunkUsage::is_absent")]
    usage: ChunkUsage,
    #[serde(skip_serializing_if = "Option::is_none")]
    obfuscation: Option<Obfuscation>,
}

/// `usage` of a chunk: with `include_usage` it is `null` in all chunks but the last, without it is absent.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum ChunkUsage {
    #[serde(skip)]
    Absent,
    Null,
    Total(WireUsage),
}

impl ChunkUsage {
    const fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }
}

impl ChunkWriter {
    pub(crate) const fn new(head: Head, streaming: Streaming) -> Self {
        Self { head, streaming, prompt_token_ids: None }
    }

    /// Has the first chunk tell the prompt's tokens.
    pub(crate) fn telling(self, prompt_token_ids: Option<Vec<u32>>) -> Self {
        Self { prompt_token_ids, ..self }
    }

    pub(crate) fn chunk(&mut self, choice: impl Serialize, out: &mut Vec<u8>) {
        let usage = if self.streaming.include_usage { ChunkUsage::Null } else { ChunkUsage::Absent };
        self.write(&[choice], usage, out);
    }

    fn write<C: Serialize>(&mut self, choices: &[C], usage: ChunkUsage, out: &mut Vec<u8>) {
        let (from, obfuscates) = (out.len(), self.streaming.obfuscates);
        let obfuscation = Obfuscation::wanted(obfuscates);
        let prompt_token_ids = self.prompt_token_ids.take();
        sse::data(out, &Chunk { head: &self.head, choices, prompt_token_ids, usage, obfuscation });
        if obfuscates {
            obfuscation::fill(out, from);
        }
    }

    /// What follows the last chunk with a choice.
    pub(crate) fn end(&mut self, usage: Usage, out: &mut Vec<u8>) {
        if self.streaming.include_usage {
            self.write::<()>(&[], ChunkUsage::Total(usage.into()), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    pub(crate) fn error(answer: &Answer, out: &mut Vec<u8>) {
        sse::data(out, &error::body(answer));
    }
}

pub(crate) const fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
    }
}

/// A whole JSON answer.
pub(crate) fn json(value: &impl Serialize) -> Result<Response, Error> {
    let body = serde_json::to_vec(value).map_err(|error| EngineError::Internal(error.to_string()))?;
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
