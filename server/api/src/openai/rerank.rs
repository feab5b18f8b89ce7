//! `POST /v1/rerank`, as Jina and Cohere have it and vLLM serves it.

mod schema;

use axum::body::Body;
use mlx_gate_core::{EncodeInput, EncodeRequest, EncodeTask};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::fields::{self, Fields};
use super::{options, wire};
use crate::encoding::{self, Asked, MOST_INPUTS};
use crate::error::Error;
use crate::openapi::Description;
use crate::permission::Permitted;
use crate::routes::Call;

#[derive(Serialize, JsonSchema)]
struct Ranking {
    id: String,
    model: String,
    usage: wire::InputUsage,
    results: Vec<Ranked>,
}

#[derive(Serialize, JsonSchema)]
struct Ranked {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Document>,
    relevance_score: f32,
}

#[derive(Serialize, JsonSchema)]
struct Document {
    text: String,
}

/// A checked body.
struct RerankRequest {
    asked: Asked,
    documents: Vec<String>,
    /// How many results to give; `None` is all.
    top_n: Option<usize>,
    return_documents: bool,
}

/// What `/openapi.json` says of the route.
pub(crate) fn describe() -> Description {
    Description::new("Documents in the order in which they answer a query")
        .takes::<schema::Request>("RerankRequest")
        .answers::<Ranking>("Ranking")
}

/// Documents in the order in which they answer a query.
pub(crate) async fn create(call: Call, body: Body) -> Result<Permitted, Error> {
    let value = crate::body::json(&call.headers, body, call.app.config()).await?;
    let asked = RerankRequest::read(value, call.id.clone())?;
    let (permit, read) = encoding::encode(&call, asked.asked).await?;
    let scores = read.vectors.into_iter().map(|vector| vector.first().copied().unwrap_or_default());
    let mut results: Vec<Ranked> = scores
        .zip(asked.documents)
        .enumerate()
        .map(|(index, (relevance_score, text))| Ranked {
            index,
            document: asked.return_documents.then_some(Document { text }),
            relevance_score,
        })
        .collect();
    // Stable: of two with the same score, the first stays the first.
    results.sort_by(|one, other| other.relevance_score.total_cmp(&one.relevance_score));
    results.truncate(asked.top_n.unwrap_or(usize::MAX));
    let id = format!("rerank-{:032x}", rand::random::<u128>());
    let usage = wire::InputUsage::new(read.tokens);
    Ok(permit.answer(wire::json(&Ranking { id, model: read.model, usage, results })?))
}

impl RerankRequest {
    fn read(value: Value, id: String) -> Result<Self, Error> {
        let mut fields = Fields::root(value)?;
        let model = options::model(&mut fields)?;
        let query = fields.string("query")?;
        let query = fields.required("query", query)?;
        let documents = documents(&mut fields)?;
        // Cohere and Jina count from 1; vLLM's default 0 is all.
        let top_n = fields.integer("top_n", 0..=i64::from(u32::MAX))?.filter(|top_n| *top_n > 0);
        let return_documents = fields.boolean("return_documents")?.unwrap_or(true);
        let truncate = options::truncate(&mut fields)?;
        let end_user = options::end_user(&mut fields)?;
        fields.finish()?;
        let pair = |document: &String| EncodeInput::Pair(query.clone(), document.clone());
        let inputs = documents.iter().map(pair).collect();
        let request = EncodeRequest { id, model, task: EncodeTask::Score, inputs, truncate };
        Ok(Self {
            asked: Asked { request, end_user, field: "documents", listed: true },
            documents,
            top_n: top_n.map(|top_n| top_n as usize),
            return_documents,
        })
    }
}

/// Strings, or objects with a `text`.
fn documents(fields: &mut Fields) -> Result<Vec<String>, Error> {
    let path = fields.path("documents");
    let values = fields.array("documents")?;
    let values = fields.required("documents", values)?;
    if !(1..=MOST_INPUTS).contains(&values.len()) {
        let found = values.len();
        return Err(fields::invalid(
            path,
            format_args!("expected 1 to {MOST_INPUTS} documents, but got {found}"),
        ));
    }
    let document = |(index, value)| {
        let path = format!("{path}[{index}]");
        match value {
            Value::String(text) => Ok(text),
            Value::Object(_) => {
                let mut fields = Fields::at(path, value)?;
                let text = fields.string("text")?;
                let text = fields.required("text", text)?;
                fields.finish()?;
                Ok(text)
            }
            other => Err(fields::invalid_type(&path, "a string or an object with a text", &other)),
        }
    };
    values.into_iter().enumerate().map(document).collect()
}
