use serde_json::{Value, json};

use crate::error::Error;
use crate::openai::fields::{self, Fields};

/// `tools`, as the client wrote them, unless `tool_choice` is `none`: what the model does not see it does not call.
pub(super) fn read(fields: &mut Fields) -> Result<Vec<Value>, Error> {
    let tools = fields.array("tools")?.unwrap_or_default();
    for (index, tool) in tools.iter().enumerate() {
        check(Fields::at(format!("tools[{index}]"), tool.clone())?)?;
    }
    fields.only("parallel_tool_calls", &[json!(true)])?;
    match choice(fields)? {
        Choice::Auto => Ok(tools),
        Choice::None => Ok(Vec::new()),
    }
}

enum Choice {
    Auto,
    None,
}

fn choice(fields: &mut Fields) -> Result<Choice, Error> {
    match fields.take("tool_choice") {
        None => Ok(Choice::Auto),
        Some(Value::String(word)) if word == "auto" => Ok(Choice::Auto),
        Some(Value::String(word)) if word == "none" => Ok(Choice::None),
        Some(Value::String(word)) if word != "required" => {
            Err(fields::not_one_of("tool_choice", &word, &["auto", "none"]))
        }
        Some(Value::String(_) | Value::Object(_)) => Err(fields::unsupported(
            fields.path("tool_choice"),
            "a call cannot be forced on the model here; send \"auto\" or \"none\"",
        )),
        Some(other) => Err(fields::invalid_type("tool_choice", "a string or an object", &other)),
    }
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
    function.only("strict", &[json!(false)])?;
    function.finish()
}
