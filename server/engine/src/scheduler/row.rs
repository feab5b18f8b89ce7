use std::collections::VecDeque;
use std::time::Instant;

use mlx_gate_core::decoder::{Pick, RowError, RowId, RowStep, Sampler};
use mlx_gate_core::{EngineError, Event, Finished, Priority, Usage};
use tokio::sync::mpsc::UnboundedSender;

use super::queue::Place;
use super::send;
use crate::answer::{Answer, Ending, Source};
use crate::sampler::RowSampler;

/// A generation on its way to the scheduler.
pub(crate) struct Job {
    /// Index of the model.
    pub(crate) model: usize,
    pub(crate) prompt: Vec<u32>,
    /// At least 1.
    pub(crate) max_output_tokens: u32,
    /// `None` lets the device take the likeliest token.
    pub(crate) sampler: Option<RowSampler>,
    pub(crate) answer: Answer,
    /// What keys and values will take at most.
    pub(crate) kv_bytes: u64,
    /// Where the events go. The channel has no bound of its own: an answer is bounded by its tokens, and a bounded
    /// channel would make the device thread wait for a client, or keep a row's memory until a slow one has read.
    pub(crate) events: UnboundedSender<Event>,
    pub(crate) priority: Priority,
    pub(crate) queued: Instant,
    pub(crate) place: Place,
}

impl Job {
    pub(super) fn is_cancelled(&self) -> bool {
        self.events.is_closed()
    }

    pub(crate) fn fail(self, error: EngineError) {
        send(&self.events, Event::Failed(error));
    }
}

/// A generation on the device.
pub(super) struct Row {
    id: RowId,
    prompt: Vec<u32>,
    /// Prompt tokens the decoder has.
    read: usize,
    /// The last token, which the decoder gets next.
    last: u32,
    /// Tokens that come next, whatever the model would say.
    forced: VecDeque<u32>,
    max_output_tokens: u32,
    sampler: Option<RowSampler>,
    answer: Answer,
    kv_bytes: u64,
    events: UnboundedSender<Event>,
    started: Instant,
    first_token: Option<Instant>,
    over: bool,
    /// Kept between tokens for its allocation only.
    pieces: Vec<Event>,
}

impl Row {
    /// Gives a job its row.
    pub(super) fn begin(id: RowId, job: Job) -> Self {
        let started = Instant::now();
        // Given back before anybody can hear of the row, so that who has heard of it finds the place free.
        drop(job.place);
        send(&job.events, Event::Started { queued: started - job.queued });
        let (mut sampler, mut answer) = (job.sampler, job.answer);
        if let Some(sampler) = &mut sampler {
            sampler.begin();
        }
        Self {
            id,
            prompt: job.prompt,
            read: 0,
            last: 0,
            // A budget may be spent before the first token.
            forced: answer.due().iter().copied().collect(),
            max_output_tokens: job.max_output_tokens,
            sampler,
            answer,
            kv_bytes: job.kv_bytes,
            events: job.events,
            started,
            first_token: None,
            over: false,
            pieces: Vec::new(),
        }
    }

    pub(super) fn id(&self) -> RowId {
        self.id
    }

    pub(super) fn kv_bytes(&self) -> u64 {
        self.kv_bytes
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.events.is_closed()
    }

    /// Whether the last event is sent.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Prompt tokens that the decoder does not have yet.
    pub(super) fn unread(&self) -> usize {
        self.prompt.len() - self.read
    }

    /// The row's part of the next step: `read` more prompt tokens, or the last token where the prompt is read. `None`
    /// where the prompt has to wait.
    pub(super) fn next_step(&mut self, read: usize) -> Option<RowStep<'_>> {
        let end = self.read + read;
        let tokens = match (self.unread(), read) {
            (0, _) => std::slice::from_ref(&self.last),
            (_, 0) => return None,
            _ => &self.prompt[self.read..end],
        };
        let pick = match &mut self.sampler {
            _ if end < self.prompt.len() => Pick::Nothing,
            None => Pick::Greedy,
            Some(sampler) => {
                sampler.force(self.forced.front().copied());
                Pick::Sample(sampler as &mut dyn Sampler)
            }
        };
        Some(RowStep { row: self.id, tokens, pick })
    }

    /// Takes the result of the step that [`next_step`](Self::next_step) gave for the same `read`.
    pub(super) fn take(&mut self, result: Result<Option<u32>, RowError>, read: usize, now: Instant) {
        self.read += read;
        let more = self.unread() > 0;
        match result {
            Ok(None) if more => {}
            Ok(Some(token)) if !more => self.accept(token, now),
            Ok(picked) => {
                let asked = if more { "none" } else { "one" };
                self.fail(EngineError::Internal(format!(
                    "the decoder picked {picked:?} where {asked} was asked for"
                )));
            }
            // What a grammar costs is the client's doing, and where it gets too much shows only on the way.
            Err(RowError::Grammar(message)) => {
                self.fail(EngineError::InvalidRequest { field: "grammar", message });
            }
            Err(error) => self.fail(EngineError::Internal(error.to_string())),
        }
    }

    /// Ends the row by an error, unless it has ended.
    pub(super) fn fail(&mut self, error: EngineError) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        send(&self.events, Event::Failed(error));
    }

    fn accept(&mut self, picked: u32, now: Instant) {
        let (token, source) = match self.forced.pop_front() {
            Some(forced) => (forced, Source::Forced),
            None => (picked, Source::Model),
        };
        self.last = token;
        let first_token = *self.first_token.get_or_insert(now);
        let logprobs = self.sampler.as_mut().and_then(RowSampler::take_logprobs);
        let ending = if self.answer.push(token, source, logprobs, &mut self.pieces) {
            Some(Ending::Stop)
        } else if self.answer.tokens() >= self.max_output_tokens {
            Some(Ending::Length)
        } else {
            None
        };
        let reason = ending.map(|ending| self.answer.finish(ending, &mut self.pieces));
        for piece in self.pieces.drain(..) {
            send(&self.events, piece);
        }
        if self.forced.is_empty() {
            self.forced.extend(self.answer.due());
        }
        let Some(reason) = reason else { return };
        self.over = true;
        let usage = Usage {
            input_tokens: self.prompt.len() as u32,
            cached_tokens: 0,
            output_tokens: self.answer.tokens(),
            reasoning_tokens: self.answer.reasoning_tokens(),
        };
        let (prefill, decode) = (first_token - self.started, now - first_token);
        let stop_sequence = self.answer.stop_sequence().map(str::to_owned);
        send(&self.events, Event::Finished(Finished { reason, stop_sequence, usage, prefill, decode }));
    }
}
