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

/// What Anthropic's own service does, and what to do instead.
const REFUSED: [(&str, &str); 9] = [
    ("billing_policy", "nothing is billed here; leave it out"),
    ("compaction", "nothing is compacted here; leave it out, and shorten `messages` where they get too long"),
    ("container", "no code runs here; leave it out, or give the model a tool that runs yours"),
    ("diagnostics", "prompts are not compared with earlier ones here; leave it out"),
    ("fallback_credit_token", "nothing is billed here; leave it out"),
    ("fallbacks", "a request is answered by the model it names; ask another one yourself"),
    ("inference_geo", "the server computes where it stands; leave it out"),
    (
        "mcp_servers",
        "the server calls no MCP servers; call them yourself, and offer what they have as `tools`",
    ),
    ("thread", "nothing is kept here between requests; send the whole conversation in `messages`"),
];

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
    fields.refuse_each(&REFUSED)?;
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
