//! `POST /v1/embeddings`.

mod schema;

use axum::body::Body;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mlx_gate_core::{EncodeInput, EncodeRequest, EncodeTask};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::fields::{self, Fields};
use super::{options, vllm, wire};
use crate::encoding::{self, Asked, MOST_INPUTS};
use crate::error::Error;
use crate::openapi::Description;
use crate::permission::Permitted;
use crate::routes::Call;

#[derive(Serialize, JsonSchema)]
struct Embeddings {
    object: &'static str,
    data: Vec<Datum>,
    model: String,
    usage: wire::InputUsage,
}

#[derive(Serialize, JsonSchema)]
struct Datum {
    object: &'static str,
    index: usize,
    embedding: Vector,
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Vector {
    Numbers(Vec<f32>),
    /// The numbers as f32, least significant byte first.
    Base64(String),
}

/// A checked body.
struct EmbeddingRequest {
    asked: Asked,
    base64: bool,
}

/// What `/openapi.json` says of the route.
pub(crate) fn describe() -> Description {
    Description::new("Embeddings of texts")
        .takes::<schema::Request>("EmbeddingRequest")
        .answers::<Embeddings>("Embeddings")
}

/// The embeddings of texts.
pub(crate) async fn create(call: Call, body: Body) -> Result<Permitted, Error> {
    let value = crate::body::json(&call.headers, body, call.app.config()).await?;
    let EmbeddingRequest { asked, base64 } = EmbeddingRequest::read(value, call.id.clone())?;
    let (permit, read) = encoding::encode(&call, asked).await?;
    let vector = |numbers: Vec<f32>| {
        if base64 { Vector::Base64(in_base64(&numbers)) } else { Vector::Numbers(numbers) }
    };
    let data = read.vectors.into_iter().map(vector).enumerate();
    let data = data.map(|(index, embedding)| Datum { object: "embedding", index, embedding }).collect();
    let usage = wire::InputUsage::new(read.tokens);
    Ok(permit.answer(wire::json(&Embeddings { object: "list", data, model: read.model, usage })?))
}

fn in_base64(numbers: &[f32]) -> String {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    BASE64_STANDARD.encode(bytes)
}

impl EmbeddingRequest {
    fn read(value: Value, id: String) -> Result<Self, Error> {
        let mut fields = Fields::root(value)?;
        let model = options::model(&mut fields)?;
        let (inputs, listed) = inputs(&mut fields)?;
        let dimensions = fields.integer("dimensions", 1..=i64::from(u32::MAX))?.map(|number| number as u32);
        let base64 = fields.choice("encoding_format", &["float", "base64"])? == Some("base64");
        let truncate = options::truncate(&mut fields)?;
        let end_user = options::end_user(&mut fields)?;
        vllm::embeddings(&mut fields)?;
        fields.finish()?;
        let task = EncodeTask::Embed { dimensions };
        let request = EncodeRequest { id, model, task, inputs, truncate };
        Ok(Self { asked: Asked { request, end_user, field: "input", listed }, base64 })
    }
}

/// A string, an array of strings, an array of tokens, or an array of arrays of tokens; and whether it is several.
fn inputs(fields: &mut Fields) -> Result<(Vec<EncodeInput>, bool), Error> {
    let path = fields.path("input");
    let value = fields.take("input");
    match fields.required("input", value)? {
        Value::String(text) => Ok((vec![text_at(path, text)?], false)),
        Value::Array(values) if values.is_empty() => {
            Err(fields::invalid(path, "expected a string or tokens, but got an empty array"))
        }
        Value::Array(values) if values[0].is_number() => {
            Ok((vec![EncodeInput::Tokens(options::tokens(&path, &values)?)], false))
        }
        Value::Array(values) if values.len() > MOST_INPUTS => {
            let found = values.len();
            Err(fields::invalid(
                path,
                format_args!("expected {MOST_INPUTS} inputs at the most, but got {found}"),
            ))
        }
        Value::Array(values) => {
            let input = |(index, value)| input_at(format!("{path}[{index}]"), value);
            Ok((values.into_iter().enumerate().map(input).collect::<Result<_, _>>()?, true))
        }
        other => Err(fields::invalid_type(&path, "a string, an array of strings, or tokens", &other)),
    }
}

fn input_at(path: String, value: Value) -> Result<EncodeInput, Error> {
    match value {
        Value::String(text) => text_at(path, text),
        Value::Array(tokens) if !tokens.is_empty() => {
            options::tokens(&path, &tokens).map(EncodeInput::Tokens)
        }
        other => Err(fields::invalid_type(&path, "a string or an array of tokens", &other)),
    }
}

fn text_at(path: String, text: String) -> Result<EncodeInput, Error> {
    if text.is_empty() {
        return Err(fields::invalid(path, "it is an empty string, and there is nothing to embed"));
    }
    Ok(EncodeInput::Text(text))
}
