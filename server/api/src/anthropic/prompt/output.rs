//! `output_config`, and `output_format`, its older name for one part of it.

use mlx_gate_core::{Effort, Grammar};
use serde_json::Value;

use crate::error::Error;
use crate::fields::{self, Fields};

/// How the answer is to be.
pub(super) struct Output {
    pub(super) effort: Option<Effort>,
    pub(super) grammar: Option<Grammar>,
}

pub(super) fn read(fields: &mut Fields) -> Result<Output, Error> {
    let older = format(fields, "output_format")?;
    let Some(mut config) = fields.object("output_config")? else {
        return Ok(Output { effort: None, grammar: older });
    };
    let effort = config.choice("effort", &["low", "medium", "high", "xhigh", "max"])?;
    let effort = effort.map(|effort| match effort {
        "low" => Effort::Low,
        "medium" => Effort::Medium,
        "high" => Effort::High,
        // Anthropic's `max` is one more than any open model knows.
        _ => Effort::XHigh,
    });
    let newer = format(&mut config, "format")?;
    config.finish()?;
    if older.is_some() && newer.is_some() {
        let problem = "`output_config.format` says it too; send only that one";
        return Err(fields::invalid("output_format".to_owned(), problem));
    }
    Ok(Output { effort, grammar: newer.or(older) })
}

/// `{"type": "json_schema", "schema": ..}`.
fn format(fields: &mut Fields, key: &str) -> Result<Option<Grammar>, Error> {
    let Some(mut format) = fields.object(key)? else { return Ok(None) };
    let kind = format.choice("type", &["json_schema"])?;
    format.required("type", kind)?;
    let schema = format.object("schema")?;
    let schema = format.required("schema", schema)?.into_map();
    format.finish()?;
    Ok(Some(Grammar::JsonSchema(Value::Object(schema))))
}
