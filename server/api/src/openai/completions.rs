//! `POST /v1/completions`: text goes on, without a chat template.

mod request;
mod response;
mod schema;

use std::iter::repeat_n;

use axum::body::Body;
use mlx_gate_core::Prompt;

use super::options::check_grammar;
use super::wire;
use crate::error::Error;
use crate::generation::Generation;
use crate::openapi::Description;
use crate::permission::Permitted;
use crate::routes::Call;
use crate::sse;

/// What `/openapi.json` says of the route.
pub(crate) fn describe() -> Description {
    Description::new("Continue a text")
        .takes::<schema::Request>("CompletionRequest")
        .answers::<response::Completion>("Completion")
        .streams::<response::TextChunk>("CompletionChunk")
}

pub(crate) async fn create(call: Call, body: Body) -> Result<Permitted, Error> {
    let value = crate::body::json(&call.headers, body, call.app.config()).await?;
    let asked = request::CompletionRequest::read(value)?;
    let (streaming, tier, n) = (asked.options.streaming, asked.options.service_tier, asked.options.n);
    let (logprobs, grammar) = (asked.logprobs.is_some(), asked.options.grammar_field());
    let echoed = asked.echoed();
    let asked = asked.into_asked(call.id.clone());
    let (permit, mut generation) =
        Generation::begin(&call, asked, |card| check_grammar(grammar, card)).await?;
    let model = generation.model.clone();
    let texts = texts(&call, &model, echoed, n, generation.count).await?;
    let prompts = std::mem::take(&mut generation.prompts);
    let prompts: Vec<_> = prompts.into_iter().flat_map(|prompt| repeat_n(prompt, n as usize)).collect();
    if streaming.enabled {
        let encoder = response::Chunks::new(model, tier, texts, streaming).telling(prompts);
        return Ok(permit.answer(sse::respond(generation, encoder, call.app.config().keep_alive)));
    }
    let mut answer = response::Collected::new(model, tier, texts, logprobs).telling(prompts);
    while !generation.is_over() {
        let (choice, event) = generation.next().await?;
        answer.push(choice, event);
    }
    Ok(permit.answer(wire::json(&answer.finish(generation.usage()))?))
}

/// What the text of each choice begins with: its prompt where that is echoed, or else nothing.
async fn texts(
    call: &Call,
    model: &str,
    echoed: Vec<Prompt>,
    n: u32,
    count: usize,
) -> Result<Vec<String>, Error> {
    if echoed.is_empty() {
        return Ok(vec![String::new(); count]);
    }
    let mut texts = Vec::with_capacity(count);
    for prompt in echoed {
        let text = match prompt {
            Prompt::Text(text) => text,
            Prompt::Tokens(tokens) => {
                call.deadline.within(call.app.detokenize(Some(model.to_owned()), tokens)).await??
            }
            Prompt::Chat(_) => String::new(),
        };
        texts.extend(repeat_n(text, n as usize));
    }
    Ok(texts)
}
