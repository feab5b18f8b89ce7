//! `system` and `messages`, as the turns that chat templates know.

use mlx_gate_core::{Message, Role, ToolCall};
use serde_json::{Value, json};

use super::blocks::{self, Block, Content};
use crate::error::Error;
use crate::fields::{self, Fields};
use crate::turns::Turns;

const ROLES: [&str; 3] = ["user", "assistant", "system"];

/// A line that Claude Code puts in front of its system prompt for Anthropic's accounting. It is none of the model's
/// business, and different in every request, so that no two prompts would have a prefix in common.
const BILLING: &str = "x-anthropic-billing-header:";

/// Reads the conversation: at least one turn, and the last one is not the assistant's.
pub(super) fn read(fields: &mut Fields) -> Result<Vec<Message>, Error> {
    let mut turns = Turns::default();
    if let Some(system) = Content::read(fields, "system", &["text"])? {
        self::system(&mut turns, system)?;
    }
    let messages = fields.array("messages")?;
    let messages = fields.required("messages", messages)?;
    for (index, value) in messages.into_iter().enumerate() {
        turn(&mut turns, Fields::at(format!("messages[{index}]"), value)?)?;
    }
    match turns.last() {
        Some(Role::Assistant) => Err(fields::unsupported(
            "messages".to_owned(),
            "the last turn is the assistant's, and answers cannot be begun for the model here; end with a user's turn",
        )),
        Some(Role::User | Role::Tool) => Ok(turns.into_messages()),
        _ => Err(Error::Field {
            param: "messages".to_owned(),
            code: "empty_array",
            message: "invalid 'messages': expected at least one turn of a user".to_owned(),
        }),
    }
}

fn turn(turns: &mut Turns, mut fields: Fields) -> Result<(), Error> {
    let role = fields.choice("role", &ROLES)?;
    let role = fields.required("role", role)?;
    let kinds: &[&str] = match role {
        "user" => &["text", "tool_result"],
        "assistant" => &["text", "tool_use", "thinking", "redacted_thinking"],
        _ => &["text"],
    };
    let content = Content::read(&mut fields, "content", kinds)?;
    let content = fields.required("content", content)?;
    fields.finish()?;
    match role {
        "user" => user(turns, content),
        "assistant" => assistant(turns, content),
        _ => system(turns, content),
    }
}

fn system(turns: &mut Turns, content: Content) -> Result<(), Error> {
    let texts = match content {
        Content::Text(text) => vec![text],
        Content::Blocks(blocks) => {
            blocks.into_iter().map(|block| blocks::text(block.fields)).collect::<Result<_, _>>()?
        }
    };
    let told = texts.iter().filter_map(|text| {
        let billed = text.starts_with(BILLING);
        if billed { text.split_once('\n').map(|(_, rest)| rest) } else { Some(text.as_str()) }
    });
    turns.system(&told.collect::<Vec<_>>().join("\n"));
    Ok(())
}

fn user(turns: &mut Turns, content: Content) -> Result<(), Error> {
    let blocks = match content {
        Content::Text(text) => {
            turns.say(Role::User, &text);
            return Ok(());
        }
        Content::Blocks(blocks) => blocks,
    };
    for Block { kind, fields } in blocks {
        match kind {
            "tool_result" => tool_result(turns, fields)?,
            _ => turns.say(Role::User, &blocks::text(fields)?),
        }
    }
    Ok(())
}

fn assistant(turns: &mut Turns, content: Content) -> Result<(), Error> {
    let blocks = match content {
        Content::Text(text) => {
            turns.say(Role::Assistant, &text);
            return Ok(());
        }
        Content::Blocks(blocks) => blocks,
    };
    if blocks.is_empty() {
        turns.say(Role::Assistant, "");
    }
    for Block { kind, fields } in blocks {
        match kind {
            "thinking" => turns.think(&thinking(fields)?),
            "tool_use" => turns.call(tool_use(fields)?),
            // What another server has thought, under its own key.
            "redacted_thinking" => redacted_thinking(fields)?,
            _ => turns.say(Role::Assistant, &blocks::text(fields)?),
        }
    }
    Ok(())
}

fn tool_result(turns: &mut Turns, mut fields: Fields) -> Result<(), Error> {
    let id = fields.string("tool_use_id")?;
    let id = fields.required("tool_use_id", id)?;
    let content = Content::read(&mut fields, "content", &["text"])?;
    let text = content.map_or(Ok(String::new()), Content::into_text)?;
    let failed = fields.boolean("is_error")?.unwrap_or(false);
    blocks::cache_control(&mut fields)?;
    fields.only("toolset_name", &[])?;
    let path = fields.path("tool_use_id");
    fields.finish()?;
    // Templates have one kind of result, so a failure has to be told in words.
    let text = if failed { format!("Error: {text}") } else { text };
    if turns.result(id, text) {
        Ok(())
    } else {
        Err(fields::invalid(path, "no `tool_use` block of an earlier turn has this id"))
    }
}

/// The text of a `thinking` block. Its signature is for the server that wrote it; ours says nothing that would have to be
/// checked.
fn thinking(mut fields: Fields) -> Result<String, Error> {
    let thinking = fields.string("thinking")?;
    let thinking = fields.required("thinking", thinking)?;
    fields.string("signature")?;
    blocks::cache_control(&mut fields)?;
    fields.finish()?;
    Ok(thinking)
}

fn redacted_thinking(mut fields: Fields) -> Result<(), Error> {
    let data = fields.string("data")?;
    fields.required("data", data)?;
    blocks::cache_control(&mut fields)?;
    fields.finish()
}

fn tool_use(mut fields: Fields) -> Result<ToolCall, Error> {
    let id = fields.string("id")?;
    let id = fields.required("id", id)?;
    let name = fields.string("name")?;
    let name = fields.required("name", name)?;
    let input = fields.object("input")?;
    let input = fields.required("input", input)?;
    blocks::cache_control(&mut fields)?;
    fields.only("caller", &[json!({ "type": "direct" })])?;
    fields.only("toolset_name", &[])?;
    fields.finish()?;
    Ok(ToolCall { id, name, arguments: Value::Object(input.into_map()) })
}
