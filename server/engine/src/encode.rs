//! From texts to be embedded or scored to tokens, and from a model's vectors to those that were asked for. Runs beside
//! the device.

use mlx_gate_core::encoder::{Matryoshka, Output, Text};
use mlx_gate_core::{EncodeInput, EncodeRequest, EncodeTask, Encoded, EngineError, PreparedEncode, Truncate};

use crate::served::Served;

/// Most tokens of one request, all its texts together.
const MOST_TOKENS: u32 = 1 << 20;

/// Inputs up to this many bytes are tokenized in about a millisecond.
const QUICK_BYTES: usize = 4096;

/// What a text costs besides its length, in bytes, about.
const TEXT_BYTES: usize = 64;

/// Whether preparing takes so little time that an async thread may do it.
pub(crate) fn is_quick(inputs: &[EncodeInput]) -> bool {
    let bytes = inputs.iter().map(|input| match input {
        EncodeInput::Text(text) => text.len() + TEXT_BYTES,
        EncodeInput::Tokens(_) => TEXT_BYTES,
        EncodeInput::Pair(first, second) => first.len() + second.len() + TEXT_BYTES,
    });
    bytes.fold(0, usize::saturating_add) <= QUICK_BYTES
}

/// Tokenizes and checks texts.
pub(crate) fn prepare(served: &Served, request: EncodeRequest) -> Result<PreparedEncode, EngineError> {
    check_task(served, request.task)?;
    if request.inputs.is_empty() {
        return Err(invalid("inputs", "there is no text; send at least one".to_owned()));
    }
    let most = served.card.context_length;
    let limit = match request.truncate {
        None => None,
        Some(Truncate::ToModel) => Some(most),
        Some(Truncate::To(tokens)) if (1..=most).contains(&tokens) => Some(tokens),
        Some(Truncate::To(tokens)) => {
            let message =
                format!("expected 1 to {most} tokens, which is what the model reads, but got {tokens}");
            return Err(invalid("truncate", message));
        }
    };
    let mut texts = Vec::with_capacity(request.inputs.len());
    let mut total: u32 = 0;
    for (index, input) in request.inputs.into_iter().enumerate() {
        let text = encode(served, index, input, limit)?;
        let tokens = u32::try_from(text.tokens.len()).unwrap_or(u32::MAX);
        if tokens > most {
            return Err(EngineError::InputTooLong { index, tokens, most });
        }
        if tokens == 0 {
            return Err(invalid("inputs", format!("input {index} has no tokens")));
        }
        total = total.saturating_add(tokens);
        if total > MOST_TOKENS {
            let message =
                format!("all inputs together have more than {MOST_TOKENS} tokens; send several requests");
            return Err(invalid("inputs", message));
        }
        texts.push(text);
    }
    Ok(PreparedEncode { id: request.id, model: served.card.id.clone(), task: request.task, texts })
}

/// Catches what [`prepare`] would not have let through, because the scheduler relies on it.
pub(crate) fn check(served: &Served, prepared: &PreparedEncode) -> Result<(), EngineError> {
    check_task(served, prepared.task)?;
    let most = served.card.context_length as usize;
    if prepared.texts.is_empty() || prepared.texts.iter().any(|text| !(1..=most).contains(&text.tokens.len()))
    {
        return Err(EngineError::Internal(format!(
            "{} texts were prepared, and each has to have 1 to {most} tokens",
            prepared.texts.len()
        )));
    }
    Ok(())
}

/// Whether the model does what is asked for.
fn check_task(served: &Served, task: EncodeTask) -> Result<(), EngineError> {
    let unsuited = |problem| Err(EngineError::UnsuitedModel { model: served.card.id.clone(), problem });
    let output = served.encoder.as_ref().map(|facts| &facts.output);
    match (task, output) {
        (
            EncodeTask::Embed { dimensions: Some(asked) },
            Some(Output::Embedding { dimensions, matryoshka }),
        ) => check_dimensions(asked, *dimensions, matryoshka),
        (EncodeTask::Embed { dimensions: None }, Some(Output::Embedding { .. }))
        | (EncodeTask::Score, Some(Output::Score)) => Ok(()),
        (EncodeTask::Embed { .. }, None) => unsuited(
            "generates text, and its configuration says nothing of how to make embeddings of it; name a model for \
             embeddings",
        ),
        (EncodeTask::Embed { .. }, Some(Output::Score)) => {
            unsuited("scores pairs of texts and makes no embeddings; name a model for embeddings")
        }
        (EncodeTask::Score, None) => unsuited("generates text and does not score it; name a cross-encoder"),
        (EncodeTask::Score, Some(Output::Embedding { .. })) => {
            unsuited("makes embeddings and does not score pairs of texts; name a cross-encoder")
        }
    }
}

fn check_dimensions(asked: u32, all: u32, matryoshka: &Matryoshka) -> Result<(), EngineError> {
    let allowed = match matryoshka {
        _ if asked == all => return Ok(()),
        Matryoshka::Any if (1..all).contains(&asked) => return Ok(()),
        Matryoshka::Listed(listed) if listed.contains(&asked) && asked < all => return Ok(()),
        Matryoshka::Any => format!("1 to {all}"),
        Matryoshka::Listed(listed) => {
            let listed = listed.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            format!("{all} or one of {listed}")
        }
        Matryoshka::None => format!(
            "{all}, because the model was not trained to have its embeddings cut; if it was, its config.json has to say \
             \"is_matryoshka\": true, or list \"matryoshka_dimensions\""
        ),
    };
    Err(invalid("dimensions", format!("expected {allowed}, but got {asked}")))
}

fn encode(
    served: &Served,
    index: usize,
    input: EncodeInput,
    limit: Option<u32>,
) -> Result<Text, EngineError> {
    match input {
        EncodeInput::Text(text) => served.text.encode_text(&text, None, limit),
        EncodeInput::Pair(first, second) => served.text.encode_text(&first, Some(&second), limit),
        EncodeInput::Tokens(mut tokens) => {
            let vocabulary = served.facts.vocab_size;
            if let Some(token) = tokens.iter().find(|token| **token >= vocabulary) {
                let message =
                    format!("token {token} of input {index} is outside of the vocabulary of {vocabulary}");
                return Err(invalid("inputs", message));
            }
            tokens.truncate(limit.map_or(usize::MAX, |limit| limit as usize));
            Ok(Text { tokens, segments: Vec::new() })
        }
    }
}

/// Cuts vectors where that is asked for.
pub(crate) fn finish(task: EncodeTask, mut encoded: Encoded) -> Encoded {
    let EncodeTask::Embed { dimensions: Some(dimensions) } = task else { return encoded };
    for vector in &mut encoded.vectors {
        if vector.len() > dimensions as usize {
            vector.truncate(dimensions as usize);
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(1e-12);
            for number in vector {
                *number /= length;
            }
        }
    }
    encoded
}

fn invalid(field: &'static str, message: String) -> EngineError {
    EngineError::InvalidRequest { field, message }
}

#[cfg(test)]
mod tests;
