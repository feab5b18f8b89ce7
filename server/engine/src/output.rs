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
        Self { machine, calls: Calls::default(), tools: Tools::new(tools), ids: syntax::ids(format.tools) }
    }

    /// Takes the next piece of text and appends the events it makes certain.
    pub fn push(&mut self, piece: &str, events: &mut Vec<Event>) {
        let mut sink = Sink { events, calls: &mut self.calls, tools: &self.tools, ids: self.ids };
        match &mut self.machine {
            Machine::Tags(tags) => tags.push(piece, &mut sink),
            Machine::Harmony(harmony) => harmony.push(piece, &mut sink),
        }
    }

    /// Appends what was held back, once no more text comes.
    pub fn finish(&mut self, events: &mut Vec<Event>) {
        let mut sink = Sink { events, calls: &mut self.calls, tools: &self.tools, ids: self.ids };
        match &mut self.machine {
            Machine::Tags(tags) => tags.finish(&mut sink),
            Machine::Harmony(harmony) => harmony.finish(&mut sink),
        }
    }

    /// Whether the text that comes next is reasoning, as far as can be said.
    pub fn in_reasoning(&self) -> bool {
        match &self.machine {
            Machine::Tags(tags) => tags.in_reasoning(),
            Machine::Harmony(harmony) => harmony.in_reasoning(),
        }
    }

    /// Whether the answer has called a tool.
    pub fn has_calls(&self) -> bool {
        self.calls.count > 0
    }
}

#[cfg(test)]
mod tests;
