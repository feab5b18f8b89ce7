use axum::http::{HeaderValue, StatusCode};
use mlx_gate_core::{Denial, EngineError, FinishReason, Phase, Refusal};
use serde_json::json;

use super::{COUNT, MESSAGES, ask, from_client};
use crate::Config;
use crate::tests::fakes::{Answered, FakeEngine, FakeGate, answer, app, app_with, finished, post, request};

fn check(answered: &Answered, status: u16, kind: &str, code: &str) {
    let body = answered.json();
    assert_eq!(answered.status.as_u16(), status, "{body}");
    assert_eq!(body["type"], "error", "{body}");
    assert_eq!(body["error"]["type"], kind, "{body}");
    assert_eq!(body["error"]["details"]["error_code"], code, "{body}");
    assert!(!body["error"]["message"].as_str().unwrap().is_empty());
    let id = answered.header("request-id");
    assert!(!id.is_empty() && id == answered.header("x-request-id"));
    assert_eq!(body["request_id"], id);
}

#[tokio::test]
async fn what_the_gate_refuses_has_anthropics_shape() {
    let denied = |phase, status| Refusal::Denied {
        plugin: "p".to_owned(),
        phase,
        denial: Denial { status, retry_after_ms: Some(1500), ..Denial::default() },
    };
    let unavailable =
        Refusal::Unavailable { plugin: "p".to_owned(), phase: Phase::Tag, cause: "it trapped".to_owned() };
    for (phase, refusal, status, kind, code) in [
        (Phase::Authorize, Refusal::NotAllowed, 403, "permission_error", "permission_denied"),
        (Phase::RateLimit, denied(Phase::RateLimit, 429), 429, "rate_limit_error", "rate_limit_exceeded"),
        (
            Phase::Authenticate,
            denied(Phase::Authenticate, 401),
            401,
            "authentication_error",
            "invalid_api_key",
        ),
        (Phase::Tag, denied(Phase::Tag, 400), 400, "invalid_request_error", "request_denied"),
        (Phase::Tag, unavailable, 503, "api_error", "plugin_unavailable"),
    ] {
        for path in [MESSAGES, COUNT] {
            let engine = FakeEngine::says(vec![finished(FinishReason::Stop)]);
            let app = app_with(&engine, FakeGate::refusing(phase, refusal.clone()), Config::default());
            let mut body = ask(&json!({}));
            if path == COUNT {
                body.as_object_mut().unwrap().remove("max_tokens");
            }
            let answered = answer(&app, post(path, &body)).await;
            check(&answered, status, kind, code);
            if status == 429 {
                assert_eq!(answered.header("retry-after"), "2");
            }
        }
    }
}

#[tokio::test]
async fn a_missing_key_is_refused_in_the_clients_dialect() {
    let app = app(&FakeEngine::says(Vec::new()));
    for path in [MESSAGES, COUNT, "/v1/models", "/v1/nothing"] {
        let mut unknown = from_client(post(path, &json!({})));
        unknown.headers_mut().remove("authorization");
        check(&answer(&app, unknown).await, 401, "authentication_error", "invalid_api_key");
    }
}

#[tokio::test]
async fn what_the_engine_refuses_has_its_type() {
    for (error, status, kind, code) in [
        (EngineError::UnknownModel("m".to_owned()), 404, "not_found_error", "model_not_found"),
        (EngineError::Overloaded { waiting: 9 }, 529, "overloaded_error", "server_overloaded"),
        (EngineError::ShuttingDown, 503, "api_error", "server_shutting_down"),
        (EngineError::Internal("secret".to_owned()), 500, "api_error", "internal_error"),
        (
            EngineError::PromptTooLong { prompt_tokens: 9, context_length: 8 },
            400,
            "invalid_request_error",
            "context_length_exceeded",
        ),
    ] {
        let engine = FakeEngine::says(vec![finished(FinishReason::Stop)]);
        *engine.refuses_to_prepare.lock().unwrap() = Some(error);
        let answered = answer(&app(&engine), post(MESSAGES, &ask(&json!({})))).await;
        check(&answered, status, kind, code);
        assert!(!answered.body.contains("secret"));
    }
}

#[tokio::test]
async fn fields_have_the_clients_names() {
    for (field, param) in [
        ("reasoning", "thinking"),
        ("grammar", "output_config.format"),
        ("stop", "stop_sequences"),
        ("tools", "tools"),
    ] {
        let engine = FakeEngine::says(Vec::new());
        let refusal = EngineError::InvalidRequest { field, message: "no".to_owned() };
        *engine.refuses_to_prepare.lock().unwrap() = Some(refusal);
        let answered = answer(&app(&engine), post(MESSAGES, &ask(&json!({})))).await;
        assert_eq!(answered.error()["details"]["param"], param);
    }
}

#[tokio::test]
async fn what_is_not_there_is_told_in_the_clients_dialect() {
    let app = app(&FakeEngine::says(Vec::new()));
    let unknown = answer(&app, from_client(request("GET", "/v1/messages/batches", ""))).await;
    check(&unknown, 404, "not_found_error", "unknown_url");
    let model = answer(&app, from_client(request("GET", "/v1/models/none", ""))).await;
    check(&model, 404, "not_found_error", "model_not_found");
    let method = answer(&app, request("GET", MESSAGES, "")).await;
    check(&method, 405, "invalid_request_error", "method_not_allowed");

    let mut text = post(MESSAGES, &ask(&json!({})));
    text.headers_mut().insert("content-type", HeaderValue::from_static("text/plain"));
    check(&answer(&app, text).await, 415, "invalid_request_error", "unsupported_content_type");
    let large = request("POST", MESSAGES, vec![b' '; 9 * 1024 * 1024]);
    check(&answer(&app, large).await, 413, "request_too_large", "request_too_large");
    let openai = answer(&app, request("GET", "/v1/nothing", "")).await;
    assert_eq!(openai.status, StatusCode::NOT_FOUND);
    assert_eq!((&openai.json()["type"], openai.header("request-id")), (&json!(null), ""));
}
