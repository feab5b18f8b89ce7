//! `GET /v1/models` and `GET /v1/models/{id}`.

use axum::response::Response;
use mlx_gate_core::{EngineError, ModelCard};
use serde::Serialize;

use super::wire;
use crate::error::Error;
use crate::routes::Call;

#[derive(Serialize)]
struct Models<'a> {
    object: &'static str,
    data: Vec<Model<'a>>,
}

/// OpenAI's fields, then ours.
#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    architecture: &'a str,
    context_length: u32,
    capabilities: Capabilities,
}

#[derive(Serialize)]
struct Capabilities {
    chat: bool,
    tools: bool,
    reasoning: bool,
}

impl<'a> From<&'a ModelCard> for Model<'a> {
    fn from(card: &'a ModelCard) -> Self {
        let can = card.capabilities;
        Self {
            id: &card.id,
            object: "model",
            created: card.created,
            owned_by: "mlx-gate",
            architecture: &card.architecture,
            context_length: card.context_length,
            capabilities: Capabilities { chat: can.chat, tools: can.tools, reasoning: can.reasoning },
        }
    }
}

pub(crate) fn list(call: &Call) -> Result<Response, Error> {
    let data = call.app.engine().models().iter().map(Model::from).collect();
    wire::json(&Models { object: "list", data })
}

pub(crate) fn retrieve(call: &Call) -> Result<Response, Error> {
    let id = call.path_tail.as_deref().unwrap_or_default();
    wire::json(&Model::from(find(call.app.engine().models(), Some(id))?))
}

/// The card of the model a request names, or of the first one.
pub(crate) fn find<'a>(models: &'a [ModelCard], id: Option<&str>) -> Result<&'a ModelCard, Error> {
    let found = match id {
        Some(id) => models.iter().find(|card| card.id == id),
        None => models.first(),
    };
    found.ok_or_else(|| EngineError::UnknownModel(super::fields::clipped(id.unwrap_or_default())).into())
}
