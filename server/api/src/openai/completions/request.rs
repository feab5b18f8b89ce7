use mlx_gate_core::{Prompt, Request, SamplingOverrides};
use serde_json::{Value, json};

use crate::error::Error;
use crate::generation::Asked;
use crate::openai::fields::{self, Fields};
use crate::openai::options::{self, Streaming};

/// A checked body of `POST /v1/completions`.
#[derive(Debug, PartialEq)]
pub(super) struct CompletionRequest {
    model: Option<String>,
    prompt: Prompt,
    sampling: SamplingOverrides,
    max_output_tokens: Option<u32>,
    stop: Vec<String>,
    pub(super) streaming: Streaming,
    end_user: Option<String>,
}

impl CompletionRequest {
    /// Reads and checks a body. Every field is either understood or refused by name.
    pub(super) fn read(value: Value) -> Result<Self, Error> {
        let mut fields = Fields::root(value)?;
        let model = options::model(&mut fields)?;
        let prompt = prompt(&mut fields)?;
        let sampling = options::sampling(&mut fields)?;
        let max_output_tokens = options::max_tokens(&mut fields, "max_tokens")?;
        let stop = options::stop(&mut fields, "stop")?;
        let streaming = options::streaming(&mut fields)?;
        let end_user = options::end_user(&mut fields, "user")?;
        options::neutral(&mut fields)?;
        fields.only("best_of", &[json!(1)])?;
        fields.only("echo", &[json!(false)])?;
        fields.only("suffix", &[json!("")])?;
        fields.only("logprobs", &[])?;
        fields.finish()?;
        Ok(Self { model, prompt, sampling, max_output_tokens, stop, streaming, end_user })
    }

    pub(super) fn into_asked(self, id: String) -> Asked {
        let request = Request {
            model: self.model,
            sampling: self.sampling,
            max_output_tokens: self.max_output_tokens,
            stop: self.stop,
            ..Request::new(id, self.prompt)
        };
        Asked { streaming: self.streaming.enabled, end_user: self.end_user, ..Asked::new(request, "prompt") }
    }
}

/// A string, an array of tokens, or an array that holds one of them.
fn prompt(fields: &mut Fields) -> Result<Prompt, Error> {
    let path = fields.path("prompt");
    let value = fields.take("prompt");
    match fields.required("prompt", value)? {
        Value::String(text) => Ok(Prompt::Text(text)),
        Value::Array(values) if values.is_empty() => {
            Err(fields::invalid(path, "expected a string or tokens, but got an empty array"))
        }
        Value::Array(mut values) if !values[0].is_number() => match values.pop() {
            Some(_) if !values.is_empty() => {
                let problem = format!("one prompt per request, but got {}", values.len() + 1);
                Err(fields::unsupported(path, problem))
            }
            Some(Value::String(text)) => Ok(Prompt::Text(text)),
            Some(Value::Array(tokens)) if !tokens.is_empty() => tokens_at(&format!("{path}[0]"), &tokens),
            other => {
                let found = other.unwrap_or_default();
                Err(fields::invalid_type(&format!("{path}[0]"), "a string or an array of tokens", &found))
            }
        },
        Value::Array(tokens) => tokens_at(&path, &tokens),
        other => Err(fields::invalid_type(&path, "a string or an array of tokens", &other)),
    }
}

fn tokens_at(path: &str, values: &[Value]) -> Result<Prompt, Error> {
    let token = |(index, value): (usize, &Value)| {
        value
            .as_u64()
            .and_then(|token| u32::try_from(token).ok())
            .ok_or_else(|| fields::invalid_type(&format!("{path}[{index}]"), "a token id", value))
    };
    values.iter().enumerate().map(token).collect::<Result<_, _>>().map(Prompt::Tokens)
}
