//! What a chat template sees of a conversation, by the rules of transformers' `apply_chat_template`.

use minijinja::Value;
use mlx_gate_core::{Conversation, EngineError, Message, ToolCall};

use super::assets::SpecialTokens;
use super::template::python;

/// Names a client cannot give to `chat_template_kwargs`: they come from the request's own fields.
const RESERVED: [&str; 2] = ["messages", "tools"];

/// The variables of one rendering.
pub(super) fn variables(
    conversation: &Conversation,
    special_tokens: &SpecialTokens,
    reasoning: Vec<(&'static str, Value)>,
) -> Result<Value, EngineError> {
    let mut variables: Vec<(&str, Value)> =
        special_tokens.iter().map(|(name, token)| (name, token.into())).collect();
    variables.extend(reasoning);
    variables.push(("documents", Value::from(())));
    variables.push(("add_generation_prompt", true.into()));
    for (name, value) in &conversation.template_options {
        if RESERVED.contains(&name.as_str()) {
            return Err(EngineError::InvalidRequest {
                field: "chat_template_kwargs",
                message: format!(
                    "`{name}` cannot be set as a template variable; it is a field of the request"
                ),
            });
        }
        variables.push((name, python::from_json(value)));
    }
    let tools = match conversation.offered_tools() {
        [] => Value::from(()),
        tools => tools.iter().map(python::from_json).collect(),
    };
    variables.push(("messages", conversation.messages.iter().map(message).collect()));
    variables.push(("tools", tools));
    Ok(Value::from_pairs(variables))
}

/// A turn with the keys it has: transformers drops those that are `None` before a template sees them.
fn message(message: &Message) -> Value {
    let mut keys: Vec<(&str, Value)> = vec![("role", message.role.as_str().into())];
    if let Some(content) = &message.content {
        keys.push(("content", content.into()));
    }
    if let Some(reasoning) = &message.reasoning {
        keys.push(("reasoning_content", reasoning.into()));
        keys.push(("thinking", reasoning.into()));
    }
    if !message.tool_calls.is_empty() {
        keys.push(("tool_calls", message.tool_calls.iter().map(tool_call).collect()));
    }
    if let Some(id) = &message.tool_call_id {
        keys.push(("tool_call_id", id.into()));
    }
    if let Some(name) = &message.name {
        keys.push(("name", name.into()));
    }
    Value::from_pairs(keys)
}

fn tool_call(call: &ToolCall) -> Value {
    let function = [("name", call.name.as_str().into()), ("arguments", python::from_json(&call.arguments))];
    Value::from_pairs([
        ("id", call.id.as_str().into()),
        ("type", "function".into()),
        ("function", Value::from_pairs(function)),
    ])
}
