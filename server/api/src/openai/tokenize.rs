//! `POST /tokenize` and `POST /detokenize`, in vLLM's shapes.

mod schema;

use axum::body::Body;
use mlx_gate_core::{Conversation, Operation, Prompt, Tokenize};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::fields::{self, Fields};
use super::{chat, options, wire};
use crate::error::Error;
use crate::openapi::Description;
use crate::permission::{Authorized, Permitted};
use crate::routes::Call;

/// Answer of `/tokenize`.
#[derive(Serialize, JsonSchema)]
struct Encoded {
    count: usize,
    max_model_len: u32,
    tokens: Vec<u32>,
    token_strs: Option<Vec<String>>,
}

/// Answer of `/detokenize`.
#[derive(Serialize, JsonSchema)]
struct Decoded {
    prompt: String,
}

/// What `/openapi.json` says of `/tokenize`.
pub(crate) fn describe() -> Description {
    Description::new("The tokens of a text or a conversation")
        .takes::<schema::Encode>("TokenizeRequest")
        .answers::<Encoded>("Tokens")
}

/// What `/openapi.json` says of `/detokenize`.
pub(crate) fn describe_detokenize() -> Description {
    Description::new("The text of tokens")
        .takes::<schema::Decode>("DetokenizeRequest")
        .answers::<Decoded>("Text")
}

/// The tokens of a text, or of messages as the model's chat template writes them.
pub(crate) async fn tokenize(call: Call, body: Body) -> Result<Permitted, Error> {
    let value = crate::body::json(&call.headers, body, call.app.config()).await?;
    let mut asked = read(Fields::root(value)?)?;
    let (authorized, model) = authorize(&call, asked.model.take()).await?;
    let context_length = call.find_model(model.as_deref())?.context_length;
    let permit = authorized.admit().await?;
    let tokenized = call.deadline.within(call.app.tokenize(Tokenize { model, ..asked })).await??;
    Ok(permit.answer(wire::json(&Encoded {
        count: tokenized.tokens.len(),
        max_model_len: context_length,
        tokens: tokenized.tokens,
        token_strs: tokenized.spelled,
    })?))
}

/// The text of tokens, special ones included.
pub(crate) async fn detokenize(call: Call, body: Body) -> Result<Permitted, Error> {
    let value = crate::body::json(&call.headers, body, call.app.config()).await?;
    let mut fields = Fields::root(value)?;
    let model = options::model(&mut fields)?;
    let tokens = fields.array("tokens")?;
    let tokens = options::tokens("tokens", &fields.required("tokens", tokens)?)?;
    fields.finish()?;
    let (authorized, model) = authorize(&call, model).await?;
    call.find_model(model.as_deref())?;
    let permit = authorized.admit().await?;
    let prompt = call.deadline.within(call.app.detokenize(model, tokens)).await??;
    Ok(permit.answer(wire::json(&Decoded { prompt })?))
}

/// Whether the caller may use the model, and which one it is. Nothing is generated, so the operation has no size.
async fn authorize(call: &Call, model: Option<String>) -> Result<(Authorized<'_>, Option<String>), Error> {
    let first = || call.app.models().first().map(|card| card.id.clone());
    let operation = Operation { model: model.or_else(first), ..Operation::new(call.api) };
    let mut authorized = Authorized::ask(call, operation).await?;
    let model = authorized.model()?;
    Ok((authorized, model))
}

fn read(mut fields: Fields) -> Result<Tokenize, Error> {
    let model = options::model(&mut fields)?;
    let add_special_tokens = fields.boolean("add_special_tokens")?;
    let spelled = fields.boolean("return_token_strs")?.unwrap_or(false);
    let prompt = match fields.string("prompt")? {
        Some(text) => Prompt::Text(text),
        None => Prompt::Chat(conversation(&mut fields)?),
    };
    fields.finish()?;
    Ok(Tokenize { model, prompt, add_special_tokens, spelled })
}

fn conversation(fields: &mut Fields) -> Result<Conversation, Error> {
    if !fields.has("messages") {
        return Err(fields::missing("prompt", "; send it, or `messages`"));
    }
    let messages = chat::read_messages(fields)?;
    let tools = chat::read_tools(fields)?;
    let (template_options, reasoning) = chat::template_options(fields)?;
    fields.only("add_generation_prompt", &[json!(true)])?;
    fields.only("continue_final_message", &[json!(false)])?;
    fields.only("chat_template", &[Value::Null])?;
    Ok(Conversation { messages, tools, template_options, reasoning, ..Conversation::default() })
}
