//! `context_management`: what a server is to leave out of a long conversation.

use mlx_gate_core::{Message, Role};
use serde_json::Value;

use crate::error::Error;
use crate::fields::{self, Fields};

const CLEAR_THINKING: &str = "clear_thinking_20251015";

/// Carries out the edits that only look at the conversation itself.
pub(super) fn edit(fields: &mut Fields, messages: &mut [Message]) -> Result<(), Error> {
    let Some(mut management) = fields.object("context_management")? else { return Ok(()) };
    let path = management.path("edits");
    for (index, value) in management.array("edits")?.unwrap_or_default().into_iter().enumerate() {
        if let Some(kept) = thinking_turns(Fields::at(format!("{path}[{index}]"), value)?)? {
            let thoughtful = |turn: &&mut Message| turn.role == Role::Assistant && turn.reasoning.is_some();
            for turn in messages.iter_mut().rev().filter(thoughtful).skip(kept) {
                turn.reasoning = None;
            }
        }
    }
    management.finish()
}

/// How many turns keep their thinking; `None` is all of them.
fn thinking_turns(mut edit: Fields) -> Result<Option<usize>, Error> {
    let kind = edit.string("type")?;
    let kind = edit.required("type", kind)?;
    if kind != CLEAR_THINKING {
        // Others depend on thresholds in tokens, and would silently drop what a tool has said.
        let problem = format!("only '{CLEAR_THINKING}' is supported");
        return Err(fields::unsupported(edit.path("type"), problem));
    }
    let path = edit.path("keep");
    let kept = match edit.take("keep") {
        None => Some(1),
        Some(Value::String(word)) if word == "all" => None,
        Some(value @ Value::Object(_)) => {
            let mut keep = Fields::at(path, value)?;
            let kind = keep.choice("type", &["thinking_turns", "all"])?;
            let kind = keep.required("type", kind)?;
            let turns = if kind == "all" {
                None
            } else {
                let turns = keep.integer("value", 1..)?;
                Some(usize::try_from(keep.required("value", turns)?).unwrap_or(usize::MAX))
            };
            keep.finish()?;
            turns
        }
        Some(other) => return Err(fields::invalid_type(&path, "\"all\" or an object", &other)),
    };
    edit.finish()?;
    Ok(kept)
}
