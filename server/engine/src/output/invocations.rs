//! Calls written as programs write them: `[get_weather(city="Paris", days=2)]` by Llama 3.2 and 4, LFM 2 and Gemma 3, and
//! `call:get_weather{city:<escape>Paris<escape>,days:2}` by FunctionGemma and Gemma 4.
//!
//! A call is announced at its first argument, or where it ends without any. Arguments that are not written by name are
//! no arguments here, because nothing says whose they are.

use super::json::quoted;
use super::literal::{Literal, Notation};
use super::objects::close;
use super::reader::{Cursor, MAX_NAME, Mark, Outcome, Progress, Reader, Sink};

/// How one family writes its calls.
pub(super) struct Dialect {
    /// Stands in front of a name.
    pub(super) prefix: &'static str,
    /// Opens the arguments.
    pub(super) open: &'static str,
    /// Stands between the name of an argument and its value.
    pub(super) assign: &'static str,
    /// Closes the arguments.
    pub(super) end: &'static str,
    pub(super) notation: Notation,
    /// Whether calls stand in a list.
    pub(super) list: List,
    /// Closes the block.
    pub(super) close: &'static str,
    /// Nothing marks the text as calls, so it has to call tools there are.
    pub(super) bare: bool,
}

/// Whether calls stand in `[..]`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Always,
    Maybe,
    Never,
}

/// Reader of one block.
pub(super) struct Invocations {
    dialect: &'static Dialect,
    place: Place,
    in_list: bool,
    name: String,
    /// Arguments of the open call so far.
    arguments: u32,
}

enum Place {
    Block,
    Name,
    /// In front of an argument's name.
    Key,
    Value(Literal),
    AfterValue,
    AfterCall,
    Close,
}

impl Invocations {
    pub(super) fn new(dialect: &'static Dialect) -> Self {
        Self { dialect, place: Place::Block, in_list: false, name: String::new(), arguments: 0 }
    }

    fn block(&mut self, cursor: &mut Cursor) -> Result<(), Progress> {
        cursor.skip_white();
        let byte = cursor.byte().ok_or(Progress::NeedsText)?;
        match (byte, self.dialect.list) {
            (b'[', List::Always | List::Maybe) => {
                cursor.advance(1);
                self.in_list = true;
            }
            (_, List::Always) => return Err(Progress::Broken),
            _ => {}
        }
        self.place = Place::Name;
        Ok(())
    }

    fn name(&mut self, cursor: &mut Cursor, sink: &Sink<'_>) -> Result<(), Progress> {
        cursor.skip_white();
        match cursor.take_mark(self.dialect.prefix) {
            Mark::Here => {}
            Mark::Unclear => return Err(Progress::NeedsText),
            Mark::Absent => return Err(Progress::Broken),
        }
        let start = cursor.at() - self.dialect.prefix.len();
        let name = identifier(cursor, ".-")
            .and_then(|name| require(cursor, self.dialect.open).map(|()| name))
            .inspect_err(|_| cursor.back_to(start))?;
        if self.dialect.bare && !sink.tools.offer(&name) {
            return Err(Progress::Broken);
        }
        self.name = name;
        self.arguments = 0;
        self.place = Place::Key;
        Ok(())
    }

    fn key(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>) -> Result<(), Progress> {
        cursor.skip_white();
        match cursor.mark(self.dialect.end) {
            Mark::Here => {
                self.end(cursor, sink);
                return Ok(());
            }
            Mark::Unclear => return Err(Progress::NeedsText),
            Mark::Absent => {}
        }
        let start = cursor.at();
        let key = self.whole_key(cursor).inspect_err(|_| cursor.back_to(start))?;
        if self.arguments == 0 {
            sink.open(&self.name);
        }
        let before = if self.arguments == 0 { "{" } else { ", " };
        self.arguments += 1;
        sink.arguments(&format!("{before}{}: ", quoted(&key)));
        self.place = Place::Value(Literal::new(self.dialect.notation));
        Ok(())
    }

