use std::sync::Arc;

use mlx_gate_core::{Event, PromptLogprobs, TokenLogprob, Usage};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::Answer;
use crate::openai::logprobs::{Offset, TextLogprobs};
use crate::openai::options::Streaming;
use crate::openai::wire::{Chunk, ChunkWriter, Head, WireUsage, finish_reason};
use crate::sse::Encoder;

/// A `text_completion`; chunks of a stream have the same shape.
#[derive(Serialize, JsonSchema)]
pub(super) struct Completion {
    #[serde(flatten)]
    head: Head,
    choices: Vec<Choice>,
    usage: WireUsage,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Choice {
    index: u32,
    text: String,
    logprobs: Option<TextLogprobs>,
    #[schemars(extend("enum" = ["stop", "length", null]))]
    finish_reason: Option<&'static str>,
    #[serde(flatten)]
    tokens: Tokens,
}

/// The tokens of a choice, with `return_token_ids`; those of the prompt only in the first chunk of a choice.
#[derive(Default, Serialize, JsonSchema)]
struct Tokens {
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt_token_ids: Option<Vec<u32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_ids: Option<Vec<u32>>,
}

const OBJECT: &str = "text_completion";

/// Gathers the events of an answer that does not stream.
pub(super) struct Collected {
    head: Head,
    choices: Vec<Gathered>,
}

struct Gathered {
    text: String,
    /// Length of what it begins with.
    echo: usize,
    /// Where they are asked for.
    logprobs: Option<Vec<TokenLogprob>>,
    prompt_logprobs: Option<Arc<PromptLogprobs>>,
    tokens: Tokens,
    finish_reason: Option<&'static str>,
}

impl Collected {
    /// For one choice to each of these beginnings of a text.
    pub(super) fn new(model: String, tier: Option<&'static str>, texts: Vec<String>, logprobs: bool) -> Self {
        let choice = |text: String| Gathered {
            echo: text.len(),
            text,
            logprobs: logprobs.then(Vec::new),
            prompt_logprobs: None,
            tokens: Tokens::default(),
            finish_reason: None,
        };
        Self {
            head: Head::new("cmpl", OBJECT, model, tier),
            choices: texts.into_iter().map(choice).collect(),
        }
    }

    /// With the tokens of these prompts, one for each choice, and of the answers to them.
    pub(super) fn telling(mut self, prompts: Vec<Vec<u32>>) -> Self {
        for (choice, prompt) in self.choices.iter_mut().zip(prompts) {
            choice.tokens = Tokens { prompt_token_ids: Some(prompt), token_ids: Some(Vec::new()) };
        }
        self
    }

    pub(super) fn push(&mut self, choice: u32, event: Event) {
        let Some(choice) = self.choices.get_mut(choice as usize) else { return };
        match event {
            // A text that goes on has no reasoning of its own; should an engine find some, it is text all the same.
            Event::Text(text) | Event::Reasoning(text) => choice.text.push_str(&text),
            Event::Logprobs(tokens) => choice.logprobs.get_or_insert_default().extend(tokens),
            Event::PromptLogprobs(tokens) => choice.prompt_logprobs = Some(tokens),
            Event::Tokens(tokens) => choice.tokens.token_ids.get_or_insert_default().extend(tokens),
            Event::Finished(finished) => choice.finish_reason = Some(finish_reason(finished.reason)),
            Event::Started { .. } | Event::ToolCall(_) | Event::Failed(_) => {}
        }
    }

    pub(super) fn finish(self, usage: Usage) -> Completion {
        let choices = (0..).zip(self.choices).map(|(index, gathered)| gathered.finish(index)).collect();
        Completion { head: self.head, choices, usage: usage.into() }
    }
}

impl Gathered {
    fn finish(self, index: u32) -> Choice {
        let echo = &self.text[..self.echo];
        let logprobs = self.logprobs.map(|tokens| {
            let prompt = self.prompt_logprobs.map(|prompt| TextLogprobs::of_prompt(&prompt, echo));
            let mut lists = prompt.unwrap_or_default();
            lists.extend(tokens, &mut Offset::behind(echo));
            lists
        });
        Choice { index, text: self.text, logprobs, finish_reason: self.finish_reason, tokens: self.tokens }
    }
}

/// A chunk of a completion that streams.
pub(super) type TextChunk = Chunk<'static, Choice>;

/// Writes the chunks of a completion that streams.
pub(super) struct Chunks {
    writer: ChunkWriter,
    choices: Vec<Streamed>,
}

/// How far a choice has come.
#[derive(Default)]
struct Streamed {
    /// What its text begins with, until that is written.
    echo: String,
    /// Log probabilities that go with the next chunk.
    logprobs: Vec<TokenLogprob>,
    /// Tokens that do.
    tokens: Tokens,
    offset: Offset,
}

impl Chunks {
    /// For one choice to each of these beginnings of a text.
    pub(super) fn new(
        model: String,
        tier: Option<&'static str>,
        texts: Vec<String>,
        streaming: Streaming,
    ) -> Self {
        let writer = ChunkWriter::new(Head::new("cmpl", OBJECT, model, tier), streaming);
        let choice = |echo: String| Streamed { offset: Offset::behind(&echo), echo, ..Streamed::default() };
        let choices = texts.into_iter().map(choice).collect();
        Self { writer, choices }
    }

    /// With the tokens of these prompts, one for each choice.
    pub(super) fn telling(mut self, prompts: Vec<Vec<u32>>) -> Self {
        for (choice, prompt) in self.choices.iter_mut().zip(prompts) {
            choice.tokens.prompt_token_ids = Some(prompt);
        }
        self
    }
}

impl Encoder for Chunks {
    fn event(&mut self, choice: u32, event: Event, out: &mut Vec<u8>) {
        let Self { writer, choices } = self;
        let Some(Streamed { echo, logprobs, tokens, offset }) = choices.get_mut(choice as usize) else {
            return;
        };
        let event = match event {
            Event::Tokens(ids) => {
                tokens.token_ids.get_or_insert_default().extend(ids);
                return;
            }
            event => event,
        };
        let mut chunk = |text, logprobs, finish_reason| {
            let tokens = std::mem::take(tokens);
            writer.chunk(Choice { index: choice, text, logprobs, finish_reason, tokens }, out);
        };
        match &event {
            // What is known of the prompt comes with it.
            Event::Started { .. } => return,
            Event::PromptLogprobs(tokens) => {
                let lists = TextLogprobs::of_prompt(tokens, echo);
                chunk(std::mem::take(echo), Some(lists), None);
            }
            _ if !echo.is_empty() => chunk(std::mem::take(echo), None, None),
            _ => {}
        }
        let mut lists = || {
            let tokens = std::mem::take(logprobs);
            (!tokens.is_empty()).then(|| TextLogprobs::new(tokens, offset))
        };
        match event {
            Event::Text(text) | Event::Reasoning(text) => chunk(text, lists(), None),
            Event::Finished(finished) => {
                chunk(String::new(), lists(), Some(finish_reason(finished.reason)));
            }
            Event::Logprobs(tokens) => logprobs.extend(tokens),
            Event::Started { .. }
            | Event::PromptLogprobs(_)
            | Event::Tokens(_)
            | Event::ToolCall(_)
            | Event::Failed(_) => {}
        }
    }

    fn end(&mut self, usage: Usage, out: &mut Vec<u8>) {
        self.writer.end(usage, out);
    }

    fn error(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        ChunkWriter::error(answer, out);
    }
}
