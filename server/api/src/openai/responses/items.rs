//! The items of an answer, as events make them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mlx_gate_core::{Event, Finished, ToolCallDelta};
use schemars::JsonSchema;
use serde::Serialize;

use super::namespaces::Namespaces;
use super::reasoning::SEALED;
use crate::openai::logprobs::ChatToken;

/// The items so far. All but the last have ended.
#[derive(Default)]
pub(super) struct Items {
    all: Vec<Item>,
    namespaces: Namespaces,
    /// The last item goes on.
    open: bool,
    /// Log probabilities of what comes next.
    logprobs: Vec<ChatToken>,
}

/// One item of an answer.
pub(super) struct Item {
    pub(super) id: String,
    pub(super) kind: Kind,
    /// Its text, or a call's arguments.
    pub(super) text: String,
    /// Of the tokens of a message's text, where they are asked for.
    pub(super) logprobs: Vec<ChatToken>,
}

pub(super) enum Kind {
    Reasoning,
    Message,
    Call { index: u32, call_id: String, namespace: Option<String>, name: String },
}

/// What an event did to the last item.
pub(super) enum Change<'a> {
    Opened,
    /// By this text. The item's log probabilities from that place on are those of its tokens.
    Grew(&'a str, usize),
    Closed,
}

impl Items {
    /// No items yet; the namespaces are those of functions that may be called.
    pub(super) fn new(namespaces: Namespaces) -> Self {
        Self { namespaces, ..Self::default() }
    }

    /// Takes an event and tells about each change, with the item's place and the item. Gives the end, once it is there.
    pub(super) fn push(
        &mut self,
        event: Event,
        mut tell: impl FnMut(Change<'_>, (usize, &Item)),
    ) -> Option<Finished> {
        match event {
            Event::Text(text) => self.grow(&text, Kind::Message, &mut tell),
            Event::Reasoning(text) => self.grow(&text, Kind::Reasoning, &mut tell),
            Event::ToolCall(ToolCallDelta { index, opening, arguments }) => {
                let (call_id, name) = opening.unwrap_or_default();
                let (namespace, name) = self.namespaces.split(name);
                self.grow(&arguments, Kind::Call { index, call_id, namespace, name }, &mut tell);
            }
            // Special tokens, and what ends reasoning, are not in the text.
            Event::Logprobs(tokens) => {
                let shown = tokens.into_iter().filter(|token| token.shown);
                self.logprobs.extend(shown.map(ChatToken::from));
            }
            Event::Finished(finished) => {
                self.close(&mut tell);
                return Some(finished);
            }
            Event::Started { .. } | Event::PromptLogprobs(_) | Event::Tokens(_) | Event::Failed(_) => {}
        }
        None
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Item> {
        self.all.iter()
    }

    /// Adds to the last item if it is of this kind and open, or to a new one.
    fn grow(&mut self, text: &str, kind: Kind, tell: &mut impl FnMut(Change<'_>, (usize, &Item))) {
        let goes_on = self.open && self.all.last().is_some_and(|last| last.kind.is_same(&kind));
        if !goes_on {
            self.close(tell);
            let id = format!("{}_{:032x}", kind.prefix(), rand::random::<u128>());
            self.all.push(Item { id, kind, text: String::new(), logprobs: Vec::new() });
            self.open = true;
        }
        let at = self.all.len() - 1;
        if !goes_on {
            tell(Change::Opened, (at, &self.all[at]));
        }
        // OpenAI tells those of messages only.
        let logprobs = std::mem::take(&mut self.logprobs);
        if !text.is_empty() {
            let item = &mut self.all[at];
            let from = item.logprobs.len();
            if matches!(item.kind, Kind::Message) {
                item.logprobs.extend(logprobs);
            }
            item.text.push_str(text);
            tell(Change::Grew(text, from), (at, item));
        }
    }

    fn close(&mut self, tell: &mut impl FnMut(Change<'_>, (usize, &Item))) {
        if std::mem::take(&mut self.open) {
            let at = self.all.len() - 1;
            tell(Change::Closed, (at, &self.all[at]));
        }
    }
}

impl Kind {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Reasoning, Self::Reasoning) | (Self::Message, Self::Message) => true,
            (Self::Call { index, .. }, Self::Call { index: other, .. }) => index == other,
            _ => false,
        }
    }

    /// What ids of such items begin with in OpenAI's API.
    const fn prefix(&self) -> &'static str {
        match self {
            Self::Reasoning => "rs",
            Self::Message => "msg",
            Self::Call { .. } => "fc",
        }
    }
}

/// An item on the wire.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Wire<'a> {
    Reasoning {
        id: &'a str,
        status: Status,
        summary: [(); 0],
        content: Vec<Part<'a>>,
        encrypted_content: Option<String>,
    },
    Message {
        id: &'a str,
        status: Status,
        role: &'static str,
        content: Vec<Part<'a>>,
    },
    FunctionCall {
        id: &'a str,
        status: Status,
        call_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<&'a str>,
        name: &'a str,
        arguments: &'a str,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
}

/// A content part.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part<'a> {
    ReasoningText { text: &'a str },
    OutputText { text: &'a str, annotations: [(); 0], logprobs: &'a [ChatToken] },
}

impl Item {
    /// The item as it is now. One that has just begun has no parts yet.
    pub(super) fn wire(&self, status: Status, seals: bool) -> Wire<'_> {
        let (id, text) = (self.id.as_str(), self.text.as_str());
        let content =
            if status == Status::InProgress { Vec::new() } else { self.part(true).into_iter().collect() };
        match &self.kind {
            Kind::Reasoning => {
                let sealed = || format!("{SEALED}{}", BASE64_STANDARD.encode(text));
                let encrypted_content = (seals && status != Status::InProgress).then(sealed);
                Wire::Reasoning { id, status, summary: [], content, encrypted_content }
            }
            Kind::Message => Wire::Message { id, status, role: "assistant", content },
            Kind::Call { call_id, namespace, name, .. } => {
                let namespace = namespace.as_deref();
                Wire::FunctionCall { id, status, call_id, namespace, name, arguments: text }
            }
        }
    }

    /// Its one content part, with its text or still without; a call has none.
    pub(super) fn part(&self, whole: bool) -> Option<Part<'_>> {
        let (text, logprobs) = if whole { (self.text.as_str(), &self.logprobs[..]) } else { ("", &[][..]) };
        match self.kind {
            Kind::Reasoning => Some(Part::ReasoningText { text }),
            Kind::Message => Some(Part::OutputText { text, annotations: [], logprobs }),
            Kind::Call { .. } => None,
        }
    }
}
