//! Values as programs write them, turned into JSON while they stream: Python's literals, and Gemma's own notation.

use super::json::{escaped, quoted};
use super::pending::open_tag;
use super::reader::{Cursor, Mark, Progress};

/// How deep lists and dictionaries may stand in one another.
const MAX_DEPTH: usize = 64;

/// Whose notation it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notation {
    /// Python: strings in either quotation marks with escapes, `True`, `None`, tuples.
    Python,
    /// Gemma: text between two of these marks, keys without any, and words that are nothing else are text.
    Gemma(&'static str),
}

/// A value being read.
pub(super) struct Literal {
    notation: Notation,
    stack: Vec<Frame>,
    place: Place,
}

/// A list or dictionary that is open.
struct Frame {
    close: u8,
    dictionary: bool,
    empty: bool,
}

enum Place {
    /// A value comes, or the end of an empty list.
    Value,
    /// A key comes, or the end of a dictionary.
    Key,
    Text {
        quote: &'static str,
        key: bool,
    },
    Bare {
        key: bool,
    },
    Colon,
    /// A comma comes, or the end of what is open.
    After,
}

impl Literal {
    pub(super) fn new(notation: Notation) -> Self {
        Self { notation, stack: Vec::new(), place: Place::Value }
    }

    /// Reads on, and appends the JSON to `json`.
    pub(super) fn read(&mut self, cursor: &mut Cursor, json: &mut String) -> Progress {
        loop {
            let step = match self.place {
                Place::Value | Place::Key => self.begin(cursor, json),
                Place::Text { quote, key } => match self.notation {
                    Notation::Gemma(mark) if mark == quote => self.plain_text(quote, key, cursor, json),
                    _ => self.python_text(quote, key, cursor, json),
                },
                Place::Bare { key } => self.bare(key, cursor, json),
                Place::Colon => self.colon(cursor, json),
                Place::After if self.stack.is_empty() => return Progress::Done,
                Place::After => self.after(cursor, json),
            };
            if let Err(progress) = step {
                return progress;
            }
        }
    }

    /// What was held back of a text that is cut short.
    pub(super) fn finish(&self, cursor: &mut Cursor, json: &mut String) {
        if let Place::Text { .. } | Place::Bare { .. } = self.place {
            json.push_str(&escaped(cursor.rest()));
            cursor.advance(cursor.rest().len());
        }
    }

    /// The beginning of a value or key, or the end of what is open.
    fn begin(&mut self, cursor: &mut Cursor, json: &mut String) -> Result<(), Progress> {
        cursor.skip_white();
        let byte = cursor.byte().ok_or(Progress::NeedsText)?;
        let key = matches!(self.place, Place::Key);
        // A dictionary may end in front of a key, but not in front of a value.
        if self.stack.last().is_some_and(|frame| frame.close == byte && key == frame.dictionary) {
            return self.end(cursor, json);
        }
        let quote = match self.notation {
            Notation::Python => python_quote(cursor)?,
            Notation::Gemma(mark) => gemma_quote(cursor, mark)?,
        };
        self.comma(json);
        if let Some(quote) = quote {
            cursor.advance(quote.len());
            json.push('"');
            self.place = Place::Text { quote, key };
            return Ok(());
        }
        let (close, dictionary) = match byte {
            b'{' if !key => (b'}', true),
            b'[' if !key => (b']', false),
            b'(' if !key && self.notation == Notation::Python => (b')', false),
            _ => {
                self.place = Place::Bare { key };
                return Ok(());
            }
        };
        if self.stack.len() == MAX_DEPTH {
            return Err(Progress::Broken);
        }
        cursor.advance(1);
        json.push(if dictionary { '{' } else { '[' });
        self.stack.push(Frame { close, dictionary, empty: true });
        self.place = if dictionary { Place::Key } else { Place::Value };
        Ok(())
    }

    /// The comma in front of all but the first element. A value that belongs to a key has none.
    fn comma(&mut self, json: &mut String) {
        let Some(frame) = self.stack.last_mut() else { return };
        if frame.dictionary && !matches!(self.place, Place::Key) {
            return;
        }
        if !std::mem::replace(&mut frame.empty, false) {
            json.push_str(", ");
        }
    }

    fn end(&mut self, cursor: &mut Cursor, json: &mut String) -> Result<(), Progress> {
        let frame = self.stack.pop().ok_or(Progress::Broken)?;
        cursor.advance(1);
        json.push(if frame.dictionary { '}' } else { ']' });
        self.place = Place::After;
        Ok(())
    }

