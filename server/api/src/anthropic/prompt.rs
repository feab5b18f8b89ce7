//! What `messages` and `count_tokens` share: everything that makes the prompt.

mod blocks;
mod context;
mod output;
mod thinking;
mod tools;
mod turns;

use mlx_gate_core::{Conversation, Grammar};
use serde_json::{Map, json};

use crate::error::Error;
use crate::fields::Fields;
use crate::openai::options;

/// The part of a request that the model reads, and what its answer has to look like.
#[derive(Debug, PartialEq)]
pub(super) struct Asked {
    pub(super) model: Option<String>,
    pub(super) conversation: Conversation,
    pub(super) grammar: Option<Grammar>,
    /// Thinking is shown, not only done.
    pub(super) shows_thinking: bool,
}

/// Takes these fields out of a request; the rest is left.
pub(super) fn read(fields: &mut Fields) -> Result<Asked, Error> {
    let model = options::model(fields)?;
    let mut messages = turns::read(fields)?;
    let (tools, calls) = tools::read(fields)?;
    let output = output::read(fields)?;
    let thinking = thinking::read(fields, output.effort)?;
    context::edit(fields, &mut messages)?;
    // Advice about what to cache and how fast to be; there is one cache and one speed.
    blocks::cache_control(fields)?;
    fields.only("speed", &[json!("standard")])?;
    Ok(Asked {
        model,
        conversation: Conversation {
            messages,
            tools,
            tool_choice: calls.choice,
            parallel_tool_calls: calls.parallel,
            reasoning: thinking.reasoning,
            template_options: Map::new(),
        },
        grammar: output.grammar,
        shows_thinking: thinking.shown,
    })
}
