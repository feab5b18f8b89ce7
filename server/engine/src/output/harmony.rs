//! Harmony, the format of gpt-oss: an answer is a row of messages, each with a header that names its channel and, where it
//! calls a tool, a recipient.
//!
//! `<|channel|>analysis<|message|>..<|end|><|start|>assistant<|channel|>commentary to=functions.NAME
//! <|constrain|>json<|message|>{..}<|call|>`; the prompt has written `<|start|>assistant` already. What stands in the
//! analysis channel is reasoning, what goes to a recipient is a call, everything else is the answer. Messages of the same
//! kind that follow one another are set apart by a line break, which is all that is added to a text here.

use mlx_gate_core::{OutputFormat, ReasoningSyntax, ToolSyntax};

use super::Piece;
use super::json::up_to;
use super::pending::{Kind, Pending, first_of};
use super::reader::{Cursor, Mark, Progress, Sink};

const START: &str = "<|start|>";
const CHANNEL: &str = "<|channel|>";
const CONSTRAIN: &str = "<|constrain|>";
const MESSAGE: &str = "<|message|>";
/// What ends a message. `<|return|>` and `<|call|>` end the answer as well.
const ENDS: &[&str] = &["<|end|>", "<|return|>", "<|call|>", START];

/// Every mark of the format.
pub(super) const MARKS: &[&str] = &[START, CHANNEL, CONSTRAIN, MESSAGE, "<|end|>", "<|return|>", "<|call|>"];

/// The longest header, in bytes. What is longer is text.
const MAX_HEADER: usize = 512;

/// Whether answers of this format are Harmony's.
pub(crate) fn speaks(format: OutputFormat) -> bool {
    format.tools == Some(ToolSyntax::Harmony) || format.reasoning == Some(ReasoningSyntax::Harmony)
}

/// The parser of one answer.
pub(super) struct Harmony {
    calls_count: bool,
    reasoning_counts: bool,
    /// The text of the answer is said by a grammar, and no mark inside of it ends it.
    text_is_bound: bool,
    pending: Pending,
    place: Place,
    /// What was shown last, of which kind.
    last: Option<Kind>,
}

enum Place {
    /// In front of a header, or of text that has none.
    Message,
    Header,
    Text(Kind),
    /// The arguments of a call, of which something other than white space may have come.
    Call {
        cursor: Cursor,
        begun: bool,
    },
}

/// What a header says.
enum Header {
    Text(Kind),
    Call(String),
}

impl Harmony {
    pub(super) fn new(format: OutputFormat) -> Self {
        Self {
            calls_count: format.tools == Some(ToolSyntax::Harmony),
            reasoning_counts: format.reasoning == Some(ReasoningSyntax::Harmony),
            text_is_bound: format.text_is_bound,
            pending: Pending::new(false),
            place: Place::Message,
            last: None,
        }
    }

    pub(super) fn push(&mut self, piece: &str, sink: &mut Sink<'_>) {
        self.pending.push(piece);
        while self.advance(sink) {}
    }

    pub(super) fn finish(&mut self, sink: &mut Sink<'_>) {
        let length = self.pending.text().len();
        match &mut self.place {
            Place::Text(kind) => {
                let kind = *kind;
                self.show(length, kind, sink);
            }
            Place::Message | Place::Header => self.show(length, Kind::Answer, sink),
            Place::Call { .. } => {
                self.call(sink);
                if let Place::Call { cursor, begun } = &mut self.place {
                    let empty = cursor.rest().is_empty() && !*begun;
                    sink.arguments(if empty { "{}" } else { cursor.rest() });
                }
            }
        }
    }

    pub(super) fn in_reasoning(&self) -> bool {
        matches!(self.place, Place::Text(Kind::Reasoning))
    }

    /// Does what can be done; whether there may be more.
    fn advance(&mut self, sink: &mut Sink<'_>) -> bool {
        match &mut self.place {
            Place::Message => self.message(),
            Place::Header => self.header(sink),
            Place::Text(kind) => {
                let kind = *kind;
                self.text(kind, sink)
            }
            Place::Call { .. } => self.call(sink),
        }
    }

    fn message(&mut self) -> bool {
        let text = self.pending.text().trim_start();
        if text.is_empty() {
            return false;
        }
        let opens = |mark: &&str| match mark_at(text, mark) {
            Mark::Unclear => None,
            found => Some(found == Mark::Here),
        };
        let marks = [START, CHANNEL, MESSAGE, "to="];
        self.place = if marks.iter().any(|mark| opens(mark) == Some(true)) {
            Place::Header
        } else if marks.iter().any(|mark| opens(mark).is_none()) {
            return false;
        } else {
            Place::Text(Kind::Answer)
        };
        true
    }

