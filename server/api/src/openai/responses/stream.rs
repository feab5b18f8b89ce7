use mlx_gate_core::{Event, FinishReason, Usage};
use schemars::JsonSchema;
use serde::Serialize;

use super::items::{Change, Item, Items, Kind, Part, Status, Wire};
use super::response::{Head, Response};
use crate::error::Answer;
use crate::openai::logprobs::ChatToken;
use crate::openai::obfuscation::{self, Obfuscation};
use crate::sse::{self, Encoder};

/// Writes the events of a response that streams. Each has a number, one more than the one before.
pub(super) struct Events {
    head: Head,
    items: Items,
    /// Number of the next event.
    number: u32,
    /// Deltas are brought to one of few sizes.
    obfuscates: bool,
}

/// An event; `B` is what its type has beside type and number.
#[derive(Serialize, JsonSchema)]
pub(super) struct Numbered<'a, B> {
    r#type: &'a str,
    sequence_number: u32,
    #[serde(flatten)]
    body: B,
}

/// What the events of a stream are, for `/openapi.json`.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "events are written as they come, and never gathered")]
pub(super) enum AnyEvent<'a> {
    Whole(Numbered<'a, Whole<'a>>),
    Item(Numbered<'a, OfItem<'a>>),
    Part(Numbered<'a, OfPart<'a>>),
    Growth(Numbered<'a, Growth<'a>>),
    DoneText(Numbered<'a, DoneText<'a>>),
    DoneCall(Numbered<'a, DoneCall<'a>>),
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Whole<'a> {
    response: Response<'a>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct OfItem<'a> {
    output_index: usize,
    item: Wire<'a>,
}

/// About an item, or the one content part it has.
#[derive(Serialize, JsonSchema)]
struct Place<'a> {
    item_id: &'a str,
    output_index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<u32>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct OfPart<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    part: Part<'a>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Growth<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    delta: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<&'a [ChatToken]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    obfuscation: Option<Obfuscation>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct DoneText<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<&'a [ChatToken]>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct DoneCall<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    name: &'a str,
    arguments: &'a str,
}

impl Events {
    pub(super) fn new(head: Head, obfuscates: bool) -> Self {
        let items = Items::new(head.namespaces());
        Self { head, items, number: 0, obfuscates }
    }

    fn start(&mut self, out: &mut Vec<u8>) {
        if self.number == 0 {
            for name in ["response.created", "response.in_progress"] {
                write(&mut self.number, name, Whole { response: self.head.begun() }, out);
            }
        }
    }
}

impl Encoder for Events {
    fn event(&mut self, _choice: u32, event: Event, out: &mut Vec<u8>) {
        self.start(out);
        let (number, seals) = (&mut self.number, self.head.seals_reasoning());
        let obfuscates = self.obfuscates;
        let last = matches!(&event, Event::Finished(end) if end.reason == FinishReason::Length);
        let finished = self.items.push(event, |change, (at, item)| match change {
            Change::Opened => opened(number, at, item, out),
            Change::Grew(piece, from) => {
                let begin = out.len();
                let obfuscation = Obfuscation::wanted(obfuscates);
                grew(number, at, item, (piece, from), obfuscation, out);
                if obfuscates {
                    obfuscation::fill(out, begin);
                }
            }
            Change::Closed => closed(number, at, item, last, seals, out),
        });
        if let Some(finished) = finished {
            let cut = finished.reason == FinishReason::Length;
            let name = if cut { "response.incomplete" } else { "response.completed" };
            let response = self.head.finished(&self.items, &finished);
            write(&mut self.number, name, Whole { response }, out);
        }
    }

    fn end(&mut self, _usage: Usage, _out: &mut Vec<u8>) {}

    fn keep_alive(&mut self, out: &mut Vec<u8>) {
        self.start(out);
        out.extend_from_slice(b": keep-alive\n\n");
    }

    fn error(&mut self, answer: &Answer, out: &mut Vec<u8>) {
        self.start(out);
        let response = self.head.failed(&self.items, answer);
        write(&mut self.number, "response.failed", Whole { response }, out);
    }
}

fn opened(number: &mut u32, at: usize, item: &Item, out: &mut Vec<u8>) {
    let begun = OfItem { output_index: at, item: item.wire(Status::InProgress, false) };
    write(number, "response.output_item.added", begun, out);
    if let Some(part) = item.part(false) {
        write(number, "response.content_part.added", OfPart { place: place(at, item), part }, out);
    }
}

fn grew(
    number: &mut u32,
    at: usize,
    item: &Item,
    (piece, from): (&str, usize),
    obfuscation: Option<Obfuscation>,
    out: &mut Vec<u8>,
) {
    let (name, logprobs) = match item.kind {
        Kind::Reasoning => ("response.reasoning_text.delta", None),
        Kind::Message => ("response.output_text.delta", Some(&item.logprobs[from..])),
        Kind::Call { .. } => ("response.function_call_arguments.delta", None),
    };
    write(number, name, Growth { place: place(at, item), delta: piece, logprobs, obfuscation }, out);
}

fn closed(number: &mut u32, at: usize, item: &Item, cut: bool, seals: bool, out: &mut Vec<u8>) {
    let text = item.text.as_str();
    match &item.kind {
        Kind::Reasoning => {
            let done = DoneText { place: place(at, item), text, logprobs: None };
            write(number, "response.reasoning_text.done", done, out);
        }
        Kind::Message => {
            let done = DoneText { place: place(at, item), text, logprobs: Some(&item.logprobs[..]) };
            write(number, "response.output_text.done", done, out);
        }
        Kind::Call { name, .. } => {
            let done = DoneCall { place: place(at, item), name, arguments: text };
            write(number, "response.function_call_arguments.done", done, out);
        }
    }
    if let Some(part) = item.part(true) {
        write(number, "response.content_part.done", OfPart { place: place(at, item), part }, out);
    }
    let status = if cut { Status::Incomplete } else { Status::Completed };
    let done = OfItem { output_index: at, item: item.wire(status, seals) };
    write(number, "response.output_item.done", done, out);
}

/// Every text is the first part of its item.
fn place(at: usize, item: &Item) -> Place<'_> {
    let content_index = (!matches!(item.kind, Kind::Call { .. })).then_some(0);
    Place { item_id: &item.id, output_index: at, content_index }
}

fn write(number: &mut u32, name: &str, body: impl Serialize, out: &mut Vec<u8>) {
    sse::event(out, name, &Numbered { r#type: name, sequence_number: *number, body });
    *number += 1;
}
