use axum::http::StatusCode;
use serde_json::json;

use super::fakes::{FakeEngine, FakeGate, answer, app, app_with, request};
use crate::Config;

#[tokio::test]
async fn models_are_listed_in_order() {
    let app = app(&FakeEngine::says(Vec::new()));
    let listed = answer(&app, request("GET", "/v1/models", "")).await.json();
    assert_eq!(listed["object"], "list");
    assert_eq!(
        listed["data"][0],
        json!({
            "id": "demo", "object": "model", "created": 1_700_000_000, "owned_by": "mlx-gate",
            "architecture": "qwen3", "context_length": 4096,
            "capabilities": {
                "completion": true, "chat": true, "tools": true, "reasoning": true, "structured_output": true,
                "embeddings": false, "score": false,
            },
        })
    );
    assert_eq!(listed["data"][1]["id"], "org/plain");
}

#[tokio::test]
async fn a_list_without_pages_has_no_parameters_of_pages() {
    let app = app(&FakeEngine::says(Vec::new()));
    for (query, status) in [("client_version=1.0", 200), ("limit=5", 400), ("a=b&before_id=demo", 400)] {
        let answered = answer(&app, request("GET", &format!("/v1/models?{query}"), "")).await;
        assert_eq!(answered.status, status, "{query}");
    }
}

#[tokio::test]
async fn a_model_is_found_by_an_id_with_slashes() {
    let app = app(&FakeEngine::says(Vec::new()));
    for path in ["/v1/models/org/plain", "/v1/models/org%2Fplain"] {
        assert_eq!(answer(&app, request("GET", path, "")).await.json()["id"], "org/plain", "{path}");
    }
    for path in ["/v1/models/other", "/v1/models/org%2F", "/v1/models/%ff"] {
        let answered = answer(&app, request("GET", path, "")).await;
        assert_eq!(answered.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answered.error()["code"], "model_not_found", "{path}");
    }
}

#[tokio::test]
async fn a_guess_counts_as_a_request_and_is_about_no_model() {
    for (path, status, model) in [("/v1/models/demo", 200, Some("demo")), ("/v1/models/guess", 404, None)] {
        let gate = FakeGate::default();
        let seen = std::sync::Arc::clone(&gate.seen);
        let app = app_with(&FakeEngine::says(Vec::new()), gate, Config::default());
        assert_eq!(answer(&app, request("GET", path, "")).await.status, status, "{path}");
        assert!(seen.ended().await.ran, "{path}: what was reserved is not given back");
        assert_eq!(seen.operation(mlx_gate_core::Phase::RateLimit).model.as_deref(), model, "{path}");
    }
}
