//! `reasoning`, and reasoning items that come back.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mlx_gate_core::{Effort, ReasoningOptions};
use serde_json::{Value, json};

use crate::error::Error;
use crate::fields::{self, Fields};

/// What our `encrypted_content` begins with. Clients that keep no reasoning text send this back in its place, so that the
/// model knows what it thought before a tool was called. There is no secret in it: the text is in the answer as well.
pub(super) const SEALED: &str = "mlx-gate-reasoning:";

const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// `reasoning`. What a model thinks is given whole whatever `summary` asks for: nobody here could write a shorter one.
pub(super) fn read(fields: &mut Fields) -> Result<ReasoningOptions, Error> {
    let Some(mut reasoning) = fields.object("reasoning")? else { return Ok(ReasoningOptions::default()) };
    let named = reasoning.choice("effort", &EFFORTS)?;
    let effort = named.map(|name| {
        // `max` is one more than any open model knows.
        Effort::ALL.into_iter().find(|effort| effort.as_str() == name).unwrap_or(Effort::XHigh)
    });
    for key in ["summary", "generate_summary"] {
        reasoning.choice(key, &["auto", "concise", "detailed"])?;
    }
    reasoning.only("context", &[json!("auto")])?;
    reasoning.only("mode", &[json!("standard")])?;
    // OpenRouter's; OpenAI's has no such bound.
    let max_tokens = reasoning.integer("max_tokens", 0..)?.and_then(|tokens| u32::try_from(tokens).ok());
    reasoning.finish()?;
    Ok(ReasoningOptions { effort, max_tokens, ..ReasoningOptions::default() })
}

/// The text of a reasoning item: its content, or what we sealed of it. What another server has encrypted, or made of it in
/// a summary, is not what the model thought, and is left out.
pub(super) fn text(mut fields: Fields) -> Result<Option<String>, Error> {
    fields.string("id")?;
    fields.choice("status", &["in_progress", "completed", "incomplete"])?;
    parts(&mut fields, "summary", "summary_text")?;
    let content = parts(&mut fields, "content", "reasoning_text")?;
    let path = fields.path("encrypted_content");
    let sealed =
        match fields.string("encrypted_content")?.as_deref().and_then(|text| text.strip_prefix(SEALED)) {
            Some(sealed) => Some(unseal(path, sealed)?),
            None => None,
        };
    fields.finish()?;
    Ok(if content.is_empty() { sealed } else { Some(content.join("\n")) })
}

fn unseal(path: String, sealed: &str) -> Result<String, Error> {
    let bytes = BASE64_STANDARD.decode(sealed).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| fields::invalid(path, "it is not as this server wrote it"))
}

fn parts(fields: &mut Fields, key: &str, kind: &'static str) -> Result<Vec<String>, Error> {
    let path = fields.path(key);
    let part = |(index, value): (usize, Value)| {
        let mut part = Fields::at(format!("{path}[{index}]"), value)?;
        let named = part.choice("type", &[kind])?;
        part.required("type", named)?;
        let text = part.string("text")?;
        let text = part.required("text", text)?;
        part.finish()?;
        Ok(text)
    };
    fields.array(key)?.unwrap_or_default().into_iter().enumerate().map(part).collect()
}
