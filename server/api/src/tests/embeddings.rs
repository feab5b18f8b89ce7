use axum::http::StatusCode;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use futures_util::FutureExt;
use mlx_gate_core::{
    Constraints, EncodeInput, EncodeTask, EngineError, Outcome, Phase, Priority, Tags, Truncate, Usage,
};
use serde_json::{Value, json};

use super::fakes::{FakeEngine, FakeGate, answer, app, app_with, post, send};
use crate::Config;

const PATH: &str = "/v1/embeddings";

#[tokio::test]
async fn an_answer_has_openais_shape() {
    let engine = FakeEngine::says(Vec::new());
    *engine.vectors.lock().unwrap() = Some(vec![vec![0.25, -1.0], vec![0.1, 3.0]]);
    let answered = answer(&app(&engine), post(PATH, &json!({ "model": "demo", "input": ["a", "b"] }))).await;
    assert_eq!(answered.status, StatusCode::OK, "{}", answered.body);
    let expected = json!({
        "object": "list",
        "data": [
            { "object": "embedding", "index": 0, "embedding": [0.25, -1.0] },
            { "object": "embedding", "index": 1, "embedding": [0.1, 3.0] },
        ],
        "model": "demo",
        "usage": { "prompt_tokens": 6, "total_tokens": 6 },
    });
    assert_eq!(answered.json(), expected);
}

