//! What an answer has to look like, in OpenAI's words (`response_format`) and vLLM's (`structured_outputs`, `guided_*`).

use mlx_gate_core::Grammar;
use serde_json::{Value, json};

use super::fields::{self, Fields};
use crate::error::Error;

/// A grammar, and the field it came from, for messages about it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) grammar: Grammar,
    pub(crate) field: &'static str,
}

/// The grammar a request asks for; at most one of the fields may.
pub(crate) fn read(fields: &mut Fields) -> Result<Option<Wanted>, Error> {
    let format = ("response_format", response_format(fields)?);
    let outputs = ("structured_outputs", structured_outputs(fields)?);
    let mut found: Option<Wanted> = None;
    for (field, grammar) in [format, outputs].into_iter().chain(guided(fields)?) {
        let Some(grammar) = grammar else { continue };
        if let Some(first) = &found {
            let problem = format!("the answer is bound by `{}` already; send one of them", first.field);
            return Err(fields::invalid(field.to_owned(), problem));
        }
        found = Some(Wanted { grammar, field });
    }
    Ok(found)
}

/// OpenAI's `response_format`.
fn response_format(fields: &mut Fields) -> Result<Option<Grammar>, Error> {
    let Some(mut format) = fields.object("response_format")? else { return Ok(None) };
    let kind = format.choice("type", &["text", "json_object", "json_schema"])?;
    let grammar = match format.required("type", kind)? {
        "json_object" => Some(Grammar::JsonObject),
        "json_schema" => {
            let schema = format.object("json_schema")?;
            Some(json_schema(format.required("json_schema", schema)?)?)
        }
        _ => None,
    };
    format.finish()?;
    Ok(grammar)
}

/// `{"name", "description", "schema", "strict"}`. A schema is enforced with and without `strict`.
fn json_schema(mut fields: Fields) -> Result<Grammar, Error> {
    const LONGEST_NAME: usize = 64;
    let name = fields.string("name")?;
    let name = fields.required("name", name)?;
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(valid) {
        let problem = format!("expected 1 to {LONGEST_NAME} letters, digits, underscores or hyphens");
        return Err(fields::invalid(fields.path("name"), problem));
    }
    fields.string("description")?;
    fields.boolean("strict")?;
    let path = fields.path("schema");
    let schema = fields.take("schema");
    let schema = fields.required("schema", schema)?;
    fields.finish()?;
    schema_of(&path, schema)
}

/// vLLM's `structured_outputs`: exactly one kind of grammar.
fn structured_outputs(fields: &mut Fields) -> Result<Option<Grammar>, Error> {
    let Some(mut outputs) = fields.object("structured_outputs")? else { return Ok(None) };
    let path = |key| format!("structured_outputs.{key}");
    let object = outputs.boolean("json_object")?.unwrap_or(false).then_some(Grammar::JsonObject);
    let json = outputs.take("json").map(|value| schema_of(&path("json"), value)).transpose()?;
    let regex = outputs.string("regex")?.map(Grammar::Regex);
    let lark = outputs.string("grammar")?.map(Grammar::Lark);
    let choice = choices(&mut outputs, "choice")?;
    outputs.only("disable_any_whitespace", &[json!(false)])?;
    outputs.finish()?;
    let mut given = [object, json, regex, lark, choice].into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(grammar), None) => Ok(Some(grammar)),
        (None, _) => {
            let problem = "expected one of `json`, `json_object`, `regex`, `grammar` and `choice`";
            Err(fields::invalid("structured_outputs".to_owned(), problem))
        }
        (Some(_), Some(_)) => {
            let problem = "an answer can be bound in one way only; send one of `json`, `json_object`, `regex`, \
                           `grammar` and `choice`";
            Err(fields::invalid("structured_outputs".to_owned(), problem))
        }
    }
}

/// vLLM's older fields, one for each kind.
fn guided(fields: &mut Fields) -> Result<[(&'static str, Option<Grammar>); 4], Error> {
    let json = fields.take("guided_json").map(|value| schema_of("guided_json", value)).transpose()?;
    Ok([
        ("guided_json", json),
        ("guided_regex", fields.string("guided_regex")?.map(Grammar::Regex)),
        ("guided_grammar", fields.string("guided_grammar")?.map(Grammar::Lark)),
        ("guided_choice", choices(fields, "guided_choice")?),
    ])
}

/// A schema, which vLLM also takes as JSON text. `true` and `{}` take any JSON in.
fn schema_of(path: &str, value: Value) -> Result<Grammar, Error> {
    match value {
        Value::Object(_) | Value::Bool(_) => Ok(Grammar::JsonSchema(value)),
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(schema @ (Value::Object(_) | Value::Bool(_))) => Ok(Grammar::JsonSchema(schema)),
            Ok(other) => Err(fields::invalid_type(path, "a JSON Schema, which is an object", &other)),
            Err(error) => Err(fields::invalid(path.to_owned(), format!("the text is not JSON: {error}"))),
        },
        other => Err(fields::invalid_type(path, "a JSON Schema, which is an object", &other)),
    }
}

fn choices(fields: &mut Fields, key: &str) -> Result<Option<Grammar>, Error> {
    let path = fields.path(key);
    let Some(values) = fields.array(key)? else { return Ok(None) };
    if values.is_empty() {
        return Err(fields::invalid(path, "expected at least one text to choose from"));
    }
    let text = |(index, value)| match value {
        Value::String(text) => Ok(text),
        other => Err(fields::invalid_type(&format!("{path}[{index}]"), "a string", &other)),
    };
    values
        .into_iter()
        .enumerate()
        .map(text)
        .collect::<Result<_, _>>()
        .map(|texts| Some(Grammar::Choice(texts)))
}
