use mlx_gate_core::{Event, Finished, ToolCallDelta, Usage};
use serde::Serialize;

use crate::error::Answer;
use crate::openai::wire::{ChunkWriter, Head, WireUsage, finish_reason};
use crate::sse::Encoder;

/// A `chat.completion`.
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
    message: Message,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Message {
    role: &'static str,
    content: Option<String>,
    refusal: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall>,
}

#[derive(Serialize)]
struct ToolCall {
    id: String,
    r#type: &'static str,
    function: Function,
}

#[derive(Serialize)]
struct Function {
    name: String,
    arguments: String,
}

/// Gathers the events of an answer that does not stream.
pub(super) struct Collected {
    model: String,
    text: String,
    reasoning: Option<String>,
    tool_calls: Vec<ToolCall>,
}

impl Collected {
    pub(super) const fn new(model: String) -> Self {
        Self { model, text: String::new(), reasoning: None, tool_calls: Vec::new() }
    }

    pub(super) fn push(&mut self, event: Event) {
        match event {
            Event::Text(text) => self.text.push_str(&text),
            Event::Reasoning(text) => self.reasoning.get_or_insert_default().push_str(&text),
            Event::ToolCall(delta) => self.push_call(delta),
            Event::Started { .. } | Event::Logprobs(_) | Event::Finished(_) | Event::Failed(_) => {}
        }
    }

    fn push_call(&mut self, delta: ToolCallDelta) {
        if let Some((id, name)) = delta.opening {
            let function = Function { name, arguments: String::new() };
            self.tool_calls.push(ToolCall { id, r#type: "function", function });
        }
        if let Some(call) = self.tool_calls.get_mut(delta.index as usize) {
            call.function.arguments.push_str(&delta.arguments);
        }
    }

    pub(super) fn finish(self, finished: &Finished) -> Completion {
        // OpenAI writes `null` beside tool calls, and a string, maybe empty, otherwise.
        let only_calls = self.text.is_empty() && !self.tool_calls.is_empty();
        Completion {
            head: Head::new("chatcmpl", "chat.completion", self.model),
            choices: [Choice {
                index: 0,
                message: Message {
                    role: "assistant",
                    content: (!only_calls).then_some(self.text),
                    refusal: None,
                    reasoning_content: self.reasoning,
                    tool_calls: self.tool_calls,
                },
                logprobs: None,
                finish_reason: finish_reason(finished.reason),
            }],
            usage: finished.usage.into(),
        }
    }
}

/// The choice of a `chat.completion.chunk`.
#[derive(Serialize)]
struct ChunkChoice {
    index: u32,
    delta: Delta,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[CallDelta; 1]>,
}

#[derive(Serialize)]
struct CallDelta {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    function: FunctionDelta,
}

#[derive(Serialize)]
struct FunctionDelta {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    arguments: String,
}

impl From<ToolCallDelta> for CallDelta {
    fn from(delta: ToolCallDelta) -> Self {
        let opens = delta.opening.is_some();
        let (id, name) = delta.opening.unzip();
        Self {
            index: delta.index,
            id,
            r#type: opens.then_some("function"),
            function: FunctionDelta { name, arguments: delta.arguments },
        }
    }
}

/// Writes the chunks of an answer that streams.
pub(super) struct Chunks {
    writer: ChunkWriter,
    /// The chunk that carries the role has been written.
    opened: bool,
}

impl Chunks {
    pub(super) fn new(model: String, include_usage: bool) -> Self {
        let head = Head::new("chatcmpl", "chat.completion.chunk", model);
        Self { writer: ChunkWriter::new(head, include_usage), opened: false }
    }

    fn chunk(&self, delta: Delta, finish_reason: Option<&'static str>, out: &mut Vec<u8>) {
        self.writer.chunk(ChunkChoice { index: 0, delta, logprobs: None, finish_reason }, out);
    }

    fn open(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.opened, true) {
            let content = Some(String::new());
            self.chunk(Delta { role: Some("assistant"), content, ..Delta::default() }, None, out);
        }
    }
}

impl Encoder for Chunks {
    fn event(&mut self, _choice: u32, event: Event, out: &mut Vec<u8>) {
        self.open(out);
        match event {
            Event::Text(text) => self.chunk(Delta { content: Some(text), ..Delta::default() }, None, out),
            Event::Reasoning(text) => {
                self.chunk(Delta { reasoning_content: Some(text), ..Delta::default() }, None, out);
            }
            Event::ToolCall(delta) => {
                let tool_calls = Some([delta.into()]);
                self.chunk(Delta { tool_calls, ..Delta::default() }, None, out);
            }
            Event::Finished(finished) => {
                self.chunk(Delta::default(), Some(finish_reason(finished.reason)), out);
            }
            Event::Started { .. } | Event::Logprobs(_) | Event::Failed(_) => {}
        }
    }

    fn end(&mut self, usage: Usage, out: &mut Vec<u8>) {
        self.writer.end(usage, out);
    }

    fn error(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        ChunkWriter::error(answer, out);
    }
}
