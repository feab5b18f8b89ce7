//! `POST /v1/chat/completions`.

mod messages;
mod request;
mod response;
mod tools;

use axum::body::Body;
use mlx_gate_core::Event;

use super::wire;
use crate::error::Error;
use crate::generation::Generation;
use crate::permission::Permitted;
use crate::routes::Call;
use crate::sse;

pub(crate) async fn create(call: Call, body: Body) -> Result<Permitted, Error> {
    let value = crate::body::json(&call.headers, body, call.app.config()).await?;
    let asked = request::ChatRequest::read(value)?;
    let (streaming, needs) = (asked.streaming, asked.needs());
    let asked = asked.into_asked(call.id.clone());
    let (permit, mut generation) = Generation::begin(&call, asked, |card| needs.check_against(card)).await?;
    if streaming.enabled {
        let encoder = response::Chunks::new(generation.model.clone(), streaming.include_usage);
        return Ok(permit.answer(sse::respond(generation, encoder, call.app.config().keep_alive)));
    }
    let mut answer = response::Collected::new(generation.model.clone());
    loop {
        match generation.next().await?.1 {
            Event::Finished(finished) => return Ok(permit.answer(wire::json(&answer.finish(&finished))?)),
            event => answer.push(event),
        }
    }
}
