//! `tools` and `tool_choice`.

use std::collections::HashSet;

use mlx_gate_core::ToolChoice;
use serde_json::{Map, Value, json};

use super::namespaces::{Namespaces, spelled};
use crate::error::{Error, clipped};
use crate::fields::{self, Fields};

/// Tools that OpenAI's servers run, and that agents declare in every request, whether a model is to use them or not. To
/// offer one is no order to use it, so a request goes on without it, and the answer says so.
const HOSTED: [&str; 3] = ["web_search", "web_search_preview", "image_generation"];

/// What a request says about tools.
#[derive(Debug, PartialEq)]
pub(super) struct Tools {
    /// In the form templates know, which is that of chat completions.
    pub(super) offered: Vec<Value>,
    /// The same, as the client wrote them.
    pub(super) echo: Vec<Value>,
    /// Those of the functions that stand in one.
    pub(super) namespaces: Namespaces,
    /// Hosted tools that were declared.
    pub(super) left_out: Vec<&'static str>,
    pub(super) choice: ToolChoice,
    /// `tool_choice` as the client wrote it.
    pub(super) choice_echo: Value,
    pub(super) parallel: bool,
}

impl Tools {
    pub(super) fn read(fields: &mut Fields) -> Result<Self, Error> {
        let mut tools = Self {
            offered: Vec::new(),
            echo: Vec::new(),
            namespaces: Namespaces::default(),
            left_out: Vec::new(),
            choice: ToolChoice::Auto,
            choice_echo: json!("auto"),
            parallel: fields.boolean("parallel_tool_calls")?.unwrap_or(true),
        };
        for (index, value) in fields.array("tools")?.unwrap_or_default().into_iter().enumerate() {
            tools.declare(&format!("tools[{index}]"), value)?;
        }
        if let Some(choice) = fields.take("tool_choice") {
            tools.choice_echo = choice.clone();
            tools.choice = tools.choose(choice)?;
        }
        if tools.offered.is_empty() && matches!(tools.choice, ToolChoice::Required | ToolChoice::Function(_))
        {
            let problem = "a call is asked for, but there is no function among the `tools`";
            return Err(fields::invalid("tool_choice".to_owned(), problem));
        }
        Ok(tools)
    }

    /// Whether the model gets to see any.
    pub(super) fn are_offered(&self) -> bool {
        !self.offered.is_empty() && self.choice != ToolChoice::None
    }

    fn declare(&mut self, path: &str, value: Value) -> Result<(), Error> {
        let mut tool = Fields::at(path.to_owned(), value.clone())?;
        let kind = tool.string("type")?;
        let kind = tool.required("type", kind)?;
        if let Some(hosted) = HOSTED.into_iter().find(|hosted| *hosted == kind) {
            self.left_out.push(hosted);
            return Ok(());
        }
        match kind.as_str() {
            "function" => {
                let name = name(&mut tool)?;
                self.offered.push(function(tool, name, None)?);
            }
            "namespace" => self.declare_all(tool)?,
            _ => {
                let problem = format!(
                    "'{}' is a tool of OpenAI's own; only tools of type 'function' are supported, and 'namespace' with \
                     functions in it",
                    clipped(&kind)
                );
                return Err(fields::unsupported(tool.path("type"), problem));
            }
        }
        self.echo.push(value);
        Ok(())
    }

    /// The functions of a namespace.
    fn declare_all(&mut self, mut fields: Fields) -> Result<(), Error> {
        let namespace = name(&mut fields)?;
        let description = fields.string("description")?;
        let (path, listed) = (fields.path("tools"), fields.array("tools")?);
        let listed = fields.required("tools", listed)?;
        fields.finish()?;
        for (index, value) in listed.into_iter().enumerate() {
            let mut tool = Fields::at(format!("{path}[{index}]"), value)?;
            let kind = tool.choice("type", &["function"])?;
            tool.required("type", kind)?;
            let name = name(&mut tool)?;
            let called = spelled(Some(&namespace), &name);
            if called.len() > LONGEST {
                let problem = format!("with its namespace it is longer than {LONGEST} letters");
                return Err(fields::invalid(tool.path("name"), problem));
            }
            if self.offered.iter().any(|other| name_of(other) == Some(&called)) {
                let problem = format!("to the model this is '{}', as another function is", clipped(&called));
                return Err(fields::invalid(tool.path("name"), problem));
            }
            self.namespaces.insert(&namespace, &name);
            self.offered.push(function(tool, called, description.as_deref())?);
        }
        Ok(())
    }

