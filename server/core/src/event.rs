use std::sync::Arc;
use std::time::Duration;

use crate::{EngineError, Usage};

/// What a generation says, in order: [`Event::Started`], any number of pieces, then exactly one of
/// [`Event::Finished`] and [`Event::Failed`].
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The row left the queue and its prompt is being read.
    Started {
        /// Time spent waiting for a place.
        queued: Duration,
    },
    /// How likely the prompt's own tokens were, where that is asked for: once it is read, before anything of the answer.
    PromptLogprobs(Arc<PromptLogprobs>),
    /// The next tokens, where they are asked for: all that are generated, those that end the answer included. They come
    /// before everything that is made of them.
    Tokens(Vec<u32>),
    /// Log probabilities of the next tokens, where they are asked for. They come directly before the pieces made of these
    /// tokens, or before the end where nothing was. The tokens of a stop string that are not shown are not among them, and
    /// the one that ends an answer only where the prompt's are asked for too.
    Logprobs(Vec<TokenLogprob>),
    /// Answer text. Valid UTF-8 however tokens cut it; never part of a stop string, which are looked for here alone: not in
    /// reasoning, not in calls, and not in what sets these apart.
    Text(String),
    /// Reasoning text.
    Reasoning(String),
    /// Part of a tool call.
    ToolCall(ToolCallDelta),
    /// The end.
    Finished(Finished),
    /// The end, by an error. Other generations are not affected.
    Failed(EngineError),
}

/// A token's log probability.
///
/// All are natural logarithms of the softmax of the logits as the model gives them, before bias, penalties, temperature
/// and grammar (vLLM's `raw_logprobs`, its default).
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    /// The token.
    pub token: u32,
    /// What it stands for in running text; a special token's name.
    pub bytes: Vec<u8>,
    /// Its own, at most 0.
    pub logprob: f32,
    /// The likeliest tokens in its place, likeliest first, as many as are asked for: id, bytes, log probability.
    pub top: Vec<(u32, Vec<u8>, f32)>,
    /// Whether text or reasoning that is shown has anything of it in it. Not so special tokens, calls, and what sets these and
    /// reasoning apart. Always true of a prompt's tokens: what of them a client sees is not the engine's to say.
    pub shown: bool,
}

/// How likely the tokens of a prompt were.
#[derive(Debug, Clone, PartialEq)]
pub struct PromptLogprobs {
    /// The first token, which follows nothing and so has no probability: its id, and its bytes as in [`TokenLogprob`].
    pub first: (u32, Vec<u8>),
    /// The others.
    pub rest: Vec<TokenLogprob>,
}

/// Part of a tool call: the first one of an index carries id and name, the following ones text of the arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCallDelta {
    /// Which call of the answer, from 0.
    pub index: u32,
    /// Set in the first delta of a call: its id and the function's name.
    pub opening: Option<(String, String)>,
    /// JSON text of the arguments, to be appended.
    pub arguments: String,
}

/// How a generation ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Why.
    pub reason: FinishReason,
    /// The stop string that ended it.
    pub stop_sequence: Option<String>,
    /// What it took.
    pub usage: Usage,
    /// From leaving the queue to the first generated token.
    pub prefill: Duration,
    /// From the first generated token to the last.
    pub decode: Duration,
}

/// Why a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    /// End-of-sequence token or a stop string.
    Stop,
    /// The token limit or the end of the context.
    Length,
    /// The answer calls tools.
    ToolCalls,
}
