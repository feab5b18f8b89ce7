use mlx_gate_core::{Message, Role, ToolCall};
use serde_json::{Value, json};

use crate::error::{Error, clipped};
use crate::openai::fields::{self, Fields};
use crate::openai::options;

const ROLES: [&str; 5] = ["system", "developer", "user", "assistant", "tool"];

/// `messages`: at least one.
pub(crate) fn read(fields: &mut Fields) -> Result<Vec<Message>, Error> {
    let messages = fields.array("messages")?;
    let messages = fields.required("messages", messages)?;
    if messages.is_empty() {
        return Err(Error::Field {
            param: "messages".to_owned(),
            code: "empty_array",
            message: "invalid 'messages': expected at least one message, but got an empty array".to_owned(),
        });
    }
    let one = |(index, value)| message(Fields::at(format!("messages[{index}]"), value)?);
    messages.into_iter().enumerate().map(one).collect()
}

fn message(mut fields: Fields) -> Result<Message, Error> {
    let role = fields.choice("role", &ROLES)?;
    let role = match fields.required("role", role)? {
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        // `developer` is what OpenAI's newer models call the system.
        _ => Role::System,
    };
    let content = content(&mut fields)?;
    let name = fields.string("name")?;
    let mut message =
        Message { role, content, reasoning: None, tool_calls: Vec::new(), tool_call_id: None, name };
    match role {
        Role::Assistant => {
            // vLLM's name for it, which some clients send back.
            let reasoning = fields.string("reasoning")?;
            message.reasoning = fields.string("reasoning_content")?.or(reasoning);
            message.tool_calls = tool_calls(&mut fields)?;
            // What an answer of ours or OpenAI's carries besides, when a client sends it back as it came.
            for key in ["refusal", "audio", "function_call"] {
                fields.only(key, &[])?;
            }
            fields.only("annotations", &[json!([])])?;
            // LiteLLM's notes on an answer, which come back with it.
            fields.object("provider_specific_fields")?;
            if message.content.is_none() && message.tool_calls.is_empty() {
                fields.required("content", None::<()>)?;
            }
        }
        Role::Tool => {
            let id = fields.string("tool_call_id")?;
            message.tool_call_id = Some(fields.required("tool_call_id", id)?);
            fields.required("content", message.content.as_ref())?;
        }
        Role::System | Role::User => {
            fields.required("content", message.content.as_ref())?;
        }
    }
    fields.finish()?;
    Ok(message)
}

/// A string, or text parts, which become paragraphs of their own.
fn content(fields: &mut Fields) -> Result<Option<String>, Error> {
    let path = fields.path("content");
    match fields.take("content") {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(Value::Array(parts)) => {
            let part = |(index, value)| text_part(Fields::at(format!("{path}[{index}]"), value)?);
            let parts = parts.into_iter().enumerate().map(part).collect::<Result<Vec<_>, _>>()?;
            Ok(Some(parts.join("\n")))
        }
        Some(other) => Err(fields::invalid_type(&path, "a string or an array of content parts", &other)),
    }
}

fn text_part(mut fields: Fields) -> Result<String, Error> {
    let kind = fields.string("type")?;
    let kind = fields.required("type", kind)?;
    if kind != "text" {
        let problem = format!("only parts of type 'text' are supported, not '{}'", clipped(&kind));
        return Err(fields::unsupported(fields.path("type"), problem));
    }
    let text = fields.string("text")?;
    let text = fields.required("text", text)?;
    options::cache_breakpoint(&mut fields)?;
    fields.finish()?;
    Ok(text)
}

fn tool_calls(fields: &mut Fields) -> Result<Vec<ToolCall>, Error> {
    let path = fields.path("tool_calls");
    let calls = fields.array("tool_calls")?.unwrap_or_default();
    let call = |(index, value)| tool_call(Fields::at(format!("{path}[{index}]"), value)?);
    calls.into_iter().enumerate().map(call).collect()
}

fn tool_call(mut fields: Fields) -> Result<ToolCall, Error> {
    let id = fields.string("id")?;
    let id = fields.required("id", id)?;
    fields.choice("type", &["function"])?;
    let function = fields.object("function")?;
    let mut function = fields.required("function", function)?;
    let name = function.string("name")?;
    let name = function.required("name", name)?;
    let arguments = function.string("arguments")?.unwrap_or_default();
    function.finish()?;
    fields.finish()?;
    // Templates print arguments as an object; text that is none (a model's slip, sent back) is passed on as it is.
    let arguments = match serde_json::from_str(&arguments) {
        Ok(Value::Object(object)) => Value::Object(object),
        _ => Value::String(arguments),
    };
    Ok(ToolCall { id, name, arguments })
}
