//! `system` and `messages`, as the turns that chat templates know.

use std::collections::HashMap;

use mlx_gate_core::{Message, Role, ToolCall};
use serde_json::{Value, json};

use super::blocks::{self, Block, Content};
use crate::error::Error;
use crate::fields::{self, Fields};

const ROLES: [&str; 3] = ["user", "assistant", "system"];

/// A line that Claude Code puts in front of its system prompt for Anthropic's accounting. It is none of the model's
/// business, and different in every request, so that no two prompts would have a prefix in common.
const BILLING: &str = "x-anthropic-billing-header:";

/// Reads the conversation: at least one turn, and the last one is not the assistant's.
pub(super) fn read(fields: &mut Fields) -> Result<Vec<Message>, Error> {
    let mut turns = Turns::default();
    if let Some(system) = Content::read(fields, "system", &["text"])? {
        turns.system(system)?;
    }
    let messages = fields.array("messages")?;
    let messages = fields.required("messages", messages)?;
    for (index, value) in messages.into_iter().enumerate() {
        turns.read(Fields::at(format!("messages[{index}]"), value)?)?;
    }
    match turns.0.last() {
        Some(last) if last.role == Role::Assistant => Err(fields::unsupported(
            "messages".to_owned(),
            "the last turn is the assistant's, and answers cannot be begun for the model here; end with a user's turn",
        )),
        Some(last) if last.role != Role::System => Ok(turns.0),
        _ => Err(Error::Field {
            param: "messages".to_owned(),
            code: "empty_array",
            message: "invalid 'messages': expected at least one turn of a user".to_owned(),
        }),
    }
}

/// Turns so far. Those of one role that follow one another are one turn, as in Anthropic's API.
#[derive(Default)]
struct Turns(Vec<Message>);

impl Turns {
    fn read(&mut self, mut fields: Fields) -> Result<(), Error> {
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
            "user" => self.user(content),
            "assistant" => self.assistant(content),
            _ => self.system(content),
        }
    }

    /// Instructions. In front of everything they are the system's turn. Chat templates know no other place for one: some
    /// refuse it, some drop it, and models lose the thread. So instructions in the middle of a conversation stay where
    /// they are, which keeps the prompt before them as it was, as a marked part of a user's turn.
    fn system(&mut self, content: Content) -> Result<(), Error> {
        let text = match content {
            Content::Text(text) => text,
            Content::Blocks(blocks) => {
                let texts = blocks.into_iter().map(|block| blocks::text(block.fields));
                let texts = texts.collect::<Result<Vec<_>, _>>()?;
                let told = texts.into_iter().filter(|text| !text.starts_with(BILLING));
                told.collect::<Vec<_>>().join("\n")
            }
        };
        if text.is_empty() {
            return Ok(());
        }
        if self.0.iter().all(|turn| turn.role == Role::System) {
            self.say(Role::System, &text);
        } else {
            self.say(Role::User, &format!("<system-reminder>\n{text}\n</system-reminder>"));
        }
        Ok(())
    }

    fn user(&mut self, content: Content) -> Result<(), Error> {
        match content {
            Content::Text(text) => self.say(Role::User, &text),
            Content::Blocks(blocks) => {
                for Block { kind, fields } in blocks {
                    match kind {
                        "tool_result" => self.tool_result(fields)?,
                        _ => self.say(Role::User, &blocks::text(fields)?),
                    }
                }
            }
        }
        Ok(())
    }

    fn assistant(&mut self, content: Content) -> Result<(), Error> {
        let blocks = match content {
            Content::Text(text) => {
                self.say(Role::Assistant, &text);
                return Ok(());
            }
            Content::Blocks(blocks) => blocks,
        };
        if blocks.is_empty() {
            self.say(Role::Assistant, "");
        }
        for Block { kind, fields } in blocks {
            match kind {
                "thinking" => {
                    let thinking = thinking(fields)?;
                    append(&mut self.turn(Role::Assistant).reasoning, &thinking);
                }
                "tool_use" => {
                    let call = tool_use(fields)?;
                    self.turn(Role::Assistant).tool_calls.push(call);
                }
                // What another server has thought, under its own key.
                "redacted_thinking" => redacted_thinking(fields)?,
                _ => self.say(Role::Assistant, &blocks::text(fields)?),
            }
        }
        Ok(())
    }

    fn tool_result(&mut self, mut fields: Fields) -> Result<(), Error> {
        let id = fields.string("tool_use_id")?;
        let id = fields.required("tool_use_id", id)?;
        let content = Content::read(&mut fields, "content", &["text"])?;
        let text = content.map_or(Ok(String::new()), Content::into_text)?;
        let failed = fields.boolean("is_error")?.unwrap_or(false);
        blocks::cache_control(&mut fields)?;
        fields.only("toolset_name", &[])?;
        let path = fields.path("tool_use_id");
        fields.finish()?;
        let Some(name) = self.called().remove(id.as_str()).map(str::to_owned) else {
            let problem = "no `tool_use` block of an earlier turn has this id";
            return Err(fields::invalid(path, problem));
        };
        let mut message = turn(Role::Tool);
        // Templates have one kind of result, so a failure has to be told in words.
        message.content = Some(if failed { format!("Error: {text}") } else { text });
        message.tool_call_id = Some(id);
        message.name = Some(name);
        self.0.push(message);
        Ok(())
    }

    /// The names of all tools called so far, by the calls' ids.
    fn called(&self) -> HashMap<&str, &str> {
        let calls = self.0.iter().flat_map(|turn| &turn.tool_calls);
        calls.map(|call| (call.id.as_str(), call.name.as_str())).collect()
    }

    /// The last turn, if it is of this role, or a new one.
    fn turn(&mut self, role: Role) -> &mut Message {
        if self.0.last().is_none_or(|last| last.role != role) {
            self.0.push(turn(role));
        }
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    fn say(&mut self, role: Role, text: &str) {
        append(&mut self.turn(role).content, text);
    }
}

fn turn(role: Role) -> Message {
    Message { role, content: None, reasoning: None, tool_calls: Vec::new(), tool_call_id: None, name: None }
}

/// Adds a paragraph.
fn append(to: &mut Option<String>, text: &str) {
    let to = to.get_or_insert_default();
    if !to.is_empty() && !text.is_empty() {
        to.push('\n');
    }
    to.push_str(text);
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
