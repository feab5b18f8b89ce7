//! `POST /v1/completions`: text goes on, without a chat template.

mod request;
mod response;

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
    let asked = request::CompletionRequest::read(value)?;
    let streaming = asked.streaming;
    let asked = asked.into_asked(call.id.clone());
    let (permit, mut generation) = Generation::begin(&call, asked, |_| Ok(())).await?;
    if streaming.enabled {
        let encoder = response::Chunks::new(generation.model.clone(), streaming.include_usage);
        return Ok(permit.answer(sse::respond(generation, encoder, call.app.config().keep_alive)));
    }
    let mut text = String::new();
    loop {
        match generation.next().await?.1 {
            Event::Text(piece) | Event::Reasoning(piece) => text.push_str(&piece),
            Event::Finished(finished) => {
                let completion = response::Completion::new(generation.model.clone(), text, &finished);
                return Ok(permit.answer(wire::json(&completion)?));
            }
            _ => {}
        }
    }
}
