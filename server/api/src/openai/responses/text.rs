//! `text`: what the answer has to look like.

use mlx_gate_core::Grammar;
use serde_json::{Value, json};

use crate::error::Error;
use crate::fields::Fields;

/// Reads `text`; gives the grammar, and the field as the response repeats it.
pub(super) fn read(fields: &mut Fields) -> Result<(Option<Grammar>, Value), Error> {
    let Some(mut text) = fields.object("text")? else {
        return Ok((None, json!({ "format": { "type": "text" } })));
    };
    // How much a model says it is told in words.
    text.only("verbosity", &[json!("medium")])?;
    let format = text.object("format")?;
    text.finish()?;
    let Some(mut format) = format else { return Ok((None, json!({ "format": { "type": "text" } }))) };
    let kind = format.choice("type", &["text", "json_object", "json_schema"])?;
    let kind = format.required("type", kind)?;
    if kind != "json_schema" {
        format.finish()?;
        let grammar = (kind == "json_object").then_some(Grammar::JsonObject);
        return Ok((grammar, json!({ "format": { "type": kind } })));
    }
    let name = format.string("name")?;
    let name = format.required("name", name)?;
    let description = format.string("description")?;
    // A schema is enforced with and without it.
    let strict = format.boolean("strict")?.unwrap_or(false);
    let schema = format.object("schema")?;
    let schema = Value::Object(format.required("schema", schema)?.into_map());
    format.finish()?;
    let echo = json!({ "format": {
        "type": kind, "name": name, "description": description, "schema": schema, "strict": strict,
    } });
    Ok((Some(Grammar::JsonSchema(schema)), echo))
}
