//! Takes generated text apart into answer, reasoning and tool calls, as it streams.
//!
//! How a family of models writes calls and sets reasoning apart is a row of the table in `syntax`. White space beside a
//! tag belongs to the tag and is not shown; everything else a model writes reaches the client as something, also where it
//! is no valid call. What comes out depends on the text only, not on how it was cut.
//!
//! Readers of calls ([`reader::Reader`]) differ by what stands inside: JSON objects that name a function (`objects`), a
//! name and then JSON (`named`), parameters between tags (`tagged`), calls as in a program (`invocations`). The channels
//! of gpt-oss are a format of their own (`harmony`).

mod harmony;
mod invocations;
mod json;
mod literal;
mod mistral;
mod named;
mod objects;
mod pending;
mod reader;
mod syntax;
mod tagged;
mod tags;
mod tools;

use std::ops::Range;
use std::sync::Arc;

use mlx_gate_core::{Event, OutputFormat};
use serde_json::Value;

pub(crate) use harmony::speaks as speaks_harmony;
pub(crate) use syntax::{bare as call_openings, marks as call_marks};
pub use syntax::{markers, reasoning_tags};
pub(crate) use tools::read_tagged_value;

use harmony::Harmony;
use reader::{Calls, Ids, Sink};
use tags::Tags;
use tools::Tools;

/// The parser of one answer.
pub struct OutputParser {
    machine: Machine,
    calls: Calls,
    tools: Tools,
    ids: Ids,
    /// Bytes of text taken so far.
    taken: usize,
}

/// A piece of an answer.
#[derive(Debug)]
pub struct Piece {
    /// Text, reasoning, or part of a call.
    pub event: Event,
    /// Which bytes of all that was pushed it is. A call is not cut out of the text, so those of its pieces are none, in front
    /// of what came next of the same push.
    pub source: Range<usize>,
}

enum Machine {
    Tags(Tags),
    Harmony(Harmony),
}

impl OutputParser {
    /// A parser at the start of an answer to a request with these tools, which are as the client sent them.
    pub fn new(format: OutputFormat, tools: Arc<[Value]>) -> Self {
        let machine = if speaks_harmony(format) {
            Machine::Harmony(Harmony::new(format))
        } else {
            Machine::Tags(Tags::new(format))
        };
        Self {
            machine,
            calls: Calls::default(),
            tools: Tools::new(tools),
            ids: syntax::ids(format.tools),
            taken: 0,
        }
    }

    /// Takes the next text and appends the pieces it makes certain.
    pub fn push(&mut self, text: &str, pieces: &mut Vec<Piece>) {
        self.taken += text.len();
        let before = pieces.len();
        let (machine, mut sink) = self.parts(pieces);
        match machine {
            Machine::Tags(tags) => tags.push(text, &mut sink),
            Machine::Harmony(harmony) => harmony.push(text, &mut sink),
        }
        self.place_calls(&mut pieces[before..]);
    }

    /// Appends what was held back, once no more text comes.
    pub fn finish(&mut self, pieces: &mut Vec<Piece>) {
        let before = pieces.len();
        let (machine, mut sink) = self.parts(pieces);
        match machine {
            Machine::Tags(tags) => tags.finish(&mut sink),
            Machine::Harmony(harmony) => harmony.finish(&mut sink),
        }
        self.place_calls(&mut pieces[before..]);
    }

    /// Puts calls in front of what follows them: their readers do not know where they are in the text.
    fn place_calls(&self, pieces: &mut [Piece]) {
        let mut next = self.taken;
        for Piece { event, source } in pieces.iter_mut().rev() {
            if let Event::ToolCall(_) = event {
                *source = next..next;
            }
            next = source.start;
        }
    }

    fn parts<'a>(&'a mut self, pieces: &'a mut Vec<Piece>) -> (&'a mut Machine, Sink<'a>) {
        let Self { machine, calls, tools, ids, taken } = self;
        (machine, Sink { pieces, calls, tools, ids: *ids, taken: *taken })
    }

    /// Whether the text that comes next is reasoning, as far as can be said.
    pub fn in_reasoning(&self) -> bool {
        match &self.machine {
            Machine::Tags(tags) => tags.in_reasoning(),
            Machine::Harmony(harmony) => harmony.in_reasoning(),
        }
    }
}

#[cfg(test)]
mod tests;
