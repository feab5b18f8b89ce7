//! Calls that name a function and then have its arguments as JSON: DeepSeek, Kimi, and Mistral since its tokenizer v11.

use super::json::Arguments;
use super::reader::{Cursor, Mark, Outcome, Progress, Reader, Sink};

/// How one family writes such calls.
pub(super) struct Dialect {
    /// Opens a section of calls; empty where there is none.
    pub(super) section: &'static str,
    /// Closes the section.
    pub(super) section_end: &'static str,
    /// Opens a call.
    pub(super) call: &'static str,
    /// Stands between a call's opening and the name.
    pub(super) kind: &'static str,
    /// Stands between name and arguments.
    pub(super) name_end: &'static str,
    /// May close the arguments, before the call is closed.
    pub(super) fence: &'static str,
    /// Closes a call; empty where nothing does.
    pub(super) call_end: &'static str,
    /// Where broken arguments end.
    pub(super) ends: &'static [&'static str],
    /// How the function and the model's own id of a call are written where the name is.
    pub(super) naming: Naming,
}

/// What stands where a call is named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// The function's name.
    Function,
    /// `functions.NAME:0`, which is the call's id as well.
    Kimi,
    /// The function's name, or it and `[CALL_ID]` and an id.
    Mistral,
}

/// Reader of one section.
pub(super) struct Named {
    dialect: &'static Dialect,
    place: Place,
    /// Whether a call was read.
    any: bool,
}

enum Place {
    /// Between calls.
    Section,
    Kind,
    Name,
    Arguments(Arguments),
    Fence,
    CallEnd,
}

impl Named {
    /// A reader of what follows `mark`, which opened a section or a call.
    pub(super) fn new(dialect: &'static Dialect, mark: &str) -> Self {
        let place = if mark == dialect.section { Place::Section } else { Place::Kind };
        Self { dialect, place, any: false }
    }

    fn section(&mut self, cursor: &mut Cursor) -> Option<Outcome> {
        cursor.skip_white();
        match (cursor.mark(self.dialect.call), cursor.mark(self.dialect.section_end)) {
            (Mark::Here, _) => {
                cursor.advance(self.dialect.call.len());
                self.place = Place::Kind;
                None
            }
            (_, Mark::Here) if self.any && !self.dialect.section_end.is_empty() => {
                cursor.advance(self.dialect.section_end.len());
                Some(Outcome::Ended)
            }
            (Mark::Unclear, _) | (_, Mark::Unclear) => Some(Outcome::NeedsText),
            _ if self.any => Some(Outcome::Ended),
            _ => Some(Outcome::NoCall),
        }
    }

    /// Reads the name and what stands around it, and announces the call when its arguments begin.
    fn name(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>) -> Result<(), Progress> {
        cursor.skip_white();
        let start = cursor.at();
        let named = cursor.take_name(self.dialect.name_end)?;
        cursor.skip_white();
        let Some(byte) = cursor.byte() else {
            cursor.back_to(start);
            return Err(Progress::NeedsText);
        };
        let (name, id) = match self.dialect.naming {
            Naming::Function => (named.as_str(), None),
            Naming::Kimi => (kimi_function(&named), Some(named.clone())),
            Naming::Mistral => match named.split_once("[CALL_ID]") {
                Some((name, id)) => (name, Some(id.to_owned())),
                None => (named.as_str(), None),
            },
        };
        if byte != b'{' || name.is_empty() {
            return Err(Progress::Broken);
        }
        match id {
            Some(id) if !id.is_empty() => sink.open_as(id, name),
            _ => sink.open(name),
        }
        Ok(())
    }

    /// Goes past a mark that may be missing.
    fn optional(cursor: &mut Cursor, mark: &str) -> Option<Outcome> {
        if mark.is_empty() {
            return None;
        }
        cursor.skip_white();
        (cursor.take_mark(mark) == Mark::Unclear).then_some(Outcome::NeedsText)
    }
}

impl Reader for Named {
    fn read(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>) -> Outcome {
        loop {
            let outcome = match &mut self.place {
                Place::Section => self.section(cursor),
                Place::Kind => match cursor.take_mark(self.dialect.kind) {
                    Mark::Here => {
                        self.place = Place::Name;
                        None
                    }
                    Mark::Absent => Some(Outcome::NoCall),
                    Mark::Unclear => Some(Outcome::NeedsText),
                },
                Place::Name => match self.name(cursor, sink) {
                    Ok(()) => {
                        self.any = true;
                        self.place = Place::Arguments(Arguments::default());
                        None
                    }
                    Err(Progress::NeedsText) => Some(Outcome::NeedsText),
                    Err(_) => Some(Outcome::NoCall),
                },
                Place::Arguments(arguments) => match arguments.read(cursor, sink, self.dialect.ends) {
                    Progress::NeedsText => Some(Outcome::NeedsText),
                    Progress::Done | Progress::Broken => {
                        sink.close(cursor);
                        self.place = Place::Fence;
                        None
                    }
                },
                Place::Fence => Self::optional(cursor, self.dialect.fence).or_else(|| {
                    self.place = Place::CallEnd;
                    None
                }),
                Place::CallEnd => Self::optional(cursor, self.dialect.call_end).or_else(|| {
                    cursor.settle();
                    self.place = Place::Section;
                    None
                }),
            };
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
    }

    fn finish(&mut self, cursor: &mut Cursor, sink: &mut Sink<'_>) {
        if let Place::Arguments(_) = self.place {
            Arguments::finish(cursor, sink);
        }
    }
}

/// The function of an id such as `functions.get_weather:0`.
fn kimi_function(id: &str) -> &str {
    let name = id.strip_prefix("functions.").unwrap_or(id);
    match name.rsplit_once(':') {
        Some((name, index)) if index.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => name,
    }
}
