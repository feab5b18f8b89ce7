//! `GET /openapi.json`: what the routes take and answer, as OpenAPI 3.1 describes it
//! (<https://spec.openapis.org/oas/v3.1.1.html>).
//!
//! The document is made from [`ROUTES`], so it has neither more nor fewer of them than the router, and from the types that
//! answers are serialized from. Requests are read field by field, for the sake of their messages; what the readers take in
//! is written down in types of its own, next to each (`schema.rs`), and tests hold the two together: whatever a route
//! accepts is valid by the document, and examples of all that the document names are accepted.

mod answers;
mod document;

#[cfg(test)]
pub(crate) use document::document;

use std::sync::LazyLock;

use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use mlx_gate_core::Operation;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use crate::error::Error;
use crate::permission::{Authorized, Permitted};
use crate::routes::Call;

/// The document never changes while the server runs.
static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| document::document().to_string().into());

/// What the document says of one route. Each entry of the table of routes has one.
pub(crate) struct Description {
    summary: &'static str,
    query: Vec<Parameter>,
    body: Option<Named>,
    /// Bodies of a 200; several where the dialect decides.
    answers: Vec<Named>,
    /// What the data of each server-sent event is, where the answer can stream.
    events: Option<Named>,
}

/// A schema, and what it is called among the document's components.
struct Named {
    name: &'static str,
    schema: Schema,
}

struct Parameter {
    name: &'static str,
    says: &'static str,
    schema: Value,
}

impl Description {
    pub(crate) const fn new(summary: &'static str) -> Self {
        Self { summary, query: Vec::new(), body: None, answers: Vec::new(), events: None }
    }

    /// The request's body.
    pub(crate) fn takes<T: JsonSchema>(self, name: &'static str) -> Self {
        let schema = schema_of::<T>(SchemaSettings::for_deserialize);
        Self { body: Some(Named { name, schema }), ..self }
    }

    /// The body of a successful answer; one more where there are several.
    pub(crate) fn answers<T: JsonSchema>(mut self, name: &'static str) -> Self {
        self.answers.push(Named { name, schema: schema_of::<T>(SchemaSettings::for_serialize) });
        self
    }

    /// The data of an event, where the answer streams.
    pub(crate) fn streams<T: JsonSchema>(self, name: &'static str) -> Self {
        let schema = schema_of::<T>(SchemaSettings::for_serialize);
        Self { events: Some(Named { name, schema }), ..self }
    }

    /// A parameter of the address, of Anthropic's clients.
    pub(crate) fn query(mut self, name: &'static str, schema: Value, says: &'static str) -> Self {
        self.query.push(Parameter { name, says, schema });
        self
    }
}

/// The schema of a type, complete in itself: only whole bodies have names in the document.
fn schema_of<T: JsonSchema>(contract: fn(SchemaSettings) -> SchemaSettings) -> Schema {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        // A `$schema` in each component would only say what OpenAPI 3.1 says anyway.
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let mut schema = contract(settings).into_generator().into_root_schema_for::<T>();
    schema.remove("title");
    schema
}

/// The document, for whoever may ask what is served.
pub(crate) async fn get(call: Call) -> Result<Permitted, Error> {
    let permit = Authorized::ask(&call, Operation::new(call.api)).await?.admit().await?;
    let mut response = Response::new(DOCUMENT.clone().into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(permit.answer(response))
}

pub(crate) fn describe() -> Description {
    Description::new("This document").answers::<serde_json::Map<String, Value>>("OpenApi")
}
