use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mlx_gate_core::decoder::{Pick, RowError, Sampler, Scored};
use mlx_gate_core::{EngineError, Event, Finished, PromptLogprobs, Usage};
use tokio::sync::mpsc::UnboundedSender;

use super::send;
use crate::answer::{Answer, Ending, Source};
use crate::sampler::RowSampler;

/// One answer to a prompt.
pub(crate) struct Choice {
    /// `None` lets the device take the likeliest token.
    sampler: Option<RowSampler>,
    answer: Answer,
    max_output_tokens: u32,
    /// Where the events go. The channel has no bound of its own: an answer is bounded by its tokens, and a bounded
    /// channel would make the device thread wait for a client, or keep a row's memory until a slow one has read.
    events: UnboundedSender<Event>,
    /// Length of the prompt.
    input_tokens: u32,
    /// The last token, which the decoder gets next.
    last: u32,
    /// Tokens that come next, whatever the model would say.
    forced: VecDeque<u32>,
    /// When its prompt left the queue.
    started: Instant,
    first_token: Option<Instant>,
    over: bool,
    /// Kept between tokens for its allocation only.
    pieces: Vec<Event>,
}

impl Choice {
    /// An answer of at most `max_output_tokens`. Where these are 0, it is over when its prompt is read.
    pub(crate) fn new(
        sampler: Option<RowSampler>,
        answer: Answer,
        max_output_tokens: u32,
        events: UnboundedSender<Event>,
    ) -> Self {
        Self {
            sampler,
            answer,
            max_output_tokens,
            events,
            input_tokens: 0,
            last: 0,
            forced: VecDeque::new(),
            started: Instant::now(),
            first_token: None,
            over: false,
            pieces: Vec::new(),
        }
    }

    /// Its prompt, of this many tokens, leaves the queue in which it was for so long.
    pub(super) fn begin(&mut self, input_tokens: usize, queued: Duration, now: Instant) {
        self.input_tokens = u32::try_from(input_tokens).unwrap_or(u32::MAX);
        self.started = now;
        send(&self.events, Event::Started { queued });
        if let Some(sampler) = &mut self.sampler {
            sampler.begin();
        }
        // A budget may be spent before the first token.
        self.forced.extend(self.answer.due());
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.events.is_closed()
    }

    /// Whether the last event is sent.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Nothing more is to be done for it.
    pub(super) fn is_done(&self) -> bool {
        self.is_over() || self.is_cancelled()
    }

    /// The token it was given last, and how it chooses the one that follows.
    pub(super) fn next(&mut self) -> (&[u32], Pick<'_>) {
        let pick = match &mut self.sampler {
            _ if self.max_output_tokens == 0 => Pick::Nothing,
            None => Pick::Greedy,
            Some(sampler) => {
                sampler.force(self.forced.front().copied());
                Pick::Sample(sampler as &mut dyn Sampler)
            }
        };
        (std::slice::from_ref(&self.last), pick)
    }

    /// Takes the token that was picked.
    pub(super) fn take(&mut self, picked: Result<Option<u32>, RowError>, now: Instant) {
        match picked {
            _ if self.over => {}
            Ok(Some(token)) => self.accept(token, now),
            Ok(None) if self.max_output_tokens == 0 => self.finish(Ending::Length, now),
            Ok(None) => {
                self.fail(EngineError::Internal(
                    "the decoder picked no token where one was asked for".into(),
                ));
            }
            // What a grammar costs is the client's doing, and where it gets too much shows only on the way.
            Err(RowError::Grammar(message)) => {
                self.fail(EngineError::InvalidRequest { field: "grammar", message });
            }
            Err(error) => self.fail(EngineError::Internal(error.to_string())),
        }
    }

    /// Ends it by an error, unless it has ended.
    pub(super) fn fail(&mut self, error: EngineError) {
        if !std::mem::replace(&mut self.over, true) {
            send(&self.events, Event::Failed(error));
        }
    }

    /// What is known of the prompt.
    pub(super) fn show_prompt(&self, logprobs: &Arc<PromptLogprobs>) {
        send(&self.events, Event::PromptLogprobs(Arc::clone(logprobs)));
    }

