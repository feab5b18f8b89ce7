//! The options that chat completions and completions share.

use std::ops::Bound;

use mlx_gate_core::{ModelCard, Prompt, Request, SamplingOverrides, Truncate};
use serde_json::{Value, json};

use super::fields::{self, Fields};
use super::grammar::{self, Wanted};
use super::vllm::Extras;
use crate::error::{Error, clipped};
use crate::generation::Asked;

/// Most stop strings. OpenAI takes 4; agents send more.
const MOST_STOPS: usize = 16;

/// Most answers to one request, all its prompts together.
pub(crate) const MOST_CHOICES: u32 = mlx_gate_core::MOST_CHOICES;

/// What both routes ask for in the same words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    pub(crate) model: Option<String>,
    sampling: SamplingOverrides,
    stop: Vec<String>,
    /// Answers to each prompt.
    pub(crate) n: u32,
    grammar: Option<Wanted>,
    pub(crate) extras: Extras,
    pub(crate) streaming: Streaming,
    end_user: Option<String>,
    /// What to answer about the tier that served, where the client asked for one.
    pub(crate) service_tier: Option<&'static str>,
}

impl Options {
    pub(crate) fn read(fields: &mut Fields) -> Result<Self, Error> {
        let options = Self {
            model: model(fields)?,
            sampling: sampling(fields)?,
            stop: stop(fields, "stop")?,
            n: fields.integer("n", 1..=i64::from(MOST_CHOICES))?.map_or(1, |n| n as u32),
            grammar: grammar::read(fields)?,
            extras: Extras::read(fields)?,
            streaming: streaming(fields)?,
            end_user: end_user(fields)?,
            // There is one tier here, and it serves whatever leaves the choice to the server.
            service_tier: fields.choice("service_tier", &["auto", "default"])?.map(|_| "default"),
        };
        unstored(fields)?;
        Ok(options)
    }

    /// The checked request; `prompt_field` is where the dialect's request holds the prompt.
    pub(crate) fn into_asked(self, id: String, prompt: Prompt, prompt_field: &'static str) -> Asked {
        let (grammar, grammar_field) = self.grammar.map(|wanted| (wanted.grammar, wanted.field)).unzip();
        let mut request = Request {
            model: self.model,
            choices: self.n,
            sampling: self.sampling,
            stop: self.stop,
            grammar,
            ..Request::new(id, prompt)
        };
        self.extras.apply(&mut request);
        Asked {
            streaming: self.streaming.enabled,
            end_user: self.end_user,
            grammar_field: grammar_field.unwrap_or("response_format"),
            ..Asked::new(request, prompt_field)
        }
    }

    /// The field that asks for a grammar.
    pub(crate) fn grammar_field(&self) -> Option<&'static str> {
        self.grammar.as_ref().map(|wanted| wanted.field)
    }
}

/// Refuses a grammar, which this field asks for, where the model that would answer cannot be held to one.
pub(crate) fn check_grammar(field: Option<&'static str>, card: &ModelCard) -> Result<(), Error> {
    match field {
        Some(field) if !card.capabilities.structured_output => {
            let problem = format!("the model `{}` cannot be held to a grammar", card.id);
            Err(fields::unsupported(field.to_owned(), problem))
        }
        _ => Ok(()),
    }
}

