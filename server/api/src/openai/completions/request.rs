use mlx_gate_core::{MOST_LOGPROBS, Prompt};
use serde_json::{Value, json};

use crate::error::Error;
use crate::generation::Asked;
use crate::openai::fields::{self, Fields};
use crate::openai::options::{self, MOST_CHOICES, Options};
use crate::openai::vllm;

/// A checked body of `POST /v1/completions`.
#[derive(Debug, PartialEq)]
pub(super) struct CompletionRequest {
    pub(super) options: Options,
    /// At least one.
    prompts: Vec<Prompt>,
    max_output_tokens: Option<u32>,
    /// How many alternatives to each token, where log probabilities are asked for.
    pub(super) logprobs: Option<u32>,
    /// Whether each answer begins with its prompt.
    echo: bool,
}

impl CompletionRequest {
    /// Reads and checks a body. Every field is either understood or refused by name.
    pub(super) fn read(value: Value) -> Result<Self, Error> {
        let mut fields = Fields::root(value)?;
        let options = Options::read(&mut fields)?;
        let prompts = prompts(&mut fields)?;
        if prompts.len().saturating_mul(options.n as usize) > MOST_CHOICES as usize {
            let problem = format!(
                "{} prompts with {} answers to each are more than {MOST_CHOICES} answers",
                prompts.len(),
                options.n
            );
            return Err(fields::invalid(if options.n > 1 { "n" } else { "prompt" }.to_owned(), problem));
        }
        let max_output_tokens = options::max_tokens(&mut fields, "max_tokens", 0)?;
        let logprobs = fields.integer("logprobs", 0..=i64::from(MOST_LOGPROBS))?.map(|top| top as u32);
        let echo = fields.boolean("echo")?.unwrap_or(false);
        if echo && options.extras.truncates() {
            let problem = "the prompt that is echoed is the whole one; leave out one of them";
            return Err(fields::invalid("truncate_prompt_tokens".to_owned(), problem));
        }
        fields.only("best_of", &[json!(options.n)])?;
        fields.only("suffix", &[json!("")])?;
        vllm::text(&mut fields)?;
        fields.finish()?;
        Ok(Self { options, prompts, max_output_tokens, logprobs, echo })
    }

    /// The prompts that answers begin with.
    pub(super) fn echoed(&self) -> Vec<Prompt> {
        if self.echo { self.prompts.clone() } else { Vec::new() }
    }

    pub(super) fn into_asked(mut self, id: String) -> Asked {
        let further = self.prompts.split_off(1);
        let first = self.prompts.remove(0);
        let mut asked = self.options.into_asked(id, first, "prompt");
        asked.request.max_output_tokens = self.max_output_tokens;
        asked.request.logprobs = self.logprobs;
        asked.request.prompt_logprobs = self.logprobs.filter(|_| self.echo);
        Asked { further, ..asked }
    }
}

/// A string, an array of strings, an array of tokens, or an array of arrays of tokens.
fn prompts(fields: &mut Fields) -> Result<Vec<Prompt>, Error> {
    let path = fields.path("prompt");
    let value = fields.take("prompt");
    match fields.required("prompt", value)? {
        Value::String(text) => Ok(vec![Prompt::Text(text)]),
        Value::Array(values) if values.is_empty() => {
            Err(fields::invalid(path, "expected a string or tokens, but got an empty array"))
        }
        Value::Array(values) if values[0].is_number() => Ok(vec![tokens_at(&path, &values)?]),
        Value::Array(values) => values
            .into_iter()
            .enumerate()
            .map(|(index, value)| match value {
                Value::String(text) => Ok(Prompt::Text(text)),
                Value::Array(tokens) if !tokens.is_empty() => tokens_at(&format!("{path}[{index}]"), &tokens),
                other => Err(fields::invalid_type(
                    &format!("{path}[{index}]"),
                    "a string or an array of tokens",
                    &other,
                )),
            })
            .collect(),
        other => Err(fields::invalid_type(&path, "a string, an array of strings, or tokens", &other)),
    }
}

fn tokens_at(path: &str, values: &[Value]) -> Result<Prompt, Error> {
    options::tokens(path, values).map(Prompt::Tokens)
}
