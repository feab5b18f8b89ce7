use axum::http::StatusCode;
use mlx_gate_core::{Constraints, Operation, Phase, Prompt};
use serde_json::{Value, json};

use super::fakes::{FakeEngine, FakeGate, answer, app, app_with, post};
use crate::Config;

#[tokio::test]
async fn answers_have_vllms_shape() {
    let messages = json!([{ "role": "user", "content": "x" }]);
    let tools = json!([{ "type": "function", "function": { "name": "f" } }]);
    for (path, body, expected) in [
        (
            "/tokenize",
            json!({ "prompt": "abc" }),
            json!({ "count": 3, "max_model_len": 4096, "tokens": [1, 2, 3], "token_strs": null }),
        ),
        (
            "/tokenize",
            json!({ "model": "demo", "messages": messages, "tools": tools, "add_generation_prompt": true,
                    "add_special_tokens": false, "return_token_strs": true, "reasoning_effort": "low" }),
            json!({ "count": 3, "max_model_len": 4096, "tokens": [1, 2, 3], "token_strs": ["a", "b", "c"] }),
        ),
        ("/detokenize", json!({ "model": "demo", "tokens": [5, 6] }), json!({ "prompt": "[5, 6]" })),
    ] {
        let engine = FakeEngine::says(Vec::new());
        let answered = answer(&app(&engine), post(path, &body)).await;
        assert_eq!(answered.status, StatusCode::OK, "{body}: {}", answered.body);
        assert_eq!(answered.json(), expected, "{body}");
    }
}

#[tokio::test]
async fn what_is_asked_for_reaches_the_engine() {
    let engine = FakeEngine::says(Vec::new());
    let body = json!({ "prompt": "abc", "add_special_tokens": false });
    answer(&app(&engine), post("/tokenize", &body)).await;
    let asked = engine.tokenized.lock().unwrap().pop().unwrap();
    assert_eq!(asked.prompt, Prompt::Text("abc".to_owned()));
    assert_eq!((asked.model.as_deref(), asked.add_special_tokens), (Some("demo"), Some(false)));
}

#[tokio::test]
async fn a_model_has_to_be_served_and_allowed() {
    let allowed = Constraints { models: vec![vec!["org/*".to_owned()]], ..Constraints::default() };
    for path in ["/tokenize", "/detokenize"] {
        let body = |model: &str| match path {
            "/tokenize" => json!({ "model": model, "prompt": "x" }),
            _ => json!({ "model": model, "tokens": [1] }),
        };
        let engine = FakeEngine::says(Vec::new());
        let ask = async |gate: &FakeGate, body: &Value| {
            let app = app_with(&engine, gate.clone(), Config::default());
            let answered = answer(&app, post(path, body)).await;
            (answered.status, answered.error()["code"].clone())
        };
        let unknown = ask(&FakeGate::default(), &body("other")).await;
        assert_eq!(unknown, (StatusCode::NOT_FOUND, json!("model_not_found")), "{path}");
        let gate = FakeGate { constraints: allowed.clone(), ..FakeGate::default() };
        assert_eq!(ask(&gate, &body("demo")).await, (StatusCode::FORBIDDEN, json!("model_not_allowed")));
        let operation = gate.seen.operation(Phase::Authorize);
        let api = mlx_gate_core::Api::Tokenize;
        assert_eq!(operation, Operation { model: Some("demo".to_owned()), ..Operation::new(api) });
    }
}