    fn accept(&mut self, picked: u32, now: Instant) {
        let (token, source) = match self.forced.pop_front() {
            Some(forced) => (forced, Source::Forced),
            None => (picked, Source::Model),
        };
        self.last = token;
        self.first_token.get_or_insert(now);
        let logprobs = self.sampler.as_mut().and_then(RowSampler::take_logprobs);
        let stops = self.answer.push(token, source, logprobs, &mut self.pieces);
        self.send_pieces();
        if stops {
            self.finish(Ending::Stop, now);
        } else if self.answer.tokens() >= self.max_output_tokens {
            self.finish(Ending::Length, now);
        } else if self.forced.is_empty() {
            self.forced.extend(self.answer.due());
        }
    }

    fn send_pieces(&mut self) {
        for piece in self.pieces.drain(..) {
            send(&self.events, piece);
        }
    }

    fn finish(&mut self, ending: Ending, now: Instant) {
        let reason = self.answer.finish(ending, &mut self.pieces);
        self.send_pieces();
        self.over = true;
        let usage = Usage {
            input_tokens: self.input_tokens,
            cached_tokens: 0,
            output_tokens: self.answer.tokens(),
            reasoning_tokens: self.answer.reasoning_tokens(),
        };
        let read = self.first_token.unwrap_or(now);
        let (prefill, decode) = (read - self.started, now - read);
        let stop_sequence = self.answer.stop_sequence().map(str::to_owned);
        send(&self.events, Event::Finished(Finished { reason, stop_sequence, usage, prefill, decode }));
    }
}

/// The answers to one prompt, at the moment when it is read: each chooses its first token from the same logits.
pub(super) struct Choices {
    all: Vec<Choice>,
    /// What each of them chose, where they chose one after another.
    firsts: Vec<Result<u32, RowError>>,
}

impl Choices {
    pub(super) fn new(all: Vec<Choice>) -> Self {
        Self { all, firsts: Vec::new() }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [Choice] {
        &mut self.all
    }

    pub(super) fn all_done(&self) -> bool {
        self.all.iter().all(Choice::is_done)
    }

    /// How the first tokens are chosen.
    pub(super) fn pick(&mut self) -> Pick<'_> {
        // What is likeliest is the same for all of them.
        let alike = self.all.iter().all(|choice| choice.sampler.is_none() || choice.max_output_tokens == 0);
        if alike || self.all.len() == 1 { self.all[0].next().1 } else { Pick::Sample(self) }
    }

    /// Tells all of them what is known of the prompt.
    pub(super) fn show_prompt(&mut self, prompt: &[u32], scored: Vec<Scored>) {
        let (given, wanted) = (scored.len() + 1, prompt.len());
        let logprobs = self.all[0].answer.prompt_logprobs(prompt, scored).map(Arc::new);
        for choice in &mut self.all {
            match &logprobs {
                Some(logprobs) if given == wanted => choice.show_prompt(logprobs),
                _ => choice.fail(EngineError::Internal(format!(
                    "the decoder scored {given} of the {wanted} tokens of a prompt"
                ))),
            }
        }
    }

    /// Hands out the first tokens. An error may be that of one choice alone.
    pub(super) fn take(self, picked: &Result<Option<u32>, RowError>, now: Instant) -> Vec<Choice> {
        let Self { mut all, firsts } = self;
        for (index, choice) in all.iter_mut().enumerate() {
            let own = firsts.get(index).cloned().map(|first| first.map(Some));
            choice.take(own.unwrap_or_else(|| picked.clone()), now);
        }
        all
    }
}

impl Sampler for Choices {
    fn sample(&mut self, logits: &mut [f32]) -> Result<u32, RowError> {
        let mut own = Vec::with_capacity(logits.len());
        self.firsts.clear();
        for choice in &mut self.all {
            own.clear();
            own.extend_from_slice(logits);
            self.firsts.push(match choice.next().1 {
                Pick::Sample(sampler) => sampler.sample(&mut own),
                Pick::Greedy | Pick::Nothing => Err(RowError::BadLogits),
            });
        }
        // The decoder hears of an error only where nobody has a token.
        let mut token = Err(RowError::BadLogits);
        for first in &self.firsts {
            if token.is_err() {
                token.clone_from(first);
            }
        }
        token
    }
}
