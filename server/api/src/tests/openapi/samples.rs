//! Requests made from the document. What it says is accepted has to be.

use std::collections::BTreeSet;

use mlx_gate_core::FinishReason;
use serde_json::{Map, Value, json};

use super::DOCUMENT;
use crate::tests::fakes::{FakeEngine, answer, app, finished, post, text};

/// Fields whose samples are refused for what JSON Schema cannot say, or says at a length that helps nobody: that fields go
/// together (`stream_options` with `stream`), or that names and ids are those of other fields (`tool_choice` of `tools`).
const NEED_MORE: [(&str, &str); 31] = [
    ("/tokenize", "messages[0].content"),
    ("/v1/chat/completions", "guided_json"),
    ("/v1/chat/completions", "messages[0].content"),
    ("/v1/chat/completions", "response_format.json_schema.schema"),
    ("/v1/chat/completions", "stream_options"),
    ("/v1/chat/completions", "structured_outputs"),
    ("/v1/chat/completions", "structured_outputs.json"),
    ("/v1/chat/completions", "tool_choice"),
    ("/v1/chat/completions", "tool_choice.allowed_tools.tools[0].function.name"),
    ("/v1/chat/completions", "tool_choice.function.name"),
    ("/v1/chat/completions", "top_logprobs"),
    ("/v1/completions", "best_of"),
    ("/v1/completions", "guided_json"),
    ("/v1/completions", "response_format.json_schema.schema"),
    ("/v1/completions", "stream_options"),
    ("/v1/completions", "structured_outputs"),
    ("/v1/completions", "structured_outputs.json"),
    ("/v1/messages", "messages[0].content[0].tool_use_id"),
    ("/v1/messages", "thinking.budget_tokens"),
    ("/v1/messages", "tool_choice.name"),
    ("/v1/messages", "tool_choice.type"),
    ("/v1/messages/count_tokens", "messages[0].content[0].tool_use_id"),
    ("/v1/messages/count_tokens", "thinking.budget_tokens"),
    ("/v1/messages/count_tokens", "tool_choice.name"),
    ("/v1/messages/count_tokens", "tool_choice.type"),
    ("/v1/responses", "input"),
    ("/v1/responses", "input[0].call_id"),
    ("/v1/responses", "tool_choice"),
    ("/v1/responses", "tool_choice.name"),
    ("/v1/responses", "tool_choice.tools[0].name"),
    ("/v1/responses", "top_logprobs"),
];

#[tokio::test]
async fn what_the_document_names_is_accepted() {
    let mut refused = BTreeSet::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        let reference = &item["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        let Some(name) = reference.as_str().and_then(|text| text.rsplit('/').next()) else { continue };
        let samples = samples(&DOCUMENT["components"]["schemas"][name]);
        assert!(samples.len() > 2, "{path}");
        for sample in samples {
            let app = app(&answering());
            let answered = answer(&app, post(path, &sample)).await;
            if answered.status != 200 {
                let error = answered.error();
                let param =
                    error["param"].as_str().or(error["details"]["param"].as_str()).unwrap_or_default();
                eprintln!("{path}: {} {}\n   {sample}", answered.status, error);
                refused.insert((path.clone(), param.to_owned()));
            }
        }
    }
    let expected = NEED_MORE.map(|(path, field)| (path.to_owned(), field.to_owned()));
    assert_eq!(refused, BTreeSet::from(expected));
}

/// An engine with an answer for as many choices as a sample may ask for.
fn answering() -> std::sync::Arc<FakeEngine> {
    let one = || vec![text("hi"), finished(FinishReason::Stop)];
    FakeEngine::says_each(std::iter::repeat_with(one).take(128).collect())
}

/// Values that are valid by a schema: together they have each field and each alternative at least once.
fn samples(schema: &Value) -> Vec<Value> {
    if let Some(only) = schema.get("const") {
        return vec![only.clone()];
    }
    if let Some(several) = schema["enum"].as_array() {
        return several.clone();
    }
    if let Some(several) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        return several.iter().flat_map(samples).collect();
    }
    let types = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        // Anything at all.
        _ => return vec![json!({ "x": [1] })],
    };
    types.into_iter().flat_map(|kind| of_type(kind, schema)).collect()
}

fn of_type(kind: &str, schema: &Value) -> Vec<Value> {
    let bounds = ["minimum", "maximum"].map(|bound| schema.get(bound).cloned());
    match kind {
        "null" => vec![Value::Null],
        "boolean" => vec![json!(true), json!(false)],
        "string" => vec![json!("1")],
        "integer" | "number" => {
            let bounds = bounds.into_iter().flatten().collect::<Vec<_>>();
            if bounds.is_empty() { vec![json!(1)] } else { bounds }
        }
        "array" => {
            let items = samples(&schema["items"]).into_iter();
            let empty = schema["maxItems"] == 0 || schema["minItems"].as_u64().unwrap_or(0) == 0;
            let one = items.filter(|_| schema["maxItems"] != 0).map(|item| {
                // A conversation does not end with the assistant.
                let is_turn = item["role"].is_string();
                if is_turn { json!([item, { "role": "user", "content": "1" }]) } else { json!([item]) }
            });
            empty.then(|| json!([])).into_iter().chain(one).collect()
        }
        _ => objects(schema),
    }
}

/// One object with only what has to be there for each alternative of it, and one for each sample of each further field.
fn objects(schema: &Value) -> Vec<Value> {
    let empty = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let first = |name: &Value| {
        let name = name.as_str().unwrap();
        (name.to_owned(), samples(&properties[name]).swap_remove(0))
    };
    let mut base = required.iter().map(first).collect::<Map<_, _>>();
    if base.get("role") == Some(&json!("assistant")) {
        // Or calls, of which the document cannot say that one of the two has to be there.
        base.insert("content".to_owned(), json!("1"));
    }
    let mut all = vec![Value::Object(base.clone())];
    for (name, schema) in properties {
        let samples = if name == "model" { vec![json!("demo")] } else { samples(schema) };
        for sample in samples {
            let mut object = base.clone();
            object.insert(name.clone(), sample);
            all.push(Value::Object(object));
        }
    }
    if schema["additionalProperties"].is_object() {
        all.extend(samples(&schema["additionalProperties"]).into_iter().map(|value| json!({ "1": value })));
    }
    all
}
