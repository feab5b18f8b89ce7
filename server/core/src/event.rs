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
    /// Answer text. Valid UTF-8 however tokens cut it; never part of a stop string.
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
