//! From tokens to events: the way of one row's answer.

use std::sync::Arc;

use mlx_gate_core::decoder::Scored;
use mlx_gate_core::{EndRules, Event, FinishReason, Prepared, PromptLogprobs, ReasoningBudget, TokenLogprob};

use crate::output::OutputParser;
use crate::stop::{Released, StopStrings};
use crate::text::{Beginning, Detokenizer, ModelText};

/// Turns a row's tokens into events, in this order: end-of-sequence tokens, text, stop strings, output format.
///
/// It runs on the device thread, although no device is needed, because whether a row goes on depends on its text. It
/// costs about a microsecond a token.
pub(crate) struct Answer {
    /// Tokens that end it.
    ends: Arc<[u32]>,
    /// When they do, and what of its end is shown.
    rules: EndRules,
    detokenizer: Detokenizer,
    stop: StopStrings,
    /// A stop string was found: nothing behind it is shown.
    stopped: bool,
    output: OutputParser,
    /// Log probabilities of tokens of which nothing is shown yet.
    logprobs: Vec<TokenLogprob>,
    /// Every token is told.
    tells_tokens: bool,
    /// Whether that of the token which ends the answer is shown. Who asks how likely a prompt is has one token generated behind
    /// it, and takes the last of all away (lm-evaluation-harness, `parse_logprobs`), whatever it was.
    shows_end_logprob: bool,
    tokens: u32,
    reasoning_tokens: u32,
    budget: Option<ReasoningBudget>,
    /// How often the reasoning was ended because its budget was spent.
    cut: usize,
}

/// Who chose a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The model: it may end the answer, and stop strings are looked for in it.
    Model,
    /// The answer itself, by [`Answer::due`].
    Forced,
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
    pub(crate) fn new(text: &ModelText, ends: Arc<[u32]>, prepared: &Prepared) -> Self {
        let beginning = if prepared.continues { Beginning::Continued } else { Beginning::Fresh };
        let shown = prepared.end.shown;
        Self {
            ends,
            rules: prepared.end.clone(),
            detokenizer: text
                .detokenizer(beginning, prepared.format)
                .showing_special(prepared.special_tokens),
            stop: StopStrings::new(&prepared.stop).shown(shown),
            stopped: false,
            output: OutputParser::new(prepared.format, Arc::clone(&prepared.tools)),
            logprobs: Vec::new(),
            tells_tokens: prepared.token_ids,
            shows_end_logprob: shown || prepared.prompt_logprobs.is_some(),
            tokens: 0,
            reasoning_tokens: 0,
            budget: prepared.reasoning_budget.clone(),
            cut: 0,
        }
    }

    /// Takes the next token with its log probability, appends the events it makes certain, and says whether it ends the
    /// answer.
    pub(crate) fn push(
        &mut self,
        token: u32,
        source: Source,
        scored: Option<Scored>,
        events: &mut Vec<Event>,
    ) -> bool {
        if self.tells_tokens {
            events.push(Event::Tokens(vec![token]));
        }
        let before = events.len();
        self.tokens += 1;
        let is_end = source == Source::Model && self.ends.contains(&token);
        if !is_end || self.shows_end_logprob {
            self.logprobs.extend(scored.map(|scored| self.logprob(token, scored)));
        }
        if is_end && !self.rules.shown {
            return true;
        }
        let mut text = String::new();
        self.detokenizer.push(token, &mut text);
        let released = match source {
            Source::Model if self.tokens > self.rules.min_tokens => self.stop.push(&text),
            Source::Model => Released { text: self.stop.push_early(&text), stopped: false },
            Source::Forced => Released { text: self.stop.pass(&text), stopped: false },
        };
        let reasoning = self.output.in_reasoning();
        self.output.push(&released.text, events);
        // The tags are not reasoning themselves, so both sides of the token have to be inside.
        if reasoning && self.output.in_reasoning() {
            self.reasoning_tokens += 1;
        }
        self.show_logprobs(before, events);
        self.stopped = released.stopped;
        is_end || released.stopped
    }

    /// Tokens that have to come next, because the reasoning has spent its budget. They are given once.
    ///
    /// A character that tokens have cut is waited for: what follows half of one would not be read as what it is.
    pub(crate) fn due(&mut self) -> &[u32] {
        let Some(ReasoningBudget { tokens, endings }) = &self.budget else { return &[] };
        if !self.output.in_reasoning() || self.reasoning_tokens < *tokens || !self.detokenizer.is_whole() {
            return &[];
        }
        let ending = endings.get(self.cut).or(endings.last());
        self.cut += 1;
        ending.map_or(&[], Vec::as_slice)
    }

    /// Appends what was held back and says how the answer ended.
    pub(crate) fn finish(&mut self, ending: Ending, events: &mut Vec<Event>) -> FinishReason {
        let before = events.len();
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
        self.show_logprobs(before, events);
        // What is left showed nothing: tags, or the beginning of a stop string, which is not to be shown.
        if !self.stopped && !self.logprobs.is_empty() {
            events.push(Event::Logprobs(std::mem::take(&mut self.logprobs)));
        }
        match ending {
            // A call that ran into the limit may be half of one, so clients have to learn that it was cut.
            Ending::Length => FinishReason::Length,
            Ending::Stop if self.output.has_calls() => FinishReason::ToolCalls,
            Ending::Stop => FinishReason::Stop,
        }
    }

    /// Puts the log probabilities that wait in front of the pieces from `before` on, if there are any.
    fn show_logprobs(&mut self, before: usize, events: &mut Vec<Event>) {
        if !self.logprobs.is_empty() && events.len() > before {
            events.insert(before, Event::Logprobs(std::mem::take(&mut self.logprobs)));
        }
    }

    fn logprob(&self, token: u32, scored: Scored) -> TokenLogprob {
        let top =
            scored.top.into_iter().map(|(token, logprob)| (token, self.bytes(token), logprob)).collect();
        TokenLogprob { token, bytes: self.bytes(token), logprob: scored.logprob, top }
    }

    fn bytes(&self, token: u32) -> Vec<u8> {
        self.detokenizer.token_bytes(token).to_vec()
    }

    /// What the decoder said of the prompt's tokens, one entry for each but the first.
    pub(crate) fn prompt_logprobs(&self, prompt: &[u32], scored: Vec<Scored>) -> Option<PromptLogprobs> {
        let (&first, rest) = prompt.split_first()?;
        let rest = rest.iter().zip(scored).map(|(&token, scored)| self.logprob(token, scored)).collect();
        Some(PromptLogprobs { first: (first, self.bytes(first)), rest })
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
