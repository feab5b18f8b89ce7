//! From tokens to events: the way of one row's answer.

use std::sync::Arc;

use mlx_gate_core::{Event, FinishReason, Prepared};

use crate::output::OutputParser;
use crate::stop::StopStrings;
use crate::text::{Beginning, Detokenizer, ModelText};

/// Turns a row's tokens into events, in this order: end-of-sequence tokens, text, stop strings, output format.
///
/// It runs on the device thread, although no device is needed, because whether a row goes on depends on its text. It
/// costs about a microsecond a token.
pub(crate) struct Answer {
    stop_tokens: Arc<[u32]>,
    detokenizer: Detokenizer,
    stop: StopStrings,
    /// A stop string was found: nothing behind it is shown.
    stopped: bool,
    output: OutputParser,
    tokens: u32,
    reasoning_tokens: u32,
}

/// Why an answer ends, before tool calls are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// An end-of-sequence token, or a stop string.
    Stop,
    /// No more tokens are allowed.
    Length,
}

impl Answer {
    pub(crate) fn new(text: &ModelText, stop_tokens: Arc<[u32]>, prepared: &Prepared) -> Self {
        let beginning = if prepared.continues { Beginning::Continued } else { Beginning::Fresh };
        Self {
            stop_tokens,
            detokenizer: text.detokenizer(beginning),
            stop: StopStrings::new(&prepared.stop),
            stopped: false,
            output: OutputParser::new(prepared.format),
            tokens: 0,
            reasoning_tokens: 0,
        }
    }

    /// Takes the next token, appends the events it makes certain, and says whether it ends the answer.
    pub(crate) fn push(&mut self, token: u32, events: &mut Vec<Event>) -> bool {
        self.tokens += 1;
        if self.stop_tokens.contains(&token) {
            return true;
        }
        let mut text = String::new();
        self.detokenizer.push(token, &mut text);
        let released = self.stop.push(&text);
        let reasoning = self.output.in_reasoning();
        self.output.push(&released.text, events);
        // The tags are not reasoning themselves, so both sides of the token have to be inside.
        if reasoning && self.output.in_reasoning() {
            self.reasoning_tokens += 1;
        }
        self.stopped = released.stopped;
        released.stopped
    }

    /// Appends what was held back and says how the answer ended.
    pub(crate) fn finish(&mut self, ending: Ending, events: &mut Vec<Event>) -> FinishReason {
        if !self.stopped {
            let mut text = String::new();
            self.detokenizer.finish(&mut text);
            let mut released = self.stop.push(&text);
            if !released.stopped {
                released.text.push_str(&self.stop.finish());
            }
            self.output.push(&released.text, events);
        }
        self.output.finish(events);
        match ending {
            // A call that ran into the limit may be half of one, so clients have to learn that it was cut.
            Ending::Length => FinishReason::Length,
            Ending::Stop if self.output.has_calls() => FinishReason::ToolCalls,
            Ending::Stop => FinishReason::Stop,
        }
    }

    /// The stop string that ended the answer.
    pub(crate) fn stop_sequence(&self) -> Option<&str> {
        self.stop.found()
    }

    /// Tokens generated so far, an end-of-sequence token included: it was computed like any other, and vLLM and
    /// llama-server count it too.
    pub(crate) fn tokens(&self) -> u32 {
        self.tokens
    }

    /// Generated tokens inside reasoning blocks, without the tags.
    pub(crate) fn reasoning_tokens(&self) -> u32 {
        self.reasoning_tokens
    }
}
