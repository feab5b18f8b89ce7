use mlx_gate_core::ToolChoice;
use serde_json::Value;

use crate::error::{Error, clipped};
use crate::openai::fields::{self, Fields};

/// What a request says about tools.
#[derive(Debug, PartialEq)]
pub(super) struct Tools {
    /// As the client wrote them; only those that may be called.
    pub(super) offered: Vec<Value>,
    pub(super) choice: ToolChoice,
    pub(super) parallel: bool,
}

impl Tools {
    /// Whether the model gets to see any.
    pub(super) fn are_offered(&self) -> bool {
        !self.offered.is_empty() && self.choice != ToolChoice::None
    }
}

/// `tools`, `tool_choice` and `parallel_tool_calls`.
pub(super) fn read(fields: &mut Fields) -> Result<Tools, Error> {
    let mut tools = offered(fields)?;
    let parallel = fields.boolean("parallel_tool_calls")?.unwrap_or(true);
    let choice = choice(fields, &mut tools)?;
    if tools.is_empty() && matches!(choice, ToolChoice::Required | ToolChoice::Function(_)) {
        return Err(fields::invalid(
            "tool_choice".to_owned(),
            "a call is asked for, but there are no `tools`",
        ));
    }
    Ok(Tools { offered: tools, choice, parallel })
}

/// `tools`, each checked and as the client wrote it.
pub(crate) fn offered(fields: &mut Fields) -> Result<Vec<Value>, Error> {
    let tools = fields.array("tools")?.unwrap_or_default();
    for (index, tool) in tools.iter().enumerate() {
        check(Fields::at(format!("tools[{index}]"), tool.clone())?)?;
    }
    Ok(tools)
}

/// `tool_choice`: a word, a function, or a choice among some of the tools, which then are all there are.
fn choice(fields: &mut Fields, tools: &mut Vec<Value>) -> Result<ToolChoice, Error> {
    match fields.take("tool_choice") {
        None => Ok(ToolChoice::Auto),
        Some(Value::String(word)) => {
            mode(&word).ok_or_else(|| fields::not_one_of("tool_choice", &word, &["none", "auto", "required"]))
        }
        Some(Value::Object(object)) => {
            let mut object = Fields::at("tool_choice".to_owned(), Value::Object(object))?;
            let kind = object.choice("type", &["function", "allowed_tools"])?;
            let choice = match object.required("type", kind)? {
                "function" => {
                    let name = function_name(&mut object)?;
                    known(&name, "tool_choice.function.name", tools)?;
                    ToolChoice::Function(name)
                }
                _ => allowed(&mut object, tools)?,
            };
            object.finish()?;
            Ok(choice)
        }
        Some(other) => Err(fields::invalid_type("tool_choice", "a string or an object", &other)),
    }
}

/// `{"type": "allowed_tools", "allowed_tools": {"mode", "tools": [{"type", "function": {"name"}}]}}`.
fn allowed(choice: &mut Fields, tools: &mut Vec<Value>) -> Result<ToolChoice, Error> {
    let inner = choice.object("allowed_tools")?;
    let mut inner = choice.required("allowed_tools", inner)?;
    let word = inner.choice("mode", &["auto", "required"])?;
    let word = inner.required("mode", word)?;
    let listed = inner.array("tools")?;
    let listed = inner.required("tools", listed)?;
    inner.finish()?;
    let mut names = Vec::with_capacity(listed.len());
    for (index, tool) in listed.into_iter().enumerate() {
        let path = format!("tool_choice.allowed_tools.tools[{index}]");
        let mut tool = Fields::at(path.clone(), tool)?;
        let kind = tool.choice("type", &["function"])?;
        tool.required("type", kind)?;
        let name = function_name(&mut tool)?;
        tool.finish()?;
        known(&name, &format!("{path}.function.name"), tools)?;
        names.push(name);
    }
    tools.retain(|tool| names.iter().any(|allowed| name_of(tool) == Some(allowed)));
    Ok(mode(word).unwrap_or_default())
}

fn mode(word: &str) -> Option<ToolChoice> {
    match word {
        "none" => Some(ToolChoice::None),
        "auto" => Some(ToolChoice::Auto),
        "required" => Some(ToolChoice::Required),
        _ => None,
    }
}

/// `{"function": {"name"}}`.
fn function_name(fields: &mut Fields) -> Result<String, Error> {
    let function = fields.object("function")?;
    let mut function = fields.required("function", function)?;
    let name = function.string("name")?;
    let name = function.required("name", name)?;
    function.finish()?;
    Ok(name)
}

fn known(name: &str, path: &str, tools: &[Value]) -> Result<(), Error> {
    if tools.iter().any(|tool| name_of(tool) == Some(name)) {
        return Ok(());
    }
    let problem = format!("there is no function '{}' among the `tools`", clipped(name));
    Err(fields::invalid(path.to_owned(), problem))
}

fn name_of(tool: &Value) -> Option<&str> {
    tool.pointer("/function/name").and_then(Value::as_str)
}

fn check(mut tool: Fields) -> Result<(), Error> {
    let kind = tool.choice("type", &["function"])?;
    tool.required("type", kind)?;
    let function = tool.object("function")?;
    let mut function = tool.required("function", function)?;
    tool.finish()?;

    let name = function.string("name")?;
    let name = function.required("name", name)?;
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(valid) {
        let problem = "expected 1 to 64 letters, digits, underscores, hyphens or dots";
        return Err(fields::invalid(function.path("name"), problem));
    }
    function.string("description")?;
    // A JSON Schema: whatever is inside is for the model.
    function.object("parameters")?;
    // Whether it can be honoured depends on the model and on `tool_choice`, so the engine decides.
    function.boolean("strict")?;
    function.finish()
}
