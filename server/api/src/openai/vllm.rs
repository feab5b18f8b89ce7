//! Fields that vLLM knows beside OpenAI's. What has no counterpart here is taken with the one value that changes nothing;
//! otherwise it is refused with what to do instead.

use mlx_gate_core::{EndRules, Request, Truncate};
use serde_json::{Value, json};

use super::options;
use crate::error::Error;
use crate::fields::{self, Fields};

/// Most tokens that end an answer.
const MOST_STOP_TOKENS: usize = 128;

/// What both completions refuse.
const REFUSED: [(&str, &str); 11] = [
    ("allowed_token_ids", "bind the answer with `structured_outputs`, or forbid tokens with `logit_bias`"),
    ("cache_salt", "who shares cached prefixes is decided by the gate's plugins; leave it out"),
    ("guided_decoding_backend", "there is one here; leave it out"),
    ("guided_whitespace_pattern", "white space between the tokens of JSON is bounded already; leave it out"),
    ("kv_transfer_params", "nothing is handed from server to server here; leave it out"),
    ("logits_processors", "clients cannot bring code of their own; see `logit_bias` and the penalties"),
    ("prompt_logprobs", "send the prompt to /v1/completions with `echo` and `logprobs` instead"),
    ("request_id", "the server names requests itself, in the header `x-request-id`; leave it out"),
    ("structural_tag", "bind the answer with `tools`, or with a grammar in `structured_outputs`"),
    ("vllm_xargs", "there are no extensions that would read it; leave it out"),
    ("repetition_detection", "answers are not watched for it; see `repetition_penalty` and `max_tokens`"),
];

/// What a chat refuses besides.
const REFUSED_OF_CHAT: [(&str, &str); 4] = [
    ("chat_template", "the model's own is used, which `chat_template_kwargs` has variables for"),
    ("documents", "put them into a message"),
    ("media_io_kwargs", "messages are text only; leave it out"),
    ("mm_processor_kwargs", "messages are text only; leave it out"),
];

/// What embeddings refuse.
const REFUSED_OF_EMBEDDINGS: [(&str, &str); 2] = [
    ("normalize", "a model's own files say whether its vectors are; leave it out"),
    ("request_id", "the server names requests itself, in the header `x-request-id`; leave it out"),
];

/// What vLLM's two completions share.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Extras {
    end: EndRules,
    truncate: Option<Truncate>,
    special_tokens: bool,
    /// The answer has the tokens of prompt and answer too.
    pub(crate) token_ids: bool,
}

impl Extras {
    pub(crate) fn read(fields: &mut Fields) -> Result<Self, Error> {
        let end = EndRules {
            tokens: stop_tokens(fields)?,
            min_tokens: fields
                .integer("min_tokens", 0..=i64::from(u32::MAX))?
                .map_or(0, |least| least as u32),
            ignores_model: fields.boolean("ignore_eos")?.unwrap_or(false),
            shown: fields.boolean("include_stop_str_in_output")?.unwrap_or(false),
        };
        let extras = Self {
            end,
            truncate: options::truncate(fields)?,
            special_tokens: !fields.boolean("skip_special_tokens")?.unwrap_or(true),
            token_ids: fields.boolean("return_token_ids")?.unwrap_or(false),
        };
        // A tokenizer that would put spaces there by itself is one that no model here comes with.
        fields.boolean("spaces_between_special_tokens")?;
        let neutral = [
            ("bad_words", json!([])),
            ("priority", json!(0)),
            ("return_tokens_as_token_ids", json!(false)),
            ("use_beam_search", json!(false)),
        ];
        take(fields, &neutral)?;
        fields.only("length_penalty", &[json!(1.0), json!(1)])?;
        fields.refuse_each(&REFUSED)?;
        Ok(extras)
    }

    pub(crate) fn apply(self, request: &mut Request) {
        request.end = self.end;
        request.truncate = self.truncate;
        request.special_tokens = self.special_tokens;
        request.token_ids = self.token_ids;
    }

    /// Whether a prompt may lose its beginning.
    pub(crate) const fn truncates(&self) -> bool {
        self.truncate.is_some()
    }
}

fn stop_tokens(fields: &mut Fields) -> Result<Vec<u32>, Error> {
    const KEY: &str = "stop_token_ids";
    let path = fields.path(KEY);
    let Some(values) = fields.array(KEY)? else { return Ok(Vec::new()) };
    if values.len() > MOST_STOP_TOKENS {
        let problem = format!("expected at most {MOST_STOP_TOKENS} tokens, but got {}", values.len());
        return Err(fields::invalid(path, problem));
    }
    options::tokens(&path, &values)
}

/// Takes what a chat has besides.
pub(crate) fn chat(fields: &mut Fields) -> Result<(), Error> {
    let neutral = [
        ("add_generation_prompt", json!(true)),
        ("add_special_tokens", json!(false)),
        ("continue_final_message", json!(false)),
        ("echo", json!(false)),
        ("include_reasoning", json!(true)),
    ];
    take(fields, &neutral)?;
    fields.refuse_each(&REFUSED_OF_CHAT)
}

/// Takes what a text that goes on has besides.
pub(crate) fn text(fields: &mut Fields) -> Result<(), Error> {
    take(fields, &[("add_special_tokens", json!(true))])?;
    fields.refuse("prompt_embeds", "prompts are text or tokens here")
}

/// Takes what embeddings have.
pub(crate) fn embeddings(fields: &mut Fields) -> Result<(), Error> {
    take(fields, &[("add_special_tokens", json!(true)), ("priority", json!(0))])?;
    fields.refuse_each(&REFUSED_OF_EMBEDDINGS)
}

fn take(fields: &mut Fields, neutral: &[(&str, Value)]) -> Result<(), Error> {
    neutral.iter().try_for_each(|(key, value)| fields.only(key, std::slice::from_ref(value)))
}
