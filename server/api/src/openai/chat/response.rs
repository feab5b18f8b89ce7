use mlx_gate_core::{Event, FinishReason, TokenLogprob, ToolCallDelta, Usage};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Answer;
use crate::openai::logprobs::ChatLogprobs;
use crate::openai::options::Streaming;
use crate::openai::wire::{Chunk, ChunkWriter, Head, WireUsage, finish_reason};
use crate::sse::Encoder;

/// A `chat.completion`.
#[derive(Serialize, JsonSchema)]
pub(super) struct Completion {
    #[serde(flatten)]
    head: Head,
    choices: Vec<Choice>,
    usage: WireUsage,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_token_ids: Option<Vec<u32>>,
}

#[derive(Serialize, JsonSchema)]
struct Choice {
    index: u32,
    message: Message,
    logprobs: Option<ChatLogprobs>,
    #[schemars(extend("enum" = ["stop", "length", "tool_calls"]))]
    finish_reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_ids: Option<Vec<u32>>,
}

#[derive(Serialize, JsonSchema)]
struct Message {
    role: &'static str,
    content: Option<String>,
    refusal: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall>,
}

#[derive(Serialize, JsonSchema)]
struct ToolCall {
    id: String,
    r#type: &'static str,
    function: Function,
}

#[derive(Serialize, JsonSchema)]
struct Function {
    name: String,
    arguments: String,
}

/// Whose choice it was to call a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Called {
    /// The model's, at least which of them.
    Chosen,
    /// The client's, by its name.
    Named,
}

impl Called {
    /// OpenAI's guide to function calling: where a function was forced by its name, the answer ends with `stop`, and only
    /// otherwise with `tool_calls`. vLLM does the same.
    const fn finish_reason(self, reason: FinishReason) -> &'static str {
        match (self, reason) {
            (Self::Named, FinishReason::ToolCalls) => finish_reason(FinishReason::Stop),
            _ => finish_reason(reason),
        }
    }
}

/// Gathers the events of an answer that does not stream.
pub(super) struct Collected {
    head: Head,
    called: Called,
    choices: Vec<Gathered>,
    /// Where the tokens of prompt and answers are asked for.
    prompt_token_ids: Option<Vec<u32>>,
}

#[derive(Default)]
struct Gathered {
    text: String,
    reasoning: Option<String>,
    tool_calls: Vec<ToolCall>,
    /// Where they are asked for.
    logprobs: Option<Vec<TokenLogprob>>,
    token_ids: Option<Vec<u32>>,
    finish_reason: &'static str,
}

impl Collected {
    /// For this many choices.
    pub(super) fn new(
        model: String,
        tier: Option<&'static str>,
        count: usize,
        called: Called,
        logprobs: bool,
    ) -> Self {
        let choice = || Gathered { logprobs: logprobs.then(Vec::new), ..Gathered::default() };
        Self {
            head: Head::new("chatcmpl", "chat.completion", model, tier),
            called,
            choices: std::iter::repeat_with(choice).take(count).collect(),
            prompt_token_ids: None,
        }
    }

    /// With the tokens of this prompt, and of the answers to it.
    pub(super) fn telling(mut self, prompt: Option<Vec<u32>>) -> Self {
        for choice in &mut self.choices {
            choice.token_ids = prompt.is_some().then(Vec::new);
        }
        Self { prompt_token_ids: prompt, ..self }
    }

    pub(super) fn push(&mut self, choice: u32, event: Event) {
        let Some(choice) = self.choices.get_mut(choice as usize) else { return };
        match event {
            Event::Text(text) => choice.text.push_str(&text),
            Event::Reasoning(text) => choice.reasoning.get_or_insert_default().push_str(&text),
            Event::ToolCall(delta) => choice.push_call(delta),
            Event::Logprobs(tokens) => choice.logprobs.get_or_insert_default().extend(tokens),
            Event::Tokens(tokens) => choice.token_ids.get_or_insert_default().extend(tokens),
            Event::Finished(finished) => choice.finish_reason = self.called.finish_reason(finished.reason),
            Event::Started { .. } | Event::PromptLogprobs(_) | Event::Failed(_) => {}
        }
    }

    pub(super) fn finish(self, usage: Usage) -> Completion {
        let choices = (0..).zip(self.choices).map(|(index, gathered)| gathered.finish(index)).collect();
        let prompt_token_ids = self.prompt_token_ids;
        Completion { head: self.head, choices, usage: usage.into(), prompt_token_ids }
    }
}

