//! Calls whose parameters stand between tags, one by one and without quotation marks: Qwen3-Coder, GLM, MiniMax and
//! Seed-OSS.
//!
//! The arguments become JSON here, by the types that the tool's schema gives its parameters. Text streams; everything
//! else is a short value that waits for its end. A call is announced at its first parameter, or at its end.

use super::json::{escaped, quoted};
use super::objects::close;
use super::pending::open_tag;
use super::reader::{Cursor, MAX_NAME, Mark, Outcome, Progress, Reader, Sink};
use super::tools::Types;

/// How one family writes such calls.
pub(super) struct Dialect {
    /// Opens a function, between the mark that opens the block and the name. Empty: the name comes at once, and ends
    /// where white space or a tag begins.
    pub(super) function: &'static str,
    /// Closes the tag with the name.
    pub(super) name_end: &'static str,
    /// Closes the function; empty where the block is one function.
    pub(super) function_end: &'static str,
    /// Opens the name of a parameter.
    pub(super) key: &'static str,
    /// Closes the name of a parameter.
    pub(super) key_end: &'static str,
    /// Opens a value; empty where it follows at once.
    pub(super) value: &'static str,
    /// Closes a value.
    pub(super) value_end: &'static str,
    /// A line break at the beginning and at the end of a value belongs to the tags.
    pub(super) framed: bool,
    /// Closes the block.
    pub(super) block_end: &'static str,
}

/// Reader of one block.
pub(super) struct Tagged {
    dialect: &'static Dialect,
    place: Place,
    name: String,
    /// Parameters of the open call so far.
    parameters: u32,
    any: bool,
}

enum Place {
    Function,
    Name,
    Parameters,
    /// In front of a value's text: a line break there may belong to the tag.
    ValueStart(Types),
    Value(Types),
    Close,
}

impl Tagged {
    /// A reader of what follows `mark`, which opened a block or a function.
    pub(super) fn new(dialect: &'static Dialect, mark: &str) -> Self {
        let place = if mark == dialect.function { Place::Name } else { Place::Function };
        Self { dialect, place, name: String::new(), parameters: 0, any: false }
    }

    fn function(&mut self, cursor: &mut Cursor) -> Option<Outcome> {
        cursor.skip_white();
        match cursor.take_mark(self.dialect.function) {
            Mark::Here => self.place = Place::Name,
            Mark::Unclear => return Some(Outcome::NeedsText),
            Mark::Absent if self.any => self.place = Place::Close,
            Mark::Absent => return Some(Outcome::NoCall),
        }
        None
    }

    fn name(&mut self, cursor: &mut Cursor) -> Result<(), Progress> {
        self.name = if self.dialect.name_end.is_empty() {
            cursor.skip_white();
            let rest = cursor.rest();
            let end = rest.find(|character: char| character.is_whitespace() || character == '<');
            match end {
                None if rest.len() <= MAX_NAME => return Err(Progress::NeedsText),
                Some(length @ 1..=MAX_NAME) => {
                    let name = rest[..length].to_owned();
                    cursor.advance(length);
                    name
                }
                _ => return Err(Progress::Broken),
            }
        } else {
            cursor.take_name(self.dialect.name_end)?
        };
        self.parameters = 0;
        self.place = Place::Parameters;
        Ok(())
    }

    fn parameters(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>) -> Result<(), Progress> {
        cursor.skip_white();
        let dialect = self.dialect;
        let end_mark = if dialect.function_end.is_empty() { dialect.block_end } else { dialect.function_end };
        match (cursor.mark(dialect.key), cursor.mark(end_mark)) {
            (Mark::Here, _) => self.key(cursor, sink),
            (_, Mark::Here) => {
                if self.parameters == 0 {
                    self.open(sink);
                    sink.arguments("{");
                }
                cursor.advance(end_mark.len());
                end(cursor, sink);
                self.place = if dialect.function_end.is_empty() { Place::Close } else { Place::Function };
                Ok(())
            }
            (Mark::Unclear, _) | (_, Mark::Unclear) => Err(Progress::NeedsText),
            (Mark::Absent, Mark::Absent) => Err(Progress::Broken),
        }
    }

