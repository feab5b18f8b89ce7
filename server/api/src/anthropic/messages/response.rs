use mlx_gate_core::{Event, ToolCallDelta};
use serde_json::{Map, Value};

use super::wire::{Block, Head, Message, Signature, ended};

/// Gathers the events of an answer that does not stream.
pub(super) struct Collected {
    shows_thinking: bool,
    blocks: Vec<Gathered>,
}

enum Gathered {
    Thinking(String),
    Text(String),
    Call { index: u32, id: String, name: String, arguments: String },
}

impl Collected {
    pub(super) const fn new(shows_thinking: bool) -> Self {
        Self { shows_thinking, blocks: Vec::new() }
    }

    /// Takes an event, and gives the message once it is the last one.
    pub(super) fn push<'h>(&mut self, event: Event, head: &'h Head) -> Option<Message<'h>> {
        match event {
            Event::Text(piece) => match self.blocks.last_mut() {
                Some(Gathered::Text(text)) => text.push_str(&piece),
                _ => self.blocks.push(Gathered::Text(piece)),
            },
            Event::Reasoning(piece) => match self.blocks.last_mut() {
                Some(Gathered::Thinking(text)) => text.push_str(&piece),
                _ => self.blocks.push(Gathered::Thinking(piece)),
            },
            Event::ToolCall(delta) => self.push_call(delta),
            Event::Finished(finished) => {
                let blocks = std::mem::take(&mut self.blocks);
                let blocks = blocks.into_iter().map(|block| block.into_block(self.shows_thinking));
                let content: Vec<Block> = blocks.collect();
                let calls = content.iter().any(|block| matches!(block, Block::ToolUse { .. }));
                return Some(head.message(content, Some(ended(finished, calls))));
            }
            Event::Started { .. }
            | Event::PromptLogprobs(_)
            | Event::Tokens(_)
            | Event::Logprobs(_)
            | Event::Failed(_) => {}
        }
        None
    }

    fn push_call(&mut self, delta: ToolCallDelta) {
        if let Some((id, name)) = delta.opening {
            self.blocks.push(Gathered::Call { index: delta.index, id, name, arguments: String::new() });
        }
        let open = self.blocks.iter_mut().rev().find_map(|block| match block {
            Gathered::Call { index, arguments, .. } if *index == delta.index => Some(arguments),
            _ => None,
        });
        if let Some(arguments) = open {
            arguments.push_str(&delta.arguments);
        }
    }
}

impl Gathered {
    fn into_block(self, shows_thinking: bool) -> Block {
        match self {
            Self::Thinking(thinking) => {
                let mut signature = Signature::default();
                signature.update(&thinking);
                let thinking = if shows_thinking { thinking } else { String::new() };
                Block::Thinking { thinking, signature: signature.take() }
            }
            Self::Text(text) => Block::Text { text },
            Self::Call { id, name, arguments, .. } => match input(&arguments) {
                Some(input) => Block::ToolUse { id, name, input },
                // A call that broke off, or whose arguments are no object, is none that anybody should carry out.
                None => Block::Text { text: format!("{name} {arguments}") },
            },
        }
    }
}

/// A call's arguments as an object.
fn input(arguments: &str) -> Option<Map<String, Value>> {
    if arguments.trim().is_empty() { Some(Map::new()) } else { serde_json::from_str(arguments).ok() }
}
