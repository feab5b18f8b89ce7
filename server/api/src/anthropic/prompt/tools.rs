//! `tools` and `tool_choice`.

use std::collections::HashSet;

use mlx_gate_core::ToolChoice;
use serde_json::{Map, Value, json};

use super::blocks;
use crate::error::{Error, clipped};
use crate::fields::{self, Fields};

/// What `tool_choice` says.
pub(super) struct Calls {
    pub(super) choice: ToolChoice,
    pub(super) parallel: bool,
}

/// The tools in the form templates know, which is OpenAI's, and how they are to be called.
pub(super) fn read(fields: &mut Fields) -> Result<(Vec<Value>, Calls), Error> {
    let mut names = HashSet::new();
    let mut tools = Vec::new();
    for (index, value) in fields.array("tools")?.unwrap_or_default().into_iter().enumerate() {
        let (name, tool) = tool(Fields::at(format!("tools[{index}]"), value)?)?;
        if !names.insert(name) {
            return Err(fields::invalid(format!("tools[{index}].name"), "another tool has the same name"));
        }
        tools.push(tool);
    }
    let calls = calls(fields, &names)?;
    Ok((tools, calls))
}

fn tool(mut fields: Fields) -> Result<(String, Value), Error> {
    if let Some(kind) = fields.string("type")?
        && kind != "custom"
    {
        let problem = format!(
            "'{}' is a tool of Anthropic's own; only tools of type 'custom', with an `input_schema`, are supported",
            clipped(&kind)
        );
        return Err(fields::unsupported(fields.path("type"), problem));
    }
    let name = fields.string("name")?;
    let name = fields.required("name", name)?;
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if name.is_empty() || name.len() > 128 || !name.bytes().all(valid) {
        let problem = "expected 1 to 128 letters, digits, underscores or hyphens";
        return Err(fields::invalid(fields.path("name"), problem));
    }
    let description = fields.string("description")?;
    let schema = fields.object("input_schema")?;
    let mut schema = fields.required("input_schema", schema)?.into_map();
    if let Some(examples) = fields.array("input_examples")? {
        schema.insert("examples".to_owned(), examples.into());
    }
    blocks::cache_control(&mut fields)?;
    // Arguments stream as they are generated, whether that is asked for or not.
    fields.boolean("eager_input_streaming")?;
    fields.only("defer_loading", &[json!(false)])?;
    fields.only("allowed_callers", &[json!(["direct"])])?;
    let strict = fields.boolean("strict")?;
    fields.finish()?;

    let mut function = Map::new();
    function.insert("name".to_owned(), name.as_str().into());
    if let Some(description) = description {
        function.insert("description".to_owned(), description.into());
    }
    function.insert("parameters".to_owned(), schema.into());
    if let Some(strict) = strict.filter(|strict| *strict) {
        function.insert("strict".to_owned(), strict.into());
    }
    Ok((name, json!({ "type": "function", "function": function })))
}

fn calls(fields: &mut Fields, names: &HashSet<String>) -> Result<Calls, Error> {
    let Some(mut choice) = fields.object("tool_choice")? else {
        return Ok(Calls { choice: ToolChoice::Auto, parallel: true });
    };
    let kind = choice.choice("type", &["auto", "any", "tool", "none"])?;
    let kind = choice.required("type", kind)?;
    let forced = match kind {
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "any" => ToolChoice::Required,
        _ => {
            let name = choice.string("name")?;
            let name = choice.required("name", name)?;
            if !names.contains(&name) {
                let problem = format!("no tool is named '{}'", clipped(&name));
                return Err(fields::invalid(choice.path("name"), problem));
            }
            ToolChoice::Function(name)
        }
    };
    if forced == ToolChoice::Required && names.is_empty() {
        return Err(fields::invalid(choice.path("type"), "'any' asks for a call, but `tools` is empty"));
    }
    let parallel = !choice.boolean("disable_parallel_tool_use")?.unwrap_or(false);
    choice.finish()?;
    Ok(Calls { choice: forced, parallel })
}
