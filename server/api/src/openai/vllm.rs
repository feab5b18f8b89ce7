//! Fields that vLLM knows beside OpenAI's and that have no counterpart here. With the one value that changes nothing, a field
//! is taken; otherwise it is refused with what to do instead.

use serde_json::{Value, json};

use crate::error::Error;
use crate::fields::Fields;

/// What both completions refuse.
const REFUSED: [(&str, &str); 12] = [
    ("allowed_token_ids", "bind the answer with `structured_outputs`, or forbid tokens with `logit_bias`"),
    ("cache_salt", "who shares cached prefixes is decided by the gate's plugins; leave it out"),
    ("guided_decoding_backend", "there is one here; leave it out"),
    ("guided_whitespace_pattern", "white space between the tokens of JSON is bounded already; leave it out"),
    ("kv_transfer_params", "nothing is handed from server to server here; leave it out"),
    ("logits_processors", "clients cannot bring code of their own; see `logit_bias` and the penalties"),
    ("prompt_logprobs", "send the prompt to /v1/completions with `echo` and `logprobs` instead"),
    ("request_id", "the server names requests itself, in the header `x-request-id`; leave it out"),
    ("structural_tag", "bind the answer with `tools`, or with a grammar in `structured_outputs`"),
    ("truncate_prompt_tokens", "prompts are not cut here; shorten yours, with `/tokenize` for its length"),
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

/// Takes what vLLM's two completions share.
pub(crate) fn completion(fields: &mut Fields) -> Result<(), Error> {
    let neutral = [
        ("bad_words", json!([])),
        ("ignore_eos", json!(false)),
        ("include_stop_str_in_output", json!(false)),
        ("min_tokens", json!(0)),
        ("priority", json!(0)),
        ("return_token_ids", json!(false)),
        ("return_tokens_as_token_ids", json!(false)),
        ("skip_special_tokens", json!(true)),
        ("spaces_between_special_tokens", json!(true)),
        ("stop_token_ids", json!([])),
        ("use_beam_search", json!(false)),
    ];
    take(fields, &neutral)?;
    fields.only("length_penalty", &[json!(1.0), json!(1)])?;
    fields.refuse_each(&REFUSED)
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
