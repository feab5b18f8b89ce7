//! `POST /v1/responses`, without a memory: whatever an answer builds on comes with its request.

mod input;
mod items;
mod namespaces;
mod reasoning;
mod request;
mod response;
mod schema;
mod stream;
mod text;
mod tools;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;

use super::wire;
use crate::error::Error;
use crate::generation::Generation;
use crate::openapi::Description;
use crate::permission::Permitted;
use crate::routes::Call;
use crate::sse;

/// Response header that names the tools a client has declared and the model was not offered.
pub(crate) const TOOLS_NOT_OFFERED: HeaderName = HeaderName::from_static("x-tools-not-offered");

/// What `/openapi.json` says of the route.
pub(crate) fn describe() -> Description {
    Description::new("Answer a conversation, in OpenAI's newer API")
        .takes::<schema::Request>("ResponseRequest")
        .answers::<response::Response<'static>>("Response")
        .streams::<stream::AnyEvent<'static>>("ResponseEvent")
}

pub(crate) async fn create(call: Call, body: Body) -> Result<Permitted, Error> {
    let value = crate::body::json(&call.headers, body, call.app.config()).await?;
    let request = request::ResponsesRequest::read(value)?;
    let (streaming, needs, left_out) = (request.streaming, request.needs(), request.left_out());
    let obfuscates = request.obfuscates;
    let (asked, echo) = request.into_asked(call.id.clone());
    let (permit, mut generation) = Generation::begin(&call, asked, |card| needs.check_against(card)).await?;
    let head = response::Head::new(generation.model.clone(), echo);
    if streaming {
        let encoder = stream::Events::new(head, obfuscates);
        let answer = sse::respond(generation, encoder, call.app.config().keep_alive);
        return Ok(permit.answer(naming(answer, &left_out)));
    }
    let mut items = items::Items::new(head.namespaces());
    loop {
        let (_, event) = generation.next().await?;
        if let Some(finished) = items.push(event, |_, _| {}) {
            let answer = wire::json(&head.finished(&items, &finished))?;
            return Ok(permit.answer(naming(answer, &left_out)));
        }
    }
}

/// Says which tools were left out, where any were.
fn naming(mut response: Response, tools: &[&'static str]) -> Response {
    if let Ok(names) = HeaderValue::from_str(&tools.join(", "))
        && !tools.is_empty()
    {
        response.headers_mut().insert(TOOLS_NOT_OFFERED, names);
    }
    response
}
