//! From tokens to events: the way of one row's answer.

mod outlet;

use std::sync::Arc;

use mlx_gate_core::decoder::Scored;
use mlx_gate_core::{EndRules, Event, FinishReason, Prepared, PromptLogprobs, ReasoningBudget, TokenLogprob};

use crate::output::{OutputParser, Piece};
use crate::stop::StopStrings;
use crate::text::{Beginning, Detokenizer, ModelText};
use outlet::Outlet;

/// Turns a row's tokens into events, in this order: end-of-sequence tokens, text, output format, stop strings.
///
/// It runs on the device thread, although no device is needed, because whether a row goes on depends on its text. It
/// costs about a microsecond a token.
pub(crate) struct Answer {
    /// Tokens that end it.
    ends: Arc<[u32]>,
    /// When they do, and what of its end is shown.
    rules: EndRules,
    detokenizer: Detokenizer,
    output: OutputParser,
    outlet: Outlet,
    /// Bytes of text so far.
    written: usize,
    /// The same with those of a character that is not finished.
    place: usize,
    /// Bytes of text that the tokens have which are not to end the answer yet.
    early: usize,
    /// Empty between tokens, and kept for its allocation only.
    pieces: Vec<Piece>,
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
    /// The model: it may end the answer.
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
            output: OutputParser::new(prepared.format, Arc::clone(&prepared.tools)),
            outlet: Outlet::new(StopStrings::new(&prepared.stop).shown(shown)),
            written: 0,
            place: 0,
            early: 0,
            pieces: Vec::new(),
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
        self.tokens += 1;
        let is_end = source == Source::Model && self.ends.contains(&token);
        let mut text = String::new();
        if !is_end || self.rules.shown {
            self.detokenizer.push(token, &mut text);
        }
        self.written += text.len();
        if self.tokens <= self.rules.min_tokens {
            self.early = self.written;
        }
        let behind = self.written + self.detokenizer.unfinished();
        let bytes = std::mem::replace(&mut self.place, behind)..behind;
        if let Some(scored) = scored.filter(|_| !is_end || self.shows_end_logprob) {
            self.outlet.take_logprob(bytes, self.logprob(token, scored));
        }
        if is_end && !self.rules.shown {
            return true;
        }
        let reasoning = self.output.in_reasoning();
        self.output.push(&text, &mut self.pieces);
        // The tags are not reasoning themselves, so both sides of the token have to be inside.
        if reasoning && self.output.in_reasoning() {
            self.reasoning_tokens += 1;
        }
        self.outlet.push(&mut self.pieces, self.early, events) || is_end
    }

    /// Tokens that have to come next, because the reasoning has spent its budget. They are given once.
    ///
    /// A character that tokens have cut is waited for: what follows half of one would not be read as what it is.
    pub(crate) fn due(&mut self) -> &[u32] {
        let Some(ReasoningBudget { tokens, endings }) = &self.budget else { return &[] };
        if !self.output.in_reasoning() || self.reasoning_tokens < *tokens || self.detokenizer.unfinished() > 0
        {
            return &[];
        }
        let ending = endings.get(self.cut).or(endings.last());
        self.cut += 1;
        ending.map_or(&[], Vec::as_slice)
    }

    /// Appends what was held back and says how the answer ended.
    pub(crate) fn finish(&mut self, ending: Ending, events: &mut Vec<Event>) -> FinishReason {
        let mut text = String::new();
        self.detokenizer.finish(&mut text);
        self.output.push(&text, &mut self.pieces);
        self.output.finish(&mut self.pieces);
        // What the parser held back may hold a stop string too, whatever made an end to it.
        let stopped = self.outlet.push(&mut self.pieces, self.early, events);
        self.outlet.finish(events);
        match ending {
            // A call that ran into the limit may be half of one, so clients have to learn that it was cut.
            Ending::Length if !stopped => FinishReason::Length,
            _ if self.outlet.has_calls() => FinishReason::ToolCalls,
            _ => FinishReason::Stop,
        }
    }

    fn logprob(&self, token: u32, scored: Scored) -> TokenLogprob {
        let top =
            scored.top.into_iter().map(|(token, logprob)| (token, self.bytes(token), logprob)).collect();
        TokenLogprob { token, bytes: self.bytes(token), logprob: scored.logprob, top, shown: true }
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
        self.outlet.stop_sequence()
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
