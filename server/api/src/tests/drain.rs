use axum::http::StatusCode;
use futures_util::FutureExt;
use mlx_gate_core::FinishReason;
use serde_json::json;

use super::fakes::{FakeEngine, Say, answer, app, finished, post, read, request, send, text};

#[tokio::test]
async fn draining_refuses_new_requests_and_lets_streams_end() {
    let (engine, says) = FakeEngine::held();
    let app = app(&engine);
    let body = json!({ "messages": [{ "role": "user", "content": "x" }], "stream": true });
    let stream = send(&app, post("/v1/chat/completions", &body)).await;
    assert_eq!(app.in_flight(), 1);
    assert!(app.drained().now_or_never().is_none());

    app.drain();
    for path in ["/v1/models", "/v1/chat/completions", "/unknown"] {
        let refused = answer(&app, request("GET", path, "")).await;
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert_eq!(refused.error()["code"], "server_shutting_down", "{path}");
        assert!(!refused.header("retry-after").is_empty(), "{path}");
        assert!(refused.header("x-request-id").starts_with("req_"), "{path}");
    }
    assert_eq!(answer(&app, request("GET", "/ready", "")).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer(&app, request("GET", "/health", "")).await.status, StatusCode::OK);
    assert!(app.drained().now_or_never().is_none());

    says.send(Say::Event(text("late"))).unwrap();
    says.send(Say::Event(finished(FinishReason::Stop))).unwrap();
    let streamed = read(stream).await.body;
    assert!(streamed.contains("late") && streamed.ends_with("data: [DONE]\n\n"), "{streamed}");
    app.drained().await;
    assert_eq!(app.in_flight(), 0);
}
