//! What a chat template sees of a conversation, by the rules of transformers' `apply_chat_template`.

use minijinja::Value;
use mlx_gate_core::{Conversation, EngineError, Message, ToolCall};

use super::assets::SpecialTokens;
use super::template::{ChatTemplate, python};

/// Names a client cannot give to `chat_template_kwargs`: they come from the request's own fields.
const RESERVED: [&str; 2] = ["messages", "tools"];

/// Template variable by which Qwen3 and others switch their reasoning.
const ENABLE_THINKING: &str = "enable_thinking";

/// The variables of one rendering.
pub(super) fn variables(
    conversation: &Conversation,
    special_tokens: &SpecialTokens,
    template: &ChatTemplate,
) -> Result<Value, EngineError> {
    let mut variables: Vec<(&str, Value)> =
        special_tokens.iter().map(|(name, token)| (name, token.into())).collect();
    // Switched off where nobody asks for it: a template's own default is usually on, which a client that does not know
    // about reasoning pays for in time and tokens.
    let reasoning = &conversation.reasoning;
    if template.mentions(ENABLE_THINKING) {
        variables.push((ENABLE_THINKING, reasoning.wanted().unwrap_or(false).into()));
    }
    if let Some(effort) = reasoning.effort {
        variables.push(("reasoning_effort", effort.as_str().into()));
    }
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

/// Whether a prompt opens a reasoning block and leaves it to the model to go on inside.
pub(super) fn ends_inside_reasoning(prompt: &str) -> bool {
    prompt.trim_end().ends_with("<think>")
}

/// Whether a template lets its reasoning be switched on and off.
pub(super) fn switches_reasoning(template: &ChatTemplate) -> bool {
    template.mentions(ENABLE_THINKING)
}

/// Whether an answer to a prompt may begin with reasoning: not where the template has closed it already, nor where it is
/// switched off.
pub(super) fn may_reason(conversation: &Conversation, switchable: bool, prompt: &str) -> bool {
    let set = || conversation.template_options.get(ENABLE_THINKING).and_then(serde_json::Value::as_bool);
    let closed = || prompt.trim_end().ends_with("</think>");
    let wanted = || set().or(conversation.reasoning.wanted()).unwrap_or(!switchable);
    ends_inside_reasoning(prompt) || (!closed() && wanted())
}

#[cfg(test)]
mod tests {
    use super::ends_inside_reasoning;

    #[test]
    fn only_an_open_block_at_the_very_end_counts() {
        assert!(ends_inside_reasoning("<|im_start|>assistant\n<think>\n"));
        assert!(ends_inside_reasoning("<｜Assistant｜><think>"));
        assert!(!ends_inside_reasoning("<|im_start|>assistant\n<think>\n\n</think>\n\n"));
        assert!(!ends_inside_reasoning("user: what does <think> mean?\nassistant:"));
    }
}
