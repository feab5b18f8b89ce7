//! One `<tool_call>`: a JSON object with a `name` and `arguments`, read byte by byte so that arguments stream.
//!
//! A call is announced when its arguments begin (or when it ends without any). Until then everything is kept, so that
//! what turns out to be no call is shown as the text it is. Arguments are passed on as the model wrote them, white space
//! included, and may be invalid JSON, as OpenAI's API says of them.

use mlx_gate_core::{Event, ToolCallDelta};
use rand::Rng;
use rand::distr::Alphanumeric;
use serde::de::IgnoredAny;

use super::{CALL, END_CALL, open_tag};

/// A call being read.
pub(super) struct Call {
    index: u32,
    /// White space in front of the tag, to be shown if this is no call.
    before: String,
    /// Everything after the tag.
    raw: String,
    /// The next byte of `raw` to look at.
    at: usize,
    place: Place,
    name: Option<String>,
    arguments: Arguments,
}

/// What text did to a call.
pub(super) enum Outcome {
    /// It goes on.
    NeedsText,
    /// It is complete; `rest` is what follows, a closing tag as a rule.
    Ended { rest: String },
    /// It is none: `opening` is text, and `rest` is to be looked at again.
    NoCall { opening: String, rest: String },
}

/// Where in the object the next byte stands.
enum Place {
    Opening,
    BeforeKey,
    Key {
        start: usize,
        nesting: Nesting,
    },
    Colon(Key),
    BeforeValue(Key),
    Value {
        key: Key,
        start: usize,
        nesting: Nesting,
    },
    Scalar {
        key: Key,
        start: usize,
    },
    AfterValue,
    /// Arguments that cannot be JSON any more go on up to the closing tag.
    BrokenArguments,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Name,
    Arguments,
    Other,
}

enum Arguments {
    /// None yet.
    Absent,
    /// Complete, but the name is not known.
    Held(String),
    /// On their way to the client: all before this offset of `raw` is sent.
    Streaming(usize),
    Sent,
}

/// The object is not what a call looks like.
struct Irregular;

impl Call {
    pub(super) fn new(index: u32, before: String) -> Self {
        let (place, arguments) = (Place::Opening, Arguments::Absent);
        Self { index, before, raw: String::new(), at: 0, place, name: None, arguments }
    }

    pub(super) fn push(&mut self, text: &str, events: &mut Vec<Event>) -> Outcome {
        self.raw.push_str(text);
        while let Some(&byte) = self.raw.as_bytes().get(self.at) {
            if matches!(self.place, Place::BrokenArguments) {
                return self.broken(events);
            }
            match self.advance(byte, events) {
                Ok(false) => self.at += 1,
                Ok(true) => return Outcome::Ended { rest: self.raw.split_off(self.at + 1) },
                Err(Irregular) => match self.arguments {
                    Arguments::Absent | Arguments::Held(_) => return self.no_call(),
                    Arguments::Streaming(_) => self.place = Place::BrokenArguments,
                    Arguments::Sent => return Outcome::Ended { rest: self.raw.split_off(self.at) },
                },
            }
        }
        self.stream(self.raw.len(), events);
        Outcome::NeedsText
    }

    /// Ends a call that is not complete. One that was not announced is text, which is given back.
    pub(super) fn finish(mut self, events: &mut Vec<Event>) -> Option<String> {
        self.stream(self.raw.len(), events);
        match self.arguments {
            Arguments::Absent | Arguments::Held(_) => Some(format!("{}{CALL}{}", self.before, self.raw)),
            Arguments::Streaming(_) | Arguments::Sent => None,
        }
    }

    /// Takes the byte at `at`; true where it ends the object.
    fn advance(&mut self, byte: u8, events: &mut Vec<Event>) -> Result<bool, Irregular> {
        let white = byte.is_ascii_whitespace();
        let at = self.at;
        match &mut self.place {
            Place::Opening
            | Place::BeforeKey
            | Place::Colon(_)
            | Place::BeforeValue(_)
            | Place::AfterValue
                if white => {}
            Place::Opening if byte == b'{' => self.place = Place::BeforeKey,
            Place::BeforeKey if byte == b'"' => {
                self.place = Place::Key { start: at, nesting: Nesting::opened_by(byte) };
            }
            Place::Key { start, nesting } => {
                if nesting.advance(byte)? {
                    let start = *start;
                    self.place = Place::Colon(self.key(start));
                }
            }
            Place::Colon(key) if byte == b':' => self.place = Place::BeforeValue(*key),
            Place::BeforeValue(key) => {
                let key = *key;
                self.begin_value(key, byte, events)?;
            }
            Place::Value { key, start, nesting } => {
                if nesting.advance(byte)? {
                    let (key, start) = (*key, *start);
                    self.end_value(key, start, at + 1, events)?;
                }
            }
            Place::Scalar { key, start } => {
                if white || byte == b',' || byte == b'}' {
                    let (key, start) = (*key, *start);
                    self.end_value(key, start, at, events)?;
                    return self.advance(byte, events);
                }
            }
            Place::AfterValue if byte == b',' => self.place = Place::BeforeKey,
            Place::AfterValue if byte == b'}' => {
                self.end_object(events)?;
                return Ok(true);
            }
            _ => return Err(Irregular),
        }
        Ok(false)
    }

