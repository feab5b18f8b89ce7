//! Grammars of tool calls, for each way in which models write them.
//!
//! They say the same as the readers in [`output`](crate::output), the other way round, and spell calls as the models' own
//! templates do: JSON objects that name a function (`objects`), a name and then JSON (`named`), parameters between tags
//! (`tagged`), calls as in a program (`invocations`). Messages in channels are in `harmony`.

mod harmony;
mod invocations;
mod named;
mod objects;
mod tagged;
mod values;

use std::fmt::Write as _;

use llguidance::regex_to_lark;
use mlx_gate_core::{Conversation, EngineError, OutputFormat, ToolChoice, ToolSyntax};
use serde_json::{Value, json};

use super::compile::invalid;
use super::plan::{Calls, escaped, literal, without};
use super::schema::schema;
use super::tame;
use crate::output;

pub(super) use harmony::{answer as harmony_answer, reasoning as harmony_reasoning};

/// A function that may be called.
struct Function<'a> {
    name: &'a str,
    /// JSON Schema of the arguments, an object's, as the client wrote it; any object's where nobody relies on that.
    parameters: Value,
    /// The same, ready for llguidance.
    schema: Value,
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

/// How the calls of one family stand beside one another. What is not named as Lark is text.
struct Blocks {
    /// Opens a block; empty for an answer that is calls as a whole.
    open: &'static str,
    /// Follows it, in Lark.
    begin: &'static str,
    /// Stands between two calls of a block; `None` where a block has one.
    within: Option<&'static str>,
    close: &'static str,
    /// Stands between two blocks; `None` where there is one.
    between: Option<&'static str>,
    /// A single call may stand without what is around it.
    bare: bool,
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
) -> Result<Option<Calls>, EngineError> {
    let tools = conversation.offered_tools();
    let forced = are_forced(&conversation.tool_choice);
    let parallel = conversation.parallel_tool_calls;
    if !forced && tools.is_empty() {
        return Ok(None);
    }
    if !forced && !instead && parallel && !tools.iter().any(is_strict) {
        // Says what is wrong with them all the same.
        tools.iter().try_for_each(|tool| function(tool, false).map(drop))?;
        return Ok(None);
    }
    let only = match &conversation.tool_choice {
        ToolChoice::Function(name) => Some(name.as_str()),
        ToolChoice::Auto | ToolChoice::None | ToolChoice::Required => None,
    };
    let functions = |as_written: bool| {
        let functions = tools.iter().map(|tool| function(tool, as_written)).collect::<Result<Vec<_>, _>>();
        functions.map(|mut functions| {
            functions.retain(|function| only.is_none_or(|name| name == function.name));
            functions
        })
    };
    let any = functions(false)?;
    if any.is_empty() {
        let missing = only.map_or_else(
            || "a call of a tool is required, but `tools` has none".to_owned(),
            |name| format!("`tools` has no function `{name}`"),
        );
        return Err(invalid("tool_choice", missing));
    }
    let Some(syntax) = format.tools else {
        return Err(invalid("tool_choice", "this model cannot call tools".to_owned()));
    };
    let around = if forced || instead { Around::Nothing } else { Around::Text };
    let calls = |functions: Vec<Function<'_>>, otherwise| {
        let rules = rules(syntax, &functions, around, parallel)?;
        let are_tame = functions.iter().all(|function| tame::schema(&function.parameters));
        let schemas = functions.into_iter().map(|function| (function.name.to_owned(), function.schema));
        Ok(Calls { rules, schemas: schemas.collect(), are_tame, otherwise })
    };
    if !forced || any.iter().all(|function| function.strict) {
        return calls(any, None).map(Some);
    }
    // Without `strict`, a schema is kept to as far as it can be.
    let any = calls(any, None)?;
    let as_written = functions(true).and_then(|functions| calls(functions, Some(any.rules.clone())));
    Ok(Some(as_written.unwrap_or(any)))
}

/// How one family of models writes calls.
trait Dialect {
    /// The rule `body`, for a `call` or several and what surrounds them.
    fn body(&self, syntax: ToolSyntax, around: Around, parallel: bool) -> String;

