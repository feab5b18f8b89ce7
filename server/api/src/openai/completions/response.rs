use mlx_gate_core::{Event, Finished, Usage};
use serde::Serialize;

use crate::error::Answer;
use crate::openai::wire::{ChunkWriter, Head, WireUsage, finish_reason};
use crate::sse::Encoder;

/// A `text_completion`; chunks of a stream have the same shape.
#[derive(Serialize)]
pub(super) struct Completion {
    #[serde(flatten)]
    head: Head,
    choices: [Choice; 1],
    usage: WireUsage,
}

#[derive(Serialize)]
struct Choice {
    index: u32,
    text: String,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

const OBJECT: &str = "text_completion";

impl Completion {
    pub(super) fn new(model: String, text: String, finished: &Finished) -> Self {
        let finish_reason = Some(finish_reason(finished.reason));
        Self {
            head: Head::new("cmpl", OBJECT, model),
            choices: [Choice { index: 0, text, logprobs: None, finish_reason }],
            usage: finished.usage.into(),
        }
    }
}

/// Writes the chunks of a completion that streams.
pub(super) struct Chunks(ChunkWriter);

impl Chunks {
    pub(super) fn new(model: String, include_usage: bool) -> Self {
        Self(ChunkWriter::new(Head::new("cmpl", OBJECT, model), include_usage))
    }

    fn chunk(&self, text: String, finish_reason: Option<&'static str>, out: &mut Vec<u8>) {
        self.0.chunk(Choice { index: 0, text, logprobs: None, finish_reason }, out);
    }
}

impl Encoder for Chunks {
    fn event(&mut self, _choice: u32, event: Event, out: &mut Vec<u8>) {
        match event {
            // A text that goes on has no reasoning of its own; should an engine find some, it is text all the same.
            Event::Text(text) | Event::Reasoning(text) => self.chunk(text, None, out),
            Event::Finished(finished) => {
                self.chunk(String::new(), Some(finish_reason(finished.reason)), out);
            }
            Event::Started { .. } | Event::Logprobs(_) | Event::ToolCall(_) | Event::Failed(_) => {}
        }
    }

    fn end(&mut self, usage: Usage, out: &mut Vec<u8>) {
        self.0.end(usage, out);
    }

    fn error(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        ChunkWriter::error(answer, out);
    }
}