    fn ended(&mut self, key: bool) {
        self.place = if key { Place::Colon } else { Place::After };
    }

    fn colon(&mut self, cursor: &mut Cursor, json: &mut String) -> Result<(), Progress> {
        cursor.skip_white();
        match cursor.take_mark(":") {
            Mark::Here => {
                json.push_str(": ");
                self.place = Place::Value;
                Ok(())
            }
            Mark::Unclear => Err(Progress::NeedsText),
            Mark::Absent => Err(Progress::Broken),
        }
    }

    fn after(&mut self, cursor: &mut Cursor, json: &mut String) -> Result<(), Progress> {
        cursor.skip_white();
        let byte = cursor.byte().ok_or(Progress::NeedsText)?;
        let Some(frame) = self.stack.last() else { return Err(Progress::Broken) };
        match byte {
            b',' => {
                self.place = if frame.dictionary { Place::Key } else { Place::Value };
                cursor.advance(1);
                Ok(())
            }
            _ if byte == frame.close => self.end(cursor, json),
            _ => Err(Progress::Broken),
        }
    }

    /// Text without escapes, up to its mark.
    fn plain_text(
        &mut self,
        quote: &str,
        key: bool,
        cursor: &mut Cursor,
        json: &mut String,
    ) -> Result<(), Progress> {
        let rest = cursor.rest();
        let found = rest.find(quote);
        let length = found.unwrap_or_else(|| rest.len() - open_tag(rest, quote));
        json.push_str(&escaped(&rest[..length]));
        cursor.advance(length);
        if found.is_none() {
            return Err(Progress::NeedsText);
        }
        cursor.advance(quote.len());
        json.push('"');
        self.ended(key);
        Ok(())
    }

    /// Text with Python's escapes, up to its quotation mark.
    fn python_text(
        &mut self,
        quote: &str,
        key: bool,
        cursor: &mut Cursor,
        json: &mut String,
    ) -> Result<(), Progress> {
        loop {
            let rest = cursor.rest();
            let stop = rest.find(['\\', '\n']).map_or(rest.len(), |at| at);
            let quoted = rest.find(quote).filter(|&at| at <= stop);
            let length = quoted.unwrap_or_else(|| match stop {
                stop if stop < rest.len() => stop,
                stop => stop - open_tag(rest, quote),
            });
            json.push_str(&escaped(&rest[..length]));
            cursor.advance(length);
            if quoted.is_some() {
                cursor.advance(quote.len());
                json.push('"');
                self.ended(key);
                return Ok(());
            }
            match cursor.byte() {
                Some(b'\\') => {
                    let (character, length) = unescape(cursor.rest())?;
                    json.push_str(&escaped(&character));
                    cursor.advance(length);
                }
                // Python ends such a string here; models write line breaks all the same.
                Some(b'\n') => {
                    json.push_str("\\n");
                    cursor.advance(1);
                }
                _ => return Err(Progress::NeedsText),
            }
        }
    }

    /// A number, a constant, or a word.
    fn bare(&mut self, key: bool, cursor: &mut Cursor, json: &mut String) -> Result<(), Progress> {
        let rest = cursor.rest();
        let ends = |character: char| match character {
            ':' => key,
            ',' | '}' | ']' => true,
            ')' => self.notation == Notation::Python,
            _ => character.is_whitespace() && self.notation == Notation::Python,
        };
        let length = rest.find(ends).ok_or(Progress::NeedsText)?;
        let word = rest[..length].trim();
        let value = match scalar(word) {
            Some(value) if key => quoted(&value),
            Some(value) => value,
            None if matches!(self.notation, Notation::Gemma(_)) && !word.is_empty() => quoted(word),
            None => return Err(Progress::Broken),
        };
        json.push_str(&value);
        cursor.advance(length);
        self.ended(key);
        Ok(())
    }
}

/// The quotation mark at the cursor.
fn python_quote(cursor: &Cursor) -> Result<Option<&'static str>, Progress> {
    for (mark, quote) in [("\"\"\"", "\""), ("'''", "'")] {
        match (cursor.mark(mark), cursor.mark(quote)) {
            (Mark::Here, _) => return Ok(Some(mark)),
            (Mark::Unclear, _) => return Err(Progress::NeedsText),
            (Mark::Absent, Mark::Here) => return Ok(Some(quote)),
            (Mark::Absent, _) => {}
        }
    }
    Ok(None)
}