impl Gathered {
    fn push_call(&mut self, delta: ToolCallDelta) {
        if let Some((id, name)) = delta.opening {
            let function = Function { name, arguments: String::new() };
            self.tool_calls.push(ToolCall { id, r#type: "function", function });
        }
        if let Some(call) = self.tool_calls.get_mut(delta.index as usize) {
            call.function.arguments.push_str(&delta.arguments);
        }
    }

    fn finish(self, index: u32) -> Choice {
        // OpenAI writes `null` beside tool calls, and a string, maybe empty, otherwise.
        let only_calls = self.text.is_empty() && !self.tool_calls.is_empty();
        Choice {
            index,
            message: Message {
                role: "assistant",
                content: (!only_calls).then_some(self.text),
                refusal: None,
                reasoning_content: self.reasoning,
                tool_calls: self.tool_calls,
            },
            logprobs: self.logprobs.map(Into::into),
            finish_reason: self.finish_reason,
            token_ids: self.token_ids,
        }
    }
}

/// The choice of a `chat.completion.chunk`.
#[derive(Serialize, JsonSchema)]
pub(super) struct ChunkChoice {
    index: u32,
    delta: Delta,
    logprobs: Option<ChatLogprobs>,
    #[schemars(extend("enum" = ["stop", "length", "tool_calls", null]))]
    finish_reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    token_ids: Vec<u32>,
}

#[derive(Default, Serialize, JsonSchema)]
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

#[derive(Serialize, JsonSchema)]
struct CallDelta {
    index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    function: FunctionDelta,
}

#[derive(Serialize, JsonSchema)]
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

/// A `chat.completion.chunk`.
pub(super) type ChatChunk = Chunk<'static, ChunkChoice>;

/// Writes the chunks of an answer that streams.
pub(super) struct Chunks {
    writer: ChunkWriter,
    called: Called,
    choices: Vec<Streamed>,
}

/// How far a choice has come.
#[derive(Clone, Default)]
struct Streamed {
    /// The chunk that carries the role has been written.
    opened: bool,
    /// Log probabilities that go with the next chunk.
    logprobs: Vec<TokenLogprob>,
    /// Tokens that do.
    token_ids: Vec<u32>,
}

impl Chunks {
    /// For this many choices.
    pub(super) fn new(
        model: String,
        tier: Option<&'static str>,
        count: usize,
        called: Called,
        streaming: Streaming,
    ) -> Self {
        let head = Head::new("chatcmpl", "chat.completion.chunk", model, tier);
        let writer = ChunkWriter::new(head, streaming);
        Self { writer, called, choices: vec![Streamed::default(); count] }
    }

    /// With the tokens of this prompt.
    pub(super) fn telling(self, prompt: Option<Vec<u32>>) -> Self {
        Self { writer: self.writer.telling(prompt), ..self }
    }
}

impl Encoder for Chunks {
    fn event(&mut self, choice: u32, event: Event, out: &mut Vec<u8>) {
        let Self { writer, called, choices } = self;
        let Some(streamed) = choices.get_mut(choice as usize) else { return };
        let mut chunk = |delta, (logprobs, token_ids): (Vec<TokenLogprob>, Vec<u32>), finish_reason| {
            let logprobs = (!logprobs.is_empty()).then(|| logprobs.into());
            writer.chunk(ChunkChoice { index: choice, delta, logprobs, finish_reason, token_ids }, out);
        };
        if !std::mem::replace(&mut streamed.opened, true) {
            let content = Some(String::new());
            chunk(
                Delta { role: Some("assistant"), content, ..Delta::default() },
                (Vec::new(), Vec::new()),
                None,
            );
        }
        let mut of_tokens =
            || (std::mem::take(&mut streamed.logprobs), std::mem::take(&mut streamed.token_ids));
        match event {
            Event::Text(text) => {
                chunk(Delta { content: Some(text), ..Delta::default() }, of_tokens(), None);
            }
            Event::Reasoning(text) => {
                chunk(Delta { reasoning_content: Some(text), ..Delta::default() }, of_tokens(), None);
            }
            Event::ToolCall(delta) => {
                let tool_calls = Some([delta.into()]);
                chunk(Delta { tool_calls, ..Delta::default() }, of_tokens(), None);
            }
            Event::Finished(finished) => {
                chunk(Delta::default(), of_tokens(), Some(called.finish_reason(finished.reason)));
            }
            Event::Logprobs(tokens) => streamed.logprobs.extend(tokens),
            Event::Tokens(tokens) => streamed.token_ids.extend(tokens),
            Event::Started { .. } | Event::PromptLogprobs(_) | Event::Failed(_) => {}
        }
    }

    fn end(&mut self, usage: Usage, out: &mut Vec<u8>) {
        self.writer.end(usage, out);
    }

    fn error(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        ChunkWriter::error(answer, out);
    }
}
