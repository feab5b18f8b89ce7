//! `POST /v1/completions`: text goes on, without a chat template.

mod request;
mod response;

use axum::body::Body;
use axum::response::Response;
use mlx_gate_core::Event;

use super::{models, wire};
use crate::error::Error;
use crate::generation::Generation;
use crate::routes::Call;
use crate::sse;

pub(crate) async fn create(call: Call, body: Body) -> Result<Response, Error> {
    let value = crate::body::json(&call.headers, body, call.app.config()).await?;
    let asked = request::CompletionRequest::read(value)?;
    call.record.asked(asked.end_user.clone(), asked.streaming.enabled);
    models::find(call.app.engine().models(), asked.model.as_deref())?;

    let streaming = asked.streaming;
    let mut generation = Generation::begin(&call, asked.into_request(call.id.clone()), "prompt").await?;
    if streaming.enabled {
        let encoder = response::Chunks::new(generation.model.clone(), streaming.include_usage);
        return Ok(sse::respond(generation, encoder, call.app.config().keep_alive));
    }
    let mut text = String::new();
    loop {
        match generation.next().await? {
            Event::Text(piece) | Event::Reasoning(piece) => text.push_str(&piece),
            Event::Finished(finished) => {
                return wire::json(&response::Completion::new(generation.model, text, &finished));
            }
            _ => {}
        }
    }
}
