//! Grammars of tool calls, for each way in which models write them.

use std::fmt::Write as _;

use llguidance::regex_to_lark;
use mlx_gate_core::{Conversation, EngineError, OutputFormat, ToolChoice, ToolSyntax};
use serde_json::{Value, json};

use super::compile::invalid;
use super::plan::{Body, literal, schema};

/// A function that may be called.
struct Function<'a> {
    name: &'a str,
    /// JSON schema of the arguments.
    parameters: Value,
    /// The client relies on that schema, also where the model is free to call or not (`strict` in OpenAI's API).
    strict: bool,
}

/// What surrounds the calls of an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Around {
    /// Nothing: there is at least one call.
    Nothing,
    /// Any text, and there may be no call.
    Text,
}

/// Whether an answer has to call a tool.
pub(super) fn are_forced(choice: &ToolChoice) -> bool {
    matches!(choice, ToolChoice::Required | ToolChoice::Function(_))
}

/// The grammar of the calls in an answer, and of the text around them. `None` where the model is free. `instead` of
/// calls, the answer may be what another grammar says.
pub(super) fn body(
    conversation: &Conversation,
    format: OutputFormat,
    instead: bool,
) -> Result<Option<Body>, EngineError> {
    let tools = conversation.offered_tools();
    let forced = are_forced(&conversation.tool_choice);
    let parallel = conversation.parallel_tool_calls;
    if !forced && tools.is_empty() {
        return Ok(None);
    }
    let mut functions = tools.iter().map(function).collect::<Result<Vec<_>, _>>()?;
    if !forced && !instead && parallel && functions.iter().all(|function| !function.strict) {
        return Ok(None);
    }
    let only = match &conversation.tool_choice {
        ToolChoice::Function(name) => Some(name.as_str()),
        ToolChoice::Auto | ToolChoice::None | ToolChoice::Required => None,
    };
    functions.retain(|function| only.is_none_or(|name| name == function.name));
    if functions.is_empty() {
        let missing = only.map_or_else(
            || "a call of a tool is required, but `tools` has none".to_owned(),
            |name| format!("`tools` has no function `{name}`"),
        );
        return Err(invalid("tool_choice", missing));
    }
    let Some(syntax) = format.tools else {
        return Err(invalid("tool_choice", "this model cannot call tools".to_owned()));
    };
    if !forced {
        for function in functions.iter_mut().filter(|function| !function.strict) {
            function.parameters = schema("tools", json!({ "type": "object" }))?;
        }
    }
    let around = if forced || instead { Around::Nothing } else { Around::Text };
    let rules = match syntax {
        ToolSyntax::Hermes => hermes(&functions, around, parallel),
        other => return Err(unsupported(conversation, forced, other)),
    };
    let schemas = functions.into_iter().map(|function| (function.name.to_owned(), function.parameters));
    Ok(Some(Body::Calls(rules, schemas.collect())))
}

/// There is no grammar yet for calls of this syntax. The field is the one that asks for it.
fn unsupported(conversation: &Conversation, forced: bool, syntax: ToolSyntax) -> EngineError {
    let syntax = syntax.as_str();
    let (field, what) = match forced {
        true => ("tool_choice", "calls cannot be forced; use `auto`"),
        false if !conversation.parallel_tool_calls => {
            ("parallel_tool_calls", "answers cannot be held to one call; leave it out")
        }
        false if conversation.offered_tools().iter().any(is_strict) => {
            ("tools", "`strict` is not supported; leave it out")
        }
        false => ("grammar", "an answer bound to a grammar cannot call tools; leave one of them out"),
    };
    invalid(field, format!("with calls as this model writes them (`{syntax}`), {what}"))
}

fn is_strict(tool: &Value) -> bool {
    let function = tool.get("function").unwrap_or(tool);
    function.get("strict").and_then(Value::as_bool).unwrap_or(false)
}

fn function(tool: &Value) -> Result<Function<'_>, EngineError> {
    let function = tool.get("function").unwrap_or(tool);
    let Some(name) = function.get("name").and_then(Value::as_str) else {
        return Err(invalid("tools", "a tool has no name".to_owned()));
    };
    // OpenAI: "Omitting `parameters` defines a function with an empty parameter list."
    let mut parameters = match function.get("parameters") {
        None | Some(Value::Null) => json!({ "type": "object", "additionalProperties": false }),
        Some(parameters) => parameters.clone(),
    };
    let refused = |what: &str| invalid("tools", format!("the parameters of `{name}` {what}"));
    let Some(keywords) = parameters.as_object_mut() else {
        return Err(refused("are no JSON schema: an object is expected"));
    };
    // Arguments are an object, said or not.
    if *keywords.entry("type").or_insert_with(|| "object".into()) != "object" {
        return Err(refused("have another `type` than `object`"));
    }
    Ok(Function { name, parameters: schema("tools", parameters)?, strict: is_strict(tool) })
}

/// `<tool_call>` around a JSON object, one after another, spelled as Qwen and Hermes models were taught to.
fn hermes(functions: &[Function<'_>], around: Around, parallel: bool) -> String {
    let mut rules = sequence("<tool_call>", "\n", around, parallel);
    rules += &alternatives(functions);
    for (number, Function { name, parameters, .. }) in functions.iter().enumerate() {
        let before = format!("\n{{\"name\": {}, \"arguments\": ", literal(name));
        let (before, after) = (literal(&before), literal("}\n</tool_call>"));
        let _ = writeln!(rules, "call_{number}: {before} %json {parameters} {after}");
    }
    rules
}

/// The rule for a body of calls, each a `call` behind this opening tag; two of them have `between` them, unless any text
/// may stand there.
fn sequence(opening: &str, between: &str, around: Around, parallel: bool) -> String {
    let (tag, inner) = (literal(opening), regex_to_lark(opening, ""));
    match (around, parallel) {
        (Around::Nothing, true) => format!("body: {tag} call ({} {tag} call)*\n", literal(between)),
        (Around::Nothing, false) => format!("body: {tag} call\n"),
        (Around::Text, _) => {
            let calls = if parallel { "*" } else { "?" };
            format!(
                "body: (BEFORE call){calls} TEXT?\n\
                 TEXT: /(?s:.*)/ & ~/(?s:.*){inner}(?s:.*)/\n\
                 BEFORE: TEXT {tag}\n"
            )
        }
    }
}

fn alternatives(functions: &[Function<'_>]) -> String {
    let numbered: Vec<String> = (0..functions.len()).map(|number| format!("call_{number}")).collect();
    format!("call: {}\n", numbered.join(" | "))
}
