//! `GET /v1/models` and `GET /v1/models/{id}`.

use mlx_gate_core::{Capabilities as Capable, EngineError, ModelCard, Operation};
use schemars::JsonSchema;
use serde::Serialize;

use super::fields;
use super::{options, wire};
use crate::error::{Error, clipped};
use crate::permission::{Authorized, Permit, Permitted};
use crate::routes::Call;

#[derive(Serialize, JsonSchema)]
pub(crate) struct Models<'a> {
    object: &'static str,
    data: Vec<Model<'a>>,
}

/// OpenAI's fields, then ours.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    architecture: &'a str,
    context_length: u32,
    capabilities: Capabilities,
}

#[derive(Serialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own, and any mix of them exists")]
struct Capabilities {
    completion: bool,
    chat: bool,
    tools: bool,
    reasoning: bool,
    structured_output: bool,
    embeddings: bool,
    score: bool,
}

impl From<Capable> for Capabilities {
    fn from(can: Capable) -> Self {
        Self {
            completion: can.completion,
            chat: can.chat,
            tools: can.tools,
            reasoning: can.reasoning,
            structured_output: can.structured_output,
            embeddings: can.embeddings,
            score: can.score,
        }
    }
}

impl<'a> From<&'a ModelCard> for Model<'a> {
    fn from(card: &'a ModelCard) -> Self {
        Self {
            id: &card.id,
            object: "model",
            created: card.created,
            owned_by: "mlx-gate",
            architecture: &card.architecture,
            context_length: card.context_length,
            capabilities: card.capabilities.into(),
        }
    }
}

/// The models the caller may use; the others are not there.
pub(crate) async fn list(call: Call) -> Result<Permitted, Error> {
    refuse_pages(call.query.as_deref().unwrap_or_default())?;
    let authorized = Authorized::ask(&call, Operation::new(call.api)).await?;
    let seen = call.app.models().iter().filter(|card| authorized.allows_model(&card.id));
    let response = wire::json(&Models { object: "list", data: seen.map(Model::from).collect() })?;
    Ok(authorized.admit().await?.answer(response))
}

/// Refuses what pages through Anthropic's list. Other parameters are clients' versions and the like, and ask for nothing.
fn refuse_pages(query: &str) -> Result<(), Error> {
    const PAGING: [&str; 3] = ["limit", "after_id", "before_id"];
    match form_urlencoded::parse(query.as_bytes()).find(|(name, _)| PAGING.contains(&&**name)) {
        Some((name, _)) => {
            let problem = "OpenAI's list has no pages; leave it out, or send the header `anthropic-version`";
            Err(fields::unsupported(name.into_owned(), problem))
        }
        None => Ok(()),
    }
}

/// One model.
pub(crate) async fn retrieve(call: Call) -> Result<Permitted, Error> {
    let (permit, card) = find(&call).await?;
    Ok(permit.answer(wire::json(&Model::from(card))?))
}

/// The model that the path names. The same 404 says that it is not served and that the caller may not see it.
pub(crate) async fn find(call: &Call) -> Result<(Permit, &ModelCard), Error> {
    let id = call.path_tail.as_deref().unwrap_or_default();
    options::check_model(id)?;
    let operation = Operation { model: Some(id.to_owned()), ..Operation::new(call.api) };
    let mut authorized = Authorized::ask(call, operation).await?;
    let card = call.find_model(Some(id)).ok().filter(|_| authorized.allows_model(id));
    if card.is_none() {
        authorized.forget_model();
    }
    // Looking for models by guessing their names is limited as looking at them is.
    let permit = authorized.admit().await?;
    permit.begin();
    let card = card.ok_or_else(|| EngineError::UnknownModel(clipped(id)))?;
    Ok((permit, card))
}