#[tokio::test]
async fn base64_holds_the_same_numbers_in_little_endian() {
    let engine = FakeEngine::says(Vec::new());
    let vector = vec![0.1_f32, -2.5e-8, 3.0];
    *engine.vectors.lock().unwrap() = Some(vec![vector.clone()]);
    let body = json!({ "input": "a", "encoding_format": "base64" });
    let answered = answer(&app(&engine), post(PATH, &body)).await.json();
    let bytes = BASE64_STANDARD.decode(answered["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let numbers = bytes.as_chunks::<4>().0.iter().map(|number| f32::from_le_bytes(*number));
    assert_eq!(numbers.collect::<Vec<_>>(), vector);
}

#[tokio::test]
async fn what_is_asked_for_reaches_the_engine() {
    let text = |text: &str| EncodeInput::Text(text.to_owned());
    for (input, inputs) in [
        (json!("a b"), vec![text("a b")]),
        (json!(["a", "b"]), vec![text("a"), text("b")]),
        (json!([1, 2]), vec![EncodeInput::Tokens(vec![1, 2])]),
        (json!([[1, 2], [3]]), vec![EncodeInput::Tokens(vec![1, 2]), EncodeInput::Tokens(vec![3])]),
    ] {
        let engine = FakeEngine::says(Vec::new());
        let answered = answer(&app(&engine), post(PATH, &json!({ "input": input }))).await;
        assert_eq!(answered.status, StatusCode::OK, "{}", answered.body);
        let asked = engine.to_encode.lock().unwrap().pop().unwrap();
        assert_eq!((asked.inputs, asked.model.as_deref()), (inputs, Some("demo")));
        assert_eq!((asked.task, asked.truncate), (EncodeTask::Embed { dimensions: None }, None));
    }
    let engine = FakeEngine::says(Vec::new());
    let body = json!({ "model": "org/plain", "input": "a", "dimensions": 2, "truncate_prompt_tokens": -1 });
    answer(&app(&engine), post(PATH, &body)).await;
    let asked = engine.to_encode.lock().unwrap().pop().unwrap();
    assert_eq!(asked.task, EncodeTask::Embed { dimensions: Some(2) });
    assert_eq!((asked.truncate, asked.model.as_deref()), (Some(Truncate::ToModel), Some("org/plain")));
}

#[tokio::test]
async fn more_inputs_than_openai_takes_are_refused() {
    let engine = FakeEngine::says(Vec::new());
    for (count, status) in [(2048, StatusCode::OK), (2049, StatusCode::BAD_REQUEST)] {
        let answered = answer(&app(&engine), post(PATH, &json!({ "input": vec!["x"; count] }))).await;
        assert_eq!(answered.status, status, "{count}");
    }
}

#[tokio::test]
async fn plugins_are_told_the_size_and_what_is_charged_is_the_true_one() {
    let engine = FakeEngine::says(Vec::new());
    let tags = Tags { tenant: Some("acme".to_owned()), priority: Priority::Batch, ..Tags::default() };
    let gate = FakeGate { tags: tags.clone(), ..FakeGate::default() };
    let body = json!({ "input": ["x".repeat(400), "y"], "user": "bob" });
    answer(&app_with(&engine, gate.clone(), Config::default()), post(PATH, &body)).await;
    let estimated = gate.seen.operation(Phase::Authorize);
    assert_eq!((estimated.api.as_str(), estimated.input_tokens), ("embedding", 101));
    assert_eq!((estimated.model.as_deref(), estimated.end_user.as_deref()), (Some("demo"), Some("bob")));
    let measured = gate.seen.operation(Phase::RateLimit);
    assert_eq!((measured.input_tokens, measured.max_output_tokens), (6, Some(0)));
    let ended = gate.seen.ended().await;
    assert_eq!((ended.outcome, ended.ran), (Outcome::Ok, true));
    assert_eq!(ended.usage, Usage { input_tokens: 6, ..Usage::default() });
    assert_eq!(*engine.tags.lock().unwrap(), [tags]);
}

#[tokio::test]
async fn a_model_has_to_be_served_and_allowed() {
    let models = vec![vec!["org/*".to_owned()]];
    let gate =
        FakeGate { constraints: Constraints { models, ..Constraints::default() }, ..FakeGate::default() };
    for (gate, model, status, code) in [
        (FakeGate::default(), "gone", StatusCode::NOT_FOUND, "model_not_found"),
        (gate, "demo", StatusCode::FORBIDDEN, "model_not_allowed"),
    ] {
        let engine = FakeEngine::says(Vec::new());
        let body = json!({ "model": model, "input": "x" });
        let answered = answer(&app_with(&engine, gate, Config::default()), post(PATH, &body)).await;
        assert_eq!((answered.status, &answered.error()["code"]), (status, &json!(code)));
        assert!(engine.to_encode.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn the_engines_errors_name_the_fields_of_the_request() {
    let long = |index| EngineError::InputTooLong { index, tokens: 300, most: 256 };
    let invalid = |field| EngineError::InvalidRequest { field, message: "so it is".to_owned() };
    let unsuited = EngineError::UnsuitedModel { model: "demo".to_owned(), problem: "does not do it" };
    let rerank = json!({ "query": "x", "documents": ["y", "z"] });
    for (path, body, error, code, param) in [
        (PATH, json!({ "input": "x" }), long(0), "context_length_exceeded", "input"),
        (PATH, json!({ "input": ["x", "y"] }), long(1), "context_length_exceeded", "input[1]"),
        (PATH, json!({ "input": "x" }), invalid("inputs"), "invalid_value", "input"),
        (PATH, json!({ "input": "x" }), invalid("truncate"), "invalid_value", "truncate_prompt_tokens"),
        (PATH, json!({ "input": "x" }), invalid("dimensions"), "invalid_value", "dimensions"),
        (PATH, json!({ "input": "x" }), unsuited, "unsupported_model", "model"),
        ("/v1/rerank", rerank, long(1), "context_length_exceeded", "documents[1]"),
        ("/v1/score", json!({ "text_1": "x", "text_2": "y" }), long(0), "context_length_exceeded", "text_2"),
    ] {
        let engine = FakeEngine::says(Vec::new());
        *engine.refuses_to_prepare.lock().unwrap() = Some(error.clone());
        let answered = answer(&app(&engine), post(path, &body)).await;
        assert_eq!(answered.status, StatusCode::BAD_REQUEST, "{error:?}");
        assert_eq!(answered.error()["code"], code, "{error:?}");
        assert_eq!(answered.error()["param"], param, "{error:?}");
        let told: &Value = &answered.error()["message"];
        assert_eq!(told, &json!(error.to_string()));
    }
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_texts_and_pays_for_them() {
    let (engine, gate) = (FakeEngine::says(Vec::new()), FakeGate::default());
    *engine.reads_for_ever.lock().unwrap() = true;
    let app = app_with(&engine, gate.clone(), Config::default());
    let mut reading = Box::pin(send(&app, post(PATH, &json!({ "input": ["x", "y"] }))));
    assert!(reading.as_mut().now_or_never().is_none());
    engine.streams(1).await;
    drop(reading);
    engine.streams(0).await;
    let ended = gate.seen.ended().await;
    assert_eq!((ended.outcome, ended.ran, ended.usage.input_tokens), (Outcome::Cancelled, true, 6));
}