    fn choose(&mut self, choice: Value) -> Result<ToolChoice, Error> {
        let path = "tool_choice".to_owned();
        let mut choice = match choice {
            Value::String(word) => {
                return mode(&word)
                    .ok_or_else(|| fields::not_one_of(&path, &word, &["none", "auto", "required"]));
            }
            Value::Object(_) => Fields::at(path, choice)?,
            other => return Err(fields::invalid_type(&path, "a string or an object", &other)),
        };
        let kind = choice.string("type")?;
        let chosen = match choice.required("type", kind)?.as_str() {
            "function" => ToolChoice::Function(self.named(&mut choice)?),
            "allowed_tools" => self.allow(&mut choice)?,
            other => {
                let problem = format!("a call of '{}' cannot be forced here", clipped(other));
                return Err(fields::unsupported(choice.path("type"), problem));
            }
        };
        choice.finish()?;
        Ok(chosen)
    }

    /// `{"type": "allowed_tools", "mode", "tools": [{"type": "function", "name"}]}`: the others are not offered.
    fn allow(&mut self, choice: &mut Fields) -> Result<ToolChoice, Error> {
        let word = choice.choice("mode", &["auto", "required"])?;
        let word = choice.required("mode", word)?;
        let listed = choice.array("tools")?;
        let listed = choice.required("tools", listed)?;
        let mut names = HashSet::new();
        for (index, value) in listed.into_iter().enumerate() {
            let mut tool = Fields::at(format!("tool_choice.tools[{index}]"), value)?;
            let kind = tool.choice("type", &["function"])?;
            tool.required("type", kind)?;
            names.insert(self.named(&mut tool)?);
            tool.finish()?;
        }
        self.offered.retain(|tool| name_of(tool).is_some_and(|name| names.contains(name)));
        Ok(mode(word).unwrap_or_default())
    }

    /// `name`, of a function that is offered.
    fn named(&self, fields: &mut Fields) -> Result<String, Error> {
        let name = fields.string("name")?;
        let name = fields.required("name", name)?;
        let name = spelled(fields.string("namespace")?.as_deref(), &name);
        if self.offered.iter().any(|tool| name_of(tool) == Some(&name)) {
            return Ok(name);
        }
        let problem = format!("there is no function '{}' among the `tools`", clipped(&name));
        Err(fields::invalid(fields.path("name"), problem))
    }
}

fn mode(word: &str) -> Option<ToolChoice> {
    match word {
        "none" => Some(ToolChoice::None),
        "auto" => Some(ToolChoice::Auto),
        "required" => Some(ToolChoice::Required),
        _ => None,
    }
}

fn name_of(tool: &Value) -> Option<&str> {
    tool["function"]["name"].as_str()
}

/// Longest name of a function or namespace, in bytes.
const LONGEST: usize = 128;

/// `name`, of a function or a namespace.
fn name(fields: &mut Fields) -> Result<String, Error> {
    let name = fields.string("name")?;
    let name = fields.required("name", name)?;
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if name.is_empty() || name.len() > LONGEST || !name.bytes().all(valid) {
        let problem = format!("expected 1 to {LONGEST} letters, digits, underscores, hyphens or dots");
        return Err(fields::invalid(fields.path("name"), problem));
    }
    Ok(name)
}

/// `{"description", "parameters", "strict"}`, under the name that the model sees. What is said of its namespace is said of it.
fn function(mut fields: Fields, name: String, of_namespace: Option<&str>) -> Result<Value, Error> {
    let own = fields.string("description")?;
    let said: Vec<&str> = of_namespace.into_iter().chain(own.as_deref()).collect();
    let description = (!said.is_empty()).then(|| said.join("\n\n"));
    let parameters = fields.object("parameters")?;
    let strict = fields.boolean("strict")?;
    fields.only("allowed_callers", &[json!(["direct"])])?;
    fields.only("async", &[json!(false)])?;
    fields.only("defer_loading", &[json!(false)])?;
    // About what a function answers, which is for whoever runs it.
    fields.object("output_schema")?;
    fields.finish()?;

    let mut function = Map::new();
    function.insert("name".to_owned(), name.into());
    if let Some(description) = description {
        function.insert("description".to_owned(), description.into());
    }
    if let Some(parameters) = parameters {
        function.insert("parameters".to_owned(), parameters.into_map().into());
    }
    if strict == Some(true) {
        function.insert("strict".to_owned(), true.into());
    }
    Ok(json!({ "type": "function", "function": function }))
}