    /// The name of an argument and what stands between it and the value.
    fn whole_key(&self, cursor: &mut Cursor) -> Result<String, Progress> {
        let mark = match self.dialect.notation {
            Notation::Gemma(mark) => mark,
            Notation::Python => "",
        };
        let key = match cursor.take_mark(mark) {
            Mark::Here if !mark.is_empty() => cursor.take_name(mark)?,
            Mark::Unclear => return Err(Progress::NeedsText),
            _ => identifier(cursor, "-")?,
        };
        cursor.skip_white();
        require(cursor, self.dialect.assign)?;
        // `f(a == 1)` is no argument.
        match cursor.byte() {
            None => Err(Progress::NeedsText),
            Some(b'=') => Err(Progress::Broken),
            Some(_) => Ok(key),
        }
    }

    fn value(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>) -> Result<(), Progress> {
        let Place::Value(literal) = &mut self.place else { return Ok(()) };
        let mut json = String::new();
        let progress = literal.read(cursor, &mut json);
        sink.arguments(&json);
        if progress != Progress::Done {
            return Err(progress);
        }
        self.place = Place::AfterValue;
        Ok(())
    }

    fn after_value(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>) -> Result<(), Progress> {
        cursor.skip_white();
        match (cursor.take_mark(","), cursor.mark(self.dialect.end)) {
            (Mark::Here, _) => {
                self.place = Place::Key;
                Ok(())
            }
            (_, Mark::Here) => {
                self.end(cursor, sink);
                Ok(())
            }
            (Mark::Unclear, _) | (_, Mark::Unclear) => Err(Progress::NeedsText),
            _ => Err(Progress::Broken),
        }
    }

    fn end(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>) {
        if self.arguments == 0 {
            sink.open(&self.name);
            sink.arguments("{");
        }
        sink.arguments("}");
        cursor.advance(self.dialect.end.len());
        sink.close(cursor);
        self.place = Place::AfterCall;
    }

    fn after_call(&mut self, cursor: &mut Cursor) -> Result<(), Progress> {
        cursor.skip_white();
        let byte = cursor.byte().ok_or(Progress::NeedsText)?;
        self.place = match byte {
            b',' if self.in_list => {
                cursor.advance(1);
                Place::Name
            }
            b']' if self.in_list => {
                cursor.advance(1);
                cursor.settle();
                Place::Close
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'_' if self.dialect.list == List::Maybe && !self.in_list => {
                Place::Name
            }
            _ => Place::Close,
        };
        Ok(())
    }
}

impl Reader for Invocations {
    fn read(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>) -> Outcome {
        loop {
            let step = match self.place {
                Place::Block => self.block(cursor),
                Place::Name => self.name(cursor, sink),
                Place::Key => self.key(cursor, sink),
                Place::Value(_) => self.value(cursor, sink),
                Place::AfterValue => self.after_value(cursor, sink),
                Place::AfterCall => self.after_call(cursor),
                Place::Close => return close(cursor, self.dialect.close),
            };
            match step {
                Ok(()) => {}
                Err(Progress::NeedsText) => return Outcome::NeedsText,
                Err(_) if sink.calls.open => {
                    // The arguments stay as far as they went; what follows is none and becomes text.
                    sink.close(cursor);
                    return Outcome::Ended;
                }
                Err(_) => return Outcome::NoCall,
            }
        }
    }

    fn finish(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>) {
        if let Place::Value(literal) = &self.place {
            let mut json = String::new();
            literal.finish(cursor, &mut json);
            sink.arguments(&json);
        }
    }
}

/// A word of letters, digits, `_` and some more, which does not begin with a digit.
fn identifier(cursor: &mut Cursor, more: &str) -> Result<String, Progress> {
    let rest = cursor.rest();
    let ends =
        |character: char| !character.is_alphanumeric() && character != '_' && !more.contains(character);
    let length = rest.find(ends).unwrap_or(rest.len());
    let word = &rest[..length];
    if length > MAX_NAME || word.starts_with(|first: char| !first.is_alphabetic() && first != '_') {
        return Err(Progress::Broken);
    }
    if length == rest.len() {
        return Err(Progress::NeedsText);
    }
    if word.is_empty() {
        return Err(Progress::Broken);
    }
    let word = word.to_owned();
    cursor.advance(length);
    Ok(word)
}

fn require(cursor: &mut Cursor, mark: &str) -> Result<(), Progress> {
    match cursor.take_mark(mark) {
        Mark::Here => Ok(()),
        Mark::Unclear => Err(Progress::NeedsText),
        Mark::Absent => Err(Progress::Broken),
    }
}
