//! Takes generated text apart into answer, reasoning and tool calls, as it streams.
//!
//! Tags are `<think>`..`</think>` and `<tool_call>`..`</tool_call>`. White space beside a tag belongs to the tag and is
//! not shown; everything else a model writes reaches the client as something, also where it is no valid call. What comes
//! out depends on the text only, not on how it was cut.

mod call;

use call::{Call, Outcome};
use mlx_gate_core::{Event, OutputFormat, ReasoningSyntax, ToolSyntax};

const THINK: &str = "<think>";
const END_THINK: &str = "</think>";
const CALL: &str = "<tool_call>";
const END_CALL: &str = "</tool_call>";

/// The parser of one answer.
pub struct OutputParser {
    format: OutputFormat,
    state: State,
    /// Text about which nothing can be said yet: white space that may stand before a tag, or the beginning of a tag.
    pending: String,
    /// The last thing was a tag, so white space that follows is not shown.
    after_tag: bool,
    /// Tool calls so far.
    calls: u32,
}

enum State {
    Answer,
    /// A call has just ended: its closing tag is due, but nothing depends on it.
    CallEnded,
    Reasoning,
    Call(Call),
}

/// Whether a state left text that the next one has to look at.
enum Progress {
    Again,
    NeedsText,
}

impl OutputParser {
    /// A parser at the start of an answer.
    pub fn new(format: OutputFormat) -> Self {
        let reasoning = format.reasoning.is_some() && format.reasoning_open;
        let state = if reasoning { State::Reasoning } else { State::Answer };
        Self { format, state, pending: String::new(), after_tag: reasoning, calls: 0 }
    }

    /// Takes the next piece of text and appends the events it makes certain.
    pub fn push(&mut self, piece: &str, events: &mut Vec<Event>) {
        self.pending.push_str(piece);
        while let Progress::Again = self.advance(events) {}
    }

    /// Appends what was held back, once no more text comes.
    pub fn finish(&mut self, events: &mut Vec<Event>) {
        let reasoning = self.in_reasoning();
        if let State::Call(call) = std::mem::replace(&mut self.state, State::Answer) {
            match call.finish(events) {
                Some(text) => self.pending = text,
                None => self.calls += 1,
            }
        }
        let rest = self.pending.len();
        self.show(rest, reasoning, events);
    }

    /// Whether the text that comes next is reasoning, as far as can be said.
    pub fn in_reasoning(&self) -> bool {
        matches!(self.state, State::Reasoning)
    }

    /// Whether the answer has called a tool.
    pub fn has_calls(&self) -> bool {
        self.calls > 0
    }

    fn advance(&mut self, events: &mut Vec<Event>) -> Progress {
        match &mut self.state {
            State::Answer => self.answer(events),
            State::CallEnded => self.call_ended(),
            State::Reasoning => self.reasoning(events),
            State::Call(call) => {
                let outcome = call.push(&std::mem::take(&mut self.pending), events);
                self.call(outcome, events)
            }
        }
    }

    fn answer(&mut self, events: &mut Vec<Event>) -> Progress {
        let tags: &[&str] = match (
            self.format.reasoning == Some(ReasoningSyntax::Think),
            self.format.tools == Some(ToolSyntax::Hermes),
        ) {
            (true, true) => &[THINK, CALL],
            (true, false) => &[THINK],
            (false, true) => &[CALL],
            (false, false) => &[],
        };
        let Some((at, tag)) = first_of(&self.pending, tags) else {
            self.show(self.pending.len() - undecided(&self.pending, tags), false, events);
            return Progress::NeedsText;
        };
        self.show(self.pending[..at].trim_end().len(), false, events);
        let white = self.take(tag);
        if tag == THINK {
            self.state = State::Reasoning;
            self.after_tag = true;
        } else {
            self.state = State::Call(Call::new(self.calls, white));
        }
        Progress::Again
    }

    fn reasoning(&mut self, events: &mut Vec<Event>) -> Progress {
        // A template may have opened the block already, and the model opens it again.
        if self.after_tag && self.pending.trim_start().starts_with(THINK) {
            self.take(THINK);
            return Progress::Again;
        }
        let Some((at, tag)) = first_of(&self.pending, &[END_THINK]) else {
            let undecided = undecided(&self.pending, &[END_THINK, THINK]);
            self.show(self.pending.len() - undecided, true, events);
            return Progress::NeedsText;
        };
        self.show(self.pending[..at].trim_end().len(), true, events);
        self.take(tag);
        self.state = State::Answer;
        self.after_tag = true;
        Progress::Again
    }

    fn call(&mut self, outcome: Outcome, events: &mut Vec<Event>) -> Progress {
        match outcome {
            Outcome::NeedsText => return Progress::NeedsText,
            Outcome::Ended { rest } => {
                self.calls += 1;
                self.pending = rest;
                self.state = State::CallEnded;
                self.after_tag = true;
            }
            Outcome::NoCall { opening, rest } => {
                // The tag is text, so it is shown at once; what follows is looked at again for other tags.
                self.pending = opening;
                self.show(self.pending.len(), false, events);
                self.pending = rest;
                self.state = State::Answer;
            }
        }
        Progress::Again
    }

    fn call_ended(&mut self) -> Progress {
        let text = self.pending.trim_start();
        if text.starts_with(END_CALL) {
            self.take(END_CALL);
        } else if END_CALL.starts_with(text) {
            return Progress::NeedsText;
        }
        self.state = State::Answer;
        Progress::Again
    }

    /// Shows the first `length` bytes of the pending text.
    fn show(&mut self, length: usize, reasoning: bool, events: &mut Vec<Event>) {
        let rest = self.pending.split_off(length);
        let mut text = std::mem::replace(&mut self.pending, rest);
        if self.after_tag {
            text.drain(..text.len() - text.trim_start().len());
        }
        if text.is_empty() {
            return;
        }
        self.after_tag = false;
        events.push(if reasoning { Event::Reasoning(text) } else { Event::Text(text) });
    }

    /// Removes the pending text up to the end of its first `tag` and gives what stood in front.
    fn take(&mut self, tag: &str) -> String {
        let at = self.pending.find(tag).unwrap_or(0);
        let front = self.pending[..at].to_owned();
        self.pending.drain(..at + tag.len());
        front
    }
}

/// The first of several tags in a text.
fn first_of<'a>(text: &str, tags: &[&'a str]) -> Option<(usize, &'a str)> {
    tags.iter().filter_map(|&tag| text.find(tag).map(|at| (at, tag))).min()
}

/// Length of the ending of a text that may turn out to be, or stand before, one of the tags.
fn undecided(text: &str, tags: &[&str]) -> usize {
    let Some(open) = tags.iter().map(|tag| open_tag(text, tag)).max() else { return 0 };
    text.len() - text[..text.len() - open].trim_end().len()
}

/// Length of the longest ending of a text that begins a tag.
fn open_tag(text: &str, tag: &str) -> usize {
    (1..tag.len()).rev().find(|&length| text.ends_with(&tag[..length])).unwrap_or(0)
}

#[cfg(test)]
mod tests;
