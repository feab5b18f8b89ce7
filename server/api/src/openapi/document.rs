//! The document as a whole.

use mlx_gate_core::Dialect;
use serde_json::{Map, Value, json};

use super::{Description, Named, answers};
use crate::routes::{ROUTES, Route};
use crate::{anthropic, health, openai};

pub(crate) fn document() -> Value {
    let mut schemas = Schemas(Map::new());
    schemas.add(error_of::<openai::error::Body<'static>>("OpenAiError"));
    schemas.add(error_of::<anthropic::error::Body<'static>>("AnthropicError"));
    let mut paths = Map::new();
    for (path, summary) in health::OPEN {
        paths.insert(path.to_owned(), json!({ "get": open(path, summary) }));
    }
    for route in &ROUTES {
        let operation = operation(route, (route.describe)(), &mut schemas);
        let item = paths.entry(template(route.path)).or_insert_with(|| json!({}));
        item[route.method.as_str().to_ascii_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.1",
        "info": {
            "title": "mlx-gate",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "OpenAI's and Anthropic's APIs in front of local models. Every route is behind the gate: plugins \
                decide who may use it. A field that is not in a request's schema is refused by name.",
        },
        "servers": [{ "url": "/" }],
        "security": [{ "bearer": [] }, { "apiKey": [] }],
        "tags": [
            { "name": "openai", "description": "OpenAI's API" },
            { "name": "anthropic", "description": "Anthropic's API" },
            { "name": "server", "description": "About this server" },
        ],
        "paths": paths,
        "components": {
            "schemas": schemas.0,
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer" },
                "apiKey": { "type": "apiKey", "in": "header", "name": "x-api-key" },
            },
        },
    })
}

/// The components, by name.
struct Schemas(Map<String, Value>);

impl Schemas {
    /// Puts a schema among the components and gives the reference to it.
    fn add(&mut self, Named { name, schema }: Named) -> Value {
        self.0.insert(name.to_owned(), schema.to_value());
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }
}

fn error_of<T: schemars::JsonSchema>(name: &'static str) -> Named {
    Named { name, schema: super::schema_of::<T>(schemars::generate::SchemaSettings::for_serialize) }
}

fn operation(route: &Route, described: Description, schemas: &mut Schemas) -> Value {
    let Description { summary, query, body, answers, events } = described;
    let mut operation = Map::new();
    operation.insert("operationId".to_owned(), operation_id(route).into());
    operation.insert("summary".to_owned(), summary.into());
    operation.insert("tags".to_owned(), json!([tag(route.dialect)]));
    let mut parameters = query
        .into_iter()
        .map(|one| json!({ "name": one.name, "in": "query", "description": one.says, "schema": one.schema }))
        .collect::<Vec<_>>();
    if route.path.contains('{') {
        let says = "A served name. Slashes in it need not be escaped";
        let schema = json!({ "type": "string", "minLength": 1 });
        parameters.push(
            json!({ "name": "id", "in": "path", "required": true, "description": says, "schema": schema }),
        );
    }
    if route.dialect.is_none() {
        let says = "Asks for answers in Anthropic's shape";
        parameters.push(json!({
            "name": "anthropic-version", "in": "header", "description": says, "schema": { "type": "string" },
        }));
    }
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), parameters.into());
    }
    let reads_body = body.is_some();
    if let Some(body) = body {
        let content = json!({ "application/json": { "schema": schemas.add(body) } });
        operation.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    let mut responses = Map::new();
    responses.insert("200".to_owned(), success(route.dialect, answers, events, schemas));
    for (status, says) in answers::refusals(route, reads_body) {
        let schema = answers::error_schema(route.dialect);
        let content = json!({ "application/json": { "schema": schema } });
        let headers = answers::headers(status);
        responses.insert(
            status.to_owned(),
            json!({ "description": says, "headers": headers, "content": content }),
        );
    }
    operation.insert("responses".to_owned(), responses.into());
    operation.into()
}

fn success(
    dialect: Option<Dialect>,
    answers: Vec<Named>,
    events: Option<Named>,
    schemas: &mut Schemas,
) -> Value {
    let mut references = answers.into_iter().map(|answer| schemas.add(answer)).collect::<Vec<_>>();
    let schema = if references.len() == 1 { references.remove(0) } else { json!({ "anyOf": references }) };
    let mut content = json!({ "application/json": { "schema": schema } });
    if let Some(events) = events {
        // OpenAPI 3.1 has no word for the items of a stream; 3.2 calls them `itemSchema`.
        let items = json!({ "anyOf": [schemas.add(events), answers::error_schema(dialect)] });
        content["text/event-stream"] = json!({
            "schema": { "type": "string", "description": "Server-sent events, where `stream` is true" },
            "x-item-schema": items,
        });
    }
    json!({ "description": "The answer", "headers": answers::headers("200"), "content": content })
}

/// One of the two routes that are in front of the gate.
fn open(path: &str, summary: &str) -> Value {
    let status =
        json!({ "type": "object", "properties": { "status": { "type": "string" } }, "required": ["status"] });
    let answer =
        |says: &str| json!({ "description": says, "content": { "application/json": { "schema": status } } });
    let mut responses = json!({ "200": answer("Yes") });
    if path == health::READY {
        responses["503"] = answer("No: the server is shutting down");
    }
    let id = path.trim_start_matches('/');
    json!({ "operationId": id, "summary": summary, "tags": ["server"], "security": [], "responses": responses })
}

/// A path as OpenAPI writes it: `{*id}`, which takes slashes too, is `{id}` there.
pub(super) fn template(path: &str) -> String {
    path.replace("{*", "{")
}

/// `post_v1_chat_completions`.
fn operation_id(route: &Route) -> String {
    let words = route.path.split(|character: char| !character.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    let method = route.method.as_str().to_ascii_lowercase();
    std::iter::once(method.as_str()).chain(words).collect::<Vec<_>>().join("_")
}

const fn tag(dialect: Option<Dialect>) -> &'static str {
    match dialect {
        Some(Dialect::OpenAi) => "openai",
        Some(Dialect::Anthropic) => "anthropic",
        Some(Dialect::Admin) | None => "server",
    }
}
