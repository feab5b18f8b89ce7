//! `POST /v1/messages/count_tokens`: how long a prompt is, exactly, as the model's chat template and tokenizer make it.

use axum::body::Body;
use mlx_gate_core::{Prompt, Request, Tokenize};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::prompt::{self, Asked};
use super::schema;
use crate::error::Error;
use crate::fields::Fields;
use crate::generation;
use crate::openai;
use crate::openapi::Description;
use crate::permission::{Authorized, Permitted};
use crate::routes::Call;

#[derive(Serialize, JsonSchema)]
struct Count {
    input_tokens: usize,
}

/// What `/openapi.json` says of the route.
pub(crate) fn describe() -> Description {
    Description::new("How long a prompt is, in tokens")
        .takes::<schema::CountRequest>("CountTokensRequest")
        .answers::<Count>("TokenCount")
}

pub(crate) async fn count(call: Call, body: Body) -> Result<Permitted, Error> {
    let value = crate::body::json(&call.headers, body, call.app.config()).await?;
    let Asked { model, conversation, .. } = read(value)?;
    let request = Request { model, ..Request::new(call.id.clone(), Prompt::Chat(conversation)) };
    let asked = generation::Asked::new(request, "messages");
    let mut authorized = Authorized::ask(&call, generation::operation(&call, &asked)).await?;
    let mut request = asked.request;
    authorized.bound(&mut request)?;
    call.find_model(request.model.as_deref())?;
    let tokenize = Tokenize::prompt(request.model, request.prompt);
    let tokenized = call.deadline.within(call.app.tokenize(tokenize)).await??;
    call.record.prepared(&tokenized.model);
    let permit = authorized.admit().await?;
    Ok(permit.answer(openai::wire::json(&Count { input_tokens: tokenized.tokens.len() })?))
}

/// The fields of `messages` that make the prompt; others are refused.
fn read(value: Value) -> Result<Asked, Error> {
    let mut fields = Fields::root(value)?;
    let asked = prompt::read(&mut fields)?;
    fields.finish()?;
    Ok(asked)
}