    fn key(&self, start: usize) -> Key {
        match &self.raw[start..=self.at] {
            r#""name""# if self.name.is_none() => Key::Name,
            r#""arguments""# if matches!(self.arguments, Arguments::Absent) => Key::Arguments,
            _ => Key::Other,
        }
    }

    fn begin_value(&mut self, key: Key, byte: u8, events: &mut Vec<Event>) -> Result<(), Irregular> {
        let start = self.at;
        self.place = match byte {
            b'{' | b'[' | b'"' => Place::Value { key, start, nesting: Nesting::opened_by(byte) },
            b'-' | b'0'..=b'9' | b'a'..=b'z' => Place::Scalar { key, start },
            _ => return Err(Irregular),
        };
        if key == Key::Arguments && byte == b'{' && self.open(events) {
            self.arguments = Arguments::Streaming(start);
        }
        Ok(())
    }

    fn end_value(
        &mut self,
        key: Key,
        start: usize,
        end: usize,
        events: &mut Vec<Event>,
    ) -> Result<(), Irregular> {
        self.place = Place::AfterValue;
        if matches!(self.arguments, Arguments::Streaming(_)) {
            self.stream(end, events);
            self.arguments = Arguments::Sent;
            return Ok(());
        }
        let value = &self.raw[start..end];
        match key {
            Key::Name => {
                let name: String = serde_json::from_str(value).map_err(|_| Irregular)?;
                if name.is_empty() {
                    return Err(Irregular);
                }
                self.name = Some(name);
            }
            Key::Arguments => self.arguments = Arguments::Held(whole_arguments(value)?),
            Key::Other => {
                serde_json::from_str::<IgnoredAny>(value).map_err(|_| Irregular)?;
            }
        }
        if let Arguments::Held(_) = self.arguments
            && self.open(events)
            && let Arguments::Held(arguments) = std::mem::replace(&mut self.arguments, Arguments::Sent)
        {
            self.send(arguments, events);
        }
        Ok(())
    }

    fn end_object(&mut self, events: &mut Vec<Event>) -> Result<(), Irregular> {
        if let Arguments::Absent = self.arguments {
            if !self.open(events) {
                return Err(Irregular);
            }
            self.send("{}".to_owned(), events);
        }
        match self.arguments {
            Arguments::Held(_) => Err(Irregular),
            _ => Ok(()),
        }
    }

    /// Announces the call, if its name is known.
    fn open(&self, events: &mut Vec<Event>) -> bool {
        let Some(name) = self.name.clone() else { return false };
        let opening = Some((new_id(), name));
        events.push(Event::ToolCall(ToolCallDelta { index: self.index, opening, arguments: String::new() }));
        true
    }

    /// Sends arguments up to an offset of `raw`, where they are being streamed.
    fn stream(&mut self, end: usize, events: &mut Vec<Event>) {
        if let Arguments::Streaming(sent) = self.arguments
            && sent < end
        {
            self.arguments = Arguments::Streaming(end);
            self.send(self.raw[sent..end].to_owned(), events);
        }
    }

    fn send(&self, arguments: String, events: &mut Vec<Event>) {
        events.push(Event::ToolCall(ToolCallDelta { index: self.index, opening: None, arguments }));
    }

    fn broken(&mut self, events: &mut Vec<Event>) -> Outcome {
        let unsent = &self.raw[self.at..];
        if let Some(length) = unsent.find(END_CALL) {
            self.stream(self.at + length, events);
            return Outcome::Ended { rest: self.raw.split_off(self.at + length) };
        }
        self.at = self.raw.len() - open_tag(unsent, END_CALL);
        self.stream(self.at, events);
        Outcome::NeedsText
    }

    fn no_call(&mut self) -> Outcome {
        let opening = std::mem::take(&mut self.before) + CALL;
        Outcome::NoCall { opening, rest: std::mem::take(&mut self.raw) }
    }
}

/// Arguments that were not streamed: an object, an object within a string as some models write it, or nothing.
fn whole_arguments(value: &str) -> Result<String, Irregular> {
    match value.as_bytes() {
        [b'{', ..] => {
            serde_json::from_str::<IgnoredAny>(value).map_err(|_| Irregular)?;
            Ok(value.to_owned())
        }
        [b'"', ..] => serde_json::from_str(value).map_err(|_| Irregular),
        b"null" => Ok("{}".to_owned()),
        _ => Err(Irregular),
    }
}

/// Random, because the id has to be unique in a conversation that other servers may have answered before.
fn new_id() -> String {
    let random = rand::rng().sample_iter(Alphanumeric).take(24).map(char::from);
    "call_".chars().chain(random).collect()
}

/// Finds the end of a JSON object, array or string. What stands between brackets and strings is not checked.
struct Nesting {
    /// Brackets that have to come, the innermost last.
    closing: Vec<u8>,
    string: bool,
    escaped: bool,
}

impl Nesting {
    fn opened_by(byte: u8) -> Self {
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
    fn advance(&mut self, byte: u8) -> Result<bool, Irregular> {
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