    fn header(&mut self, sink: &mut Sink<'_>) -> bool {
        let text = self.pending.text();
        let white = text.len() - text.trim_start().len();
        let opening = white + if text[white..].starts_with(START) { START.len() } else { 0 };
        let found = text[opening..].find(MESSAGE);
        let header = &text[opening..found.map_or(text.len(), |length| opening + length)];
        // No header goes on behind a mark that ends a message, or for ever.
        let too_long = header.len() > MAX_HEADER + if found.is_some() { 0 } else { MESSAGE.len() };
        if too_long || first_of(header, ENDS).is_some() {
            // Shown at once, so that it is not taken for a header again.
            self.place = Place::Text(Kind::Answer);
            self.show(opening, Kind::Answer, sink);
            return true;
        }
        if found.is_none() {
            return false;
        }
        let header = self.read_header(header);
        self.pending.take_tag(MESSAGE);
        self.pending.after_tag = true;
        self.place = match header {
            Header::Text(kind) => Place::Text(kind),
            Header::Call(name) => {
                sink.open(&name);
                self.last = None;
                Place::Call { cursor: Cursor::default(), begun: false }
            }
        };
        true
    }

    /// Reads `<|start|>ROLE to=RECIPIENT<|channel|>CHANNEL to=RECIPIENT <|constrain|>TYPE`, of which all may be missing.
    fn read_header(&self, header: &str) -> Header {
        let word = |text: &str| -> String {
            text.trim_start()
                .chars()
                .take_while(|&character| !character.is_whitespace() && character != '<')
                .collect()
        };
        let channel = header.split_once(CHANNEL).map_or_else(String::new, |(_, rest)| word(rest));
        let recipient = header.split_once("to=").map(|(_, rest)| word(rest));
        let name = recipient.as_deref().map(|name| name.strip_prefix("functions.").unwrap_or(name));
        match name {
            // Who calls no function by name calls none.
            Some(name) if self.calls_count && !name.is_empty() => Header::Call(name.to_owned()),
            _ if channel == "analysis" && self.reasoning_counts => Header::Text(Kind::Reasoning),
            _ => Header::Text(Kind::Answer),
        }
    }

    fn text(&mut self, kind: Kind, sink: &mut Sink<'_>) -> bool {
        if self.text_is_bound && kind == Kind::Answer {
            self.show(self.pending.text().len(), kind, sink);
            return false;
        }
        let Some((at, end)) = first_of(self.pending.text(), ENDS) else {
            self.show(self.pending.decided(ENDS), kind, sink);
            return false;
        };
        let length = self.pending.text()[..at].trim_end().len();
        self.show(length, kind, sink);
        self.end(end);
        true
    }

    fn call(&mut self, sink: &mut Sink<'_>) -> bool {
        let Place::Call { cursor, begun } = &mut self.place else { return false };
        cursor.push(&self.pending.take());
        if !*begun {
            cursor.skip_white();
        }
        let ended = up_to(cursor, sink, ENDS) == Progress::Done;
        *begun |= sink.calls.has_arguments;
        if !ended {
            return false;
        }
        if !*begun {
            sink.arguments("{}");
        }
        sink.close(cursor);
        let rest = std::mem::take(cursor).into_rest();
        let end = first_of(&rest, ENDS).map_or("", |(_, end)| end);
        self.pending.replace(rest);
        self.end(end);
        true
    }

    /// Goes past the mark that ends a message. One that begins the next is left to it.
    fn end(&mut self, mark: &str) {
        if mark != START {
            self.pending.take_tag(mark);
        } else if let Some(at) = self.pending.text().find(START) {
            let rest = self.pending.text()[at..].to_owned();
            self.pending.replace(rest);
        }
        self.pending.after_tag = true;
        self.place = Place::Message;
    }

    fn show(&mut self, length: usize, kind: Kind, sink: &mut Sink<'_>) {
        self.set_apart(kind, length, sink);
        self.pending.show(length, kind, sink);
    }

    /// Puts a line break between a message and another one of its kind before it.
    fn set_apart(&mut self, kind: Kind, length: usize, sink: &mut Sink<'_>) {
        if self.pending.text()[..length].trim().is_empty() {
            return;
        }
        if self.pending.after_tag && self.last == Some(kind) {
            let at = sink.taken - self.pending.text().len();
            sink.pieces.push(Piece { event: kind.event("\n".to_owned()), source: at..at });
        }
        self.last = Some(kind);
    }
}

/// Whether `mark` stands at the beginning of a text.
fn mark_at(text: &str, mark: &str) -> Mark {
    if text.starts_with(mark) {
        Mark::Here
    } else if mark.starts_with(text) {
        Mark::Unclear
    } else {
        Mark::Absent
    }
}