    /// Reads the tags in front of a value, all of them or none.
    fn key(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>) -> Result<(), Progress> {
        let start = cursor.at();
        let key = self.whole_key(cursor);
        let key = key.inspect_err(|_| cursor.back_to(start))?;
        if self.parameters == 0 {
            self.open(sink);
        }
        let before = if self.parameters == 0 { "{" } else { ", " };
        self.parameters += 1;
        sink.arguments(&format!("{before}{}: ", quoted(&key)));
        self.place = Place::ValueStart(sink.tools.types(&self.name, &key));
        Ok(())
    }

    fn whole_key(&self, cursor: &mut Cursor) -> Result<String, Progress> {
        cursor.advance(self.dialect.key.len());
        let key = cursor.take_name(self.dialect.key_end)?;
        if !self.dialect.value.is_empty() {
            cursor.skip_white();
        }
        match cursor.take_mark(self.dialect.value) {
            Mark::Here => Ok(key),
            Mark::Unclear => Err(Progress::NeedsText),
            Mark::Absent => Err(Progress::Broken),
        }
    }

    fn value_start(
        &mut self,
        types: Types,
        cursor: &mut Cursor,
        sink: &mut Sink<'_>,
    ) -> Result<(), Progress> {
        if self.dialect.framed {
            cursor.byte().ok_or(Progress::NeedsText)?;
            cursor.take_mark("\n");
        }
        if types.are_text() {
            sink.arguments("\"");
        }
        self.place = Place::Value(types);
        Ok(())
    }

    fn value(&mut self, types: Types, cursor: &mut Cursor, sink: &mut Sink<'_>) -> Result<(), Progress> {
        let rest = cursor.rest();
        let unframed = |text: &str| match text.strip_suffix('\n') {
            Some(text) if self.dialect.framed => text.len(),
            _ => text.len(),
        };
        if let Some(length) = rest.find(self.dialect.value_end) {
            let text = &rest[..unframed(&rest[..length])];
            if types.are_text() {
                sink.arguments(&escaped(text));
                sink.arguments("\"");
            } else {
                sink.arguments(&types.json(text));
            }
            cursor.advance(length + self.dialect.value_end.len());
            self.place = Place::Parameters;
            return Ok(());
        }
        if types.are_text() {
            let length = unframed(&rest[..rest.len() - open_tag(rest, self.dialect.value_end)]);
            sink.arguments(&escaped(&rest[..length]));
            cursor.advance(length);
        }
        Err(Progress::NeedsText)
    }

    fn open(&mut self, sink: &mut Sink<'_>) {
        self.any = true;
        sink.open(&self.name);
    }
}

impl Reader for Tagged {
    fn read(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>) -> Outcome {
        loop {
            let progress = match self.place {
                Place::Function => match self.function(cursor) {
                    Some(outcome) => return outcome,
                    None => Ok(()),
                },
                Place::Name => self.name(cursor),
                Place::Parameters => self.parameters(cursor, sink),
                Place::ValueStart(types) => self.value_start(types, cursor, sink),
                Place::Value(types) => self.value(types, cursor, sink),
                Place::Close if self.dialect.function_end.is_empty() => return Outcome::Ended,
                Place::Close => return close(cursor, self.dialect.block_end),
            };
            match progress {
                Ok(()) => {}
                Err(Progress::NeedsText) => return Outcome::NeedsText,
                Err(_) if sink.calls.open => {
                    // What it has so far are whole parameters; what follows is none and becomes text.
                    end(cursor, sink);
                    return Outcome::Ended;
                }
                Err(_) => return Outcome::NoCall,
            }
        }
    }

    fn finish(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>) {
        if let Place::Value(types) = self.place {
            let rest = cursor.rest();
            sink.arguments(&if types.are_text() { escaped(rest) } else { types.json(rest) });
            cursor.advance(rest.len());
        }
    }
}

/// Ends a call.
fn end(cursor: &mut Cursor, sink: &mut Sink<'_>) {
    sink.arguments("}");
    sink.close(cursor);
}
