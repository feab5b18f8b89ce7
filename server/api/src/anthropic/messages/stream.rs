use mlx_gate_core::{Event, Finished, ToolCallDelta, Usage};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Map;

use super::wire::{Block, End, Head, Message, Signature, Totals, ended};
use crate::anthropic::error;
use crate::error::Answer;
use crate::sse::{self, Encoder};

/// Writes the events of a message that streams: `message_start`, for each block `content_block_start`, deltas and
/// `content_block_stop`, then `message_delta` and `message_stop`. A `ping` stands in for silence, and one follows the
/// first block's start as in Anthropic's own streams.
pub(super) struct Events {
    head: Head,
    shows_thinking: bool,
    request_id: String,
    /// `message_start` was written.
    started: bool,
    /// The block that is open.
    open: Option<Open>,
    /// Blocks begun so far.
    blocks: u32,
    /// A call of which nothing is known but index, id and name.
    announced: Option<(u32, String, String)>,
    /// Whether a block was a call.
    calls: bool,
    signature: Signature,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Thinking,
    Text,
    /// The call of this index.
    Call(u32),
    /// The call of this index, which is none: its arguments are no object.
    Failed(u32),
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Wire<'a> {
    MessageStart { message: Message<'a> },
    ContentBlockStart { index: u32, content_block: Block },
    Ping,
    ContentBlockDelta { index: u32, delta: Delta },
    ContentBlockStop { index: u32 },
    MessageDelta { delta: End, usage: Totals },
    MessageStop,
}

#[derive(Serialize, JsonSchema)]
#[serde(tag = "type")]
pub(super) enum Delta {
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: String },
    #[serde(rename = "signature_delta")]
    Signature { signature: String },
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: String },
}

impl Events {
    pub(super) fn new(head: Head, shows_thinking: bool, request_id: String) -> Self {
        Self {
            head,
            shows_thinking,
            request_id,
            started: false,
            open: None,
            blocks: 0,
            announced: None,
            calls: false,
            signature: Signature::default(),
        }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.started, true) {
            write(out, &Wire::MessageStart { message: self.head.message(Vec::new(), None) });
        }
    }

    /// Sees to it that this kind of block is the one that is open.
    fn open(&mut self, kind: Open, block: impl FnOnce() -> Block, out: &mut Vec<u8>) {
        if self.open == Some(kind) {
            return;
        }
        self.close(out);
        write(out, &Wire::ContentBlockStart { index: self.blocks, content_block: block() });
        if self.blocks == 0 {
            write(out, &Wire::Ping);
        }
        self.open = Some(kind);
        self.blocks += 1;
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(open) = self.open.take() else { return };
        let index = self.blocks - 1;
        if open == Open::Thinking {
            let delta = Delta::Signature { signature: self.signature.take() };
            write(out, &Wire::ContentBlockDelta { index, delta });
        }
        write(out, &Wire::ContentBlockStop { index });
    }

    /// A piece of the block that is open.
    fn delta(&self, delta: Delta, out: &mut Vec<u8>) {
        write(out, &Wire::ContentBlockDelta { index: self.blocks.saturating_sub(1), delta });
    }

    /// A call's block begins with its arguments, because those that do not begin as an object become text, as in a whole
    /// message. What goes wrong later than that cannot be taken back.
    fn call(&mut self, delta: ToolCallDelta, out: &mut Vec<u8>) {
        let ToolCallDelta { index, opening, arguments } = delta;
        if let Some((id, name)) = opening {
            self.begin_call(out);
            self.announced = Some((index, id, name));
        }
        match arguments.trim_start().bytes().next() {
            None if self.announced.is_some() => return,
            None | Some(b'{') => self.begin_call(out),
            Some(_) => {
                if let Some((index, _, name)) = self.announced.take() {
                    self.open(Open::Failed(index), || Block::Text { text: String::new() }, out);
                    self.delta(Delta::Text { text: name + " " }, out);
                }
            }
        }
        if let Some(Open::Failed(_)) = self.open {
            self.delta(Delta::Text { text: arguments }, out);
        } else if !arguments.is_empty() {
            self.delta(Delta::InputJson { partial_json: arguments }, out);
        }
    }

    /// Begins the block of the call that is announced, if one is.
    fn begin_call(&mut self, out: &mut Vec<u8>) {
        if let Some((index, id, name)) = self.announced.take() {
            self.calls = true;
            self.open(Open::Call(index), || Block::ToolUse { id, name, input: Map::new() }, out);
        }
    }

    fn finish(&mut self, finished: Finished, out: &mut Vec<u8>) {
        self.close(out);
        let usage = finished.usage.into();
        let finished = ended(finished, self.calls);
        write(out, &Wire::MessageDelta { delta: Some(finished).into(), usage });
        write(out, &Wire::MessageStop);
    }
}

impl Encoder for Events {
    fn event(&mut self, _choice: u32, event: Event, out: &mut Vec<u8>) {
        self.start(out);
        if matches!(event, Event::Text(_) | Event::Reasoning(_) | Event::Finished(_)) {
            self.begin_call(out);
        }
        match event {
            Event::Reasoning(thinking) => {
                let empty = || Block::Thinking { thinking: String::new(), signature: String::new() };
                self.open(Open::Thinking, empty, out);
                self.signature.update(&thinking);
                if self.shows_thinking {
                    self.delta(Delta::Thinking { thinking }, out);
                }
            }
            Event::Text(text) => {
                self.open(Open::Text, || Block::Text { text: String::new() }, out);
                self.delta(Delta::Text { text }, out);
            }
            Event::ToolCall(delta) => self.call(delta, out),
            Event::Finished(finished) => self.finish(finished, out),
            Event::Started { .. }
            | Event::PromptLogprobs(_)
            | Event::Tokens(_)
            | Event::Logprobs(_)
            | Event::Failed(_) => {}
        }
    }

    fn end(&mut self, _usage: Usage, _out: &mut Vec<u8>) {}

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        write(out, &Wire::Ping);
    }

    fn error(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        sse::event(out, "error", &error::body(answer, &self.request_id));
    }
}

fn write(out: &mut Vec<u8>, event: &Wire<'_>) {
    let name = match event {
        Wire::MessageStart { .. } => "message_start",
        Wire::ContentBlockStart { .. } => "content_block_start",
        Wire::Ping => "ping",
        Wire::ContentBlockDelta { .. } => "content_block_delta",
        Wire::ContentBlockStop { .. } => "content_block_stop",
        Wire::MessageDelta { .. } => "message_delta",
        Wire::MessageStop => "message_stop",
    };
    sse::event(out, name, event);
}
