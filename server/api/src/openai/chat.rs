//! `POST /v1/chat/completions`.

mod messages;
mod reasoning;
mod request;
mod response;
mod schema;
mod tools;

use axum::body::Body;

use super::wire;
use crate::error::Error;
use crate::generation::Generation;
use crate::openapi::Description;
use crate::permission::Permitted;
use crate::routes::Call;
use crate::sse;

pub(super) use messages::read as read_messages;
pub(super) use reasoning::read as template_options;
pub(super) use tools::offered as read_tools;

/// What `/openapi.json` says of the route.
pub(crate) fn describe() -> Description {
    Description::new("Answer a conversation")
        .takes::<schema::Request>("ChatCompletionRequest")
        .answers::<response::Completion>("ChatCompletion")
        .streams::<response::ChatChunk>("ChatCompletionChunk")
}

pub(crate) async fn create(call: Call, body: Body) -> Result<Permitted, Error> {
    let value = crate::body::json(&call.headers, body, call.app.config()).await?;
    let asked = request::ChatRequest::read(value)?;
    let (needs, streaming, tier) = (asked.needs(), asked.options.streaming, asked.options.service_tier);
    let (logprobs, called) = (asked.logprobs.is_some(), asked.called());
    let asked = asked.into_asked(call.id.clone());
    let (permit, mut generation) = Generation::begin(&call, asked, |card| needs.check_against(card)).await?;
    let (model, count) = (generation.model.clone(), generation.count);
    let prompt = std::mem::take(&mut generation.prompts).into_iter().next();
    if streaming.enabled {
        let encoder = response::Chunks::new(model, tier, count, called, streaming).telling(prompt);
        return Ok(permit.answer(sse::respond(generation, encoder, call.app.config().keep_alive)));
    }
    let mut answer = response::Collected::new(model, tier, count, called, logprobs).telling(prompt);
    while !generation.is_over() {
        let (choice, event) = generation.next().await?;
        answer.push(choice, event);
    }
    Ok(permit.answer(wire::json(&answer.finish(generation.usage()))?))
}