    /// The rule `call_NUMBER`, for a call of this function, and what is below it.
    fn call(&self, number: usize, function: &Function<'_>) -> Result<String, EngineError>;
}

/// The rules for `body` and everything below.
fn rules(
    syntax: ToolSyntax,
    functions: &[Function<'_>],
    around: Around,
    parallel: bool,
) -> Result<String, EngineError> {
    let dialect: &dyn Dialect = match syntax {
        ToolSyntax::Hermes => &objects::HERMES,
        ToolSyntax::Llama3Json => &objects::LLAMA,
        ToolSyntax::Json => &objects::LIST,
        ToolSyntax::Mistral => &objects::MISTRAL,
        ToolSyntax::Granite => &objects::GRANITE,
        ToolSyntax::MistralArgs => &named::MISTRAL,
        ToolSyntax::DeepSeekV3 => &named::DEEPSEEK_V3,
        ToolSyntax::DeepSeekV31 => &named::DEEPSEEK_V31,
        ToolSyntax::KimiK2 => &named::KIMI,
        ToolSyntax::Qwen3Coder => &tagged::QWEN,
        ToolSyntax::SeedOss => &tagged::SEED,
        ToolSyntax::MiniMaxM2 => &tagged::MINIMAX,
        ToolSyntax::Glm => &tagged::GLM,
        ToolSyntax::Pythonic => &invocations::PYTHONIC,
        ToolSyntax::Lfm2 => &invocations::LFM2,
        ToolSyntax::ToolCode => &invocations::TOOL_CODE,
        ToolSyntax::FunctionGemma => &invocations::FUNCTION_GEMMA,
        ToolSyntax::Gemma4 => &invocations::GEMMA4,
        ToolSyntax::Harmony => &harmony::Channels,
    };
    let mut rules = dialect.body(syntax, around, parallel);
    let calls: Vec<String> = (0..functions.len()).map(|number| format!("call_{number}")).collect();
    let _ = writeln!(rules, "call: {}", calls.join(" | "));
    for (number, function) in functions.iter().enumerate() {
        rules += &dialect.call(number, function)?;
    }
    Ok(rules)
}

/// The rule for a body of blocks, which stand alone or in any text.
fn frame(syntax: ToolSyntax, blocks: &Blocks, around: Around, parallel: bool) -> String {
    let Blocks { open, begin, within, close, between, bare } = blocks;
    let (tag, close) = (literal(open), literal(close));
    let calls = match within {
        Some(between) if parallel => format!("call ({} call)*", literal(between)),
        _ => "call".to_owned(),
    };
    let single = if *bare { "call | " } else { "" };
    let rest = format!("rest: {single}{begin} {calls} {close}\n");
    let marks = output::call_marks(syntax);
    match (around, between.filter(|_| parallel)) {
        (Around::Nothing, Some(between)) => {
            format!("body: {tag} rest ({} {tag} rest)*\n{rest}", literal(between))
        }
        (Around::Nothing, None) => format!("body: {tag} rest\n{rest}"),
        // What begins as a call is one, and nothing else in the answer is.
        (Around::Text, _) if open.is_empty() => {
            let opens: String = output::call_openings(syntax).iter().collect();
            let opens = escaped(&opens);
            let first = regex_to_lark(&format!("[^{opens}\\s]"), "");
            let text = without(marks, &[]);
            format!("body: rest | TEXT?\n{rest}TEXT: /\\s*/ (/{first}(?s:.*)/)? & {text}\n")
        }
        (Around::Text, _) => {
            let blocks = if parallel { "*" } else { "?" };
            let text = without(marks, &[]);
            format!("body: (BEFORE rest){blocks} TEXT?\n{rest}TEXT: {text}\nBEFORE: TEXT {tag}\n")
        }
    }
}

fn is_strict(tool: &Value) -> bool {
    let function = tool.get("function").unwrap_or(tool);
    function.get("strict").and_then(Value::as_bool).unwrap_or(false)
}

/// What may be called, held to its schema where the client relies on it, or as far as that can be done (`as_written`).
fn function(tool: &Value, as_written: bool) -> Result<Function<'_>, EngineError> {
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
    let strict = is_strict(tool);
    if !strict && !as_written {
        parameters = json!({ "type": "object" });
    }
    let schema = schema("tools", parameters.clone())?;
    Ok(Function { name, parameters, schema, strict })
}

/// The function's name is in a place where `allowed` says what it may be made of.
fn check_name(what: &str, name: &str, allowed: impl Fn(char) -> bool) -> Result<(), EngineError> {
    let digit = name.starts_with(|first: char| first.is_ascii_digit() || first == '-' || first == '.');
    if !name.is_empty() && !digit && name.chars().all(allowed) {
        return Ok(());
    }
    Err(invalid(
        "tools",
        format!("this model's way to write calls has no room for {what} `{name}`; rename it"),
    ))
}

/// A function's arguments as JSON.
fn arguments(function: &Function<'_>) -> String {
    format!("%json {}", function.schema)
}
