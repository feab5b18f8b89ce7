//! `POST /v1/messages`.

mod request;
mod response;
mod stream;
mod wire;

use axum::body::Body;

use crate::anthropic::schema;
use crate::error::Error;
use crate::generation::Generation;
use crate::openai;
use crate::openapi::Description;
use crate::permission::Permitted;
use crate::routes::Call;
use crate::sse;

/// What `/openapi.json` says of the route.
pub(crate) fn describe() -> Description {
    Description::new("Answer a conversation")
        .takes::<schema::MessagesRequest>("MessageRequest")
        .answers::<wire::Message<'static>>("Message")
        .streams::<stream::Wire<'static>>("MessageEvent")
}

pub(crate) async fn create(call: Call, body: Body) -> Result<Permitted, Error> {
    let value = crate::body::json(&call.headers, body, call.app.config()).await?;
    let request = request::MessagesRequest::read(value, interleaves_thinking(&call))?;
    let (streaming, shows_thinking, grammar) =
        (request.streaming, request.shows_thinking, request.grammar_field());
    let (permit, mut generation) = Generation::begin(&call, request.into_asked(call.id.clone()), |card| {
        openai::options::check_grammar(grammar, card)
    })
    .await?;
    let head = wire::Head::new(generation.model.clone(), generation.usage());
    if streaming {
        let encoder = stream::Events::new(head, shows_thinking, call.id.clone());
        return Ok(permit.answer(sse::respond(generation, encoder, call.app.config().keep_alive)));
    }
    let mut answer = response::Collected::new(shows_thinking);
    loop {
        let (_, event) = generation.next().await?;
        if let Some(message) = answer.push(event, &head) {
            return Ok(permit.answer(openai::wire::json(&message)?));
        }
    }
}

/// Whether the client's `anthropic-beta` has thinking between calls of tools. Its budget is for all of it together.
fn interleaves_thinking(call: &Call) -> bool {
    let betas = call.headers.get_all("anthropic-beta").iter().filter_map(|value| value.to_str().ok());
    betas.flat_map(|list| list.split(',')).any(|beta| beta.trim().starts_with("interleaved-thinking-"))
}
