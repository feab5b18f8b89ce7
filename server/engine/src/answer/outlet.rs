//! The last station of an answer: what of its pieces is shown, and which log probabilities go with them.

use std::collections::VecDeque;
use std::ops::Range;

use mlx_gate_core::{Event, TokenLogprob};

use crate::output::Piece;
use crate::stop::StopStrings;

/// Shows pieces up to the first stop string, each behind the log probabilities of its tokens.
pub(super) struct Outlet {
    stop: StopStrings,
    /// Log probabilities of tokens of which nothing is shown yet, with the bytes of the text that are theirs.
    waiting: VecDeque<(Range<usize>, TokenLogprob)>,
    /// Where the last piece of answer text ends.
    text_end: usize,
    stopped: bool,
    calls: bool,
}

impl Outlet {
    pub(super) fn new(stop: StopStrings) -> Self {
        Self { stop, waiting: VecDeque::new(), text_end: 0, stopped: false, calls: false }
    }

    /// Takes the log probability of the next token. One that adds nothing to the text has no bytes.
    pub(super) fn take_logprob(&mut self, source: Range<usize>, logprob: TokenLogprob) {
        self.waiting.push_back((source, logprob));
    }

    /// Appends what can be shown of the next pieces, and says whether they hold a stop string, behind which nothing is. One that
    /// is complete within the first `early` bytes of the text ends nothing.
    ///
    /// Stop strings are looked for in the text of the answer alone. What of it is held back comes before anything else that
    /// follows it, so no stop string goes around a call or reasoning.
    pub(super) fn push(&mut self, pieces: &mut Vec<Piece>, early: usize, events: &mut Vec<Event>) -> bool {
        for Piece { event, source } in pieces.drain(..) {
            if self.stopped {
                break;
            }
            if let Event::Text(text) = event {
                // A piece need not be as long as what it was read from, so the place may be inside of a character.
                let early = text.floor_char_boundary(early.saturating_sub(source.start));
                let (front, rest) = text.split_at(early);
                let mut shown = if front.is_empty() { String::new() } else { self.stop.push_early(front) };
                let released = self.stop.push(rest);
                shown.push_str(&released.text);
                self.stopped = released.stopped;
                self.text_end = source.end;
                self.show_text(shown, source.end.saturating_sub(released.hidden), events);
            } else {
                self.release(events);
                self.calls |= matches!(event, Event::ToolCall(_));
                self.show_logprobs(source, events);
                events.push(event);
            }
        }
        self.stopped
    }

    /// Appends what is held back, once no more comes.
    pub(super) fn finish(&mut self, events: &mut Vec<Event>) {
        // The tokens of the stop string go with it. What is left otherwise shows nothing: special tokens, and marks.
        if !self.stopped {
            self.release(events);
            self.show_logprobs(usize::MAX..usize::MAX, events);
        }
    }

    /// The stop string that was found.
    pub(super) fn stop_sequence(&self) -> Option<&str> {
        self.stop.found()
    }

    /// Whether a call was shown.
    pub(super) fn has_calls(&self) -> bool {
        self.calls
    }

    /// Appends the text that may have begun a stop string, but is followed by something else.
    fn release(&mut self, events: &mut Vec<Event>) {
        let held = self.stop.finish();
        if !held.is_empty() {
            self.show_text(held, self.text_end, events);
        }
    }

    /// Appends text that ends at this byte, behind the log probabilities of all tokens that begin before it.
    fn show_text(&mut self, text: String, end: usize, events: &mut Vec<Event>) {
        self.show_logprobs(end.saturating_sub(text.len())..end, events);
        if !text.is_empty() {
            events.push(Event::Text(text));
        }
    }

    /// Appends the log probabilities of all tokens that begin before the end of what is shown.
    fn show_logprobs(&mut self, shown: Range<usize>, events: &mut Vec<Event>) {
        let count = self.waiting.iter().take_while(|(source, _)| source.start < shown.end).count();
        if count > 0 {
            let tokens = self.waiting.drain(..count).map(|(source, logprob)| {
                let overlap = source.start.max(shown.start)..source.end.min(shown.end);
                TokenLogprob { shown: !overlap.is_empty(), ..logprob }
            });
            events.push(Event::Logprobs(tokens.collect()));
        }
    }
}

#[cfg(test)]
mod tests;
