//! The document of the API, held against what the routes do: [`check`] sees every answer of this crate's tests, and
//! examples made from the document are sent to the routes.

mod samples;

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use jsonschema::Validator;
use serde_json::Value;

use super::fakes::{Answered, FakeEngine, FakeGate, answer, app, app_with, request};
use super::phases::{PHASES, denial};
use crate::Config;
use crate::routes::ROUTES;

pub(super) static DOCUMENT: LazyLock<Value> = LazyLock::new(crate::openapi::document);

static VALIDATORS: LazyLock<HashMap<String, Validator>> = LazyLock::new(|| {
    let schemas = DOCUMENT["components"]["schemas"].as_object().unwrap();
    schemas.iter().map(|(name, schema)| (name.clone(), jsonschema::validator_for(schema).unwrap())).collect()
});

/// The operation that answers a request, if the document has one.
fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let item =
        paths.get(path).or_else(|| path.starts_with("/v1/models/").then(|| &paths["/v1/models/{id}"]))?;
    match *method {
        Method::GET => item.get("get"),
        Method::POST => item.get("post"),
        _ => None,
    }
}

/// Whether a value is valid by a schema of an operation, which refers to a component or to several.
fn valid(schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(several) = schema["anyOf"].as_array() {
        let problems = several.iter().map(|schema| valid(schema, value)).collect::<Vec<_>>();
        return if problems.iter().any(Result::is_ok) { Ok(()) } else { Err(format!("{problems:?}")) };
    }
    let Some(name) = schema["$ref"].as_str() else {
        return jsonschema::validate(schema, value).map_err(|error| error.to_string());
    };
    let name = name.trim_start_matches("#/components/schemas/");
    VALIDATORS[name].validate(value).map_err(|error| format!("{name}: {error} at {}", error.instance_path()))
}

/// Panics where an answer is none that the document has, or where a request was accepted that is not valid by it.
pub(super) fn check(method: &Method, path: &str, body: Option<&[u8]>, answered: &Answered) {
    let Some(operation) = operation(method, path) else { return };
    let status = answered.status.as_str();
    let known = &operation["responses"];
    let either = known.get(status).or_else(|| known.get(format!("{}XX", &status[..1])));
    let response = either.unwrap_or_else(|| panic!("{method} {path}: {status} is not documented"));
    let kind = answered.header(CONTENT_TYPE.as_str()).split(';').next().unwrap();
    let content = &response["content"][kind];
    assert!(content.is_object(), "{method} {path}: {status} with `{kind}` is not documented");
    if kind == "text/event-stream" {
        for line in answered.body.lines().filter_map(|line| line.strip_prefix("data: ")) {
            if line != "[DONE]" {
                let event = serde_json::from_str(line).unwrap();
                valid(&content["x-item-schema"], &event)
                    .unwrap_or_else(|error| panic!("{path}: {error}: {line}"));
            }
        }
    } else {
        valid(&content["schema"], &answered.json())
            .unwrap_or_else(|error| panic!("{path}: {error}: {}", answered.body));
    }
    let wanted = &operation["requestBody"]["content"]["application/json"]["schema"];
    if let Some(body) = body.filter(|_| status == "200" && wanted.is_object()) {
        let body = serde_json::from_slice(body).unwrap();
        valid(wanted, &body)
            .unwrap_or_else(|error| panic!("{path} accepted what it should not: {error}: {body}"));
    }
}

#[tokio::test]
async fn the_document_is_openapi_3_1_and_behind_the_gate() {
    let app = app(&FakeEngine::says(Vec::new()));
    let answered = answer(&app, request("GET", "/openapi.json", "")).await;
    assert_eq!(answered.status, 200);
    let document = answered.json();
    assert_eq!(document, *DOCUMENT);
    assert_eq!(document["openapi"], "3.1.1");
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(jsonschema::meta::is_valid(schema), "{name}");
        assert!(!schema.to_string().contains("$ref"), "{name} refers to something");
    }
    for phase in PHASES {
        let app = app_with(
            &FakeEngine::says(Vec::new()),
            FakeGate::refusing(phase, denial(phase)),
            Config::default(),
        );
        assert_eq!(answer(&app, request("GET", "/openapi.json", "")).await.status, 403);
    }
}

/// The other direction, that each route of the table is in the document, is so by construction.
#[tokio::test]
async fn every_path_of_the_document_is_a_route() {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    assert_eq!(paths.len(), ROUTES.len() + crate::health::OPEN.len());
    for (path, item) in paths {
        for method in item.as_object().unwrap().keys() {
            let app = app(&FakeEngine::says(Vec::new()));
            let path = path.replace("{id}", "demo");
            let answered = answer(&app, request(&method.to_ascii_uppercase(), &path, "{}")).await;
            assert!(![404, 405].contains(&answered.status.as_u16()), "{method} {path}: {}", answered.status);
        }
    }
}
