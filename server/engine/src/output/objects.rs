//! Calls as JSON objects with a name and arguments, one, one after another or in a list: Hermes and Qwen
//! (`<tool_call>{..}</tool_call>`), Llama (`{"name": .., "parameters": ..}`), Mistral (`[TOOL_CALLS][{..}]`), Granite,
//! and plain JSON.
//!
//! An object is read byte by byte so that arguments stream. Its call is announced when its arguments begin, or when it
//! ends without any.

use serde::de::IgnoredAny;

use super::json::{Arguments, Irregular, Nesting};
use super::reader::{Cursor, Mark, Outcome, Progress, Reader, Sink};

/// How one family writes its objects.
pub(super) struct Dialect {
    /// Closes the block; empty where nothing does.
    pub(super) close: &'static str,
    /// Where broken arguments end. In front of the closing mark, or at the next opening one.
    pub(super) ends: &'static [&'static str],
    /// Whether the objects may stand in a list.
    pub(super) list: bool,
    /// Whether objects may follow one another, with `;`, `,` or nothing in between.
    pub(super) several: bool,
    /// Nothing marks the object as a call, so it has to look like one from the first key on, and call a tool there is.
    pub(super) bare: bool,
}

/// Reader of one block.
pub(super) struct Objects {
    dialect: &'static Dialect,
    place: Place,
    in_list: bool,
    name: Option<String>,
    arguments: Held,
}

/// Where the next byte stands.
enum Place {
    /// In front of the first object, or of its list.
    Block,
    Object,
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
    Arguments(Arguments),
    AfterValue,
    AfterObject,
    Close,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Name,
    Arguments,
    Other,
}

/// What is known of an object's arguments.
enum Held {
    Absent,
    /// Complete, but the name is not known.
    Whole(String),
    Sent,
}

impl Objects {
    pub(super) fn new(dialect: &'static Dialect) -> Self {
        Self { dialect, place: Place::Block, in_list: false, name: None, arguments: Held::Absent }
    }

    /// Takes the next byte.
    fn advance(&mut self, byte: u8, cursor: &mut Cursor, sink: &mut Sink<'_>) -> Result<(), Irregular> {
        let white = byte.is_ascii_whitespace();
        let at = cursor.at();
        cursor.advance(1);
        match &mut self.place {
            Place::Block
            | Place::Object
            | Place::BeforeKey
            | Place::Colon(_)
            | Place::BeforeValue(_)
            | Place::AfterValue
                if white => {}
            Place::Block if byte == b'[' && self.dialect.list => {
                self.in_list = true;
                self.place = Place::Object;
            }
            Place::Block | Place::Object if byte == b'{' => {
                self.name = None;
                self.arguments = Held::Absent;
                self.place = Place::BeforeKey;
            }
            Place::BeforeKey if byte == b'"' => {
                self.place = Place::Key { start: at, nesting: Nesting::opened_by(byte) };
            }
            Place::Key { start, nesting } => {
                if nesting.advance(byte)? {
                    let start = *start;
                    self.place = Place::Colon(self.key(cursor.since(start))?);
                }
            }
            Place::Colon(key) if byte == b':' => self.place = Place::BeforeValue(*key),
            Place::BeforeValue(key) => {
                let key = *key;
                self.begin_value(key, byte, at, sink)?;
                if let Place::Arguments(_) = self.place {
                    cursor.back_to(at);
                }
            }
            Place::Value { key, start, nesting } => {
                if nesting.advance(byte)? {
                    let (key, start) = (*key, *start);
                    self.end_value(key, cursor.since(start), sink)?;
                }
            }
            Place::Scalar { key, start } => {
                if white || byte == b',' || byte == b'}' {
                    let (key, start) = (*key, *start);
                    cursor.back_to(at);
                    self.end_value(key, cursor.since(start), sink)?;
                }
            }
            Place::AfterValue if byte == b',' => self.place = Place::BeforeKey,
            Place::AfterValue if byte == b'}' => {
                self.end_object(sink)?;
                sink.close(cursor);
                self.place = Place::AfterObject;
            }
            _ => return Err(Irregular),
        }
        Ok(())
    }

    fn key(&self, key: &str) -> Result<Key, Irregular> {
        Ok(match key {
            r#""name""# if self.name.is_none() => Key::Name,
            r#""arguments""# | r#""parameters""# if matches!(self.arguments, Held::Absent) => Key::Arguments,
            r#""type""# | r#""id""# => Key::Other,
            _ if self.dialect.bare && self.name.is_none() => return Err(Irregular),
            _ => Key::Other,
        })
    }

