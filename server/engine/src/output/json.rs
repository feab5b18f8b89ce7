//! Arguments that are JSON already: passed on as the model wrote them, white space included.
//!
//! They may be invalid JSON, as OpenAI's API says of them.

use super::pending::{first_of, open_tag};
use super::reader::{Cursor, Progress, Sink};

/// Arguments of an announced call on their way to the client: a JSON object.
#[derive(Default)]
pub(super) struct Arguments {
    nesting: Option<Nesting>,
    /// They cannot be JSON any more, and go on up to what ends the call.
    broken: bool,
}

impl Arguments {
    /// Passes on what is certain. `ends` are the marks that end a call whose arguments are broken; such arguments end in
    /// front of the first one.
    pub(super) fn read(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>, ends: &[&str]) -> Progress {
        if self.broken {
            return up_to(cursor, sink, ends);
        }
        let rest = cursor.rest();
        for (at, byte) in rest.bytes().enumerate() {
            let nesting = if let Some(nesting) = &mut self.nesting {
                nesting.advance(byte)
            } else {
                self.nesting = Some(Nesting::opened_by(byte));
                Ok(false)
            };
            let length = match nesting {
                Ok(false) => continue,
                Ok(true) => at + 1,
                Err(Irregular) => at,
            };
            sink.arguments(&rest[..length]);
            cursor.advance(length);
            if nesting.is_ok() {
                return Progress::Done;
            }
            self.broken = true;
            return up_to(cursor, sink, ends);
        }
        sink.arguments(rest);
        cursor.advance(rest.len());
        Progress::NeedsText
    }

    /// Passes on all there is.
    pub(super) fn finish(cursor: &mut Cursor, sink: &mut Sink<'_>) {
        sink.arguments(cursor.rest());
        cursor.advance(cursor.rest().len());
    }
}

/// Passes text on up to the first of several marks.
pub(super) fn up_to(cursor: &mut Cursor, sink: &mut Sink<'_>, marks: &[&str]) -> Progress {
    let rest = cursor.rest();
    if let Some((length, _)) = first_of(rest, marks) {
        sink.arguments(&rest[..length]);
        cursor.advance(length);
        return Progress::Done;
    }
    let open = marks.iter().map(|mark| open_tag(rest, mark)).max().unwrap_or(0);
    let length = rest.len() - open;
    sink.arguments(&rest[..length]);
    cursor.advance(length);
    Progress::NeedsText
}

/// The text of a JSON string, without its quotation marks.
pub(super) fn escaped(text: &str) -> String {
    let quoted = quoted(text);
    quoted[1..quoted.len() - 1].to_owned()
}

/// A text as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Something is not what JSON looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Irregular;

/// Finds the end of a JSON object, array or string. What stands between brackets and strings is not checked.
pub(super) struct Nesting {
    /// Brackets that have to come, the innermost last.
    closing: Vec<u8>,
    string: bool,
    escaped: bool,
}

impl Nesting {
    pub(super) fn opened_by(byte: u8) -> Self {
        let mut nesting = Self { closing: Vec::new(), string: false, escaped: false };
        nesting.open(byte);
        nesting
    }

    fn open(&mut self, byte: u8) {
        match byte {
            b'{' => self.closing.push(b'}'),
            b'[' => self.closing.push(b']'),
            b'"' => self.string = true,
            _ => {}
        }
    }

    /// Takes a byte; true where it ends the value.
    pub(super) fn advance(&mut self, byte: u8) -> Result<bool, Irregular> {
        if self.string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.string = false,
                _ => {}
            }
        } else {
            match byte {
                b'}' | b']' if self.closing.pop() != Some(byte) => return Err(Irregular),
                // Never part of JSON outside of a string: most likely the closing tag of arguments that were cut.
                b'<' => return Err(Irregular),
                _ => self.open(byte),
            }
        }
        Ok(!self.string && self.closing.is_empty())
    }
}
