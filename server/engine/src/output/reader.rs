//! What the readers of calls share: the text they walk through, and where calls go.

use mlx_gate_core::{Event, ToolCallDelta};
use rand::Rng;
use rand::distr::Alphanumeric;

use super::Piece;
use super::pending::open_tag;
use super::tools::Tools;

/// The longest name of a function or a parameter, in bytes. What is longer is text.
pub(super) const MAX_NAME: usize = 256;

/// Reads a block of calls, from behind the mark that opens it.
///
/// A reader decides by the text only, never by where it was cut: with less text than it needs for a decision it waits.
/// A call is announced as soon as it is certain to be one. Until then nothing is lost, because the cursor keeps the text;
/// from then on everything up to the end of the call is its arguments.
pub(super) trait Reader: Send {
    /// Reads on as far as the text allows.
    fn read(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>) -> Outcome;

    /// Passes on what was held back of the arguments of an open call, once no more text comes.
    fn finish(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>);
}

/// What text did to a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It goes on.
    NeedsText,
    /// It is over; what follows the cursor is text.
    Ended,
    /// What follows the last whole call, or the mark where there is none, is no call but text.
    NoCall,
}

/// How far a part of a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    NeedsText,
    Done,
    /// It is not what it should be. The cursor stands where that shows.
    Broken,
}

/// Whether a mark stands at the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Here,
    Absent,
    /// More text will tell.
    Unclear,
}

/// The text of a block, and how far it is read.
#[derive(Default)]
pub(super) struct Cursor {
    text: String,
    at: usize,
    settled: usize,
}

impl Cursor {
    pub(super) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// What is not read yet.
    pub(super) fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    /// The next byte.
    pub(super) fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The text from an earlier place up to the cursor.
    pub(super) fn since(&self, start: usize) -> &str {
        &self.text[start..self.at]
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Goes back to a place where the cursor was.
    pub(super) fn back_to(&mut self, at: usize) {
        self.at = at;
    }

    pub(super) fn skip_white(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    /// Says that all before the cursor belongs to whole calls and is not to come back as text.
    pub(super) fn settle(&mut self) {
        self.settled = self.at;
    }

    /// Looks whether `mark` comes next.
    pub(super) fn mark(&self, mark: &str) -> Mark {
        let rest = self.rest().as_bytes();
        match rest.get(..mark.len()) {
            Some(found) if found == mark.as_bytes() => Mark::Here,
            None if mark.as_bytes().starts_with(rest) => Mark::Unclear,
            _ => Mark::Absent,
        }
    }

    /// Goes past `mark` where it comes next.
    pub(super) fn take_mark(&mut self, mark: &str) -> Mark {
        let found = self.mark(mark);
        if found == Mark::Here {
            self.advance(mark.len());
        }
        found
    }

    /// Gives the name between the cursor and `end`, and goes past both.
    pub(super) fn take_name(&mut self, end: &str) -> Result<String, Progress> {
        let rest = self.rest();
        let found = rest.find(end);
        let name = &rest[..found.unwrap_or_else(|| rest.len() - open_tag(rest, end))];
        if name.len() > MAX_NAME || name.contains(|character: char| !may_be_in_name(character)) {
            return Err(Progress::Broken);
        }
        let Some(length) = found else { return Err(Progress::NeedsText) };
        if length == 0 {
            return Err(Progress::Broken);
        }
        let name = name.to_owned();
        self.advance(length + end.len());
        Ok(name)
    }

    /// What is not read.
    pub(super) fn into_rest(mut self) -> String {
        self.text.split_off(self.at)
    }

    /// What follows the last whole call.
    pub(super) fn into_unsettled(mut self) -> String {
        self.text.split_off(self.settled)
    }
}

/// Names are not checked against the tools offered, but what no API takes for a function's name is none.
fn may_be_in_name(character: char) -> bool {
    !character.is_whitespace() && !character.is_control() && !"{}()\"'`,;=<>".contains(character)
}

/// The calls of an answer so far.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// How many were announced.
    pub(super) count: u32,
    /// Whether the last one's arguments are still to come.
    pub(super) open: bool,
    /// Whether anything of the last one's arguments was passed on.
    pub(super) has_arguments: bool,
}

/// How the ids of calls look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ids {
    /// `call_` and 24 characters, as OpenAI's.
    OpenAi,
    /// Nine characters: Mistral's templates refuse others.
    Mistral,
}

/// Where the pieces of an answer go.
pub(super) struct Sink<'a> {
    pub(super) pieces: &'a mut Vec<Piece>,
    pub(super) calls: &'a mut Calls,
    pub(super) tools: &'a Tools,
    pub(super) ids: Ids,
    /// Bytes of text that the parser has taken.
    pub(super) taken: usize,
}

impl Sink<'_> {
    /// Announces a call.
    pub(super) fn open(&mut self, name: &str) {
        self.open_as(new_id(self.ids), name);
    }

    /// Announces a call that the model gave an id.
    pub(super) fn open_as(&mut self, id: String, name: &str) {
        let opening = Some((id, name.to_owned()));
        let delta = ToolCallDelta { index: self.calls.count, opening, arguments: String::new() };
        self.push_call(delta);
        self.calls.count += 1;
        self.calls.open = true;
        self.calls.has_arguments = false;
    }

    /// Passes on text of the arguments of the open call.
    pub(super) fn arguments(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.calls.has_arguments = true;
        let index = self.calls.count.saturating_sub(1);
        match self.pieces.last_mut().map(|piece| &mut piece.event) {
            Some(Event::ToolCall(last)) if last.opening.is_none() && last.index == index => {
                last.arguments.push_str(text);
            }
            _ => self.push_call(ToolCallDelta { index, opening: None, arguments: text.to_owned() }),
        }
    }

    fn push_call(&mut self, delta: ToolCallDelta) {
        self.pieces.push(Piece { event: Event::ToolCall(delta), source: self.taken..self.taken });
    }

    /// Ends the open call.
    pub(super) fn close(&mut self, cursor: &mut Cursor) {
        self.calls.open = false;
        cursor.settle();
    }
}

/// Random, because the id has to be unique in a conversation that other servers may have answered before.
fn new_id(ids: Ids) -> String {
    let random = rand::rng().sample_iter(Alphanumeric).map(char::from);
    match ids {
        Ids::OpenAi => "call_".chars().chain(random.take(24)).collect(),
        Ids::Mistral => random.take(9).collect(),
    }
}