/// Whether and how the answer streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Streaming {
    pub(crate) enabled: bool,
    /// A last chunk carries the usage.
    pub(crate) include_usage: bool,
    /// Chunks are brought to one of few sizes.
    pub(crate) obfuscates: bool,
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
fn sampling(fields: &mut Fields) -> Result<SamplingOverrides, Error> {
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

/// Token ids. Which of them a model has, the engine knows.
pub(crate) fn tokens(path: &str, values: &[Value]) -> Result<Vec<u32>, Error> {
    let token = |(index, value): (usize, &Value)| {
        let token = value.as_u64().and_then(|token| u32::try_from(token).ok());
        token.ok_or_else(|| fields::invalid_type(&format!("{path}[{index}]"), "a token id", value))
    };
    values.iter().enumerate().map(token).collect()
}

/// Where texts that are too long are cut, as vLLM has it: -1 is what the model can read.
pub(crate) fn truncate(fields: &mut Fields) -> Result<Option<Truncate>, Error> {
    const KEY: &str = "truncate_prompt_tokens";
    let path = fields.path(KEY);
    fields
        .integer(KEY, -1..=i64::from(u32::MAX))?
        .map(|tokens| match tokens {
            -1 => Ok(Truncate::ToModel),
            0 => Err(fields::invalid(path, "expected -1 or a number of tokens, but got 0")),
            tokens => Ok(Truncate::To(tokens as u32)),
        })
        .transpose()
}

/// `max_tokens`, which is at least this. More than any context holds is as good as no limit.
pub(crate) fn max_tokens(fields: &mut Fields, key: &str, least: i64) -> Result<Option<u32>, Error> {
    Ok(fields.integer(key, least..)?.map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX)))
}

/// `stream` and `stream_options`.
fn streaming(fields: &mut Fields) -> Result<Streaming, Error> {
    let enabled = fields.boolean("stream")?.unwrap_or(false);
    let Some(mut options) = fields.object("stream_options")? else {
        return Ok(Streaming { enabled, ..Streaming::default() });
    };
    if !enabled {
        return Err(fields::invalid(fields.path("stream_options"), "only allowed with `\"stream\": true`"));
    }
    let include_usage = options.boolean("include_usage")?.unwrap_or(false);
    let obfuscates = options.boolean("include_obfuscation")?.unwrap_or(false);
    options.finish()?;
    Ok(Streaming { enabled, include_usage, obfuscates })
}

/// `safety_identifier`, or `user` as it was called before.
pub(crate) fn end_user(fields: &mut Fields) -> Result<Option<String>, Error> {
    let older = label(fields, "user")?;
    Ok(label(fields, "safety_identifier")?.or(older))
}

/// What is about answers that OpenAI keeps. None are kept here, so labels for them are checked and then let go.
pub(crate) fn unstored(fields: &mut Fields) -> Result<(), Error> {
    const MOST_LABELS: usize = 16;
    fields.only("store", &[json!(false)])?;
    cache_hints(fields)?;
    let Some(mut metadata) = fields.object("metadata")? else { return Ok(()) };
    let keys = metadata.keys();
    if keys.len() > MOST_LABELS {
        let problem = format!("expected at most {MOST_LABELS} pairs, but got {}", keys.len());
        return Err(fields::invalid("metadata".to_owned(), problem));
    }
    keys.iter().try_for_each(|key| metadata.string(key).map(drop))
}

/// What to cache of a prompt, and for how long. Equal prefixes find each other here without it, and stay while there is room.
fn cache_hints(fields: &mut Fields) -> Result<(), Error> {
    label(fields, "prompt_cache_key")?;
    fields.choice("prompt_cache_retention", &["in_memory", "24h"])?;
    cache_hint(fields, "prompt_cache_options", &["implicit", "explicit"])
}

/// `prompt_cache_breakpoint` of a part of a prompt, another such hint.
pub(crate) fn cache_breakpoint(part: &mut Fields) -> Result<(), Error> {
    cache_hint(part, "prompt_cache_breakpoint", &["explicit"])
}

fn cache_hint(fields: &mut Fields, key: &str, modes: &[&'static str]) -> Result<(), Error> {
    let Some(mut hint) = fields.object(key)? else { return Ok(()) };
    hint.choice("mode", modes)?;
    label(&mut hint, "ttl")?;
    hint.finish()
}

/// A string of at most 256 bytes.
pub(crate) fn label(fields: &mut Fields, key: &str) -> Result<Option<String>, Error> {
    const LONGEST: usize = 256;
    let text = fields.string(key)?;
    match &text {
        Some(text) if text.len() > LONGEST => {
            let problem = format_args!("expected at most {LONGEST} bytes, but got {}", text.len());
            Err(fields::invalid(fields.path(key), problem))
        }
        _ => Ok(text),
    }
}