    fn begin_value(
        &mut self,
        key: Key,
        byte: u8,
        start: usize,
        sink: &mut Sink<'_>,
    ) -> Result<(), Irregular> {
        self.place = match byte {
            b'{' if key == Key::Arguments && self.open(sink) => {
                self.arguments = Held::Sent;
                Place::Arguments(Arguments::default())
            }
            b'{' | b'[' | b'"' => Place::Value { key, start, nesting: Nesting::opened_by(byte) },
            b'-' | b'0'..=b'9' | b'a'..=b'z' => Place::Scalar { key, start },
            _ => return Err(Irregular),
        };
        Ok(())
    }

    fn end_value(&mut self, key: Key, value: &str, sink: &mut Sink<'_>) -> Result<(), Irregular> {
        self.place = Place::AfterValue;
        match key {
            Key::Name => {
                let name: String = serde_json::from_str(value).map_err(|_| Irregular)?;
                if name.is_empty() || self.dialect.bare && !sink.tools.offer(&name) {
                    return Err(Irregular);
                }
                self.name = Some(name);
            }
            Key::Arguments => self.arguments = Held::Whole(whole_arguments(value)?),
            Key::Other => {
                serde_json::from_str::<IgnoredAny>(value).map_err(|_| Irregular)?;
            }
        }
        if let Held::Whole(_) = self.arguments
            && self.open(sink)
            && let Held::Whole(arguments) = std::mem::replace(&mut self.arguments, Held::Sent)
        {
            sink.arguments(&arguments);
        }
        Ok(())
    }

    fn end_object(&mut self, sink: &mut Sink<'_>) -> Result<(), Irregular> {
        match self.arguments {
            Held::Absent if self.open(sink) => {
                self.arguments = Held::Sent;
                sink.arguments("{}");
                Ok(())
            }
            Held::Absent | Held::Whole(_) => Err(Irregular),
            Held::Sent => Ok(()),
        }
    }

    /// Announces the call, if its name is known.
    fn open(&self, sink: &mut Sink<'_>) -> bool {
        let Some(name) = &self.name else { return false };
        sink.open(name);
        true
    }

    /// What comes after an object.
    fn after_object(&mut self, cursor: &mut Cursor) -> Option<Outcome> {
        cursor.skip_white();
        let Some(byte) = cursor.byte() else { return Some(Outcome::NeedsText) };
        match byte {
            b',' if self.in_list => {
                cursor.advance(1);
                self.place = Place::Object;
            }
            b']' if self.in_list => {
                cursor.advance(1);
                cursor.settle();
                self.place = Place::Close;
            }
            b';' | b',' if self.dialect.several => {
                cursor.advance(1);
                self.place = Place::Object;
            }
            b'{' if self.dialect.several => self.place = Place::Object,
            _ => self.place = Place::Close,
        }
        None
    }
}

impl Reader for Objects {
    fn read(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>) -> Outcome {
        loop {
            match &mut self.place {
                Place::Arguments(arguments) => match arguments.read(cursor, sink, self.dialect.ends) {
                    Progress::NeedsText => return Outcome::NeedsText,
                    Progress::Done => self.place = Place::AfterValue,
                    Progress::Broken => return Outcome::Ended,
                },
                Place::AfterObject => {
                    if let Some(outcome) = self.after_object(cursor) {
                        return outcome;
                    }
                }
                Place::Close => return close(cursor, self.dialect.close),
                _ => {
                    let Some(byte) = cursor.byte() else { return Outcome::NeedsText };
                    let at = cursor.at();
                    if self.advance(byte, cursor, sink).is_ok() {
                        continue;
                    }
                    cursor.back_to(at);
                    if !sink.calls.open {
                        return Outcome::NoCall;
                    }
                    // The arguments are complete, and only a bracket is missing or too much.
                    sink.close(cursor);
                    self.place = Place::Close;
                }
            }
        }
    }

    fn finish(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>) {
        if let Place::Arguments(_) = self.place {
            Arguments::finish(cursor, sink);
        }
    }
}

/// Goes past the mark that closes a block, if it is there: nothing depends on it.
pub(super) fn close(cursor: &mut Cursor, mark: &str) -> Outcome {
    if mark.is_empty() {
        return Outcome::Ended;
    }
    cursor.skip_white();
    match cursor.take_mark(mark) {
        Mark::Unclear => Outcome::NeedsText,
        Mark::Here | Mark::Absent => Outcome::Ended,
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