fn gemma_quote(cursor: &Cursor, mark: &'static str) -> Result<Option<&'static str>, Progress> {
    match cursor.mark(mark) {
        Mark::Here => Ok(Some(mark)),
        Mark::Unclear => Err(Progress::NeedsText),
        Mark::Absent => Ok((cursor.byte() == Some(b'"')).then_some("\"")),
    }
}

/// The text that an escape at the beginning of `rest` stands for, and its length (Python's reference, 2.4.1.1).
fn unescape(rest: &str) -> Result<(String, usize), Progress> {
    let letter = rest[1..].chars().next().ok_or(Progress::NeedsText)?;
    let plain = match letter {
        '\n' => "",
        '\\' | '\'' | '"' => return Ok((letter.to_string(), 2)),
        'n' => "\n",
        't' => "\t",
        'r' => "\r",
        'a' => "\u{7}",
        'b' => "\u{8}",
        'f' => "\u{c}",
        'v' => "\u{b}",
        'x' => return hexadecimal(rest, 2),
        'u' => return hexadecimal(rest, 4),
        'U' => return hexadecimal(rest, 8),
        '0'..='7' => {
            let digits: String = rest[1..].chars().take(3).take_while(|digit| digit.is_digit(8)).collect();
            if digits.len() == rest.len() - 1 && digits.len() < 3 {
                return Err(Progress::NeedsText);
            }
            let code = u32::from_str_radix(&digits, 8).unwrap_or(0);
            return Ok((character(code).to_string(), 1 + digits.len()));
        }
        // Python leaves what it does not know as it is.
        other => return Ok((format!("\\{other}"), 1 + other.len_utf8())),
    };
    Ok((plain.to_owned(), 2))
}

fn hexadecimal(rest: &str, digits: usize) -> Result<(String, usize), Progress> {
    let Some(text) = rest.get(2..2 + digits) else {
        // Either more text is to come, or a character stands where a digit has to.
        let so_far = &rest[2..];
        let may_become = so_far.len() < digits && so_far.bytes().all(|digit| digit.is_ascii_hexdigit());
        return if may_become { Err(Progress::NeedsText) } else { Ok((rest[..2].to_owned(), 2)) };
    };
    if !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Ok((rest[..2].to_owned(), 2));
    }
    let code = u32::from_str_radix(text, 16).unwrap_or(u32::MAX);
    if digits == 4 && (0xd800..0xdc00).contains(&code) {
        return surrogates(rest, code);
    }
    Ok((character(code).to_string(), 2 + digits))
}

/// Two `\u` escapes that make one character, as JSON writes it.
fn surrogates(rest: &str, high: u32) -> Result<(String, usize), Progress> {
    let second = &rest[6..];
    let low = second.strip_prefix("\\u").and_then(|digits| digits.get(..4));
    let low = low.and_then(|digits| u32::from_str_radix(digits, 16).ok());
    match low {
        Some(low @ 0xdc00..=0xdfff) => {
            Ok((character(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)).to_string(), 12))
        }
        None if second.len() < 6 && second.bytes().zip(*b"\\u").all(|(found, due)| found == due) => {
            Err(Progress::NeedsText)
        }
        _ => Ok((char::REPLACEMENT_CHARACTER.to_string(), 6)),
    }
}

fn character(code: u32) -> char {
    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// A constant or number, as JSON.
fn scalar(word: &str) -> Option<String> {
    match word {
        "True" | "true" => return Some("true".to_owned()),
        "False" | "false" => return Some("false".to_owned()),
        "None" | "null" => return Some("null".to_owned()),
        _ => {}
    }
    if !word.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        return None;
    }
    let number = word.replace('_', "");
    if is_json_number(&number) {
        return Some(number);
    }
    let number = number.parse::<f64>().ok()?;
    serde_json::Number::from_f64(number).map(|number| number.to_string())
}

/// Whether a word is a number in JSON, however large.
pub(super) fn is_json_number(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_digit() || first == '-')
        && serde_json::from_str::<serde::de::IgnoredAny>(word).is_ok()
}

/// The JSON of a whole Python value.
pub(super) fn python(text: &str) -> Option<String> {
    let (mut cursor, mut json) = (Cursor::default(), String::new());
    cursor.push(text);
    let done = Literal::new(Notation::Python).read(&mut cursor, &mut json) == Progress::Done;
    (done && cursor.rest().trim().is_empty()).then_some(json)
}
