//! The options that chat completions and completions share.

use std::ops::Bound;

use mlx_gate_core::SamplingOverrides;
use serde_json::{Value, json};

use super::fields::{self, Fields};
use crate::error::{Error, clipped};

/// Most stop strings. OpenAI takes 4; agents send more.
const MOST_STOPS: usize = 16;

/// Whether and how the answer streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Streaming {
    pub(crate) enabled: bool,
    /// A last chunk carries the usage.
    pub(crate) include_usage: bool,
}

/// `model`: a served name. It goes to plugins, so it is kept short.
pub(crate) fn model(fields: &mut Fields) -> Result<Option<String>, Error> {
    let model = fields.string("model")?;
    model.as_deref().map_or(Ok(()), check_model)?;
    Ok(model)
}

/// Whether a text can be a model's name.
pub(crate) fn check_model(name: &str) -> Result<(), Error> {
    const LONGEST: usize = 512;
    if name.len() <= LONGEST {
        return Ok(());
    }
    let problem = format_args!("expected at most {LONGEST} bytes, but got {}", name.len());
    Err(fields::invalid("model".to_owned(), problem))
}

/// `temperature` to `logit_bias`.
pub(crate) fn sampling(fields: &mut Fields) -> Result<SamplingOverrides, Error> {
    let top_k = fields.integer("top_k", -1..=i64::from(u32::MAX))?;
    Ok(SamplingOverrides {
        temperature: fields.number("temperature", 0.0..=2.0)?,
        top_p: fields.number("top_p", (Bound::Excluded(0.0), Bound::Included(1.0)))?,
        // -1 is how vLLM's clients write "off".
        top_k: top_k.map(|k| u32::try_from(k).unwrap_or(0)),
        min_p: fields.number("min_p", 0.0..=1.0)?,
        seed: seed(fields)?,
        repetition_penalty: fields
            .number("repetition_penalty", (Bound::Excluded(0.0), Bound::Included(100.0)))?,
        presence_penalty: fields.number("presence_penalty", -2.0..=2.0)?,
        frequency_penalty: fields.number("frequency_penalty", -2.0..=2.0)?,
        logit_bias: logit_bias(fields)?,
    })
}

/// Any 64-bit integer; a negative one counts as its bits.
fn seed(fields: &mut Fields) -> Result<Option<u64>, Error> {
    match fields.take("seed") {
        None => Ok(None),
        Some(value) => match value.as_u64().or_else(|| value.as_i64().map(i64::cast_unsigned)) {
            Some(seed) => Ok(Some(seed)),
            None => Err(fields::invalid_type(&fields.path("seed"), "a 64-bit integer", &value)),
        },
    }
}

fn logit_bias(fields: &mut Fields) -> Result<Vec<(u32, f32)>, Error> {
    let Some(biases) = fields.object("logit_bias")? else { return Ok(Vec::new()) };
    let entry = |(token, bias): (&String, &Value)| {
        let path = biases_path(token);
        let token = token
            .parse::<u32>()
            .map_err(|_| fields::invalid(path.clone(), "expected a token id as the key, such as \"42\""))?;
        Ok((token, fields::number(&path, bias, -100.0..=100.0)?))
    };
    biases.into_map().iter().map(entry).collect()
}

fn biases_path(token: &str) -> String {
    format!("logit_bias.{}", clipped(token))
}

/// `stop`, under the name the dialect has for it: a string or several.
pub(crate) fn stop(fields: &mut Fields, key: &str) -> Result<Vec<String>, Error> {
    let path = fields.path(key);
    let stops = match fields.take(key) {
        None => return Ok(Vec::new()),
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(values)) => values
            .into_iter()
            .enumerate()
            .map(|(index, value)| match value {
                Value::String(text) => Ok(text),
                other => Err(fields::invalid_type(&format!("{path}[{index}]"), "a string", &other)),
            })
            .collect::<Result<Vec<_>, _>>()?,
        Some(other) => return Err(fields::invalid_type(&path, "a string or an array of strings", &other)),
    };
    if stops.len() > MOST_STOPS {
        let problem = format!("expected at most {MOST_STOPS} stop strings, but got {}", stops.len());
        return Err(fields::invalid(path, problem));
    }
    if stops.iter().any(String::is_empty) {
        return Err(fields::invalid(path, "an empty stop string would end every answer before it begins"));
    }
    Ok(stops)
}

/// `max_tokens`. More than any context holds is as good as no limit.
pub(crate) fn max_tokens(fields: &mut Fields, key: &str) -> Result<Option<u32>, Error> {
    Ok(fields.integer(key, 1..)?.map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX)))
}

/// `stream` and `stream_options`.
pub(crate) fn streaming(fields: &mut Fields) -> Result<Streaming, Error> {
    let enabled = fields.boolean("stream")?.unwrap_or(false);
    let Some(mut options) = fields.object("stream_options")? else {
        return Ok(Streaming { enabled, include_usage: false });
    };
    if !enabled {
        return Err(fields::invalid(fields.path("stream_options"), "only allowed with `\"stream\": true`"));
    }
    let include_usage = options.boolean("include_usage")?.unwrap_or(false);
    options.only("include_obfuscation", &[json!(false)])?;
    options.finish()?;
    Ok(Streaming { enabled, include_usage })
}

/// `user`, under the name the dialect has for it: the client's word for whom it asks. It goes to the log, so it is kept
/// short.
pub(crate) fn end_user(fields: &mut Fields, key: &str) -> Result<Option<String>, Error> {
    const LONGEST: usize = 256;
    let user = fields.string(key)?;
    match &user {
        Some(name) if name.len() > LONGEST => Err(fields::invalid(
            fields.path(key),
            format_args!("expected at most {LONGEST} bytes, but got {}", name.len()),
        )),
        _ => Ok(user),
    }
}

/// Options of which only the value that changes nothing is supported.
pub(crate) fn neutral(fields: &mut Fields) -> Result<(), Error> {
    fields.only("n", &[json!(1)])?;
    fields.only("metadata", &[json!({})])?;
    fields.only("store", &[json!(false)])?;
    fields.only("service_tier", &[json!("auto"), json!("default")])
}
