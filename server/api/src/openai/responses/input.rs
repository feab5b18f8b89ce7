//! `instructions` and `input`, as the turns that chat templates know.

use mlx_gate_core::{Message, Role, ToolCall};
use serde_json::{Value, json};

use super::namespaces::spelled;
use super::reasoning;
use crate::error::{Error, clipped};
use crate::fields::{self, Fields};
use crate::openai::options;
use crate::turns::Turns;

const ITEMS: [&str; 4] = ["message", "function_call", "function_call_output", "reasoning"];
const ROLES: [&str; 4] = ["user", "assistant", "system", "developer"];

/// Reads the conversation: at least one turn of it comes from `input`.
pub(super) fn read(fields: &mut Fields, instructions: Option<&str>) -> Result<Vec<Message>, Error> {
    let mut turns = Turns::default();
    turns.system(instructions.unwrap_or_default());
    let input = fields.take("input");
    match fields.required("input", input)? {
        Value::String(text) => turns.say(Role::User, &text),
        Value::Array(items) if items.is_empty() => {
            return Err(fields::invalid(
                "input".to_owned(),
                "expected at least one item, but got an empty array",
            ));
        }
        Value::Array(items) => {
            for (index, value) in items.into_iter().enumerate() {
                item(&mut turns, Fields::at(format!("input[{index}]"), value)?)?;
            }
        }
        other => return Err(fields::invalid_type("input", "a string or an array of items", &other)),
    }
    let messages = turns.into_messages();
    if messages.is_empty() {
        return Err(fields::invalid("input".to_owned(), "nobody says anything; send at least one message"));
    }
    Ok(messages)
}

fn item(turns: &mut Turns, mut fields: Fields) -> Result<(), Error> {
    // A message may leave its type out.
    let kind = fields.string("type")?.unwrap_or_else(|| "message".to_owned());
    match kind.as_str() {
        "message" => message(turns, fields),
        "function_call" => {
            turns.call(function_call(fields)?);
            Ok(())
        }
        "function_call_output" => function_call_output(turns, fields),
        "reasoning" => {
            if let Some(text) = reasoning::text(fields)? {
                turns.think(&text);
            }
            Ok(())
        }
        "item_reference" => Err(fields::unsupported(
            fields.path("type"),
            "items are not kept here, so none can be referred to; send the item itself",
        )),
        other => {
            let known = ITEMS.map(|kind| format!("'{kind}'")).join(", ");
            let problem = format!("items of type '{}' are not supported here; send {known}", clipped(other));
            Err(fields::unsupported(fields.path("type"), problem))
        }
    }
}

fn message(turns: &mut Turns, mut fields: Fields) -> Result<(), Error> {
    let role = fields.choice("role", &ROLES)?;
    let role = fields.required("role", role)?;
    let text = content(&mut fields, "content")?;
    ours(&mut fields)?;
    fields.choice("phase", &["commentary", "final_answer"])?;
    fields.finish()?;
    match role {
        "user" => turns.say(Role::User, &text),
        "assistant" => turns.say(Role::Assistant, &text),
        _ => turns.system(&text),
    }
    Ok(())
}

fn function_call(mut fields: Fields) -> Result<ToolCall, Error> {
    let id = fields.string("call_id")?;
    let id = fields.required("call_id", id)?;
    let name = fields.string("name")?;
    let name = fields.required("name", name)?;
    let arguments = fields.string("arguments")?;
    let arguments = fields.required("arguments", arguments)?;
    let name = spelled(fields.string("namespace")?.as_deref(), &name);
    called_directly(&mut fields)?;
    fields.only("async", &[json!(false)])?;
    ours(&mut fields)?;
    fields.finish()?;
    // Templates print arguments as an object; text that is none (a model's slip, sent back) is passed on as it is.
    let arguments = match serde_json::from_str(&arguments) {
        Ok(Value::Object(object)) => Value::Object(object),
        _ => Value::String(arguments),
    };
    Ok(ToolCall { id, name, arguments })
}

fn function_call_output(turns: &mut Turns, mut fields: Fields) -> Result<(), Error> {
    let id = fields.string("call_id")?;
    let id = fields.required("call_id", id)?;
    let text = content(&mut fields, "output")?;
    ours(&mut fields)?;
    // `call_id` says which function this was.
    fields.string("name")?;
    fields.string("namespace")?;
    called_directly(&mut fields)?;
    let path = fields.path("call_id");
    fields.finish()?;
    if turns.result(id, text) {
        Ok(())
    } else {
        Err(fields::invalid(path, "no `function_call` item before this one has this id"))
    }
}

/// `caller`: functions are called by the model alone, and by no program of its.
fn called_directly(fields: &mut Fields) -> Result<(), Error> {
    fields.only("caller", &[json!({ "type": "direct" })])
}

/// What items of an answer carry besides, when a client sends them back as they came.
fn ours(fields: &mut Fields) -> Result<(), Error> {
    fields.string("id")?;
    fields.choice("status", &["in_progress", "completed", "incomplete"])?;
    Ok(())
}

/// A string, or text parts, each a paragraph of its own.
fn content(fields: &mut Fields, key: &str) -> Result<String, Error> {
    let path = fields.path(key);
    let value = fields.take(key);
    match fields.required(key, value)? {
        Value::String(text) => Ok(text),
        Value::Array(parts) => {
            let part = |(index, value)| part(Fields::at(format!("{path}[{index}]"), value)?);
            Ok(parts.into_iter().enumerate().map(part).collect::<Result<Vec<_>, _>>()?.join("\n"))
        }
        other => Err(fields::invalid_type(&path, "a string or an array of content parts", &other)),
    }
}

fn part(mut fields: Fields) -> Result<String, Error> {
    let kind = fields.string("type")?;
    let kind = fields.required("type", kind)?;
    let key = match kind.as_str() {
        "input_text" | "output_text" | "text" => "text",
        "refusal" => "refusal",
        other => {
            let problem = format!(
                "parts of type '{}' are not supported here; send 'input_text' or 'output_text'",
                clipped(other)
            );
            return Err(fields::unsupported(fields.path("type"), problem));
        }
    };
    let text = fields.string(key)?;
    let text = fields.required(key, text)?;
    fields.only("annotations", &[Value::Array(Vec::new())])?;
    fields.array("logprobs")?;
    if key == "text" {
        options::cache_breakpoint(&mut fields)?;
    }
    fields.finish()?;
    Ok(text)
}
