//! Texts that are read whole on their way through the gate and the engine, the same for embeddings and scores.

use mlx_gate_core::{EncodeRequest, EngineError, Event, Operation};

use crate::error::Error;
use crate::generation::estimate;
use crate::permission::{Authorized, Permit};
use crate::routes::Call;

/// Most texts of one request: OpenAI's bound.
pub(crate) const MOST_INPUTS: usize = 2048;

/// A checked request.
pub(crate) struct Asked {
    pub(crate) request: EncodeRequest,
    /// Whom the client says it asks for.
    pub(crate) end_user: Option<String>,
    /// Where the request holds the texts, for messages about them.
    pub(crate) field: &'static str,
    /// Whether that is a list.
    pub(crate) listed: bool,
}

/// Texts that were read.
pub(crate) struct Read {
    /// Served name of the model that read them.
    pub(crate) model: String,
    /// A vector for each text.
    pub(crate) vectors: Vec<Vec<f32>>,
    /// Length of all texts together.
    pub(crate) tokens: u32,
}

/// Takes texts through the gate and has them read. Dropping this cancels them.
pub(crate) async fn encode(call: &Call, asked: Asked) -> Result<(Permit, Read), Error> {
    let Asked { mut request, end_user, field, listed } = asked;
    call.record.asked(end_user.clone(), false);
    let first = || call.app.models().first().map(|card| card.id.clone());
    let operation = Operation {
        model: request.model.clone().or_else(first),
        input_tokens: request.inputs.iter().map(estimate::encode_tokens).fold(0, u32::saturating_add),
        end_user,
        ..Operation::new(call.api)
    };
    let mut authorized = Authorized::ask(call, operation).await?;
    request.model = authorized.model()?;
    call.find_model(request.model.as_deref())?;
    let wrong = |error| in_request(error, field, listed);
    let prepared = call.deadline.within(call.app.prepare_encode(request)).await?.map_err(wrong)?;
    let (model, tokens) = (prepared.model.clone(), prepared.tokens());
    call.record.prepared(&model);
    let permit = authorized.measured_encode(&prepared).admit().await?;
    let encoding = call.app.encode(prepared, &permit).map_err(wrong)?;
    call.record.queued(vec![tokens]);
    let encoded = call.deadline.within(encoding).await??;
    call.record.heard(0, &Event::Started { queued: encoded.queued });
    Ok((permit, Read { model, vectors: encoded.vectors, tokens }))
}

/// What the engine says of a field, in the words of the request.
fn in_request(error: EngineError, field: &'static str, listed: bool) -> Error {
    let message = error.to_string();
    match error {
        EngineError::InputTooLong { index, .. } => {
            let param = if listed { format!("{field}[{index}]") } else { field.to_owned() };
            Error::Field { param, code: "context_length_exceeded", message }
        }
        EngineError::InvalidRequest { field: "inputs", .. } => {
            Error::Field { param: field.to_owned(), code: "invalid_value", message }
        }
        EngineError::InvalidRequest { field: "truncate", .. } => {
            Error::Field { param: "truncate_prompt_tokens".to_owned(), code: "invalid_value", message }
        }
        other => other.into(),
    }
}
