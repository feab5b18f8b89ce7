use mlx_gate_core::EngineError;
use serde_json::json;

use super::fakes::{FakeEngine, answer, app, post};

#[tokio::test]
async fn the_engines_errors_become_answers() {
    let unsuited = EngineError::UnsuitedModel { model: "z".to_owned(), problem: "does not do it" };
    let too_long = EngineError::PromptTooLong { prompt_tokens: 9000, context_length: 4096 };
    let invalid =
        EngineError::InvalidRequest { field: "template_options", message: "no such style".to_owned() };
    let cases = [
        (EngineError::UnknownModel("x".to_owned()), 404, "model_not_found", json!("model"), "`x`"),
        (unsuited, 400, "unsupported_model", json!("model"), "`z` does not do it"),
        (EngineError::UnknownAdapter("y".to_owned()), 404, "adapter_not_found", json!("adapter"), "`y`"),
        (invalid, 400, "invalid_value", json!("chat_template_kwargs"), "no such style"),
        (
            too_long,
            400,
            "context_length_exceeded",
            json!("messages"),
            "prompt is too long: 9000 tokens > 4095 maximum",
        ),
        (EngineError::Overloaded { waiting: 64 }, 503, "server_overloaded", json!(null), "64"),
        (EngineError::ShuttingDown, 503, "server_shutting_down", json!(null), "shutting down"),
        (EngineError::Internal("secret".to_owned()), 500, "internal_error", json!(null), "log"),
    ];
    let body = json!({ "messages": [{ "role": "user", "content": "x" }] });
    for (error, status, code, param, message) in cases {
        for at_start in [false, true] {
            let engine = FakeEngine::says(Vec::new());
            let slot = if at_start { &engine.refuses_to_start } else { &engine.refuses_to_prepare };
            *slot.lock().unwrap() = Some(error.clone());
            let answered = answer(&app(&engine), post("/v1/chat/completions", &body)).await;
            assert_eq!(answered.status.as_u16(), status, "{error:?}");
            assert_eq!(answered.error()["code"], code, "{error:?}");
            assert_eq!(answered.error()["param"], param, "{error:?}");
            assert!(answered.error()["message"].as_str().unwrap().contains(message), "{}", answered.body);
            assert!(!answered.body.contains("secret"), "{error:?}");
            assert_eq!(answered.headers.contains_key("retry-after"), status == 503, "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_prompt_too_long_names_the_field_of_its_route() {
    let engine = FakeEngine::says(Vec::new());
    let too_long = EngineError::PromptTooLong { prompt_tokens: 9000, context_length: 4096 };
    *engine.refuses_to_prepare.lock().unwrap() = Some(too_long);
    let answered = answer(&app(&engine), post("/v1/completions", &json!({ "prompt": "x" }))).await;
    assert_eq!(answered.error()["param"], "prompt");
}
